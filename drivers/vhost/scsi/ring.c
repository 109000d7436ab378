// SPDX-License-Identifier: GPL-2.0
/*
 * Rings: descriptor chains in, used elements out
 *
 * Every head that is fetched is returned, whatever the guest put into it (G8).
 * A chain that the vhost core refuses is taken off the ring here and returned
 * with length 0.  Only what has no valid head to return stops the ring, and
 * that one ring alone, until the next start.
 */
#include <linux/mm.h>
#include <linux/ratelimit.h>
#include <linux/sched/stat.h>
#include <linux/vhost.h>

#include "scsi.h"
#include "trace.h"

static void vhost_scsi_ring_break(struct vhost_scsi_queue *q, const char *why)
{
	lockdep_assert_held(&q->vq.mutex);

	q->broken = true;
	q->stats.broken++;
	pr_warn_ratelimited("vhost_scsi: device %u queue %u: %s, stopped until the next start\n",
			    q->vs->id, q->index, why);
}

/* Take a chain that the core refused off the ring and return it. */
static enum vhost_scsi_fetch vhost_scsi_ring_refuse(struct vhost_scsi_queue *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	__virtio16 elem;
	u16 head;

	/* The core counts heads by itself; if it has none, it failed on idx. */
	if (vq->avail_idx == vq->last_avail_idx) {
		vhost_scsi_ring_break(q, "avail index unreadable or wild");
		return VHOST_SCSI_BROKEN;
	}
	if (get_user(elem, &vq->avail->ring[vq->last_avail_idx &
					    (vq->num - 1)])) {
		vhost_scsi_ring_break(q, "avail ring unreadable");
		return VHOST_SCSI_BROKEN;
	}
	head = vhost16_to_cpu(vq, elem);
	if (head >= vq->num) {
		vhost_scsi_ring_break(q, "head outside of the ring");
		return VHOST_SCSI_BROKEN;
	}

	vq->last_avail_idx++;
	atomic_inc(&q->inflight);
	q->stats.fetched++;
	q->stats.refused++;
	vhost_scsi_ring_return(q, head, 0);
	return VHOST_SCSI_REFUSED;
}

/**
 * vhost_scsi_ring_fetch - take the next chain
 * @q: queue
 * @chain: filled in if there is one
 *
 * A fetched chain holds one of @q->inflight until it is published.
 *
 * Context: worker, inside @q, vq->mutex held.  May wait for guest memory.
 * Return: what there was, see enum vhost_scsi_fetch.
 */
enum vhost_scsi_fetch vhost_scsi_ring_fetch(struct vhost_scsi_queue *q,
					    struct vhost_scsi_chain *chain)
{
	struct vhost_virtqueue *vq = &q->vq;
	int head;

	lockdep_assert_held(&vq->mutex);

	if (unlikely(q->broken))
		return VHOST_SCSI_BROKEN;

	chain->nlog = 0;
	head = vhost_get_vq_desc(vq, vq->iov, ARRAY_SIZE(vq->iov), &chain->out,
				 &chain->in, vq->log, &chain->nlog);
	if (unlikely(head < 0))
		return vhost_scsi_ring_refuse(q);
	if (head == vq->num)
		return VHOST_SCSI_EMPTY;

	atomic_inc(&q->inflight);
	q->stats.fetched++;
	chain->head = head;
	chain->out_len = iov_length(vq->iov, chain->out);
	chain->in_len = iov_length(vq->iov + chain->out, chain->in);
	trace_vhost_scsi_fetch(q->vs->id, q->index, chain);
	return VHOST_SCSI_FETCHED;
}

/**
 * vhost_scsi_ring_return - return a head
 * @q: queue
 * @head: the head
 * @len: bytes written
 *
 * It is seen by the guest after vhost_scsi_ring_publish().  What the request
 * wrote must be in the dirty log by now (G4).
 *
 * Context: vq->mutex held.
 */
void vhost_scsi_ring_return(struct vhost_scsi_queue *q, u16 head, u32 len)
{
	struct vhost_virtqueue *vq = &q->vq;
	struct vring_used_elem *elem = &vq->heads[q->returning];

	lockdep_assert_held(&vq->mutex);

	elem->id = cpu_to_vhost32(vq, head);
	elem->len = cpu_to_vhost32(vq, len);
	trace_vhost_scsi_return(q->vs->id, q->index, head, len);

	/* More than a ring full at a time would overtake itself. */
	if (++q->returning == min_t(unsigned int, vq->num, UIO_MAXIOV))
		vhost_scsi_ring_publish(q);
}

/**
 * vhost_scsi_ring_publish - show the guest what was returned, and notify it
 * @q: queue
 *
 * Context: vq->mutex held.  Gives up the counts in flight of these heads, so
 * the caller needs one of its own.
 */
