// SPDX-License-Identifier: GPL-2.0
/*
 * Start and stop
 *
 * Migration safety
 * ================
 *
 * A guest is moved to another host by stopping its device here, copying its
 * memory, and starting a device there.  That is correct only if "stopped" is
 * absolute.  This is what stopped means, and where each part of it comes from.
 *
 * Everything rests on one count.  Each queue has vhost_scsi_queue.inflight:
 *
 *   - a worker takes one before it looks at vhost_scsi.running, and gives it
 *     back when it has left the queue: vhost_scsi_queue_enter() and _leave();
 *   - every fetched head takes one of its own while its worker still holds the
 *     first, so before anybody else can see it: vhost_scsi_ring_fetch();
 *   - that one is given back after the last access to guest memory on behalf
 *     of the request: response written, pages unpinned, log and used ring
 *     written, guest notified: vhost_scsi_ring_publish();
 *   - a command that the driver itself sends to the target core holds one of
 *     the control queue's: exec.c.
 *
 * vhost_scsi_stop(), run for VHOST_SCSI_CLEAR_ENDPOINT and when
 * VHOST_SCSI_MIG_SET_STATE suspends the device, goes through these steps, in
 * this order:
 *
 *   1. running = false, full barrier.  A worker that counts itself in from now
 *      on sees it and leaves the ring alone.  (G2: nothing is submitted any
 *      more, whatever the guest kicks.  The kick is not lost: starting looks
 *      at every ring once, step 5 of vhost_scsi_start().)
 *
 *   2. Wait for all counts to be 0.  A worker that was inside a ring has left
 *      it, so nothing more is fetched; and every request that it fetched has
 *      been completed by the backend, answered and returned, once.  (G1, and
 *      G3: guest memory is not touched on anybody's behalf any more, no page
 *      of it is pinned, no eventfd is signalled.  G4: what the requests wrote
 *      is in the dirty log, because a head is returned after its log entries
 *      are set.  G9: no write of ours is left that could overtake one of the
 *      next host; a write that the backend itself gave up on is the storage's
 *      to fence.)
 *
 *      The wait ends by a fatal signal of the caller too, and where it has a
 *      deadline, by that; the device is then stopping still, and the next stop
 *      goes on where this one ended.  The counts can be read meanwhile without
 *      any lock.  (G7)
 *
 *   3. Write back the volatile caches of all LUNs.  The guest was told that
 *      these writes are done, and the next host reads the storage, not our
 *      cache.  It must follow 2, or a write that completes later is missed.
 *      A failure is reported and does not keep the device running.  (G5, G6)
 *
 *   4. Flush the vhost workers.  After 2 they cannot be doing more than
 *      returning from a function; after this they are not doing that.
 *
 *   5. If a save session is open, capture what it must save: migration.c.
 *      Ring positions and events stand still from here on.
 *
 *   6. CLEAR_ENDPOINT alone: vhost_scsi_detach() tells the vhost core that the
 *      rings are inactive, and frees the commands; then the TPGs are let go,
 *      unless a session keeps them.  The core lets userspace change ring sizes
 *      and indices from here on.
 *
 * Nothing in there looks at the rings, at the memory table, or at configfs, so
 * none of these can refuse it (G6).
 *
 * The barrier of step 1 pairs with the one in vhost_scsi_queue_enter():
 *
 *	stop			worker
 *	running = false		inflight++
 *	smp_mb()		smp_mb()
 *	read inflight		read running
 *
 * One of the two sees the other: the stop waits for the worker, or the worker
 * turns back.
 *
 * Locks: stop and start run under vhost_dev.mutex alone while they wait.  No
 * worker takes that, so a worker that waits for guest memory or the backend
 * never waits for its own stop.  See scsi.h for the order.
 */
#include <linux/sched/signal.h>
#include <linux/vhost.h>

#include "scsi.h"
#include "trace.h"

/**
 * vhost_scsi_queue_enter - count a worker in
 * @q: queue
 *
 * Context: worker.
 * Return: true if the guest is served.  The caller may then use the ring and
 * vhost_scsi.ep until vhost_scsi_queue_leave().
 */
bool vhost_scsi_queue_enter(struct vhost_scsi_queue *q)
{
	atomic_inc(&q->inflight);
	/* Pairs with vhost_scsi_drain() and vhost_scsi_owner_died_locked(). */
	smp_mb__after_atomic();
	/* What was set up before is seen now; pairs with vhost_scsi_run(). */
	if (smp_load_acquire(&q->vs->running))
		return true;
	vhost_scsi_queue_leave(q, 1);
	return false;
}

/**
 * vhost_scsi_queue_leave - give back counts of vhost_scsi_queue.inflight
 * @q: queue
 * @count: how many
 *
 * The caller must not touch guest memory on their behalf afterwards.
 *
 * Context: a worker of the device, or the reaper; others under rcu_read_lock().
 * Whoever waits may go on to free the device as soon as the count is 0, but
 * does that after the workers have ended and a grace period has passed.
 */
