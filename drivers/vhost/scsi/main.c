// SPDX-License-Identifier: GPL-2.0
/*
 * Character device /dev/vhost-scsi: open, ioctls, close; module
 *
 * Everything that the vhost core does for an ioctl, it does under
 * vhost_dev.mutex and the virtqueues' mutexes, which it takes unkillably.  So
 * the ioctls here take vhost_dev.mutex, and the gate where workers rely on
 * what the core is going to change, killably first: nobody waits for a guest's
 * memory in a way that SIGKILL does not end (M9, N4).
 */
#include <linux/fs.h>
#include <linux/miscdevice.h>
#include <linux/module.h>
#include <linux/sched.h>
#include <linux/slab.h>
#include <linux/vhost.h>

#include "scsi.h"
#include "version.h"

#define CREATE_TRACE_POINTS
#include "trace.h"

static unsigned int vhost_scsi_max_io_vqs = 128;
module_param_named(max_io_vqs, vhost_scsi_max_io_vqs, uint, 0644);
MODULE_PARM_DESC(max_io_vqs,
		 "I/O virtqueues that a device supports, 1 to 1024 (default: 128)");

struct workqueue_struct *vhost_scsi_wq;
struct workqueue_struct *vhost_scsi_submit_wq;

/*
 * VIRTIO_F_IN_ORDER is not among them: with it, the vhost core would lose its
 * place on the ring at a stop and start.
 */
#define VHOST_SCSI_FEATURES (BIT_ULL(VIRTIO_F_NOTIFY_ON_EMPTY) |	\
			     BIT_ULL(VIRTIO_RING_F_INDIRECT_DESC) |	\
			     BIT_ULL(VIRTIO_RING_F_EVENT_IDX) |		\
			     BIT_ULL(VIRTIO_F_ANY_LAYOUT) |		\
			     BIT_ULL(VIRTIO_F_VERSION_1) |		\
			     BIT_ULL(VHOST_F_LOG_ALL) |			\
			     BIT_ULL(VIRTIO_SCSI_F_HOTPLUG) |		\
			     BIT_ULL(VIRTIO_SCSI_F_T10_PI))

const u64 vhost_scsi_features = VHOST_SCSI_FEATURES;

static atomic_t vhost_scsi_last_id = ATOMIC_INIT(0);

/* Rings */

static void vhost_scsi_kick(struct vhost_work *work)
{
	struct vhost_virtqueue *vq = container_of(work, struct vhost_virtqueue,
						  poll.work);

	vhost_scsi_ring_run(container_of(vq, struct vhost_scsi_queue, vq));
}

static void vhost_scsi_event_kick(struct vhost_work *work)
{
	struct vhost_virtqueue *vq = container_of(work, struct vhost_virtqueue,
						  poll.work);

	vhost_scsi_event_run(container_of(vq, struct vhost_scsi_queue, vq)->vs);
}

static void vhost_scsi_queue_init(struct vhost_scsi *vs, unsigned int index)
{
	struct vhost_scsi_queue *q = &vs->queues[index];

	q->vs = vs;
	q->index = index;
	init_llist_head(&q->done);
	init_llist_head(&q->free);
	init_llist_head(&q->submits);
	INIT_WORK(&q->submit_work, vhost_scsi_cmd_submit_work);
	vhost_work_init(&q->done_work, vhost_scsi_ring_done_work);
	switch (index) {
	case VHOST_SCSI_VQ_CTL:
		q->vq.handle_kick = vhost_scsi_kick;
		q->handle = vhost_scsi_ctl_handle;
		q->finish = vhost_scsi_tmf_finish;
		q->release = vhost_scsi_tmf_release;
		break;
	case VHOST_SCSI_VQ_EVT:
		q->vq.handle_kick = vhost_scsi_event_kick;
		break;
	default:
		q->vq.handle_kick = vhost_scsi_kick;
		q->handle = vhost_scsi_cmd_handle;
		q->finish = vhost_scsi_cmd_finish;
		q->release = vhost_scsi_cmd_release;
		break;
	}
}

/* Life of a device */

static void vhost_scsi_free_work(struct work_struct *work)
{
	struct vhost_scsi *vs = container_of(to_rcu_work(work),
					     struct vhost_scsi, free_work);

	int i;

	/* Whoever left last may have queued them again, for nothing. */
	for (i = 0; i < vs->dev.nvqs; i++)
		cancel_work_sync(&vs->queues[i].submit_work);
	cancel_work_sync(&vs->reap_work);
	cancel_work_sync(&vs->tmf_work);
	vhost_scsi_mig_exit(vs);
	kfree(vs->dev.vqs);
	kvfree(vs->queues);
	kfree(vs);
}

