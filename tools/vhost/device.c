// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>
#include "device.h"
#include "names.h"

#define NODE	"/dev/vhost-scsi"
#define CHUNK	65536

/* What errno of an ioctl means, in words. @doing: "suspending" and the like. */
static int explain(struct device *dev, const char *doing, struct failure *f)
{
	struct vhost_scsi_mig_status status = { .argsz = sizeof(status) };
	int error = errno;
	char text[512];

	switch (error) {
	case ENOTTY:
		return fail(f, CTL_FAILED,
			    "this vhost_scsi has no migration state: load the module that has");
	case ETIMEDOUT:
		fail(f, CTL_TIMEOUT,
		     "%s: requests are still in flight, and the device goes on draining; ask again to go on waiting, or `resume` to give up",
		     doing);
		break;
	case EOWNERDEAD:
		fail(f, CTL_FAILED, "%s: the QEMU that owned the device is gone",
		     doing);
		break;
	case ENOTCONN:
		fail(f, CTL_FAILED,
		     "%s: no endpoint is set: QEMU's guest is paused, or has no driver for the device yet",
		     doing);
		break;
	case EFAULT:
		fail(f, CTL_FAILED, "%s: a virtqueue lies in memory that cannot be reached",
		     doing);
		break;
	case EAGAIN:
		fail(f, CTL_FAILED, "%s: what was loaded is not complete",
		     doing);
		break;
	case EXDEV:
		fail(f, CTL_FAILED, "%s: the device serves another target port than %s",
		     doing, dev->wwpn);
		break;
	case EBADMSG:
	case EPROTO:
	case EMEDIUMTYPE:
	case EFBIG:
	case EREMCHG:
	case EKEYREJECTED:
	case EIO:
		if (ioctl(dev->fd, VHOST_SCSI_MIG_GET_STATE, &status) ||
		    status.reason == VHOST_SCSI_MIG_OK) {
			errno = error;
			return fail_errno(f, "%s", doing);
		}
		name_blocker(text, sizeof(text), status.reason, status.target,
			     status.lun);
		fail(f, error == EIO ? CTL_FAILED : CTL_REFUSED, "%s: %s",
		     doing, text);
		break;
	default:
		return fail_errno(f, "%s", doing);
	}
	f->error = error;
	return -1;
}

int device_open(struct device *dev, const char *wwpn, struct failure *f)
{
	struct vhost_scsi_mig_info info = { .argsz = sizeof(info) };

	*dev = (struct device) {
		.fd = -1, .save = -1, .load = -1,
		.lock = PTHREAD_MUTEX_INITIALIZER,
	};
	if (strlen(wwpn) >= sizeof(dev->wwpn))
		return fail(f, CTL_USAGE, "the name of the target port is too long");
	strcpy(dev->wwpn, wwpn);
	dev->fd = open(NODE, O_RDWR | O_CLOEXEC);
	if (dev->fd < 0)
		return fail_errno(f, "%s (is the module vhost_scsi loaded?)",
				  NODE);
	if (ioctl(dev->fd, VHOST_SCSI_MIG_GET_INFO, &info))
		return explain(dev, NODE, f);
	if (info.abi_version != VHOST_SCSI_MIG_ABI_VERSION)
		return fail(f, CTL_FAILED, "the driver speaks version %" PRIu32
			    " of the ABI, this tool version %d",
			    info.abi_version, VHOST_SCSI_MIG_ABI_VERSION);
	return 0;
}

int device_status(struct device *dev, struct vhost_scsi_mig_status *status,
		  struct failure *f)
{
	*status = (struct vhost_scsi_mig_status) { .argsz = sizeof(*status) };
	if (ioctl(dev->fd, VHOST_SCSI_MIG_GET_STATE, status))
		return explain(dev, "reading the state", f);
	return 0;
}

int device_set_state(struct device *dev, uint32_t state, uint32_t flags,
		     uint32_t timeout_ms, struct failure *f)
{
	struct vhost_scsi_mig_set_state arg = {
		.argsz = sizeof(arg), .flags = flags, .state = state,
		.timeout_ms = timeout_ms,
	};
	struct vhost_scsi_mig_status status;
	char doing[96];

	if (!ioctl(dev->fd, VHOST_SCSI_MIG_SET_STATE, &arg))
		return 0;
	if (errno == EINVAL && !device_status(dev, &status, f))
		return fail(f, CTL_FAILED, "the device is %s, and cannot be set to %s from there",
			    name_state(status.state), name_state(state));
	snprintf(doing, sizeof(doing), "setting the device to %s",
		 name_state(state));
	return explain(dev, doing, f);
}

