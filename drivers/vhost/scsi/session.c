// SPDX-License-Identifier: GPL-2.0
/*
 * A save or load session, and its data descriptor (M3)
 *
 * Both sides of the descriptor work on the session, not on the device: nobody
 * who reads or writes can hold up the device, and nobody can hold up a reader.
 * Userspace memory is touched with vhost_scsi_session.io alone held, which
 * nothing but another read() or write() of the same descriptor waits for.
 *
 * The device's pointer in the session stands as long as the session is open;
 * whoever ends the session takes vhost_scsi_session.lock to clear it.  So under
 * that lock the device's claim on its targets stands, too.
 */
#include <linux/anon_inodes.h>
#include <linux/file.h>
#include <linux/fs.h>
#include <linux/poll.h>
#include <linux/slab.h>

#include "compat_crc32c.h"
#include "migration.h"

/* What write() looks at in one go; a reader or writer can be killed between. */
#define VHOST_SCSI_PIECE 16384

/**
 * struct vhost_scsi_blob - a section that waits to be read
 * @entry: of vhost_scsi_session.sections
 * @type: its type
 * @begun: somebody reads it: it stays until that is over
 * @len: bytes
 * @pos: bytes that were read
 * @data: section, with its header
 */
struct vhost_scsi_blob {
	struct list_head entry;
	u32 type;
	bool begun;
	size_t len;
	size_t pos;
	u8 data[];
};

static void vhost_scsi_blob_drop(struct vhost_scsi_blob *blob)
{
	list_del(&blob->entry);
	kvfree(blob);
}

static void vhost_scsi_session_free(struct kref *ref)
{
	struct vhost_scsi_session *session =
		container_of(ref, struct vhost_scsi_session, ref);
	struct vhost_scsi_blob *blob, *next;

	list_for_each_entry_safe(blob, next, &session->sections, entry)
		vhost_scsi_blob_drop(blob);
	vhost_scsi_buf_free(&session->inventory);
	if (session->load) {
		vhost_scsi_load_free(session->load);
		kfree(session->load);
	}
	kfree(session);
}

static void vhost_scsi_session_put(struct vhost_scsi_session *session)
{
	kref_put(&session->ref, vhost_scsi_session_free);
}

/* Is there something that read() would return? */
static bool vhost_scsi_session_readable(const struct vhost_scsi_session *session)
{
	return session->pending || session->final || session->error ||
	       !session->vs;
}

/* Tell whoever looks at the device, and whoever polls the descriptor. */
static void vhost_scsi_session_changed(struct vhost_scsi_session *session)
{
	lockdep_assert_held(&session->lock);

	if (session->vs && session->save)
		WRITE_ONCE(session->vs->mig.pending, session->pending);
	wake_up_interruptible_all(&session->wait);
}

/**
 * vhost_scsi_session_open - open a session
 * @vs: device
 * @save: direction
 *
 * Context: vhost_dev.mutex held.
 * Return: the session, or NULL.
 */
struct vhost_scsi_session *vhost_scsi_session_open(struct vhost_scsi *vs,
						   bool save)
{
	struct vhost_scsi_session *session = kzalloc_obj(*session,
							 GFP_KERNEL_ACCOUNT);

	if (!session)
		return NULL;
	if (!save) {
		session->load = kzalloc_obj(*session->load, GFP_KERNEL_ACCOUNT);
		if (!session->load) {
			kfree(session);
			return NULL;
		}
	}
	kref_init(&session->ref);
	mutex_init(&session->io);
	mutex_init(&session->lock);
	init_waitqueue_head(&session->wait);
	INIT_LIST_HEAD(&session->sections);
	session->vs = vs;
	session->save = save;
	return session;
}

/**
 * vhost_scsi_session_died - the device of a session is dead
 * @session: open session
 *
 * Context: any in which the session cannot be ended meanwhile.
 */
void vhost_scsi_session_died(struct vhost_scsi_session *session)
{
	wake_up_interruptible_all(&session->wait);
}