static void vhost_scsi_last_put(struct kref *ref)
{
	struct vhost_scsi *vs = container_of(ref, struct vhost_scsi, ref);

	vhost_scsi_debugfs_remove(vs);
	/* See vhost_scsi_queue_leave() for whom to wait for. */
	queue_rcu_work(vhost_scsi_wq, &vs->free_work);
}

/**
 * vhost_scsi_put - drop a reference on a device
 * @vs: device
 *
 * Context: process.
 */
void vhost_scsi_put(struct vhost_scsi *vs)
{
	kref_put(&vs->ref, vhost_scsi_last_put);
}

static int vhost_scsi_open(struct inode *inode, struct file *file)
{
	unsigned int i, n = clamp(READ_ONCE(vhost_scsi_max_io_vqs), 1U,
				  (unsigned int)VHOST_SCSI_MAX_IO_QUEUES);
	struct vhost_virtqueue **vqs;
	struct vhost_scsi *vs;

	n += VHOST_SCSI_VQ_IO;
	vs = kzalloc_obj(*vs, GFP_KERNEL_ACCOUNT);
	if (!vs)
		return -ENOMEM;
	vs->queues = kvcalloc(n, sizeof(*vs->queues), GFP_KERNEL_ACCOUNT);
	vqs = kcalloc(n, sizeof(*vqs), GFP_KERNEL_ACCOUNT);
	if (!vs->queues || !vqs) {
		kfree(vqs);
		kvfree(vs->queues);
		kfree(vs);
		return -ENOMEM;
	}

	kref_init(&vs->ref);
	vs->id = atomic_inc_return(&vhost_scsi_last_id);
	init_waitqueue_head(&vs->drained);
	init_rwsem(&vs->gate);
	INIT_RCU_WORK(&vs->free_work, vhost_scsi_free_work);
	vhost_scsi_event_init(vs);
	vhost_scsi_owner_init(vs);
	vhost_scsi_tmf_init(vs);
	vhost_scsi_mig_init(vs);
	for (i = 0; i < n; i++) {
		vhost_scsi_queue_init(vs, i);
		vqs[i] = &vs->queues[i].vq;
	}
	vhost_dev_init(&vs->dev, vqs, n, UIO_MAXIOV, VHOST_SCSI_WEIGHT, 0,
		       true, NULL);
	vhost_scsi_debugfs_add(vs);

	file->private_data = vs;
	return 0;
}

static int vhost_scsi_flush_file(struct file *file, fl_owner_t id)
{
	vhost_scsi_owner_flush(file->private_data, id);
	return 0;
}

static int vhost_scsi_release(struct inode *inode, struct file *file)
{
	struct vhost_scsi *vs = file->private_data;

	vhost_scsi_owner_close(vs);
	vhost_scsi_put(vs);
	return 0;
}

/* ioctls */

static int vhost_scsi_target_copy(struct vhost_scsi_target *target,
				  const void __user *argp)
{
	if (copy_from_user(target, argp, sizeof(*target)))
		return -EFAULT;
	if (target->reserved)
		return -EOPNOTSUPP;
	if (strnlen(target->vhost_wwpn, sizeof(target->vhost_wwpn)) ==
	    sizeof(target->vhost_wwpn))
		return -EINVAL;
	return 0;
}

static int vhost_scsi_set_endpoint(struct vhost_scsi *vs,
				   const void __user *argp)
{
	struct vhost_scsi_target target;
	int r;

	lockdep_assert_held(&vs->dev.mutex);

	r = vhost_scsi_target_copy(&target, argp);
	if (r)
		return r;
	/* The rings are in the owner's memory, and are initialised from here. */
	if (vhost_dev_has_owner(&vs->dev)) {
		r = vhost_dev_check_owner(&vs->dev);
		if (r)
			return r;
	}
	return vhost_scsi_mig_attach(vs, target.vhost_wwpn);
}

/*
 * Stops the device first and looks at the argument then: there is no way out
 * of here that leaves it running (G6), but for the caller's own death.
 */