void vhost_scsi_queue_leave(struct vhost_scsi_queue *q, unsigned int count)
{
	struct vhost_scsi *vs = q->vs;

	if (atomic_sub_and_test(count, &q->inflight) &&
	    !READ_ONCE(vs->running)) {
		wake_up_all(&vs->drained);
		/* Nobody may be waiting; somebody may want to know (M7). */
		if (READ_ONCE(vs->mig.draining) && !vhost_scsi_inflight(vs))
			vhost_scsi_mig_reached(vs);
		if (READ_ONCE(vs->dead))
			queue_work(vhost_scsi_wq, &vs->reap_work);
	}
}

/**
 * vhost_scsi_inflight - requests and workers in flight
 * @vs: device
 *
 * Context: any; no lock is needed or taken (M2).
 * Return: 0 if, while not running, the guest's memory is its own.
 */
unsigned int vhost_scsi_inflight(struct vhost_scsi *vs)
{
	unsigned int sum = 0;
	int i;

	for (i = 0; i < vs->dev.nvqs; i++)
		sum += atomic_read(&vs->queues[i].inflight);
	return sum;
}

/**
 * vhost_scsi_drain - steps 1 and 2 of stopping
 * @vs: device
 * @end: jiffies when to give up waiting, 0 for never
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 * Return: 0, -EINTR, -ETIMEDOUT.
 */
int vhost_scsi_drain(struct vhost_scsi *vs, unsigned long end)
{
	long left;

	lockdep_assert_held(&vs->dev.mutex);

	WRITE_ONCE(vs->running, false);
	/* Pairs with vhost_scsi_queue_enter(). */
	smp_mb();
	left = wait_event_killable_timeout(vs->drained,
					   !vhost_scsi_inflight(vs),
					   vhost_scsi_time_left(end));
	if (left < 0)
		return -EINTR;
	return left ? 0 : -ETIMEDOUT;
}

/* Let workers in, and have them look.  The dead stay stopped (G12). */
static void vhost_scsi_run(struct vhost_scsi *vs)
{
	int i;

	mutex_lock(&vhost_scsi_tpg_lock);
	if (!vs->dead)
		/* What was set up before is seen by whoever enters. */
		smp_store_release(&vs->running, true);
	mutex_unlock(&vhost_scsi_tpg_lock);

	/* Kicks that came while nobody looked were dropped (G2). */
	for (i = 0; i < vs->dev.nvqs; i++) {
		struct vhost_virtqueue *vq = &vs->queues[i].vq;

		if (vhost_vq_get_backend(vq))
			vhost_poll_queue(&vq->poll);
	}
}

/**
 * vhost_scsi_pause - drain the device for a change that requests must not see
 * @vs: device
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 * Return: 0 if nothing is in flight until vhost_scsi_unpause(); -EINTR if the
 * caller was killed, and the device goes on as before.
 */
int vhost_scsi_pause(struct vhost_scsi *vs)
{
	bool was = vs->running;
	int r = vhost_scsi_drain(vs, 0);

	if (r && was)
		vhost_scsi_run(vs);
	return r;
}

/**
 * vhost_scsi_unpause - go on after vhost_scsi_pause()
 * @vs: device
 *
 * Context: vhost_dev.mutex held.
 */
void vhost_scsi_unpause(struct vhost_scsi *vs)
{
	lockdep_assert_held(&vs->dev.mutex);
	vhost_scsi_run(vs);
}

/**
 * vhost_scsi_stop - stop serving the guest
 * @vs: device
 * @flush: write back caches of LUNs
 * @end: jiffies when to give up waiting, 0 for never
 *
 * See "Migration safety" above.  The endpoint stays attached.
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 * Return: 0; -EINTR if the caller was killed, -ETIMEDOUT if time is up, and the
 * device is stopping.
 */
int vhost_scsi_stop(struct vhost_scsi *vs, bool flush, unsigned long end)
{
	int r;

	trace_vhost_scsi_stop(vs->id, "drain", vhost_scsi_inflight(vs));
	WRITE_ONCE(vs->mig.draining, true);
	r = vhost_scsi_drain(vs, end);
	if (!r)
		r = vhost_scsi_flush_caches(vs, flush, end);
	/* The flushes themselves are counted. */
	if (!r)
		r = vhost_scsi_drain(vs, end);
	if (r) {
		trace_vhost_scsi_stop(vs->id, r == -EINTR ? "killed" : "late",
				      vhost_scsi_inflight(vs));
		return r;
	}
	vhost_dev_flush(&vs->dev);
	WRITE_ONCE(vs->mig.draining, false);
	vs->mig.serving = false;
	trace_vhost_scsi_stop(vs->id, "stopped", 0);
	return 0;
}

/**
 * vhost_scsi_detach - undo what vhost_scsi_start() set up
 * @vs: device, stopped; not necessarily started to the end
 *
 * The claim on the TPGs stays.
 *
 * Context: vhost_dev.mutex held, nothing in flight.
 */
