// SPDX-License-Identifier: GPL-2.0
/*
 * Migration state: the ioctls, and poll() of the device (M1, M2, M7, M11)
 *
 * This is the boundary for what the holder of the descriptor supplies (N2).
 */
#include <linux/eventfd.h>
#include <linux/jiffies.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>
#include <linux/uaccess.h>
#include <linux/vhost.h>

#include "migration.h"

#define VHOST_SCSI_MIG_STATES	(VHOST_SCSI_MIG_RUNNING | \
				 VHOST_SCSI_MIG_LOGGING | \
				 VHOST_SCSI_MIG_RESUMING)
#define VHOST_SCSI_SET_FLAGS	(VHOST_SCSI_MIG_NO_FLUSH | VHOST_SCSI_MIG_DROP)
#define VHOST_SCSI_DATA_DIR	(VHOST_SCSI_MIG_DATA_SAVE | \
				 VHOST_SCSI_MIG_DATA_LOAD)
#define VHOST_SCSI_DATA_FLAGS	(VHOST_SCSI_DATA_DIR | \
				 VHOST_SCSI_MIG_DATA_CACHE_DROPPED)
/* GET_INFO looks for no more at a time. */
#define VHOST_SCSI_MAX_BLOCKERS	65536U

static int vhost_scsi_mig_get_info(struct vhost_scsi *vs, void __user *argp)
{
	struct vhost_scsi_mig_blocker *blockers = NULL;
	struct vhost_scsi_mig_info info;
	unsigned int max, n;
	int r = 0;

	if (copy_from_user(&info, argp, sizeof(info)))
		return -EFAULT;
	if (info.argsz < sizeof(info) || info.flags)
		return -EINVAL;

	max = min_t(u32, (info.argsz - sizeof(info)) / sizeof(*blockers),
		    VHOST_SCSI_MAX_BLOCKERS);
	if (max) {
		blockers = kvcalloc(max, sizeof(*blockers), GFP_KERNEL_ACCOUNT);
		if (!blockers)
			return -ENOMEM;
	}
	if (mutex_lock_killable(&vhost_scsi_tpg_lock)) {
		r = -EINTR;
		goto out;
	}
	r = vhost_scsi_inventory_blockers(vs, blockers, max, &n);
	mutex_unlock(&vhost_scsi_tpg_lock);
	if (r)
		goto out;

	info.argsz = struct_size(&info, blockers, n);
	info.abi_version = VHOST_SCSI_MIG_ABI_VERSION;
	info.states = VHOST_SCSI_MIG_STATES;
	info.set_state_flags = VHOST_SCSI_SET_FLAGS;
	info.data_flags = VHOST_SCSI_DATA_FLAGS;
	info.nr_blockers = n;
	info.reserved = 0;
	if (copy_to_user(argp, &info, sizeof(info)) ||
	    copy_to_user(argp + sizeof(info), blockers,
			 min(n, max) * sizeof(*blockers)))
		r = -EFAULT;
out:
	kvfree(blockers);
	return r;
}

static int vhost_scsi_mig_get_state(struct vhost_scsi *vs, void __user *argp)
{
	struct vhost_scsi_migration *mig = &vs->mig;
	struct vhost_scsi_mig_status status = {};
	unsigned long irq;
	u32 argsz, flags;
	int i;

	if (get_user(argsz, (u32 __user *)argp) ||
	    get_user(flags, (u32 __user *)argp + 1))
		return -EFAULT;
	if (argsz < offsetofend(struct vhost_scsi_mig_status, state) || flags)
		return -EINVAL;

	status.argsz = sizeof(status);
	status.flags = READ_ONCE(mig->flags);
	if (READ_ONCE(mig->draining))
		status.flags |= VHOST_SCSI_MIG_DRAINING;
	status.state = READ_ONCE(vs->dead) ? VHOST_SCSI_MIG_ERROR :
					     READ_ONCE(mig->state);
	status.inflight = vhost_scsi_inflight(vs);
	status.pending = READ_ONCE(mig->pending);
	for (i = 0; i < vs->dev.nvqs; i++)
		status.write_errors += READ_ONCE(vs->queues[i].stats.write_errors);
	status.flush = READ_ONCE(vs->flush_result);
	spin_lock_irqsave(&mig->lock, irq);
	mig->seen = mig->events;
	status.events = mig->events;
	status.error = mig->error;
	status.reason = mig->blocker.reason;
	status.target = mig->blocker.target;
	status.lun = mig->blocker.lun;
	spin_unlock_irqrestore(&mig->lock, irq);

	return copy_to_user(argp, &status, min_t(size_t, argsz, sizeof(status))) ?
	       -EFAULT : 0;
}

