// SPDX-License-Identifier: GPL-2.0
/*
 * The first thing to run after a change to vfio_migration or mcopy: one device
 * is saved and another one loads it, by each ABI, with its engine at work.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <poll.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "../../../../include/uapi/linux/vfio_migration_region.h"
#include "../../../../samples/vfio-mdev/mcopy_regs.h"
#include "kselftest_harness.h"

#define MDEV "/sys/bus/mdev/devices/"
#define TYPE "/sys/class/mdev_bus/mcopy/mdev_supported_types/mcopy-16M"

#define PAGE		4096UL
#define DEVICE_SIZE	(16UL << 20)
#define GUEST_SIZE	(8UL << 20)
#define GUEST_IOVA	0x100000000ULL
#define RING_ENTRIES	64

#define REGION(index)	((uint64_t)(index) << MCOPY_REGION_SHIFT)
#define BAR0		REGION(VFIO_PCI_BAR0_REGION_INDEX)
#define BAR2		REGION(VFIO_PCI_BAR2_REGION_INDEX)
#define CONFIG		REGION(VFIO_PCI_CONFIG_REGION_INDEX)
#define MIGRATION	REGION(MCOPY_MIGRATION_REGION)
#define REG(name)	(MIGRATION + offsetof(struct vfio_migration_region, name))

static const char *const uuids[2] = {
	"5d0f6b6c-0000-4000-8000-000000000001",
	"5d0f6b6c-0000-4000-8000-000000000002",
};

struct device {
	int group;
	int fd;
	uint8_t *memory;
};

static int write_file(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY), ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, strlen(text));
	close(fd);
	return ret < 0 ? -1 : 0;
}

static int open_group(const char *uuid)
{
	char path[256], target[256];
	ssize_t len;

	snprintf(path, sizeof(path), MDEV "%s/iommu_group", uuid);
	len = readlink(path, target, sizeof(target) - 1);
	if (len < 0)
		return -1;
	target[len] = 0;
	snprintf(path, sizeof(path), "/dev/vfio/%s", strrchr(target, '/') + 1);
	return open(path, O_RDWR);
}

static uint64_t get(int fd, uint64_t offset, size_t len)
{
	uint64_t value = 0;

	if (pread(fd, &value, len, offset) != (ssize_t)len)
		return -1ULL;
	return value;
}

static int put(int fd, uint64_t offset, uint64_t value, size_t len)
{
	return pwrite(fd, &value, len, offset) == (ssize_t)len ? 0 : -errno;
}

static int set_v1(int fd, uint32_t state)
{
	return put(fd, REG(device_state), state, 4);
}

/* Returns the data descriptor, -1 if there is none, or a negative errno. */
static int set_v2(int fd, uint32_t state)
{
	uint64_t buf[2 + sizeof(struct vfio_device_feature_mig_state) / 8] = {};
	struct vfio_device_feature *feature = (void *)buf;
	struct vfio_device_feature_mig_state *mig = (void *)feature->data;

	feature->argsz = sizeof(buf);
	feature->flags = VFIO_DEVICE_FEATURE_SET |
			 VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE;
	mig->device_state = state;
	if (ioctl(fd, VFIO_DEVICE_FEATURE, feature))
		return -errno;
	return mig->data_fd;
}

/* Moves what there is through the regions; returns the bytes of stream. */
static int64_t pump_v1(int src, int dst)
{
	static uint8_t buf[1 << 20];
	int64_t total = 0;

	while (get(src, REG(pending_bytes), 8)) {
		uint64_t from = get(src, REG(data_offset), 8);
		uint64_t size = get(src, REG(data_size), 8);
		uint64_t to = get(dst, REG(data_offset), 8);

		if (!size || size > sizeof(buf) ||
		    pread(src, buf, size, MIGRATION + from) != (ssize_t)size ||
		    pwrite(dst, buf, size, MIGRATION + to) != (ssize_t)size ||
		    put(dst, REG(data_size), size, 8))
			return -1;
		total += size;
	}
	return total;
}

static int64_t pump_v2(int src, int dst)
{
	static uint8_t buf[1 << 20];
	int64_t total = 0;
	ssize_t len;

	while ((len = read(src, buf, sizeof(buf))) > 0) {
		if (write(dst, buf, len) != len)
			return -1;
		total += len;
	}
	return len && errno != ENOMSG ? -1 : total;
}

FIXTURE(pair) {
	int container;
	uint8_t *guest;
	struct device dev[2];
	struct mcopy_desc *ring;
	int msi;
};

