// SPDX-License-Identifier: GPL-2.0
/*
 * Version 2 of the migration ABI: device features, and the data descriptor
 *
 * The descriptor can outlive its session and its device.  It holds the gate,
 * and is the session's only if the migration says so: mig->file.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/module.h>
#include <linux/poll.h>
#include <linux/sched/signal.h>

#include "migration.h"

/*
 * Locks the migration that a descriptor belongs to.  NULL, and nothing is
 * locked, if it is stale, or of the other direction.
 */
static struct vfio_migration *data_lock(struct file *file,
					enum vfio_migration_mode mode)
{
	struct vfio_migration_gate *gate = file->private_data;
	struct vfio_migration *mig;

	if (mutex_lock_killable(&gate->lock))
		return ERR_PTR(-EINTR);
	mig = gate->mig;
	if (mig && mig->file == file && vfio_migration_mode(mig->state) == mode)
		return mig;
	mutex_unlock(&gate->lock);
	return ERR_PTR(-ENODEV);
}

static ssize_t data_read(struct kiocb *iocb, struct iov_iter *to)
{
	struct file *file = iocb->ki_filp;
	struct vfio_migration_stream *stream;
	struct vfio_migration *mig;
	ssize_t total = 0, ret = 0;

	mig = data_lock(file, VFIO_MIGRATION_SAVES);
	if (IS_ERR(mig))
		return PTR_ERR(mig);
	stream = mig->stream;
	while (iov_iter_count(to)) {
		size_t count;

		if (stream->done == stream->length) {
			ret = vfio_migration_stream_save_locked(mig,
								stream->buf,
								sizeof(stream->buf),
								&stream->covers);
			if (ret <= 0)
				break;
			stream->length = ret;
			stream->done = 0;
		}
		count = copy_to_iter(stream->buf + stream->done,
				     stream->length - stream->done, to);
		stream->done += count;
		total += count;
		if (stream->done == stream->length) {
			vfio_migration_read_done(mig, stream->covers);
		} else if (iov_iter_count(to)) {
			ret = -EFAULT;
			break;
		}
		if (signal_pending(current))
			break;
		cond_resched();
	}
	/* The temporary end while the device runs; 0 is the true one. */
	if (iov_iter_count(to) && !ret && !total &&
	    mig->state != VFIO_DEVICE_STATE_STOP_COPY)
		ret = -ENOMSG;
	mutex_unlock(&mig->gate->lock);
	if (total)
		return total;
	return min(ret, 0);
}

static ssize_t data_write(struct kiocb *iocb, struct iov_iter *from)
{
	struct vfio_migration *mig;
	size_t len = iov_iter_count(from);
	int ret;

	mig = data_lock(iocb->ki_filp, VFIO_MIGRATION_LOADS);
	if (IS_ERR(mig))
		return PTR_ERR(mig);
	ret = vfio_migration_stream_load_locked(mig, from);
	mutex_unlock(&mig->gate->lock);
	/* A fault in the middle: what came before it has been taken. */
	if (ret == -EFAULT && iov_iter_count(from) < len)
		return len - iov_iter_count(from);
	return ret ?: len;
}

static __poll_t data_poll(struct file *file, struct poll_table_struct *table)
{
	struct vfio_migration_gate *gate = file->private_data;
	struct vfio_migration *mig;

	poll_wait(file, &gate->wait, table);
	guard(mutex)(&gate->lock);
	mig = gate->mig;
	if (!mig || mig->file != file)
		return EPOLLERR | EPOLLHUP | EPOLLIN | EPOLLRDNORM;
	if (vfio_migration_mode(mig->state) == VFIO_MIGRATION_LOADS)
		return EPOLLOUT | EPOLLWRNORM;
	if (mig->state == VFIO_DEVICE_STATE_STOP_COPY ||
	    mig->stream->done < mig->stream->length ||
	    !mig->stream->sequence || vfio_migration_pending(mig))
		return EPOLLIN | EPOLLRDNORM;
	return 0;
}

static long precopy_info(struct vfio_migration *mig,
			 struct vfio_precopy_info *info)
{
	struct vfio_migration_count *count = &mig->count;
	u64 pending;

	if (mig->state != VFIO_DEVICE_STATE_PRE_COPY &&
	    mig->state != VFIO_DEVICE_STATE_PRE_COPY_P2P)
		return -EINVAL;
	spin_lock(&count->lock);
	pending = max(count->unsent, 0) + count->taken;
	if (count->reinit && compat_vfio_precopy_info_v2(mig->vdev)) {
		count->initial = pending;
		info->flags |= VFIO_PRECOPY_INFO_REINIT;
	}
	count->reinit = false;
	info->initial_bytes = min(count->initial, pending);
	info->dirty_bytes = pending - info->initial_bytes;
	spin_unlock(&count->lock);
	return 0;
}

static long data_ioctl(struct file *file, unsigned int cmd, unsigned long arg)
{
	struct vfio_migration_gate *gate = file->private_data;
	struct vfio_precopy_info info = {};
	struct vfio_migration *mig;
	long ret;

	if (cmd != VFIO_MIG_GET_PRECOPY_INFO)
		return -ENOTTY;
	if (mutex_lock_killable(&gate->lock))
		return -EINTR;
	mig = gate->mig;
	ret = mig && mig->file == file ? 0 : -ENODEV;
	if (!ret)
		ret = vfio_check_precopy_ioctl(mig->vdev, cmd, arg, &info);
	if (!ret)
		ret = precopy_info(mig, &info);
	mutex_unlock(&gate->lock);
	if (!ret && copy_to_user((void __user *)arg, &info,
				 offsetofend(struct vfio_precopy_info,
					     dirty_bytes)))
		ret = -EFAULT;
	return ret;
}