/* Whoever has it may wait for a backend, without a deadline. */
static int vhost_scsi_mig_lock(struct vhost_scsi *vs, unsigned long end)
{
	if (!end)
		return mutex_lock_killable(&vs->dev.mutex) ? -EINTR : 0;
	while (!mutex_trylock(&vs->dev.mutex)) {
		if (!vhost_scsi_time_left(end))
			return -ETIMEDOUT;
		schedule_timeout_killable(max(HZ / 100, 1));
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	return 0;
}

static int vhost_scsi_mig_set_state(struct vhost_scsi *vs, void __user *argp)
{
	struct vhost_scsi_mig_set_state set;
	struct vhost_scsi_wish wish = {};
	int r;

	if (copy_from_user(&set, argp, sizeof(set)))
		return -EFAULT;
	if (set.argsz < sizeof(set) || set.flags & ~VHOST_SCSI_SET_FLAGS ||
	    (set.flags & VHOST_SCSI_MIG_DROP &&
	     set.state != VHOST_SCSI_MIG_STOP))
		return -EINVAL;
	wish.flags = set.flags;
	/* 0 is for never. */
	if (set.timeout_ms)
		wish.end = (jiffies + msecs_to_jiffies(set.timeout_ms)) ?: 1;

	/* A CLEAR_ENDPOINT that drains has the mutex. */
	if (set.state & VHOST_SCSI_MIG_RUNNING && READ_ONCE(vs->mig.clearing))
		return -EBUSY;
	r = vhost_scsi_mig_lock(vs, wish.end);
	if (r)
		return r;
	r = vs->dead ? -EOWNERDEAD : vhost_scsi_mig_go(vs, set.state, &wish);
	vhost_scsi_mig_update(vs);
	mutex_unlock(&vs->dev.mutex);
	return r;
}

static int vhost_scsi_mig_data_locked(struct vhost_scsi *vs,
				      const struct vhost_scsi_mig_data *data)
{
	struct vhost_scsi_session *session = vs->mig.session;
	bool save = data->flags & VHOST_SCSI_MIG_DATA_SAVE, claimed = vs->ep;
	int r = 0;

	lockdep_assert_held(&vs->dev.mutex);

	if (!session || session->save != save)
		return -ENODATA;
	if (session->handed_out)
		return -EBUSY;
	if (!save) {
		if (!vs->ep)
			r = vhost_scsi_endpoint_claim(vs, data->wwpn);
		else if (!vhost_scsi_endpoint_named(vs, data->wwpn))
			r = -EXDEV;
		session->load->cache_dropped =
			data->flags & VHOST_SCSI_MIG_DATA_CACHE_DROPPED;
	}
	if (!r)
		r = vhost_scsi_session_fd(session);
	if (r < 0 && !claimed)
		vhost_scsi_endpoint_release(vs);
	return r;
}

static int vhost_scsi_mig_data(struct vhost_scsi *vs, void __user *argp)
{
	struct vhost_scsi_mig_data data;
	u32 dir;
	int r;

	if (copy_from_user(&data, argp, sizeof(data)))
		return -EFAULT;
	dir = data.flags & VHOST_SCSI_DATA_DIR;
	if (data.argsz < sizeof(data) || data.flags & ~VHOST_SCSI_DATA_FLAGS ||
	    !dir || dir == VHOST_SCSI_DATA_DIR ||
	    !memchr(data.wwpn, 0, sizeof(data.wwpn)))
		return -EINVAL;
	if (dir == VHOST_SCSI_MIG_DATA_SAVE &&
	    (data.wwpn[0] || data.flags & VHOST_SCSI_MIG_DATA_CACHE_DROPPED))
		return -EINVAL;

	if (mutex_lock_killable(&vs->dev.mutex))
		return -EINTR;
	r = vs->dead ? -EOWNERDEAD : vhost_scsi_mig_data_locked(vs, &data);
	mutex_unlock(&vs->dev.mutex);
	return r;
}

static int vhost_scsi_mig_check(struct vhost_scsi *vs, void __user *argp)
{
	struct vhost_scsi_mig_check check;
	unsigned long flags;
	bool checkable;

	if (copy_from_user(&check, argp, sizeof(check)))
		return -EFAULT;
	if (check.argsz < sizeof(check) || check.flags)
		return -EINVAL;

	spin_lock_irqsave(&vs->mig.lock, flags);
	checkable = vs->mig.checkable;
	check = vs->mig.check;
	spin_unlock_irqrestore(&vs->mig.lock, flags);
	if (!checkable)
		return -ENODATA;
	check.argsz = sizeof(check);
	check.flags = 0;
	return copy_to_user(argp, &check, sizeof(check)) ? -EFAULT : 0;
}

static int vhost_scsi_mig_set_eventfd(struct vhost_scsi *vs, void __user *argp)
{
	struct eventfd_ctx *ctx = NULL;
	struct vhost_scsi_mig_eventfd arg;
	unsigned long flags;

	if (copy_from_user(&arg, argp, sizeof(arg)))
		return -EFAULT;
	if (arg.argsz < sizeof(arg) || arg.flags || arg.reserved ||
	    arg.fd < -1)
		return -EINVAL;
	if (arg.fd >= 0)
		ctx = eventfd_ctx_fdget(arg.fd);
	if (IS_ERR(ctx))
		return PTR_ERR(ctx);

	spin_lock_irqsave(&vs->mig.lock, flags);
	swap(vs->mig.eventfd, ctx);
	spin_unlock_irqrestore(&vs->mig.lock, flags);
	if (ctx)
		eventfd_ctx_put(ctx);
	return 0;
}

/**
 * vhost_scsi_mig_ioctl - the ioctls of the migration state
 * @vs: device
 * @cmd: ioctl
 * @argp: its argument
 *
 * Context: process, no lock held.
 * Return: as the ABI has it; -ENOIOCTLCMD if it is none of these.
 */
long vhost_scsi_mig_ioctl(struct vhost_scsi *vs, unsigned int cmd,
			  void __user *argp)
{
	switch (cmd) {
	case VHOST_SCSI_MIG_GET_INFO:
		return vhost_scsi_mig_get_info(vs, argp);
	case VHOST_SCSI_MIG_GET_STATE:
		return vhost_scsi_mig_get_state(vs, argp);
	case VHOST_SCSI_MIG_SET_STATE:
		return vhost_scsi_mig_set_state(vs, argp);
	case VHOST_SCSI_MIG_DATA_FD:
		return vhost_scsi_mig_data(vs, argp);
	case VHOST_SCSI_MIG_CHECK:
		return vhost_scsi_mig_check(vs, argp);
	case VHOST_SCSI_MIG_SET_EVENTFD:
		return vhost_scsi_mig_set_eventfd(vs, argp);
	default:
		return -ENOIOCTLCMD;
	}
}

/**
 * vhost_scsi_mig_poll - poll() of the device
 * @vs: device
 * @file: its file
 * @table: as for any poll
 *
 * Return: EPOLLIN if a state was reached since the last GET_STATE, EPOLLERR in
 * ERROR.
 */
__poll_t vhost_scsi_mig_poll(struct vhost_scsi *vs, struct file *file,
			     poll_table *table)
{
	__poll_t mask = 0;
	unsigned long flags;

	poll_wait(file, &vs->mig.wait, table);
	spin_lock_irqsave(&vs->mig.lock, flags);
	if (vs->mig.events != vs->mig.seen)
		mask |= EPOLLIN | EPOLLRDNORM;
	spin_unlock_irqrestore(&vs->mig.lock, flags);
	if (READ_ONCE(vs->dead))
		mask |= EPOLLERR;
	return mask;
}
