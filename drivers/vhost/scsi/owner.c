// SPDX-License-Identifier: GPL-2.0
/*
 * The end of a device, and of the process behind it (G12)
 *
 * The owner is the process that called VHOST_SET_OWNER; the workers run in its
 * address space.  When it dies or executes another program, nobody can be
 * answered any more.  A duplicate of the file descriptor may live on in an
 * orchestrator, so the last close is too late to notice.  What does notice is
 *
 *   - the file's flush, when the owner's file table goes away;
 *   - a failure to queue work: the vhost core has seen its worker killed.  If
 *     there is no work to queue, whoever wants the TPGs makes some;
 *   - the last close, which is the same for us, whether or not an owner lives.
 *
 * From then on
 *
 *   - the device is dead.  No ring is looked at; only close ends that state;
 *   - its TPGs are free at once for the next owner, but for those whose
 *     reservations a load has changed that is to be undone.  They cannot be
 *     removed yet, because the backend may still work on commands of their
 *     nexus;
 *   - whatever the backend returns is released without an answer;
 *   - when all is returned, the reaper lets go of the TPGs and of the dead
 *     process' memory.
 *
 * Nobody waits for the backend here: the count of requests in flight runs the
 * reaper when it drops to 0.  So a backend that hangs makes neither the dying
 * process nor the closing one unkillable.
 */
#include <linux/vhost.h>

#include "migration.h"
#include "trace.h"

/* The owner is gone.  Does nothing if that was known. */
static void vhost_scsi_owner_died_locked(struct vhost_scsi *vs)
{
	lockdep_assert_held(&vhost_scsi_tpg_lock);

	if (vs->dead)
		return;
	kref_get(&vs->ref);
	WRITE_ONCE(vs->dead, true);
	WRITE_ONCE(vs->running, false);
	/* Pairs with vhost_scsi_queue_enter(). */
	smp_mb();
	/*
	 * Reservations of a load that has no guest yet are put back first, those
	 * of a guest that has left are removed, and commands that somebody sends
	 * in the guest's name go to no other guest.
	 */
	if (!vs->mig.applied && !vs->mig.captured && !vs->mig.held)
		vhost_scsi_endpoint_unclaim_locked(vs);
	if (vs->mig.session)
		vhost_scsi_session_died(vs->mig.session);
	trace_vhost_scsi_stop(vs->id, "owner died", vhost_scsi_inflight(vs));
	vhost_scsi_mig_reached(vs);
	queue_work(vhost_scsi_wq, &vs->reap_work);
}

static void vhost_scsi_owner_died(struct vhost_scsi *vs)
{
	mutex_lock(&vhost_scsi_tpg_lock);
	vhost_scsi_owner_died_locked(vs);
	mutex_unlock(&vhost_scsi_tpg_lock);
}

/**
 * vhost_scsi_owner_check_locked - is the owner of a device still there?
 * @vs: device that has claimed something
 *
 * An owner that executed another program, and keeps the descriptor, has lost
 * its workers without any of the above.  Whoever wants its TPGs asks.
 *
 * Context: process, vhost_scsi_tpg_lock held.
 */
void vhost_scsi_owner_check_locked(struct vhost_scsi *vs)
{
	struct vhost_scsi_queue *q = &vs->queues[VHOST_SCSI_VQ_CTL];

	/* Without anything done, this does nothing. */
	if (!vhost_vq_work_queue(&q->vq, &q->done_work))
		vhost_scsi_owner_died_locked(vs);
}

/*
 * Runs when the owner has died, when work could not be queued, and each time
 * that a queue of a dead device has nothing in flight.
 */
static void vhost_scsi_owner_reap_work(struct work_struct *work)
{
	struct vhost_scsi *vs = container_of(work, struct vhost_scsi,
					     reap_work);
	bool last = false;
	int i;

	vhost_scsi_owner_died(vs);

	for (i = 0; i < vs->dev.nvqs; i++) {
		struct vhost_scsi_queue *q = &vs->queues[i];

		if (llist_empty(&q->done))
			continue;
		atomic_inc(&q->inflight);
		mutex_lock(&q->vq.mutex);
		vhost_scsi_ring_finish(q, false);
		mutex_unlock(&q->vq.mutex);
		vhost_scsi_queue_leave(q, 1);
	}

	if (vhost_scsi_inflight(vs))
		return;

	/* See vhost_scsi_ring_done(): somebody may be about to queue work. */
	synchronize_rcu();

	mutex_lock(&vs->dev.mutex);
	/* A stop that was under way may have sent cache flushes meanwhile. */
	if (!vs->reaped && !vhost_scsi_inflight(vs)) {
		vs->reaped = true;
		last = true;
		vhost_dev_stop(&vs->dev);
		vhost_scsi_mig_end(vs);
		vhost_scsi_detach(vs);
		vhost_scsi_endpoint_release(vs);
		vhost_dev_cleanup(&vs->dev);
	}
	mutex_unlock(&vs->dev.mutex);

	if (last)
		vhost_scsi_put(vs);
}

/**
 * vhost_scsi_owner_init - prepare a new device
 * @vs: device
 */
void vhost_scsi_owner_init(struct vhost_scsi *vs)
{
	INIT_WORK(&vs->reap_work, vhost_scsi_owner_reap_work);
}

/**
 * vhost_scsi_owner_close - the last file descriptor is closed
 * @vs: device
 *
 * Context: process.  With nothing in flight, and no session that was captured or
 * applied, the TPGs can be removed when this returns; it never waits for guest
 * or backend.
 */
void vhost_scsi_owner_close(struct vhost_scsi *vs)
{
	vhost_scsi_owner_died(vs);
	/* The end of a session may take a backend. */
	if (!vhost_scsi_inflight(vs) && !READ_ONCE(vs->mig.applied) &&
	    !READ_ONCE(vs->mig.captured))
		flush_work(&vs->reap_work);
}

/**
 * vhost_scsi_owner_flush - a process closes one of its descriptors
 * @vs: device
 * @id: its file table
 *
 * The owner has died, or executes another program, if the descriptor is from
 * its file table but the address space is another (or none: exit drops that
 * first).
 */
void vhost_scsi_owner_flush(struct vhost_scsi *vs, fl_owner_t id)
{
	if (id == READ_ONCE(vs->owner_files) &&
	    current->mm != READ_ONCE(vs->dev.mm))
		vhost_scsi_owner_died(vs);
}