static int vhost_scsi_clear_endpoint(struct vhost_scsi *vs,
				     const void __user *argp)
{
	struct vhost_scsi_target target;
	int r;

	lockdep_assert_held(&vs->dev.mutex);

	if (!vs->mig.attached)
		return vhost_scsi_target_copy(&target, argp);

	r = vhost_scsi_mig_detach(vs);
	if (r)
		return r;
	r = vhost_scsi_target_copy(&target, argp);
	/* The name that it had stands until the next endpoint. */
	if (!r && strcmp(vs->mig.wwpn, target.vhost_wwpn))
		r = -EINVAL;
	return r;
}

/**
 * vhost_scsi_guest_features - what the guest's driver has acknowledged
 * @vs: device
 *
 * Context: vhost_dev.mutex held.
 * Return: features, but for VHOST_F_LOG_ALL, which is not the guest's.
 */
u64 vhost_scsi_guest_features(struct vhost_scsi *vs)
{
	return vs->queues[0].vq.acked_features & ~BIT_ULL(VHOST_F_LOG_ALL);
}

static int vhost_scsi_set_features(struct vhost_scsi *vs,
				   const u64 __user *argp)
{
	u64 features, changed;
	int i;

	lockdep_assert_held(&vs->dev.mutex);

	if (copy_from_user(&features, argp, sizeof(features)))
		return -EFAULT;
	if (features & ~VHOST_SCSI_FEATURES)
		return -EOPNOTSUPP;
	if (features & BIT_ULL(VHOST_F_LOG_ALL) &&
	    !vhost_log_access_ok(&vs->dev))
		return -EFAULT;
	changed = features ^ vs->queues[0].vq.acked_features;
	if (vs->mig.attached && changed & ~BIT_ULL(VHOST_F_LOG_ALL))
		return -EBUSY;

	for (i = 0; i < vs->dev.nvqs; i++) {
		struct vhost_virtqueue *vq = &vs->queues[i].vq;

		mutex_lock(&vq->mutex);
		vq->acked_features = features;
		mutex_unlock(&vq->mutex);
	}
	return 0;
}

static long vhost_scsi_core_ioctl(struct vhost_scsi *vs, unsigned int cmd,
				  void __user *argp)
{
	long r;

	switch (cmd) {
	case VHOST_NEW_WORKER:
	case VHOST_FREE_WORKER:
	case VHOST_ATTACH_VRING_WORKER:
	case VHOST_GET_VRING_WORKER:
		return vhost_worker_ioctl(&vs->dev, cmd, argp);
	}

	r = vhost_dev_ioctl(&vs->dev, cmd, argp);
	if (r == -ENOIOCTLCMD)
		r = vhost_vring_ioctl(&vs->dev, cmd, argp);
	if (cmd == VHOST_SET_OWNER && !r)
		WRITE_ONCE(vs->owner_files, current->files);
	return r;
}

/* With vhost_dev.mutex held. */
static long vhost_scsi_ioctl_locked(struct vhost_scsi *vs, unsigned int cmd,
				    void __user *argp)
{
	bool was_running;
	long r;

	lockdep_assert_held(&vs->dev.mutex);

	switch (cmd) {
	case VHOST_SCSI_SET_ENDPOINT:
		return vhost_scsi_set_endpoint(vs, argp);
	case VHOST_SCSI_CLEAR_ENDPOINT:
		return vhost_scsi_clear_endpoint(vs, argp);
	case VHOST_NEW_WORKER:
	case VHOST_GET_VRING_WORKER:
	case VHOST_SET_OWNER:
		return vhost_scsi_core_ioctl(vs, cmd, argp);
	case VHOST_SET_MEM_TABLE:
		/*
		 * The owner may reuse the addresses of a region as soon as it
		 * is off the table.
		 */
	case VHOST_FREE_WORKER:
	case VHOST_ATTACH_VRING_WORKER:
	case VHOST_SET_VRING_KICK:
		/* The core flushes the workers, unkillably. */
		was_running = vs->running;
		r = vhost_scsi_pause(vs);
		if (r)
			return r;
		r = vhost_scsi_core_ioctl(vs, cmd, argp);
		if (was_running)
			vhost_scsi_unpause(vs);
		return r;
	default:
		break;
	}

	if (down_write_killable(&vs->gate))
		return -EINTR;
	if (cmd == VHOST_SET_FEATURES)
		r = vhost_scsi_set_features(vs, argp);
	else
		r = vhost_scsi_core_ioctl(vs, cmd, argp);
	up_write(&vs->gate);
	return r;
}

static long vhost_scsi_set_events_missed(struct vhost_scsi *vs,
					 const u32 __user *argp)
{
	u32 missed;

	if (get_user(missed, argp))
		return -EFAULT;
	vhost_scsi_event_set_missed(vs, missed);
	return 0;
}

