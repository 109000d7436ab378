// SPDX-License-Identifier: GPL-2.0
/* What the device wrote into guest memory: exactly that is reported (V8). */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine.h"
#include "kselftest_harness.h"

#define PAGES	(GUEST_SIZE / PAGE)
#define WORDS	(PAGES / 64)

/* How the writes are tracked. */
enum tracker {
	CONTAINER,	/* VFIO_IOMMU_DIRTY_PAGES */
	DEVICE,		/* VFIO_DEVICE_FEATURE_DMA_LOGGING_* */
};

FIXTURE(dirty)
{
	struct space *space;
	struct guest *guest;
	struct device *d;
	uint64_t want[WORDS];
	uint32_t tail;
};

FIXTURE_VARIANT(dirty)
{
	enum space_kind kind;
	enum tracker tracker;
};

FIXTURE_VARIANT_ADD(dirty, container)
{
	.kind = BY_GROUP, .tracker = CONTAINER,
};

FIXTURE_VARIANT_ADD(dirty, device)
{
	.kind = BY_GROUP, .tracker = DEVICE,
};

FIXTURE_VARIANT_ADD(dirty, device_cdev)
{
	.kind = BY_CDEV, .tracker = DEVICE,
};

static bool has_logging(struct device *d)
{
	return !device_feature(d, VFIO_DEVICE_FEATURE_PROBE |
			       VFIO_DEVICE_FEATURE_SET |
			       VFIO_DEVICE_FEATURE_DMA_LOGGING_START, NULL, 0);
}

FIXTURE_SETUP(dirty)
{
	self->space = space_new(variant->kind);
	self->d = device_up(self->space, MCOPY);
	self->guest = guest_new(self->space);
	engine_start(self->d);
	if (variant->tracker == DEVICE && !has_logging(self->d))
		vt_skip("the kernel reports no dirty DMA of a device");
}

FIXTURE_TEARDOWN(dirty)
{
	undo_all();
}

static int container(struct _test_data_dirty *self, uint32_t flags)
{
	struct vfio_iommu_type1_dirty_bitmap dirty = {
		.argsz = sizeof(dirty),
		.flags = flags,
	};

	return ioctl(self->space->fd, VFIO_IOMMU_DIRTY_PAGES, &dirty) ? -errno : 0;
}

static int log_start(struct _test_data_dirty *self, uint64_t iova, uint64_t length)
{
	struct vfio_device_feature_dma_logging_range range = {
		.iova = iova,
		.length = length,
	};
	struct vfio_device_feature_dma_logging_control control = {
		.page_size = PAGE,
		.num_ranges = 1,
		.ranges = (uintptr_t)&range,
	};

	return device_feature(self->d, VFIO_DEVICE_FEATURE_SET |
			      VFIO_DEVICE_FEATURE_DMA_LOGGING_START,
			      &control, sizeof(control));
}

static int log_stop(struct _test_data_dirty *self)
{
	return device_feature(self->d, VFIO_DEVICE_FEATURE_SET |
			      VFIO_DEVICE_FEATURE_DMA_LOGGING_STOP, NULL, 0);
}

static int log_report(struct _test_data_dirty *self, uint64_t iova, uint64_t length,
		      uint64_t *bitmap)
{
	struct vfio_device_feature_dma_logging_report report = {
		.iova = iova,
		.length = length,
		.page_size = PAGE,
		.bitmap = (uintptr_t)bitmap,
	};

	return device_feature(self->d, VFIO_DEVICE_FEATURE_GET |
			      VFIO_DEVICE_FEATURE_DMA_LOGGING_REPORT,
			      &report, sizeof(report));
}

static int track(struct _test_data_dirty *self, enum tracker tracker, bool on)
{
	if (tracker == CONTAINER)
		return container(self, on ? VFIO_IOMMU_DIRTY_PAGES_FLAG_START :
				 VFIO_IOMMU_DIRTY_PAGES_FLAG_STOP);
	return on ? log_start(self, GUEST_IOVA, GUEST_SIZE) : log_stop(self);
}

static int report(struct _test_data_dirty *self, enum tracker tracker,
		  uint64_t *bitmap)
{
	uint64_t buf[(sizeof(struct vfio_iommu_type1_dirty_bitmap) +
		      sizeof(struct vfio_iommu_type1_dirty_bitmap_get)) / 8];
	struct vfio_iommu_type1_dirty_bitmap *dirty = (void *)buf;
	struct vfio_iommu_type1_dirty_bitmap_get *get = (void *)dirty->data;

	memset(bitmap, 0, WORDS * 8);
	if (tracker == DEVICE)
		return log_report(self, GUEST_IOVA, GUEST_SIZE, bitmap);
	memset(buf, 0, sizeof(buf));
	dirty->argsz = sizeof(buf);
	dirty->flags = VFIO_IOMMU_DIRTY_PAGES_FLAG_GET_BITMAP;
	get->iova = GUEST_IOVA;
	get->size = GUEST_SIZE;
	get->bitmap.pgsize = PAGE;
	get->bitmap.size = WORDS * 8;
	get->bitmap.data = (void *)bitmap;
	return ioctl(self->space->fd, VFIO_IOMMU_DIRTY_PAGES, dirty) ? -errno : 0;
}

