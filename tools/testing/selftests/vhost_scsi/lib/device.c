// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "device.h"
#include "util.h"

int device_ioctl(struct device *d, unsigned long nr, const void *arg)
{
	int ret = ioctl(d->fd, nr, arg);

	return ret < 0 ? -errno : ret;
}

static void must(int ret, const char *what)
{
	if (ret < 0)
		vt_fatal("%s: %s", what, strerror(-ret));
}

static void device_undo(void *arg)
{
	device_close(arg);
}

void device_open_bare(struct device *d, const struct device_opts *opts)
{
	unsigned int q, num = opts->num ? opts->num : 128;

	memset(d, 0, sizeof(*d));
	d->fd = opts->opened ? opts->fd : open("/dev/vhost-scsi", O_RDWR | O_CLOEXEC);
	if (d->fd < 0)
		vt_fatal("/dev/vhost-scsi: %s", strerror(errno));
	d->features = opts->features ? opts->features : F_DEFAULT;
	d->nq = Q_IO + (opts->io_queues ? opts->io_queues : 1);
	if (d->nq > DEVICE_QUEUES_MAX)
		vt_fatal("the library knows %d queues", DEVICE_QUEUES_MAX);
	guest_open(&d->guest, opts->mem ? opts->mem : 64ul << 20,
		   opts->mem_file ? opts->mem_fd : -1);
	for (q = 0; q < d->nq; q++) {
		vring_open(&d->q[q], &d->guest, num);
		d->q[q].event_idx = d->features & F_EVENT_IDX;
	}
	undo_push(device_undo, d);
}

void device_open(struct device *d, const struct device_opts *opts)
{
	unsigned int q;

	device_open_bare(d, opts);
	must(device_ioctl(d, VHOST_SET_OWNER, NULL), "VHOST_SET_OWNER");
	must(device_set_features(d, d->features), "VHOST_SET_FEATURES");
	must(device_set_mem(d), "VHOST_SET_MEM_TABLE");
	for (q = 0; q < d->nq; q++)
		must(device_set_ring(d, q), "setting up a ring");
}

static void device_drop(struct device *d)
{
	unsigned int q;

	if (d->fd >= 0)
		close(d->fd);
	d->fd = -1;
	for (q = 0; q < d->nq; q++)
		vring_close(&d->q[q]);
	d->nq = 0;
	guest_close(&d->guest);
}

void device_close(struct device *d)
{
	if (d->nq)
		device_drop(d);
}

int device_set_features(struct device *d, uint64_t features)
{
	int ret = device_ioctl(d, VHOST_SET_FEATURES, &features);

	if (!ret)
		d->features = features;
	return ret;
}

int device_set_mem(struct device *d)
{
	struct {
		struct vhost_memory head;
		struct vhost_memory_region region;
	} t = {
		.head.nregions = 1,
		.region = {
			.guest_phys_addr = GUEST_BASE,
			.memory_size = d->guest.size,
			.userspace_addr = (uintptr_t)d->guest.mem,
		},
	};

	return device_ioctl(d, VHOST_SET_MEM_TABLE, &t);
}

int device_set_mem_empty(struct device *d)
{
	struct vhost_memory t = { 0 };

	return device_ioctl(d, VHOST_SET_MEM_TABLE, &t);
}

int device_set_log_base(struct device *d)
{
	uint64_t base = (uintptr_t)d->guest.log;

	return device_ioctl(d, VHOST_SET_LOG_BASE, &base);
}

int device_set_ring_num(struct device *d, unsigned int q, unsigned int num)
{
	struct vhost_vring_state s = { .index = q, .num = num };

	return device_ioctl(d, VHOST_SET_VRING_NUM, &s);
}

int device_set_ring_base(struct device *d, unsigned int q, uint16_t base)
{
	struct vhost_vring_state s = { .index = q, .num = base };

	return device_ioctl(d, VHOST_SET_VRING_BASE, &s);
}

int device_get_ring_base(struct device *d, unsigned int q)
{
	struct vhost_vring_state s = { .index = q };
	int ret = device_ioctl(d, VHOST_GET_VRING_BASE, &s);

	return ret < 0 ? ret : (int)s.num;
}