FIXTURE_SETUP(pair)
{
	struct vfio_iommu_type1_dma_map map = {
		.argsz = sizeof(map),
		.flags = VFIO_DMA_MAP_FLAG_READ | VFIO_DMA_MAP_FLAG_WRITE,
		.iova = GUEST_IOVA,
		.size = GUEST_SIZE,
	};
	int i;

	self->container = open("/dev/vfio/vfio", O_RDWR);
	ASSERT_GE(self->container, 0);
	for (i = 0; i < 2; i++) {
		struct device *dev = &self->dev[i];

		ASSERT_EQ(0, write_file(TYPE "/create", uuids[i]));
		dev->group = open_group(uuids[i]);
		ASSERT_GE(dev->group, 0);
		ASSERT_EQ(0, ioctl(dev->group, VFIO_GROUP_SET_CONTAINER,
				   &self->container));
		if (!i)
			ASSERT_EQ(0, ioctl(self->container, VFIO_SET_IOMMU,
					   VFIO_TYPE1v2_IOMMU));
		dev->fd = ioctl(dev->group, VFIO_GROUP_GET_DEVICE_FD, uuids[i]);
		ASSERT_GE(dev->fd, 0);
		dev->memory = mmap(NULL, DEVICE_SIZE, PROT_READ | PROT_WRITE,
				   MAP_SHARED, dev->fd, BAR2);
		ASSERT_NE(MAP_FAILED, (void *)dev->memory);
		ASSERT_EQ(0, put(dev->fd, CONFIG + 4, 6, 2));
	}
	self->guest = mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE,
			   MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	ASSERT_NE(MAP_FAILED, (void *)self->guest);
	map.vaddr = (uintptr_t)self->guest;
	ASSERT_EQ(0, ioctl(self->container, VFIO_IOMMU_MAP_DMA, &map));
	self->ring = (void *)self->guest;
}

FIXTURE_TEARDOWN(pair)
{
	char path[256];
	int i;

	for (i = 0; i < 2; i++) {
		munmap(self->dev[i].memory, DEVICE_SIZE);
		close(self->dev[i].fd);
		close(self->dev[i].group);
		snprintf(path, sizeof(path), MDEV "%s/remove", uuids[i]);
		EXPECT_EQ(0, write_file(path, "1"));
	}
	close(self->container);
	munmap(self->guest, GUEST_SIZE);
}

static int set_msi(int fd, int eventfd)
{
	uint32_t buf[sizeof(struct vfio_irq_set) / 4 + 1] = {};
	struct vfio_irq_set *set = (void *)buf;

	set->argsz = sizeof(buf);
	set->flags = VFIO_IRQ_SET_DATA_EVENTFD | VFIO_IRQ_SET_ACTION_TRIGGER;
	set->index = VFIO_PCI_MSI_IRQ_INDEX;
	set->count = 1;
	memcpy(set->data, &eventfd, sizeof(eventfd));
	return ioctl(fd, VFIO_DEVICE_SET_IRQS, set);
}

/* Keeps the engine busy: copies that go on while the device moves. */
static void start_engine(struct _test_data_pair *self, int fd, int copies)
{
	int i;

	for (i = 0; i < copies; i++)
		self->ring[i] = (struct mcopy_desc) {
			.src = GUEST_IOVA + PAGE + 8,
			.dst = (uint64_t)i * (64 << 10) + 16,
			.length = 60000,
			.flags = MCOPY_DESC_DST_LOCAL | MCOPY_DESC_INT,
		};
	put(fd, BAR0 + MCOPY_REG_RING_BASE, GUEST_IOVA, 8);
	put(fd, BAR0 + MCOPY_REG_RING_SIZE, RING_ENTRIES, 4);
	put(fd, BAR0 + MCOPY_REG_CTRL, MCOPY_CTRL_ENABLE, 4);
	put(fd, BAR0 + MCOPY_REG_INT_ENABLE, MCOPY_INT_ALL, 4);
	put(fd, BAR0 + MCOPY_REG_RING_TAIL, copies, 4);
}

static void check_engine(struct __test_metadata *_metadata,
			 struct _test_data_pair *self, int i, int copies)
{
	struct pollfd irq = { .events = POLLIN };
	struct device *dev = &self->dev[i];
	int n;