void vhost_scsi_ring_publish(struct vhost_scsi_queue *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	unsigned int count = q->returning;

	lockdep_assert_held(&vq->mutex);

	if (!count)
		return;
	q->returning = 0;
	if (likely(!vhost_add_used_n(vq, vq->heads, NULL, count))) {
		q->stats.returned += count;
		vhost_signal(&q->vs->dev, vq);
	} else {
		vhost_scsi_ring_break(q, "used ring not writable");
	}
	vhost_scsi_queue_leave(q, count);
}

/**
 * vhost_scsi_ring_done - the target core is done with an op
 * @op: from the guest
 *
 * Context: any, interrupts included.
 */
void vhost_scsi_ring_done(struct vhost_scsi_op *op)
{
	struct vhost_scsi_queue *q = op->queue;

	/*
	 * As soon as the op is on the list, somebody else may finish it, and
	 * with it the device.  The reaper waits for a grace period before it
	 * takes the workers and the queues away.
	 */
	rcu_read_lock();
	if (op->crowds)
		atomic_dec(&q->vs->crowd);
	/*
	 * If there was something on the list, somebody has been told.  A worker
	 * that serves the ring will look at the list on its way out.  llist_add()
	 * is a full barrier; pairs with vhost_scsi_ring_run().
	 */
	if (llist_add(&op->done, &q->done) && !READ_ONCE(q->serving) &&
	    !vhost_vq_work_queue(&q->vq, &q->done_work))
		queue_work(vhost_scsi_wq, &q->vs->reap_work);
	rcu_read_unlock();
}

/**
 * vhost_scsi_ring_finish - answer what the target core is done with
 * @q: queue
 * @answer: false if nobody is there to be answered any more (G12)
 *
 * Context: process, vq->mutex held, inside the queue.
 */
void vhost_scsi_ring_finish(struct vhost_scsi_queue *q, bool answer)
{
	struct vhost_scsi_op *op, *next;
	struct llist_node *list;
	unsigned int count = 0;

	lockdep_assert_held(&q->vq.mutex);

	if (llist_empty(&q->done))
		return;
	list = llist_reverse_order(llist_del_all(&q->done));
	llist_for_each_entry(op, list, done) {
		q->finish(q, op, answer);
		count++;
	}
	if (answer)
		vhost_scsi_ring_publish(q);
	else
		vhost_scsi_queue_leave(q, count);
	/* Only now that the guest has been told is an op over. */
	llist_for_each_entry_safe(op, next, list, done)
		q->release(q, op);
	vhost_scsi_tmf_wake(q->vs);
}

/*
 * A worker without work goes to sleep.  Whoever was told of answers may be
 * waiting for this CPU, to send the next requests: let it run first.  To go to
 * sleep and be woken again costs more than a small request does.
 */
static void vhost_scsi_ring_yield(struct vhost_scsi_queue *q)
{
	if (!single_task_running() && !vhost_vq_has_work(&q->vq))
		schedule();
}

/**
 * vhost_scsi_ring_done_work - finish ops in a worker
 * @work: vhost_scsi_queue.done_work
 *
 * Runs while the device stops, too: the ops themselves are counted.
 */
void vhost_scsi_ring_done_work(struct vhost_work *work)
{
	struct vhost_scsi_queue *q = container_of(work, struct vhost_scsi_queue,
						  done_work);
	struct vhost_scsi *vs = q->vs;

	/* Whoever served the ring may have been quicker. */
	if (llist_empty(&q->done))
		return;
	atomic_inc(&q->inflight);
	down_read(&vs->gate);
	mutex_lock(&q->vq.mutex);
	vhost_scsi_ring_finish(q, !READ_ONCE(vs->dead));
	mutex_unlock(&q->vq.mutex);
	up_read(&vs->gate);
	vhost_scsi_queue_leave(q, 1);
	vhost_scsi_ring_yield(q);
}

/* Look at the ring until it is empty or others want their turn. */
static void vhost_scsi_ring_serve(struct vhost_scsi_queue *q)
{
	struct vhost_virtqueue *vq = &q->vq;
	struct vhost_scsi *vs = q->vs;
	struct vhost_scsi_chain chain;
	int n = 0;

	vhost_disable_notify(&vs->dev, vq);
	while (READ_ONCE(vs->running)) {
		switch (vhost_scsi_ring_fetch(q, &chain)) {
		case VHOST_SCSI_FETCHED:
			q->handle(q, &chain);
			break;
		case VHOST_SCSI_REFUSED:
			break;
		case VHOST_SCSI_EMPTY:
			vhost_scsi_cmd_submit_rest(q);
			/* Answers first: the guest may be waiting for them. */
			vhost_scsi_ring_finish(q, true);
			vhost_scsi_ring_publish(q);
			if (!vhost_enable_notify(&vs->dev, vq))
				return;
			vhost_disable_notify(&vs->dev, vq);
			continue;
		case VHOST_SCSI_BROKEN:
			return;
		}
		if (rwsem_is_contended(&vs->gate)) {
			vhost_poll_queue(&vq->poll);
			return;
		}
		if (vhost_exceeds_weight(vq, ++n, 0))
			return;
	}
}