int device_check(struct device *dev, struct vhost_scsi_mig_check *check,
		 struct failure *f)
{
	*check = (struct vhost_scsi_mig_check) { .argsz = sizeof(*check) };
	if (ioctl(dev->fd, VHOST_SCSI_MIG_CHECK, check))
		return explain(dev, "asking for the verdict", f);
	return 0;
}

/* All blockers that there are; more may come between two calls. */
static struct vhost_scsi_mig_info *info_read(struct device *dev,
					     struct failure *f)
{
	size_t size = sizeof(struct vhost_scsi_mig_info);
	struct vhost_scsi_mig_info *info = NULL;

	for (;;) {
		free(info);
		info = calloc(1, size);
		if (!info) {
			fail(f, CTL_FAILED, "out of memory");
			return NULL;
		}
		info->argsz = size;
		if (ioctl(dev->fd, VHOST_SCSI_MIG_GET_INFO, info)) {
			explain(dev, "reading what the device can do", f);
			free(info);
			return NULL;
		}
		if (info->argsz <= size)
			return info;
		size = info->argsz;
	}
}

int device_blockers(struct device *dev, struct failure *f)
{
	struct vhost_scsi_mig_info *info = info_read(dev, f);
	struct vhost_scsi_mig_blocker *first;
	char text[512];

	if (!info)
		return -1;
	if (info->nr_blockers) {
		first = &info->blockers[0];
		name_blocker(text, sizeof(text), first->reason, first->target,
			     first->lun);
		fail(f, CTL_REFUSED, "the device cannot be migrated: %s%s",
		     text, info->nr_blockers > 1 ?
		     " (and more: see `info`)" : "");
		free(info);
		return -1;
	}
	free(info);
	return 0;
}

static void add_number(json_object *to, const char *key, uint64_t value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

static void add_text(json_object *to, const char *key, const char *value)
{
	json_object_object_add(to, key, json_object_new_string(value));
}

json_object *device_info_json(struct device *dev, struct failure *f)
{
	struct vhost_scsi_mig_info *info = info_read(dev, f);
	json_object *o, *list;
	uint32_t i;

	if (!info)
		return NULL;
	o = json_object_new_object();
	list = json_object_new_array();
	add_text(o, "wwpn", dev->wwpn);
	add_number(o, "abi_version", info->abi_version);
	add_number(o, "states", info->states);
	add_number(o, "set_state_flags", info->set_state_flags);
	add_number(o, "data_flags", info->data_flags);
	for (i = 0; i < info->nr_blockers; i++) {
		const struct vhost_scsi_mig_blocker *b = &info->blockers[i];
		json_object *one = json_object_new_object();
		char text[512];

		name_blocker(text, sizeof(text), b->reason, b->target, b->lun);
		add_text(one, "reason", name_reason(b->reason));
		add_number(one, "target", b->target);
		add_number(one, "lun", b->lun);
		add_text(one, "text", text);
		json_object_array_add(list, one);
	}
	json_object_object_add(o, "blockers", list);
	free(info);
	return o;
}

json_object *device_status_json(struct device *dev, struct failure *f)
{
	struct vhost_scsi_mig_status s;
	json_object *o;
	char text[512];

	if (device_status(dev, &s, f))
		return NULL;
	o = json_object_new_object();
	add_text(o, "state", name_state(s.state));
	json_object_object_add(o, "draining",
			       json_object_new_boolean(s.flags & VHOST_SCSI_MIG_DRAINING));
	json_object_object_add(o, "suspended",
			       json_object_new_boolean(s.flags & VHOST_SCSI_MIG_SUSPENDED));
	json_object_object_add(o, "endpoint",
			       json_object_new_boolean(s.flags & VHOST_SCSI_MIG_ENDPOINT));
	json_object_object_add(o, "loaded",
			       json_object_new_boolean(s.flags & VHOST_SCSI_MIG_LOADED));
	add_number(o, "inflight", s.inflight);
	add_number(o, "pending", s.pending);
	add_number(o, "events", s.events);
	add_number(o, "write_errors", s.write_errors);
	add_text(o, "flush", name_flush(s.flush));
	add_number(o, "error", s.error);
	if (s.error) {
		add_text(o, "reason", name_reason(s.reason));
		if (s.reason)
			name_blocker(text, sizeof(text), s.reason, s.target,
				     s.lun);
		else
			snprintf(text, sizeof(text), "%s", strerror(s.error));
		add_text(o, "text", text);
	}
	return o;
}

static int data_open(struct device *dev, uint32_t flags, const char *wwpn,
		     int *fd, struct failure *f)
{
	struct vhost_scsi_mig_data arg = {
		.argsz = sizeof(arg), .flags = flags,
	};

	snprintf(arg.wwpn, sizeof(arg.wwpn), "%s", wwpn);
	*fd = ioctl(dev->fd, VHOST_SCSI_MIG_DATA_FD, &arg);
	if (*fd >= 0)
		return 0;
	if (errno == EBUSY)
		return fail(f, CTL_FAILED,
			    "the data of the session, or the target port %s, is in use by somebody else",
			    dev->wwpn);
	if (errno == ENODEV || errno == ENOENT)
		return fail(f, CTL_FAILED,
			    "there is no target port %s here: set it up before the migration",
			    dev->wwpn);
	return explain(dev, "opening the data of the session", f);
}

static int save_read(struct device *dev, bool *end, struct failure *f)
{
	if (dev->save < 0 &&
	    data_open(dev, VHOST_SCSI_MIG_DATA_SAVE, "", &dev->save, f))
		return -1;
	*end = false;
	for (;;) {
		uint8_t *more = realloc(dev->saved, dev->nr_saved + CHUNK);
		ssize_t got;

		if (!more)
			return fail(f, CTL_FAILED, "out of memory");
		dev->saved = more;
		got = read(dev->save, more + dev->nr_saved, CHUNK);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0 && errno == ENOMSG)
			return 0;
		if (got < 0)
			return fail_errno(f, "reading the state");
		if (!got) {
			*end = true;
			return 0;
		}
		dev->nr_saved += got;
	}
}