static int data_release(struct inode *inode, struct file *file)
{
	struct vfio_migration_gate *gate = file->private_data;

	mutex_lock(&gate->lock);
	if (gate->mig && gate->mig->file == file)
		gate->mig->file = NULL;
	mutex_unlock(&gate->lock);
	vfio_migration_gate_put(gate);
	return 0;
}

static const struct file_operations data_fops = {
	.owner = THIS_MODULE,
	.read_iter = data_read,
	.write_iter = data_write,
	.poll = data_poll,
	.unlocked_ioctl = data_ioctl,
	.compat_ioctl = compat_ptr_ioctl,
	.release = data_release,
};

static struct file *data_open(struct vfio_migration *mig,
			      enum vfio_device_mig_state to)
{
	bool load = to == VFIO_DEVICE_STATE_RESUMING;
	struct file *file = anon_inode_getfile("vfio-migration", &data_fops,
					       mig->gate,
					       load ? O_WRONLY : O_RDONLY);

	if (IS_ERR(file))
		return file;
	kref_get(&mig->gate->ref);
	stream_open(file_inode(file), file);
	return file;
}

/**
 * vfio_migration_set_state() - VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, set
 * @mig: the migration of an open device.
 * @to: as the user gave it.
 *
 * Return: the data descriptor of a session or load that begins, or NULL, or
 * -EINVAL, -EBUSY, -EINTR, -ENOMEM, or why an arc failed, see
 * vfio_migration_change_locked().
 */
struct file *vfio_migration_set_state(struct vfio_migration *mig,
				      enum vfio_device_mig_state to)
{
	const unsigned int flags = mig->vdev->migration_flags;
	struct file *file = NULL;
	int ret;

	/* The boundary: from here on @to is a state that the device has. */
	if (to >= VFIO_DEVICE_STATE_NR || to == VFIO_DEVICE_STATE_ERROR)
		return ERR_PTR(-EINVAL);
	if (vfio_migration_level(to) == VFIO_MIGRATION_NO_P2P &&
	    !(flags & VFIO_MIGRATION_P2P))
		return ERR_PTR(-EINVAL);
	if (vfio_migration_mode(to) == VFIO_MIGRATION_SAVES &&
	    to != VFIO_DEVICE_STATE_STOP_COPY &&
	    !(flags & VFIO_MIGRATION_PRE_COPY))
		return ERR_PTR(-EINVAL);

	if (mutex_lock_killable(&mig->gate->lock))
		return ERR_PTR(-EINTR);
	/* First what can fail without a trace. */
	if (vfio_migration_begins(mig->state, to)) {
		file = data_open(mig, to);
		if (IS_ERR(file)) {
			mutex_unlock(&mig->gate->lock);
			return file;
		}
	}
	ret = vfio_migration_change_locked(mig, VFIO_MIGRATION_ABI_FEATURE, to);
	if (!ret && file)
		mig->file = file;
	mutex_unlock(&mig->gate->lock);
	if (!ret)
		return file;
	if (file)
		fput(file);
	return ERR_PTR(ret);
}
EXPORT_SYMBOL_GPL(vfio_migration_set_state);

/**
 * vfio_migration_get_state() - VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE, get
 * @mig: the migration of an open device.
 * @state: is set.
 *
 * Return: 0 or -EINTR.
 */
int vfio_migration_get_state(struct vfio_migration *mig,
			     enum vfio_device_mig_state *state)
{
	if (mutex_lock_killable(&mig->gate->lock))
		return -EINTR;
	*state = mig->state;
	mutex_unlock(&mig->gate->lock);
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_migration_get_state);

/**
 * vfio_migration_get_data_size() - VFIO_DEVICE_FEATURE_MIG_DATA_SIZE
 * @mig: the migration of an open device.
 * @size: bytes that STOP_COPY would have to send now, never 0: all of the
 *	device outside a session, what is unsent and the final state in one.
 *
 * Return: 0 or -EINTR.
 */
int vfio_migration_get_data_size(struct vfio_migration *mig,
				 unsigned long *size)
{
	const struct vfio_migration_driver *driver = mig->driver;
	u64 final;

	if (mutex_lock_killable(&mig->gate->lock))
		return -EINTR;
	final = driver->final_size(mig) + VFIO_MIGRATION_END_COVERS;
	if (vfio_migration_mode(mig->state) != VFIO_MIGRATION_SAVES ||
	    (!driver->log_on && mig->state != VFIO_DEVICE_STATE_STOP_COPY))
		*size = driver->size(mig) + final;
	else if (mig->state == VFIO_DEVICE_STATE_STOP_COPY)
		*size = max_t(u64, vfio_migration_pending(mig),
			      VFIO_MIGRATION_END_COVERS);
	else
		*size = vfio_migration_pending(mig) + final;
	mutex_unlock(&mig->gate->lock);
	return 0;
}
EXPORT_SYMBOL_GPL(vfio_migration_get_data_size);