	irq.fd = self->msi;
	for (n = 0; n < 20000; n++) {
		if (get(dev->fd, BAR0 + MCOPY_REG_RING_HEAD, 4) == copies)
			break;
		usleep(1000);
	}
	ASSERT_EQ(copies, get(dev->fd, BAR0 + MCOPY_REG_RING_HEAD, 4));
	ASSERT_EQ(0, get(dev->fd, BAR0 + MCOPY_REG_STATUS, 4));
	ASSERT_EQ(MCOPY_INT_DONE, get(dev->fd, BAR0 + MCOPY_REG_INT_STATUS, 4));
	ASSERT_EQ(copies * 60000ULL, get(dev->fd, BAR0 + MCOPY_REG_BYTES, 8));
	ASSERT_EQ(1, poll(&irq, 1, 1000));
	for (n = 0; n < copies; n++) {
		ASSERT_EQ(MCOPY_DESC_DONE, self->ring[n].status);
		ASSERT_EQ(0, memcmp(self->guest + PAGE + 8,
				    dev->memory + n * (64 << 10) + 16, 60000));
	}
}

static void fill(uint8_t *at, size_t len, unsigned int seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		at[i] = (i * 2654435761U + seed) >> 13;
}

TEST_F(pair, engine_copies_and_interrupts)
{
	fill(self->guest + PAGE, 128 << 10, 1);
	self->msi = eventfd(0, EFD_NONBLOCK);
	ASSERT_EQ(0, set_msi(self->dev[0].fd, self->msi));
	start_engine(self, self->dev[0].fd, 32);
	check_engine(_metadata, self, 0, 32);
	close(self->msi);
}

TEST_F(pair, saved_and_loaded_by_the_region)
{
	int src = self->dev[0].fd, dst = self->dev[1].fd;
	struct vfio_region_info info = {
		.argsz = sizeof(info),
		.index = MCOPY_MIGRATION_REGION,
	};
	int64_t len;

	ASSERT_EQ(0, ioctl(src, VFIO_DEVICE_GET_REGION_INFO, &info));
	ASSERT_EQ(PAGE + (1 << 20), info.size);
	ASSERT_EQ(VFIO_REGION_INFO_FLAG_READ | VFIO_REGION_INFO_FLAG_WRITE |
		  VFIO_REGION_INFO_FLAG_MMAP | VFIO_REGION_INFO_FLAG_CAPS,
		  info.flags);
	ASSERT_EQ(0, get(src, REG(pending_bytes), 8));
	ASSERT_EQ(-EINVAL, put(src, REG(data_size), 0, 8));
	ASSERT_EQ(-EINVAL, put(src, REG(device_state), 1, 8));

	fill(self->guest + PAGE, 128 << 10, 2);
	fill(self->dev[0].memory + (8 << 20), 1 << 20, 3);
	self->msi = eventfd(0, EFD_NONBLOCK);
	start_engine(self, src, 48);
	ASSERT_EQ(0, set_v1(src, 3));
	ASSERT_EQ(0, set_v1(src, 3));
	ASSERT_EQ(0, set_v1(dst, 4));
	ASSERT_LE(DEVICE_SIZE, get(src, REG(pending_bytes), 8));
	len = pump_v1(src, dst);
	ASSERT_LT(0, len);
	self->dev[0].memory[12 << 20] = 77;
	ASSERT_LE(PAGE, get(src, REG(pending_bytes), 8));
	ASSERT_EQ(0, set_v1(src, 2));
	ASSERT_EQ(-EINVAL, set_v1(src, 3));
	ASSERT_LT(0, pump_v1(src, dst));
	ASSERT_EQ(0, get(src, REG(pending_bytes), 8));
	ASSERT_EQ(0, set_msi(dst, self->msi));
	ASSERT_EQ(0, set_v1(src, 0));
	ASSERT_EQ(0, memcmp(self->dev[0].memory, self->dev[1].memory,
			    DEVICE_SIZE));
	ASSERT_EQ(0, set_v1(dst, 1));
	check_engine(_metadata, self, 1, 48);
	ASSERT_EQ(77, self->dev[1].memory[12 << 20]);
	TH_LOG("%lld bytes of stream in pre-copy", (long long)len);
	close(self->msi);
}