/**
 * vhost_scsi_ring_run - serve a queue
 * @q: queue
 *
 * Context: worker.
 */
void vhost_scsi_ring_run(struct vhost_scsi_queue *q)
{
	struct vhost_scsi *vs = q->vs;

	if (!vhost_scsi_queue_enter(q))
		return;

	down_read(&vs->gate);
	mutex_lock(&q->vq.mutex);
	if (vhost_vq_get_backend(&q->vq)) {
		WRITE_ONCE(q->serving, true);
		vhost_scsi_ring_serve(q);
		vhost_scsi_cmd_submit_rest(q);
		WRITE_ONCE(q->serving, false);
		/*
		 * What was put on the list with the flag set is seen now; what
		 * comes later queues work.  Pairs with vhost_scsi_ring_done().
		 */
		smp_mb();
		vhost_scsi_ring_finish(q, !READ_ONCE(vs->dead));
		vhost_scsi_ring_publish(q);
	}
	mutex_unlock(&q->vq.mutex);
	up_read(&vs->gate);

	vhost_scsi_queue_leave(q, 1);
	vhost_scsi_ring_yield(q);
}

/**
 * vhost_scsi_ring_read - copy from what the device may read of a chain
 * @q: queue
 * @chain: the chain
 * @skip: bytes to skip
 * @to: destination
 * @len: bytes
 *
 * Context: worker, vq->mutex held.
 * Return: false if the chain is too short or not readable.
 */
bool vhost_scsi_ring_read(const struct vhost_scsi_queue *q,
			  const struct vhost_scsi_chain *chain,
			  size_t skip, void *to, size_t len)
{
	const struct iovec *iov = q->vq.iov;
	struct iov_iter iter;

	if (chain->out_len < skip + len)
		return false;
	if (likely(iov->iov_len >= skip + len))
		return !copy_from_user(to, iov->iov_base + skip, len);

	iov_iter_init(&iter, ITER_SOURCE, iov, chain->out, chain->out_len);
	iov_iter_advance(&iter, skip);
	return copy_from_iter_full(to, len, &iter);
}

/**
 * vhost_scsi_ring_reply - answer a chain at once and return it
 * @q: queue
 * @chain: the chain
 * @resp: the answer
 * @len: its length
 *
 * A chain without room for the answer is returned with length 0.
 *
 * Context: worker, vq->mutex held.
 */
void vhost_scsi_ring_reply(struct vhost_scsi_queue *q,
			   const struct vhost_scsi_chain *chain,
			   const void *resp, size_t len)
{
	struct vhost_virtqueue *vq = &q->vq;
	struct iov_iter iter;

	if (chain->in_len >= len) {
		bool ok;

		iov_iter_init(&iter, ITER_DEST, vq->iov + chain->out, chain->in,
			      len);
		ok = copy_to_iter(resp, len, &iter) == len;
		/* Half an answer has been written, too. */
		vhost_scsi_log_write(q, vq->log, chain->nlog, len);
		if (ok) {
			vhost_scsi_ring_return(q, chain->head, len);
			return;
		}
	}
	q->stats.unanswered++;
	vhost_scsi_ring_return(q, chain->head, 0);
}

/* Can the owner's memory be read, or written?  Brings it in if it is not there. */
static bool vhost_scsi_reachable(struct mm_struct *mm, const void __user *at,
				 size_t len, bool write)
{
	unsigned long addr = (unsigned long)at & PAGE_MASK;
	unsigned long end = (unsigned long)at + len;

	for (; addr < end; addr += PAGE_SIZE) {
		int locked = 1;
		long r;

		if (mmap_read_lock_killable(mm))
			return false;
		r = get_user_pages_remote(mm, addr, 1, write ? FOLL_WRITE : 0,
					  NULL, &locked);
		if (locked)
			mmap_read_unlock(mm);
		if (r != 1)
			return false;
		cond_resched();
	}
	return true;
}

/**
 * vhost_scsi_ring_reachable - can the ring be read and written?
 * @vq: set up, inactive
 *
 * In the owner's address space, whoever asks: an orchestrator may resume the
 * device.
 *
 * Context: vhost_dev.mutex held.  May wait for userfaultfd, killably.
 * Return: false if not, or if the caller was killed.
 */
bool vhost_scsi_ring_reachable(struct vhost_virtqueue *vq)
{
	size_t event = vhost_has_feature(vq, VIRTIO_RING_F_EVENT_IDX) ?
		       sizeof(__virtio16) : 0;
	struct mm_struct *mm = vq->dev->mm;

	return mm &&
	       vhost_scsi_reachable(mm, vq->desc,
				    array_size(vq->num, sizeof(*vq->desc)),
				    false) &&
	       vhost_scsi_reachable(mm, vq->avail,
				    struct_size(vq->avail, ring, vq->num) +
				    event, false) &&
	       vhost_scsi_reachable(mm, vq->used,
				    struct_size(vq->used, ring, vq->num) +
				    event, true);
}