/**
 * vhost_scsi_session_end - a session is over
 * @session: session that nobody can find any more
 *
 * Its descriptor fails from now on.
 *
 * Context: vhost_dev.mutex held.  Waits for no userspace memory.
 */
void vhost_scsi_session_end(struct vhost_scsi_session *session)
{
	mutex_lock(&session->lock);
	if (session->save)
		WRITE_ONCE(session->vs->mig.pending, 0);
	session->vs = NULL;
	vhost_scsi_session_changed(session);
	mutex_unlock(&session->lock);
	vhost_scsi_session_put(session);
}

/* Save */

/**
 * vhost_scsi_session_add - put a section into the stream
 * @session: save session
 * @type: type of the section
 * @payload: its payload; for END, that is made here
 *
 * An INVENTORY that says what the last one said is left out.
 *
 * Context: process.
 * Return: 0; or the error of @payload, -ENOMEM, and the session fails with it.
 */
int vhost_scsi_session_add(struct vhost_scsi_session *session, u32 type,
			   struct vhost_scsi_buf *payload)
{
	struct vhost_scsi_mig_section head = {
		.type = cpu_to_le32(type),
		.version = cpu_to_le16(1),
	};
	struct vhost_scsi_mig_end end;
	struct vhost_scsi_blob *blob;
	size_t len = type == VHOST_SCSI_MIG_END ? sizeof(end) : payload->len;
	int r = payload->error;

	blob = r ? NULL : kvmalloc(struct_size(blob, data, sizeof(head) + len),
				   GFP_KERNEL_ACCOUNT);
	mutex_lock(&session->lock);
	if (!blob) {
		session->error = r ?: -ENOMEM;
		r = session->error;
		vhost_scsi_session_changed(session);
		goto out;
	}
	if (type == VHOST_SCSI_MIG_INVENTORY && session->inventoried &&
	    len == session->inventory.len &&
	    !memcmp(payload->data, session->inventory.data, len)) {
		kvfree(blob);
		goto out;
	}

	head.length = cpu_to_le32(len);
	memcpy(blob->data, &head, sizeof(head));
	if (type == VHOST_SCSI_MIG_HEADER) {
		session->crc = ~0U;
		session->inventoried = false;
	}
	session->crc = crc32c(session->crc, blob->data, sizeof(head));
	if (type == VHOST_SCSI_MIG_END) {
		end.crc = cpu_to_le32(~session->crc);
		memcpy(blob->data + sizeof(head), &end, sizeof(end));
		session->final = true;
	} else if (len) {
		memcpy(blob->data + sizeof(head), payload->data, len);
		session->crc = crc32c(session->crc, payload->data, len);
	}
	if (type == VHOST_SCSI_MIG_INVENTORY) {
		vhost_scsi_buf_free(&session->inventory);
		swap(session->inventory, *payload);
		session->inventoried = true;
	}
	/* To go back to if the final state is void before anybody reads it. */
	if (type <= VHOST_SCSI_MIG_INVENTORY)
		session->crc_final = session->crc;
	blob->type = type;
	blob->begun = false;
	blob->len = sizeof(head) + len;
	blob->pos = 0;
	list_add_tail(&blob->entry, &session->sections);
	session->pending += blob->len;
	vhost_scsi_session_changed(session);
out:
	mutex_unlock(&session->lock);
	return r;
}

/**
 * vhost_scsi_session_fail - the final state cannot be had
 * @session: save session
 * @error: negative errno that reading it fails with
 */
void vhost_scsi_session_fail(struct vhost_scsi_session *session, int error)
{
	mutex_lock(&session->lock);
	session->error = error;
	vhost_scsi_session_changed(session);
	mutex_unlock(&session->lock);
}

/**
 * vhost_scsi_session_void - the final state is not final
 * @session: save session of a device that goes on
 *
 * What nobody has begun to read of it is taken out of the stream.
 *
 * Context: vhost_dev.mutex held.
 * Return: true if the stream can go on; false if some was read, and it must
 * begin anew.
 */