static long vhost_scsi_ioctl(struct file *file, unsigned int cmd,
			     unsigned long arg)
{
	struct vhost_scsi *vs = file->private_data;
	void __user *argp = (void __user *)arg;
	int abi = VHOST_SCSI_ABI_VERSION;
	u64 features = VHOST_SCSI_FEATURES;
	u32 missed;
	long r;

	switch (cmd) {
	case VHOST_SCSI_GET_ABI_VERSION:
		return copy_to_user(argp, &abi, sizeof(abi)) ? -EFAULT : 0;
	case VHOST_GET_FEATURES:
		return copy_to_user(argp, &features, sizeof(features)) ?
		       -EFAULT : 0;
	case VHOST_SCSI_SET_EVENTS_MISSED:
		return vhost_scsi_set_events_missed(vs, argp);
	case VHOST_SCSI_GET_EVENTS_MISSED:
		missed = READ_ONCE(vs->events_missed);
		return put_user(missed, (u32 __user *)argp);
	}

	r = vhost_scsi_mig_ioctl(vs, cmd, argp);
	if (r != -ENOIOCTLCMD)
		return r;

	if (mutex_lock_killable(&vs->dev.mutex))
		return -EINTR;
	if (vs->dead && cmd != VHOST_SCSI_CLEAR_ENDPOINT)
		r = -EOWNERDEAD;
	else
		r = vhost_scsi_ioctl_locked(vs, cmd, argp);
	mutex_unlock(&vs->dev.mutex);
	return r;
}

static __poll_t vhost_scsi_poll(struct file *file, poll_table *table)
{
	return vhost_scsi_mig_poll(file->private_data, file, table);
}

static const struct file_operations vhost_scsi_fops = {
	.owner = THIS_MODULE,
	.open = vhost_scsi_open,
	.flush = vhost_scsi_flush_file,
	.release = vhost_scsi_release,
	.unlocked_ioctl = vhost_scsi_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.poll = vhost_scsi_poll,
	.llseek = noop_llseek,
};

static struct miscdevice vhost_scsi_misc = {
	.minor = MISC_DYNAMIC_MINOR,
	.name = "vhost-scsi",
	.fops = &vhost_scsi_fops,
};

/* Module */

static int __init vhost_scsi_init(void)
{
	int r;

	vhost_scsi_wq = alloc_workqueue("vhost_scsi", WQ_UNBOUND, 0);
	if (!vhost_scsi_wq)
		return -ENOMEM;
	/* The guest's swap may be on the other side. */
	vhost_scsi_submit_wq = alloc_workqueue("vhost_scsi_submit",
					       WQ_MEM_RECLAIM | WQ_PERCPU, 0);
	if (!vhost_scsi_submit_wq) {
		r = -ENOMEM;
		goto wq;
	}
	vhost_scsi_mig_setup();
	vhost_scsi_debugfs_init();
	r = target_register_template(&vhost_scsi_fabric_ops);
	if (r)
		goto submit_wq;
	r = misc_register(&vhost_scsi_misc);
	if (r)
		goto template;

	pr_info("vhost_scsi: version " VHOST_SCSI_VERSION ", ABI %d\n",
		VHOST_SCSI_ABI_VERSION);
	return 0;

template:
	target_unregister_template(&vhost_scsi_fabric_ops);
submit_wq:
	vhost_scsi_debugfs_exit();
	destroy_workqueue(vhost_scsi_submit_wq);
wq:
	destroy_workqueue(vhost_scsi_wq);
	return r;
}

static void __exit vhost_scsi_exit(void)
{
	misc_deregister(&vhost_scsi_misc);
	target_unregister_template(&vhost_scsi_fabric_ops);
	/* Devices that were closed a moment ago: the reaper, then rcu_work. */
	flush_workqueue(vhost_scsi_wq);
	rcu_barrier();
	destroy_workqueue(vhost_scsi_wq);
	destroy_workqueue(vhost_scsi_submit_wq);
	vhost_scsi_debugfs_exit();
}

module_init(vhost_scsi_init);
module_exit(vhost_scsi_exit);

MODULE_DESCRIPTION("virtio-scsi target on vhost and LIO, safe to migrate");
MODULE_AUTHOR("vhost_scsi maintainers");
MODULE_VERSION(VHOST_SCSI_VERSION);
MODULE_LICENSE("GPL");
MODULE_ALIAS("tcm_vhost");