/* The model: bytes @at to @at + @len of guest memory were written. */
static void wrote(struct _test_data_dirty *self, uint64_t at, uint64_t len)
{
	for (uint64_t page = at / PAGE; len && page <= (at + len - 1) / PAGE; page++)
		self->want[page / 64] |= 1ULL << page % 64;
}

/* A copy into guest memory, and what it writes: the data and its status. */
static void copy_out(struct _test_data_dirty *self, uint64_t at, uint32_t len)
{
	engine_fill(self->guest, self->tail++, 0, DMA(at), len, FROM_DEVICE);
	wrote(self, at, len);
	wrote(self, 0, 1);
}

static void run(struct __test_metadata *_metadata, struct _test_data_dirty *self)
{
	engine_kick(self->d, self->tail);
	ASSERT_TRUE(engine_done(self->d, self->tail, WAIT_MS));
}

static void check_report(struct __test_metadata *_metadata,
			 struct _test_data_dirty *self, enum tracker tracker)
{
	uint64_t got[WORDS];

	ASSERT_EQ(0, report(self, tracker, got));
	for (unsigned int i = 0; i < WORDS; i++) {
		EXPECT_EQ(self->want[i], got[i]) {
			TH_LOG("pages %u to %u", i * 64, i * 64 + 63);
		}
	}
	memset(self->want, 0, sizeof(self->want));
}

TEST_F(dirty, nothing_written_is_nothing_dirty)
{
	ASSERT_EQ(0, track(self, variant->tracker, true));
	check_report(_metadata, self, variant->tracker);
	check_report(_metadata, self, variant->tracker);
	ASSERT_EQ(0, track(self, variant->tracker, false));
}

TEST_F(dirty, pages_written_are_the_pages_reported)
{
	static const struct {
		uint64_t at;
		uint32_t len;
	} copies[] = {
		{ 5 * PAGE, PAGE }, { 7 * PAGE + 1, 1 }, { 9 * PAGE - 1, 2 },
		{ 20 * PAGE, 3 * PAGE }, { 30 * PAGE + 100, 4 * PAGE },
		{ 63 * PAGE, 2 * PAGE }, { GUEST_SIZE - 1, 1 },
		{ 100 * PAGE, 0 }, { 200 * PAGE + 4095, PAGE + 2 },
	};

	ASSERT_EQ(0, track(self, variant->tracker, true));
	for (unsigned int i = 0; i < ARRAY_SIZE(copies); i++)
		copy_out(self, copies[i].at, copies[i].len);
	run(_metadata, self);
	check_report(_metadata, self, variant->tracker);
	/* Reported once. */
	check_report(_metadata, self, variant->tracker);
	ASSERT_EQ(0, track(self, variant->tracker, false));
}

TEST_F(dirty, random_writes_are_reported_exactly)
{
	uint32_t seed = 11;

	ASSERT_EQ(0, track(self, variant->tracker, true));
	for (int round = 0; round < 20; round++) {
		for (unsigned int i = random_next(&seed) % RING_SIZE; i; i--)
			copy_out(self, PAGE + random_next(&seed) %
				 (GUEST_SIZE - 5 * PAGE),
				 random_next(&seed) % (3 * PAGE));
		run(_metadata, self);
		check_report(_metadata, self, variant->tracker);
	}
	ASSERT_EQ(0, track(self, variant->tracker, false));
}

/* What is read of guest memory, and what stays in the device, is not dirty. */
TEST_F(dirty, reads_and_local_copies_are_not_reported)
{
	ASSERT_EQ(0, track(self, variant->tracker, true));
	engine_fill(self->guest, self->tail++, DMA(50 * PAGE), 0, 4 * PAGE,
		    TO_DEVICE);
	engine_fill(self->guest, self->tail++, 0, 8 * PAGE, 4 * PAGE,
		    FROM_DEVICE | TO_DEVICE);
	wrote(self, 0, 1);
	run(_metadata, self);
	check_report(_metadata, self, variant->tracker);
}

/* A copy that ends in a fault has written up to the page before. */
TEST_F(dirty, copy_that_faults_is_reported_up_to_the_fault)
{
	ASSERT_EQ(0, track(self, variant->tracker, true));
	engine_fill(self->guest, self->tail++, 0, DMA(GUEST_SIZE - 2 * PAGE),
		    4 * PAGE, FROM_DEVICE);
	wrote(self, GUEST_SIZE - 2 * PAGE, 2 * PAGE);
	wrote(self, 0, 1);
	run(_metadata, self);
	EXPECT_EQ(MCOPY_DESC_FAULT, self->guest->ring[0].status);
	check_report(_metadata, self, variant->tracker);
}

