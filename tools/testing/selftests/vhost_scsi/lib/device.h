/* SPDX-License-Identifier: GPL-2.0 */
/* One open /dev/vhost-scsi with its guest memory and rings. */
#ifndef VT_DEVICE_H
#define VT_DEVICE_H

#include <linux/vhost.h>
#include <linux/virtio_config.h>
#include <linux/virtio_scsi.h>
#include <stdbool.h>
#include <stdint.h>

#include "guest.h"
#include "vring.h"

/* Younger than the userspace headers of Debian 12. */
#ifndef VHOST_NEW_WORKER
struct vhost_worker_state {
	unsigned int worker_id;
};

struct vhost_vring_worker {
	unsigned int index;
	unsigned int worker_id;
};

#define VHOST_NEW_WORKER _IOR(VHOST_VIRTIO, 0x8, struct vhost_worker_state)
#define VHOST_FREE_WORKER _IOW(VHOST_VIRTIO, 0x9, struct vhost_worker_state)
#define VHOST_ATTACH_VRING_WORKER _IOW(VHOST_VIRTIO, 0x15, struct vhost_vring_worker)
#define VHOST_GET_VRING_WORKER _IOWR(VHOST_VIRTIO, 0x16, struct vhost_vring_worker)
#endif

enum { Q_CTL, Q_EVT, Q_IO };

#define DEVICE_QUEUES_MAX 10

#define F_BIT(nr) (1ull << (nr))
#define F_LOG_ALL F_BIT(VHOST_F_LOG_ALL)
#define F_INDIRECT F_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define F_EVENT_IDX F_BIT(VIRTIO_RING_F_EVENT_IDX)
#define F_NOTIFY_ON_EMPTY F_BIT(VIRTIO_F_NOTIFY_ON_EMPTY)
#define F_ANY_LAYOUT F_BIT(VIRTIO_F_ANY_LAYOUT)
#define F_VERSION_1 F_BIT(VIRTIO_F_VERSION_1)
#define F_HOTPLUG F_BIT(VIRTIO_SCSI_F_HOTPLUG)
#define F_T10_PI F_BIT(VIRTIO_SCSI_F_T10_PI)
#define F_DEFAULT (F_VERSION_1 | F_ANY_LAYOUT | F_INDIRECT)

struct device {
	int fd;
	uint64_t features;
	struct guest guest;
	struct ring q[DEVICE_QUEUES_MAX];
	unsigned int nq;		/* control and event queue included */
	bool ring_log;			/* VHOST_VRING_F_LOG on every ring */
	char wwpn[224];			/* of the endpoint last set */
};

struct device_opts {
	unsigned int io_queues;		/* default 1 */
	unsigned int num;		/* ring size, default 128 */
	uint64_t features;		/* default F_DEFAULT */
	size_t mem;			/* default 64 MiB */
	bool mem_file;			/* use mem_fd rather than a memfd */
	int mem_fd;
	bool opened;			/* use fd rather than open the node */
	int fd;
};

/* -errno of the ioctl, or its result. */
int device_ioctl(struct device *d, unsigned long nr, const void *arg);

/* Everything up to, but not including, the endpoint. */
void device_open(struct device *d, const struct device_opts *opts);
/* Only opened, memory and rings at hand: for tests that take the steps singly. */
void device_open_bare(struct device *d, const struct device_opts *opts);
void device_close(struct device *d);

int device_set_features(struct device *d, uint64_t features);
int device_set_mem(struct device *d);
int device_set_mem_empty(struct device *d);
int device_set_log_base(struct device *d);
int device_set_ring(struct device *d, unsigned int q);
int device_set_ring_addr(struct device *d, unsigned int q);
int device_set_ring_num(struct device *d, unsigned int q, unsigned int num);
int device_set_ring_base(struct device *d, unsigned int q, uint16_t base);
/* last_avail_idx of a stopped ring. */
int device_get_ring_base(struct device *d, unsigned int q);

/* Endpoint: -errno or 0. wwpn NULL: the one last set. */
int device_start(struct device *d, const char *wwpn);
int device_stop(struct device *d);
int device_stop_wwpn(struct device *d, const char *wwpn);

/* LOG_ALL and the rings' log flag on or off, as a VMM does it. */
void device_log_on(struct device *d);
void device_log_off(struct device *d);

int device_worker_new(struct device *d);
int device_worker_free(struct device *d, int id);
int device_worker_attach(struct device *d, unsigned int q, int id);
int device_worker_of(struct device *d, unsigned int q);

/* Call, error and log events that fired, all queues; takes them. */
uint64_t device_events_take(struct device *d);

#endif