bool vhost_scsi_session_void(struct vhost_scsi_session *session)
{
	struct vhost_scsi_blob *blob, *next;
	bool clean;

	mutex_lock(&session->lock);
	list_for_each_entry_safe(blob, next, &session->sections, entry) {
		if (blob->type <= VHOST_SCSI_MIG_INVENTORY || blob->begun)
			continue;
		session->pending -= blob->len;
		vhost_scsi_blob_drop(blob);
	}
	session->final = false;
	/* A final state that could not be had is void as well. */
	clean = !session->final_begun && !session->error;
	session->error = 0;
	session->final_begun = false;
	session->crc = session->crc_final;
	vhost_scsi_session_changed(session);
	mutex_unlock(&session->lock);
	return clean;
}

/**
 * vhost_scsi_session_read_out - was all of the state read?
 * @session: save session
 *
 * Return: true if the reader has the final state to its last byte.
 */
bool vhost_scsi_session_read_out(struct vhost_scsi_session *session)
{
	bool r;

	mutex_lock(&session->lock);
	r = session->final && !session->pending && !session->error;
	mutex_unlock(&session->lock);
	return r;
}

/* The section to read from, which then stays until somebody puts it back. */
static int vhost_scsi_session_peek(struct vhost_scsi_session *session,
				   struct vhost_scsi_blob **blob)
{
	int r = 0;

	mutex_lock(&session->lock);
	*blob = list_first_entry_or_null(&session->sections,
					 struct vhost_scsi_blob, entry);
	if (!session->vs || READ_ONCE(session->vs->dead)) {
		r = -ENODEV;
	} else if (session->error) {
		r = session->error;
	} else if (*blob) {
		(*blob)->begun = true;
		if ((*blob)->type > VHOST_SCSI_MIG_INVENTORY)
			session->final_begun = true;
	} else if (!session->final) {
		r = -ENOMSG;
	}
	mutex_unlock(&session->lock);
	return r;
}

static void vhost_scsi_session_consume(struct vhost_scsi_session *session,
				       struct vhost_scsi_blob *blob, size_t n)
{
	mutex_lock(&session->lock);
	blob->pos += n;
	session->pending -= n;
	if (blob->pos == blob->len)
		vhost_scsi_blob_drop(blob);
	vhost_scsi_session_changed(session);
	mutex_unlock(&session->lock);
}

static ssize_t vhost_scsi_session_read(struct file *file, char __user *buf,
				       size_t len, loff_t *ppos)
{
	struct vhost_scsi_session *session = file->private_data;
	struct vhost_scsi_blob *blob;
	ssize_t done = 0;
	int r = 0;

	if (!session->save)
		return -EBADF;
	if (mutex_lock_interruptible(&session->io))
		return -ERESTARTSYS;
	while (len) {
		size_t n;

		r = vhost_scsi_session_peek(session, &blob);
		if (r || !blob)
			break;
		n = min(len, blob->len - blob->pos);
		if (copy_to_user(buf, blob->data + blob->pos, n)) {
			r = -EFAULT;
			break;
		}
		vhost_scsi_session_consume(session, blob, n);
		buf += n;
		len -= n;
		done += n;
	}
	mutex_unlock(&session->io);
	return done ?: r;
}

/* Load */

/**
 * vhost_scsi_session_accepted - is the load complete and accepted?
 * @session: load session
 *
 * Return: 0; -EAGAIN if it is not complete, or its descriptor not closed; the
 * error that it was refused with.
 */
int vhost_scsi_session_accepted(struct vhost_scsi_session *session)
{
	int r = -EAGAIN;

	mutex_lock(&session->lock);
	if (session->error)
		r = session->error;
	else if (session->closed &&
		 session->verdict == VHOST_SCSI_MIG_ACCEPTED)
		r = 0;
	mutex_unlock(&session->lock);
	return r;
}

