// SPDX-License-Identifier: GPL-2.0
/*
 * Event queue: hot plug
 *
 * configfs only puts an event on a list; a worker delivers it.  An event that
 * finds no buffer is dropped, and the guest is told with the next one, or when
 * it provides a buffer, that it missed some.
 */
#include <linux/slab.h>
#include <linux/vhost.h>

#include "migration.h"

struct vhost_scsi_event {
	struct list_head entry;
	u32 event;
	u32 reason;
	u8 lun[8];
};

/**
 * vhost_scsi_event_hotplug - a logical unit has come or will go
 * @tpg: target
 * @lun: logical unit
 * @reason: VIRTIO_SCSI_EVT_RESET_*
 *
 * Context: configfs, vhost_scsi_tpg_lock held.  Does not wait for the guest.
 */
void vhost_scsi_event_hotplug(struct vhost_scsi_tpg *tpg, struct se_lun *lun,
			      u32 reason)
{
	struct vhost_scsi *vs = tpg->vs;
	struct vhost_scsi_event *event;
	struct vhost_virtqueue *vq;
	bool missed = true;

	lockdep_assert_held(&vhost_scsi_tpg_lock);

	if (!vs)
		return;
	vq = &vs->queues[VHOST_SCSI_VQ_EVT].vq;
	if (!vhost_has_feature(vq, VIRTIO_SCSI_F_HOTPLUG))
		return;

	event = kzalloc_obj(*event, GFP_KERNEL);
	if (event) {
		event->event = VIRTIO_SCSI_T_TRANSPORT_RESET;
		event->reason = reason;
		event->lun[0] = 1;
		event->lun[1] = tpg->tag;
		if (lun->unpacked_lun >= 256)
			event->lun[2] = lun->unpacked_lun >> 8 | 0x40;
		event->lun[3] = lun->unpacked_lun;
	}

	spin_lock(&vs->event_lock);
	/* A queue that nobody has set up has no worker to rely on, either. */
	if (event && READ_ONCE(vq->private_data) && vs->nevents < VHOST_SCSI_MAX_EVENTS) {
		list_add_tail(&event->entry, &vs->events);
		vs->nevents++;
		missed = false;
	}
	vs->events_missed |= missed;
	spin_unlock(&vs->event_lock);

	if (missed)
		kfree(event);
	else if (!vhost_vq_work_queue(vq, &vs->event_work))
		queue_work(vhost_scsi_wq, &vs->reap_work);
}

/*
 * What to tell the guest next?  Return: false if nothing.  The event, if there
 * is one, is off the list.
 */
static bool vhost_scsi_event_next(struct vhost_scsi *vs,
				  struct vhost_scsi_event **event, bool *missed)
{
	spin_lock(&vs->event_lock);
	*event = list_first_entry_or_null(&vs->events, struct vhost_scsi_event,
					  entry);
	if (*event) {
		list_del(&(*event)->entry);
		vs->nevents--;
	}
	*missed = vs->events_missed;
	vs->events_missed = false;
	spin_unlock(&vs->event_lock);
	return *event || *missed;
}

/**
 * vhost_scsi_event_set_missed - note whether the guest has missed events
 * @vs: device
 * @missed: it has
 *
 * Context: process.
 */
void vhost_scsi_event_set_missed(struct vhost_scsi *vs, bool missed)
{
	spin_lock(&vs->event_lock);
	vs->events_missed = missed;
	spin_unlock(&vs->event_lock);
}

/**
 * vhost_scsi_event_describe - what the guest has not been told yet
 * @vs: device, stopped
 * @buf: where to append it: &struct vhost_scsi_mig_events
 *
 * Context: vhost_dev.mutex held.
 */
void vhost_scsi_event_describe(struct vhost_scsi *vs, struct vhost_scsi_buf *buf)
{
	struct vhost_scsi_mig_events head = {};
	struct vhost_scsi_mig_event *events;
	struct vhost_scsi_event *event;
	unsigned int n = 0;

	events = kcalloc(VHOST_SCSI_MAX_EVENTS, sizeof(*events), GFP_KERNEL);
	if (!events) {
		buf->error = -ENOMEM;
		return;
	}
	spin_lock(&vs->event_lock);
	list_for_each_entry(event, &vs->events, entry) {
		if (n == VHOST_SCSI_MAX_EVENTS)
			break;
		events[n].event = cpu_to_le32(event->event);
		events[n].reason = cpu_to_le32(event->reason);
		memcpy(events[n].lun, event->lun, sizeof(event->lun));
		n++;
	}
	head.missed = cpu_to_le32(vs->events_missed);
	spin_unlock(&vs->event_lock);

	head.count = cpu_to_le32(n);
	vhost_scsi_buf_add(buf, &head, sizeof(head));
	vhost_scsi_buf_add(buf, events, n * sizeof(*events));
	kfree(events);
}

/**
 * vhost_scsi_event_hand_in - tell the guest what it was not told elsewhere
 * @vs: device, stopped
 * @events: what; its count was checked
 *
 * What cannot be told counts as missed.
 *
 * Context: vhost_dev.mutex held.
 */