void vhost_scsi_detach(struct vhost_scsi *vs)
{
	int i;

	lockdep_assert_held(&vs->dev.mutex);

	for (i = 0; i < vs->dev.nvqs; i++) {
		struct vhost_scsi_queue *q = &vs->queues[i];

		mutex_lock(&q->vq.mutex);
		vhost_vq_set_backend(&q->vq, NULL);
		mutex_unlock(&q->vq.mutex);
		vhost_scsi_cmds_free(q);
	}
	/* Whoever still saw a backend has put its event on the list. */
	mutex_lock(&vhost_scsi_tpg_lock);
	vhost_scsi_event_drop(vs);
	mutex_unlock(&vhost_scsi_tpg_lock);
}

static int vhost_scsi_start_queue(struct vhost_scsi_queue *q)
{
	int r = 0;

	/* The ring may have another size than last time. */
	if (q->index >= VHOST_SCSI_VQ_IO)
		r = vhost_scsi_cmds_alloc(q);
	if (r)
		return r;

	mutex_lock(&q->vq.mutex);
	q->broken = false;
	q->returning = 0;
	vhost_vq_set_backend(&q->vq, q->vs->ep);
	r = vhost_vq_init_access(&q->vq);
	mutex_unlock(&q->vq.mutex);
	return r;
}

/**
 * vhost_scsi_check_rings - can the guest be served?
 * @vs: device
 *
 * Every ring that was set up lies in memory that the owner may use, and can be
 * read and written.  The latter waits for userfaultfd, killably, and holds
 * nothing that the fault handler, another device or configfs could want (M9).
 *
 * Context: vhost_dev.mutex held, nothing in flight.  Sleeps.
 * Return: 0, -EFAULT, -EINTR.
 */
int vhost_scsi_check_rings(struct vhost_scsi *vs)
{
	int i;

	lockdep_assert_held(&vs->dev.mutex);

	for (i = 0; i < vs->dev.nvqs; i++) {
		struct vhost_virtqueue *vq = &vs->queues[i].vq;
		bool ok;

		mutex_lock(&vq->mutex);
		ok = vhost_vq_access_ok(vq);
		mutex_unlock(&vq->mutex);
		if (!ok)
			return -EFAULT;
	}

	for (i = 0; i < vs->dev.nvqs; i++) {
		struct vhost_virtqueue *vq = &vs->queues[i].vq;

		if (vhost_vq_is_setup(vq) && !vhost_scsi_ring_reachable(vq))
			return fatal_signal_pending(current) ? -EINTR : -EFAULT;
	}
	return 0;
}

/**
 * vhost_scsi_start - prepare to serve the guest
 * @vs: device without an endpoint
 * @wwpn: target port
 *
 * All or nothing: on an error the device is as it was (M8).
 *
 *   1. Every ring can be used: vhost_scsi_check_rings().
 *   2. The TPGs of @wwpn are ours, if they are not already.
 *   3. Each queue has commands for its ring, and its place on the used ring is
 *      known.
 *
 * vhost_scsi_resume() does the rest:
 *
 *   4. running = true.
 *   5. Every ring is looked at once.
 *
 * Context: vhost_dev.mutex held, the caller owns the device.  Sleeps.
 * Return: 0, or
 *
 * * -EFAULT: memory table not set, or a ring not accessible
 * * -EINTR: the caller was killed while it waited for guest memory
 * * -ENODEV: no TPG of @wwpn has a nexus
 * * -ENOENT: a TPG of @wwpn is being removed
 * * -EBUSY: a TPG of @wwpn is claimed by another device
 * * -ENOMEM
 * * -EOWNERDEAD: the process that owned the device is gone
 */
int vhost_scsi_start(struct vhost_scsi *vs, const char *wwpn)
{
	struct vhost_scsi_queue *q;
	bool claimed = vs->ep;
	int i, r;

	lockdep_assert_held(&vs->dev.mutex);

	r = vhost_scsi_check_rings(vs);
	if (!r && !claimed)
		r = vhost_scsi_endpoint_claim(vs, wwpn);
	if (r)
		return r;

	for (i = 0; i < vs->dev.nvqs && !r; i++) {
		q = &vs->queues[i];
		if (vhost_vq_is_setup(&q->vq))
			r = vhost_scsi_start_queue(q);
	}
	if (r) {
		vhost_scsi_detach(vs);
		if (!claimed)
			vhost_scsi_endpoint_release(vs);
		return r;
	}
	trace_vhost_scsi_start(vs->id, wwpn);
	return 0;
}

/**
 * vhost_scsi_resume - serve the guest
 * @vs: device that vhost_scsi_start() has prepared
 *
 * Context: vhost_dev.mutex held.
 */
void vhost_scsi_resume(struct vhost_scsi *vs)
{
	WRITE_ONCE(vs->mig.draining, false);
	vs->mig.serving = true;
	vhost_scsi_run(vs);
}