int device_save(struct device *dev, uint8_t **data, size_t *size, bool *end,
		struct failure *f)
{
	int status;

	pthread_mutex_lock(&dev->lock);
	status = save_read(dev, end, f);
	if (!status) {
		*size = dev->nr_saved;
		*data = malloc(*size + 1);
		if (*data)
			memcpy(*data, dev->saved, *size);
		else
			status = fail(f, CTL_FAILED, "out of memory");
	}
	pthread_mutex_unlock(&dev->lock);
	return status;
}

static void close_data(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void device_save_close(struct device *dev)
{
	pthread_mutex_lock(&dev->lock);
	close_data(&dev->save);
	free(dev->saved);
	dev->saved = NULL;
	dev->nr_saved = 0;
	pthread_mutex_unlock(&dev->lock);
}

static int drop(struct device *dev, struct failure *f)
{
	struct vhost_scsi_mig_status status;
	struct failure ignored;

	close_data(&dev->load);
	if (device_status(dev, &status, f))
		return -1;
	if (status.state != VHOST_SCSI_MIG_RESUMING &&
	    !(status.flags & VHOST_SCSI_MIG_LOADED))
		return 0;
	if (device_set_state(dev, VHOST_SCSI_MIG_STOP, VHOST_SCSI_MIG_DROP, 0, f))
		return -1;
	/* The session suspended; without it QEMU's endpoint alone decides. */
	device_set_state(dev, VHOST_SCSI_MIG_RUNNING, 0, 0, &ignored);
	return 0;
}

int device_drop(struct device *dev, struct failure *f)
{
	int status;

	pthread_mutex_lock(&dev->lock);
	status = drop(dev, f);
	pthread_mutex_unlock(&dev->lock);
	return status;
}

static int load(struct device *dev, const uint8_t *data, size_t size, bool final,
		bool cache_dropped, struct vhost_scsi_mig_check *check,
		struct failure *f)
{
	uint32_t flags = VHOST_SCSI_MIG_DATA_LOAD |
			 (cache_dropped ? VHOST_SCSI_MIG_DATA_CACHE_DROPPED : 0);

	if (drop(dev, f) ||
	    device_set_state(dev, VHOST_SCSI_MIG_RESUMING, 0, 0, f))
		return -1;
	if (data_open(dev, flags, dev->wwpn, &dev->load, f))
		return -1;
	while (size) {
		ssize_t put = write(dev->load, data, size);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0) {
			int error = errno;

			/* What was refused has a reason, which tells more. */
			if (!device_check(dev, check, f) &&
			    check->verdict == VHOST_SCSI_MIG_REFUSED)
				return 0;
			errno = error;
			return fail_errno(f, "loading the state");
		}
		data += put;
		size -= put;
	}
	if (final)
		close_data(&dev->load);
	return device_check(dev, check, f);
}

int device_load(struct device *dev, const void *data, size_t size, bool final,
		bool cache_dropped, struct vhost_scsi_mig_check *check,
		struct failure *f)
{
	struct failure ignored;
	int status;

	pthread_mutex_lock(&dev->lock);
	status = load(dev, data, size, final, cache_dropped, check, f);
	if (status)
		drop(dev, &ignored);
	pthread_mutex_unlock(&dev->lock);
	return status;
}