void vhost_scsi_event_hand_in(struct vhost_scsi *vs,
			      const struct vhost_scsi_mig_events *events)
{
	struct vhost_scsi_event *event, *next;
	bool missed = events->missed;
	LIST_HEAD(list);
	LIST_HEAD(old);
	unsigned int i, n = 0;

	for (i = 0; i < le32_to_cpu(events->count); i++) {
		event = kzalloc_obj(*event, GFP_KERNEL);
		if (!event) {
			missed = true;
			break;
		}
		event->event = le32_to_cpu(events->event[i].event);
		event->reason = le32_to_cpu(events->event[i].reason);
		memcpy(event->lun, events->event[i].lun, sizeof(event->lun));
		list_add_tail(&event->entry, &list);
		n++;
	}
	/* What has happened here meanwhile, the guest has missed. */
	spin_lock(&vs->event_lock);
	missed |= vs->nevents;
	list_splice_init(&vs->events, &old);
	list_splice(&list, &vs->events);
	vs->nevents = n;
	vs->events_missed |= missed;
	spin_unlock(&vs->event_lock);

	list_for_each_entry_safe(event, next, &old, entry)
		kfree(event);
}

/* Return: false if there is no buffer. */
static bool vhost_scsi_event_send(struct vhost_scsi_queue *q,
				  const struct vhost_scsi_event *event,
				  bool missed)
{
	struct vhost_virtqueue *vq = &q->vq;
	struct virtio_scsi_event msg = {};
	struct vhost_scsi_chain chain;
	u32 type = VIRTIO_SCSI_T_NO_EVENT;
	unsigned int try;

	if (event) {
		type = event->event;
		msg.reason = cpu_to_vhost32(vq, event->reason);
		memcpy(msg.lun, event->lun, sizeof(msg.lun));
	}
	if (missed)
		type |= VIRTIO_SCSI_T_EVENTS_MISSED;
	msg.event = cpu_to_vhost32(vq, type);

	/* A guest that provides nothing but bad buffers gets no more than that. */
	for (try = 0; try <= vq->num && READ_ONCE(q->vs->running); try++) {
		u64 unanswered = q->stats.unanswered;

		switch (vhost_scsi_ring_fetch(q, &chain)) {
		case VHOST_SCSI_FETCHED:
			vhost_scsi_ring_reply(q, &chain, &msg, sizeof(msg));
			/* Too small a buffer is returned; try the next. */
			if (q->stats.unanswered == unanswered)
				return true;
			break;
		case VHOST_SCSI_REFUSED:
			break;
		case VHOST_SCSI_EMPTY:
			if (!vhost_enable_notify(vq->dev, vq))
				return false;
			vhost_disable_notify(vq->dev, vq);
			break;
		case VHOST_SCSI_BROKEN:
			return false;
		}
	}
	return false;
}

/**
 * vhost_scsi_event_drop - events cannot be delivered
 * @vs: device
 *
 * If there are any, they count as missed.
 *
 * Context: process.
 */
void vhost_scsi_event_drop(struct vhost_scsi *vs)
{
	struct vhost_scsi_event *event, *next;
	LIST_HEAD(events);

	spin_lock(&vs->event_lock);
	list_splice_init(&vs->events, &events);
	if (vs->nevents)
		vs->events_missed = true;
	vs->nevents = 0;
	spin_unlock(&vs->event_lock);

	list_for_each_entry_safe(event, next, &events, entry)
		kfree(event);
}

/**
 * vhost_scsi_event_run - deliver events
 * @vs: device
 *
 * Context: worker.
 */
void vhost_scsi_event_run(struct vhost_scsi *vs)
{
	struct vhost_scsi_queue *q = &vs->queues[VHOST_SCSI_VQ_EVT];
	struct vhost_scsi_event *event;
	bool missed;

	if (!vhost_scsi_queue_enter(q))
		return;

	down_read(&vs->gate);
	mutex_lock(&q->vq.mutex);
	if (vhost_vq_get_backend(&q->vq)) {
		vhost_disable_notify(&vs->dev, &q->vq);
		while (READ_ONCE(vs->running) &&
		       vhost_scsi_event_next(vs, &event, &missed)) {
			bool sent = vhost_scsi_event_send(q, event, missed);

			kfree(event);
			if (!sent) {
				vhost_scsi_event_drop(vs);
				vhost_scsi_event_set_missed(vs, true);
				break;
			}
		}
		vhost_scsi_ring_publish(q);
		/* For the next one that is missed. */
		vhost_enable_notify(&vs->dev, &q->vq);
	}
	mutex_unlock(&q->vq.mutex);
	up_read(&vs->gate);

	vhost_scsi_queue_leave(q, 1);
}

static void vhost_scsi_event_work(struct vhost_work *work)
{
	vhost_scsi_event_run(container_of(work, struct vhost_scsi, event_work));
}

/**
 * vhost_scsi_event_init - prepare a new device
 * @vs: device
 */
void vhost_scsi_event_init(struct vhost_scsi *vs)
{
	spin_lock_init(&vs->event_lock);
	INIT_LIST_HEAD(&vs->events);
	vhost_work_init(&vs->event_work, vhost_scsi_event_work);
}