int device_set_ring_addr(struct device *d, unsigned int q)
{
	struct ring *vr = &d->q[q];
	struct vhost_vring_addr a = {
		.index = q,
		.flags = d->ring_log ? 1u << VHOST_VRING_F_LOG : 0,
		.desc_user_addr = (uintptr_t)vr->desc,
		.avail_user_addr = (uintptr_t)vr->avail,
		.used_user_addr = (uintptr_t)vr->used,
		.log_guest_addr = guest_addr(&d->guest, vr->used),
	};

	return device_ioctl(d, VHOST_SET_VRING_ADDR, &a);
}

static int device_set_fd(struct device *d, unsigned long nr, unsigned int q, int fd)
{
	struct vhost_vring_file f = { .index = q, .fd = fd };

	return device_ioctl(d, nr, &f);
}

int device_set_ring(struct device *d, unsigned int q)
{
	struct ring *vr = &d->q[q];
	int ret;

	ret = device_set_ring_num(d, q, vr->num);
	if (!ret)
		ret = device_set_ring_base(d, q, vr->avail_idx);
	if (!ret)
		ret = device_set_ring_addr(d, q);
	if (!ret)
		ret = device_set_fd(d, VHOST_SET_VRING_CALL, q, vr->call);
	if (!ret)
		ret = device_set_fd(d, VHOST_SET_VRING_ERR, q, vr->err);
	if (!ret)
		ret = device_set_fd(d, VHOST_SET_VRING_KICK, q, vr->kick);
	return ret;
}

static int device_endpoint(struct device *d, unsigned long nr, const char *wwpn)
{
	struct vhost_scsi_target t = { .abi_version = VHOST_SCSI_ABI_VERSION };

	snprintf(t.vhost_wwpn, sizeof(t.vhost_wwpn), "%s", wwpn);
	return device_ioctl(d, nr, &t);
}

int device_start(struct device *d, const char *wwpn)
{
	if (wwpn && wwpn != d->wwpn)
		snprintf(d->wwpn, sizeof(d->wwpn), "%s", wwpn);
	return device_endpoint(d, VHOST_SCSI_SET_ENDPOINT, d->wwpn);
}

int device_stop(struct device *d)
{
	return device_endpoint(d, VHOST_SCSI_CLEAR_ENDPOINT, d->wwpn);
}

int device_stop_wwpn(struct device *d, const char *wwpn)
{
	return device_endpoint(d, VHOST_SCSI_CLEAR_ENDPOINT, wwpn);
}

static void device_log_switch(struct device *d, bool on)
{
	unsigned int q;

	must(device_set_features(d, on ? d->features | F_LOG_ALL :
				 d->features & ~F_LOG_ALL), "VHOST_SET_FEATURES");
	d->ring_log = on;
	for (q = 0; q < d->nq; q++)
		must(device_set_ring_addr(d, q), "VHOST_SET_VRING_ADDR");
}

void device_log_on(struct device *d)
{
	must(device_set_log_base(d), "VHOST_SET_LOG_BASE");
	device_log_switch(d, true);
}

void device_log_off(struct device *d)
{
	device_log_switch(d, false);
}

int device_worker_new(struct device *d)
{
	struct vhost_worker_state w = { 0 };
	int ret = device_ioctl(d, VHOST_NEW_WORKER, &w);

	return ret < 0 ? ret : (int)w.worker_id;
}

int device_worker_free(struct device *d, int id)
{
	struct vhost_worker_state w = { .worker_id = id };

	return device_ioctl(d, VHOST_FREE_WORKER, &w);
}

int device_worker_attach(struct device *d, unsigned int q, int id)
{
	struct vhost_vring_worker w = { .index = q, .worker_id = id };

	return device_ioctl(d, VHOST_ATTACH_VRING_WORKER, &w);
}

int device_worker_of(struct device *d, unsigned int q)
{
	struct vhost_vring_worker w = { .index = q };
	int ret = device_ioctl(d, VHOST_GET_VRING_WORKER, &w);

	return ret < 0 ? ret : (int)w.worker_id;
}

uint64_t device_events_take(struct device *d)
{
	uint64_t n = 0;
	unsigned int q;

	for (q = 0; q < d->nq; q++)
		n += eventfd_take(d->q[q].call) + eventfd_take(d->q[q].err);
	return n;
}