static int vhost_scsi_session_take(struct vhost_scsi_session *session,
				   const u8 *data, size_t len)
{
	struct vhost_scsi_mig_blocker blocker = {};
	enum vhost_scsi_mig_verdict was;
	int r;

	mutex_lock(&session->lock);
	was = session->verdict;
	if (!session->vs || READ_ONCE(session->vs->dead)) {
		r = -ENODEV;
	} else if (session->error) {
		r = session->error;
	} else {
		r = vhost_scsi_load_bytes(session->vs, session->load, data, len,
					  &session->verdict, &blocker);
		if (r) {
			session->verdict = VHOST_SCSI_MIG_REFUSED;
			session->error = r;
		}
		vhost_scsi_mig_note_check(session->vs, session->verdict, -r,
					  &blocker, session->load->bytes);
		if (session->verdict != was &&
		    session->verdict >= VHOST_SCSI_MIG_ACCEPTED)
			vhost_scsi_mig_reached(session->vs);
	}
	mutex_unlock(&session->lock);
	return r;
}

static ssize_t vhost_scsi_session_write(struct file *file,
					const char __user *buf, size_t len,
					loff_t *ppos)
{
	struct vhost_scsi_session *session = file->private_data;
	size_t done = 0;
	u8 *piece;
	int r = 0;

	if (session->save)
		return -EBADF;
	piece = kmalloc(min_t(size_t, max_t(size_t, len, 1), VHOST_SCSI_PIECE),
			GFP_KERNEL);
	if (!piece)
		return -ENOMEM;
	if (mutex_lock_interruptible(&session->io)) {
		kfree(piece);
		return -ERESTARTSYS;
	}
	/* An empty write, too, tells whether the session is still there. */
	do {
		size_t n = min_t(size_t, len - done, VHOST_SCSI_PIECE);

		if (copy_from_user(piece, buf + done, n)) {
			r = done ? 0 : -EFAULT;
			break;
		}
		/* The write that completes a bad section fails as a whole. */
		r = vhost_scsi_session_take(session, piece, n);
		if (r)
			break;
		done += n;
	} while (done < len && !fatal_signal_pending(current));
	mutex_unlock(&session->io);
	kfree(piece);
	return r ?: done;
}

/* The descriptor */

static __poll_t vhost_scsi_session_poll(struct file *file, poll_table *table)
{
	struct vhost_scsi_session *session = file->private_data;
	__poll_t mask = 0;

	poll_wait(file, &session->wait, table);
	mutex_lock(&session->lock);
	if (!session->vs || READ_ONCE(session->vs->dead) || session->error)
		mask |= EPOLLERR;
	if (!session->save)
		mask |= EPOLLOUT | EPOLLWRNORM;
	else if (vhost_scsi_session_readable(session))
		mask |= EPOLLIN | EPOLLRDNORM;
	mutex_unlock(&session->lock);
	return mask;
}

static int vhost_scsi_session_close(struct inode *inode, struct file *file)
{
	struct vhost_scsi_session *session = file->private_data;

	mutex_lock(&session->lock);
	session->closed = true;
	mutex_unlock(&session->lock);
	vhost_scsi_session_put(session);
	return 0;
}

static const struct file_operations vhost_scsi_session_fops = {
	.owner = THIS_MODULE,
	.read = vhost_scsi_session_read,
	.write = vhost_scsi_session_write,
	.poll = vhost_scsi_session_poll,
	.release = vhost_scsi_session_close,
};

/**
 * vhost_scsi_session_fd - make the data descriptor of a session
 * @session: open session
 *
 * Context: vhost_dev.mutex held.
 * Return: the descriptor; -EBUSY if there is or was one; -EMFILE and the like.
 */
int vhost_scsi_session_fd(struct vhost_scsi_session *session)
{
	struct file *file;
	int fd;

	if (session->handed_out)
		return -EBUSY;
	fd = get_unused_fd_flags(O_CLOEXEC);
	if (fd < 0)
		return fd;
	file = anon_inode_getfile("[vhost-scsi-migration]",
				  &vhost_scsi_session_fops, session,
				  session->save ? O_RDONLY : O_WRONLY);
	if (IS_ERR(file)) {
		put_unused_fd(fd);
		return PTR_ERR(file);
	}
	kref_get(&session->ref);
	session->handed_out = true;
	fd_install(fd, file);
	return fd;
}
