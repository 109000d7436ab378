/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Mediated devices and the VFIO uAPI: creating one, opening it in a container or
 * by its device node and iommufd, its regions, and both migration ABIs.
 *
 * What can be refused returns 0 or -errno.  What cannot, ends the test.
 */
#ifndef DEVICE_H
#define DEVICE_H

#include <linux/vfio.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "../../../../../include/uapi/linux/vfio_migration_region.h"
#include "../../../../../samples/vfio-mdev/mcopy_regs.h"
#include "util.h"

/* Of <linux/vfio.h> in 7.2. */
#ifndef VFIO_PRECOPY_INFO_REINIT
#define VFIO_PRECOPY_INFO_REINIT		1
#define VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2	12
#endif

#ifdef TEST_TIMEOUT_DEFAULT
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 240	/* on an emulated machine */
#endif

#define PAGE		4096UL
#define MIB		0x100000UL
#define WAIT_MS		30000
#define MCOPY		"mcopy/mcopy-16M"
#define MCOPY_64M	"mcopy/mcopy-64M"
#define MINIMAL		"minimal/minimal-64K"

/* Regions of mcopy. */
#define BAR0		VFIO_PCI_BAR0_REGION_INDEX
#define BAR2		VFIO_PCI_BAR2_REGION_INDEX
#define CONFIG		VFIO_PCI_CONFIG_REGION_INDEX

/* The states of version 2, short. */
enum {
	ERROR = VFIO_DEVICE_STATE_ERROR,
	STOP = VFIO_DEVICE_STATE_STOP,
	RUNNING = VFIO_DEVICE_STATE_RUNNING,
	STOP_COPY = VFIO_DEVICE_STATE_STOP_COPY,
	RESUMING = VFIO_DEVICE_STATE_RESUMING,
	RUNNING_P2P = VFIO_DEVICE_STATE_RUNNING_P2P,
	PRE_COPY = VFIO_DEVICE_STATE_PRE_COPY,
	PRE_COPY_P2P = VFIO_DEVICE_STATE_PRE_COPY_P2P,
	NR_STATES,
};

/* Who the DMA addresses belong to. */
enum space_kind {
	BY_GROUP,	/* /dev/vfio/vfio and groups */
	BY_CDEV,	/* /dev/iommu and device nodes */
};

struct space {
	enum space_kind kind;
	int fd;
	uint32_t ioas;
	bool set;
};

struct device {
	char uuid[40];
	char dir[96];
	unsigned int migration;	/* index of the migration region */
	int group;
	int fd;
	uint8_t *mem;		/* device memory, mapped; NULL if it cannot be */
	size_t size;
};

/* Skips the test if the kernel has no iommufd. */
struct space *space_new(enum space_kind kind);
void space_map(struct space *space, void *mem, size_t size, uint64_t iova);

/* @type: parent and type.  Closed by undo_all(), removed by the next test. */
struct device *device_new(const char *type);
/* Both: device_new() and device_open(); for mcopy, bus master on. */
struct device *device_up(struct space *space, const char *type);
int device_open(struct device *d, struct space *space);
void device_close(struct device *d);
int device_remove(struct device *d);
int device_reset(struct device *d);
bool device_exists(const struct device *d);

/* Bytes, or -errno. */
long device_read(struct device *d, unsigned int region, uint64_t at, void *buf,
		 size_t len);
long device_write(struct device *d, unsigned int region, uint64_t at,
		  const void *buf, size_t len);
uint64_t device_get(struct device *d, unsigned int region, uint64_t at,
		    size_t width);
void device_put(struct device *d, unsigned int region, uint64_t at,
		uint64_t value, size_t width);
void *device_mmap(struct device *d, unsigned int region, uint64_t at,
		  size_t len);
/* An eventfd that is signalled; -1 takes it away. */
int device_irq(struct device *d, unsigned int index, int eventfd);
/* 0 or -errno; @len bytes at @data go both ways. */
int device_feature(struct device *d, uint32_t flags, void *data, size_t len);

/* Version 1.  REG(name) is the offset of a register in the region. */
#define REG(name)	offsetof(struct vfio_migration_region, name)
int v1_set(struct device *d, uint32_t state);
uint32_t v1_state(struct device *d);
uint64_t v1_pending(struct device *d);
uint64_t v1_offset(struct device *d);
uint64_t v1_size(struct device *d);
int v1_put_size(struct device *d, uint64_t size);
size_t v1_section_size(struct device *d);

/* Version 2.  @fd: the data descriptor or -1; closed at once if nobody asks. */
int v2_set(struct device *d, uint32_t state, int *fd);
uint32_t v2_state(struct device *d);
uint64_t v2_flags(struct device *d);
uint64_t v2_data_size(struct device *d);
int v2_info(int fd, struct vfio_precopy_info *info);

/* A stream, whole or in part; the memory lives until undo_all(). */
struct stream {
	uint8_t *data;
	size_t len;
	size_t room;
};

struct stream *stream_new(size_t room);
/* Reads until there is nothing, by @fd, or the region if it is -1. */
int stream_save(struct device *d, int fd, struct stream *s);
/* The next bytes; version 1 ignores @len and takes a chunk. */
long stream_some(struct device *d, int fd, struct stream *s, size_t len);
/* Writes bytes, by @fd, or the region if it is -1. */
int stream_load(struct device *d, int fd, const void *data, size_t len);

/* Both ABIs in the states of version 2; P2P states exist in version 2 alone. */
enum version {
	V1,
	V2,
};

int abi_set(struct device *d, enum version abi, uint32_t state, int *fd);
/* Saves it stopped, from beginning to end, and leaves it running. */
struct stream *abi_save(struct device *d, enum version abi);
uint32_t v1_value(uint32_t state);

/* The lab's debug kernel: ten times as slow. */
bool kernel_is_debug(void);

#endif