TEST_F(pair, saved_and_loaded_by_descriptors)
{
	struct vfio_precopy_info info = { .argsz = sizeof(info) };
	int src = self->dev[0].fd, dst = self->dev[1].fd;
	int from, to;
	char byte;

	fill(self->guest + PAGE, 128 << 10, 4);
	fill(self->dev[0].memory + (8 << 20), 1 << 20, 5);
	self->msi = eventfd(0, EFD_NONBLOCK);
	from = set_v2(src, VFIO_DEVICE_STATE_PRE_COPY);
	ASSERT_LE(0, from);
	ASSERT_EQ(0, ioctl(from, VFIO_MIG_GET_PRECOPY_INFO, &info));
	ASSERT_EQ(DEVICE_SIZE, info.initial_bytes);
	ASSERT_EQ(0, info.dirty_bytes);
	ASSERT_EQ(-EBUSY, set_v1(src, 0));
	to = set_v2(dst, VFIO_DEVICE_STATE_RESUMING);
	ASSERT_LE(0, to);
	ASSERT_LT(0, pump_v2(from, to));
	ASSERT_EQ(-1, read(from, &byte, 1));
	ASSERT_EQ(ENOMSG, errno);
	self->dev[0].memory[0] = 1;
	self->dev[0].memory[1] = 1;
	self->dev[0].memory[5 * PAGE] = 1;
	ASSERT_EQ(0, ioctl(from, VFIO_MIG_GET_PRECOPY_INFO, &info));
	ASSERT_EQ(0, info.initial_bytes);
	ASSERT_EQ(2 * PAGE, info.dirty_bytes);
	start_engine(self, src, 48);
	ASSERT_EQ(-1, set_v2(src, VFIO_DEVICE_STATE_STOP_COPY));
	ASSERT_LT(0, pump_v2(from, to));
	ASSERT_EQ(0, read(from, &byte, 1));
	ASSERT_EQ(-1, set_v2(src, VFIO_DEVICE_STATE_STOP));
	ASSERT_EQ(-1, read(from, &byte, 1));
	ASSERT_EQ(ENODEV, errno);
	ASSERT_EQ(0, set_msi(dst, self->msi));
	ASSERT_EQ(-1, set_v2(dst, VFIO_DEVICE_STATE_RUNNING));
	check_engine(_metadata, self, 1, 48);
	close(from);
	close(to);
	close(self->msi);
}

TEST_F(pair, saved_by_one_abi_loaded_by_the_other)
{
	static uint8_t buf[20 << 20];
	int src = self->dev[0].fd, dst = self->dev[1].fd;
	size_t have = 0, done;
	ssize_t len;
	int from;

	fill(self->dev[0].memory, DEVICE_SIZE, 6);
	from = set_v2(src, VFIO_DEVICE_STATE_STOP_COPY);
	ASSERT_LE(0, from);
	while ((len = read(from, buf + have, sizeof(buf) - have)) > 0)
		have += len;
	ASSERT_EQ(0, len);
	ASSERT_EQ(0, set_v1(dst, 4));
	for (done = 0; done < have; done += len) {
		len = have - done < 99991 ? have - done : 99991;
		ASSERT_EQ(len, pwrite(dst, buf + done, len, MIGRATION + PAGE));
		ASSERT_EQ(0, put(dst, REG(data_size), len, 8));
	}
	ASSERT_EQ(0, set_v1(dst, 0));
	ASSERT_EQ(0, memcmp(self->dev[0].memory, self->dev[1].memory,
			    DEVICE_SIZE));
	close(from);
}

TEST_F(pair, bad_stream_is_refused_and_reset_recovers)
{
	static uint8_t buf[1 << 20];
	int src = self->dev[0].fd, dst = self->dev[1].fd;
	int from, to;
	ssize_t len;

	from = set_v2(src, VFIO_DEVICE_STATE_STOP_COPY);
	ASSERT_LE(0, from);
	len = read(from, buf, sizeof(buf));
	ASSERT_LT(0, len);
	to = set_v2(dst, VFIO_DEVICE_STATE_RESUMING);
	ASSERT_LE(0, to);
	ASSERT_EQ(-EINVAL, set_v2(dst, VFIO_DEVICE_STATE_RUNNING));
	buf[90] ^= 1;
	ASSERT_EQ(-1, write(to, buf, len));
	ASSERT_EQ(EBADMSG, errno);
	ASSERT_EQ(-1, write(to, buf, 1));
	ASSERT_EQ(EBADMSG, errno);
	ASSERT_EQ(-EBADMSG, set_v2(dst, VFIO_DEVICE_STATE_RUNNING));
	ASSERT_EQ(4, get(dst, REG(device_state), 4));
	ASSERT_EQ(0, ioctl(dst, VFIO_DEVICE_RESET));
	ASSERT_EQ(1, get(dst, REG(device_state), 4));
	ASSERT_EQ(-1, write(to, buf, 1));
	ASSERT_EQ(ENODEV, errno);
	close(from);
	close(to);
}

TEST_HARNESS_MAIN