/* Before START and after STOP, nothing of it is seen. */
TEST_F(dirty, writes_outside_of_tracking_are_not_reported)
{
	copy_out(self, 40 * PAGE, PAGE);
	run(_metadata, self);
	memset(self->want, 0, sizeof(self->want));
	ASSERT_EQ(0, track(self, variant->tracker, true));
	check_report(_metadata, self, variant->tracker);
	copy_out(self, 42 * PAGE, PAGE);
	run(_metadata, self);
	ASSERT_EQ(0, track(self, variant->tracker, false));
	copy_out(self, 44 * PAGE, PAGE);
	run(_metadata, self);
	memset(self->want, 0, sizeof(self->want));
	ASSERT_EQ(0, track(self, variant->tracker, true));
	check_report(_metadata, self, variant->tracker);
}

/* Everything that came before the stop is reported after it. */
TEST_F(dirty, writes_until_the_stop_are_reported_after_it)
{
	uint64_t got[WORDS];
	uint32_t head;
	int fd;

	for (unsigned int round = 0; round < 8; round++) {
		ASSERT_EQ(0, track(self, variant->tracker, true));
		ASSERT_EQ(0, v2_set(self->d, PRE_COPY, &fd));
		engine_start(self->d);
		memset(self->guest->mem + PAGE, 0, GUEST_SIZE - PAGE);
		memset(self->d->mem, 0x5a, 15 * PAGE);
		for (unsigned int i = 0; i < RING_SIZE; i++)
			engine_fill(self->guest, i, 0, DMA((16 + i * 15) * PAGE),
				    15 * PAGE, FROM_DEVICE);
		engine_kick(self->d, RING_SIZE);
		usleep(round * 700);
		ASSERT_EQ(0, v2_set(self->d, STOP_COPY, NULL));
		head = engine_head(self->d);
		ASSERT_EQ(0, report(self, variant->tracker, got));
		for (unsigned int page = 1; page < PAGES; page++) {
			bool written = self->guest->mem[page * PAGE] == 0x5a;
			bool reported = got[page / 64] >> page % 64 & 1;

			ASSERT_EQ(written, reported) {
				TH_LOG("page %u, %u copies done", page, head);
			}
		}
		ASSERT_EQ(0, track(self, variant->tracker, false));
		ASSERT_EQ(0, device_reset(self->d));
		device_put(self->d, CONFIG, 4, 6, 2);
		close(fd);
	}
}

TEST_F(dirty, only_what_was_asked_for_is_logged)
{
	uint64_t got[WORDS] = {};

	if (variant->tracker == CONTAINER)
		SKIP(return, "the container tracks all that is mapped");
	ASSERT_EQ(0, log_start(self, DMA(10 * PAGE), 20 * PAGE));
	EXPECT_EQ(-EBUSY, log_start(self, DMA(0), PAGE));
	copy_out(self, 5 * PAGE, PAGE);
	copy_out(self, 9 * PAGE, 2 * PAGE);
	copy_out(self, 20 * PAGE, PAGE);
	copy_out(self, 29 * PAGE, 2 * PAGE);
	copy_out(self, 40 * PAGE, PAGE);
	run(_metadata, self);
	ASSERT_EQ(0, log_report(self, GUEST_IOVA, GUEST_SIZE, got));
	EXPECT_EQ(1ULL << 10 | 1ULL << 20 | 1ULL << 29, got[0]);
	for (unsigned int i = 1; i < WORDS; i++)
		EXPECT_EQ(0, got[i]);
	ASSERT_EQ(0, log_stop(self));
	EXPECT_EQ(-EINVAL, log_report(self, GUEST_IOVA, GUEST_SIZE, got));
	EXPECT_EQ(0, log_stop(self));
	ASSERT_EQ(0, log_start(self, GUEST_IOVA, GUEST_SIZE));
	memset(self->want, 0, sizeof(self->want));
	check_report(_metadata, self, DEVICE);
}

/* A part is asked for: the rest keeps. */
TEST_F(dirty, report_of_a_part_forgets_that_part_only)
{
	uint64_t got[WORDS] = {};

	if (variant->tracker == CONTAINER)
		SKIP(return, "the container reports whole mappings");
	ASSERT_EQ(0, log_start(self, GUEST_IOVA, GUEST_SIZE));
	copy_out(self, 64 * PAGE, 2 * PAGE);
	copy_out(self, 130 * PAGE, PAGE);
	run(_metadata, self);
	ASSERT_EQ(0, log_report(self, DMA(64 * PAGE), 64 * PAGE, got));
	EXPECT_EQ(3, got[0]);
	EXPECT_EQ(0, got[1]);
	self->want[1] = 0;
	check_report(_metadata, self, DEVICE);
}

/* V8: without the kernel's report, offering it would break migration. */
TEST_F(dirty, logging_is_offered_where_the_kernel_can_report)
{
	if (variant->tracker == DEVICE)
		SKIP(return, "the container's variant looks");
	EXPECT_EQ(file_exists("/dev/iommu"), has_logging(self->d));
}

TEST_HARNESS_MAIN
