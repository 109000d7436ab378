// SPDX-License-Identifier: GPL-2.0
/* Saved by one ABI, loaded by the other: one stream, one device (V7). */
#include <errno.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "engine.h"
#include "kselftest_harness.h"
#include "wire.h"

#define COPIES	60
#define LENGTH	60000

FIXTURE(both)
{
	struct space *space;
	struct guest *guest;
	struct device *from, *to;
	struct stream *s;
};

FIXTURE_VARIANT(both)
{
	enum version save, load;
	const char *save_section, *load_section;	/* sizes */
};

FIXTURE_VARIANT_ADD(both, region_to_region)
{
	.save = V1, .load = V1, .save_section = "1048576", .load_section = "1048576",
};

FIXTURE_VARIANT_ADD(both, region_to_feature)
{
	.save = V1, .load = V2, .save_section = "1048576", .load_section = "1048576",
};

FIXTURE_VARIANT_ADD(both, feature_to_region)
{
	.save = V2, .load = V1, .save_section = "1048576", .load_section = "1048576",
};

FIXTURE_VARIANT_ADD(both, feature_to_feature)
{
	.save = V2, .load = V2, .save_section = "1048576", .load_section = "1048576",
};

FIXTURE_VARIANT_ADD(both, large_section_to_small)
{
	.save = V1, .load = V1, .save_section = "16777216", .load_section = "8192",
};

FIXTURE_VARIANT_ADD(both, small_section_to_large)
{
	.save = V1, .load = V1, .save_section = "8192", .load_section = "16777216",
};

FIXTURE_VARIANT_ADD(both, feature_to_small_section)
{
	.save = V2, .load = V1, .save_section = "8192", .load_section = "12288",
};

static struct device *with_section(struct space *space, const char *size)
{
	struct device *d = device_new(MCOPY);
	int ret;

	file_set(vt_str("%s/mcopy/migration_data_size", d->dir), "%s", size);
	ret = device_open(d, space);
	if (ret)
		vt_fatal("opening a device: %d", ret);
	return d;
}

FIXTURE_SETUP(both)
{
	self->space = space_new(BY_GROUP);
	self->from = with_section(self->space, variant->save_section);
	self->to = with_section(self->space, variant->load_section);
	self->guest = guest_new(self->space);
	self->s = stream_new(64 * MIB);
}

FIXTURE_TEARDOWN(both)
{
	undo_all();
}

static void expect_same(struct __test_metadata *_metadata,
			struct _test_data_both *self)
{
	static const uint32_t regs[] = {
		MCOPY_REG_CTRL, MCOPY_REG_STATUS, MCOPY_REG_INT_STATUS,
		MCOPY_REG_INT_ENABLE, MCOPY_REG_RING_BASE,
		MCOPY_REG_RING_BASE + 4, MCOPY_REG_RING_SIZE,
		MCOPY_REG_RING_HEAD, MCOPY_REG_RING_TAIL, MCOPY_REG_BYTES,
		MCOPY_REG_BYTES + 4, MCOPY_REG_SCRATCH, MCOPY_REG_SCRATCH + 4,
	};
	uint8_t mine[256], theirs[256];

	for (unsigned int i = 0; i < ARRAY_SIZE(regs); i++) {
		EXPECT_EQ(device_get(self->from, BAR0, regs[i], 4),
			  device_get(self->to, BAR0, regs[i], 4)) {
			TH_LOG("register %#x", regs[i]);
		}
	}
	EXPECT_EQ(256, device_read(self->from, CONFIG, 0, mine, 256));
	EXPECT_EQ(256, device_read(self->to, CONFIG, 0, theirs, 256));
	EXPECT_EQ(0, memcmp(mine, theirs, 256));
	EXPECT_EQ(0, memcmp(self->from->mem, self->to->mem, self->from->size));
}

TEST_F(both, state_and_memory_arrive)
{
	int fd, into;

	fill(self->from->mem + 3 * MIB, 2 * MIB, 1);
	device_put(self->from, BAR0, MCOPY_REG_SCRATCH, 0x123456789abcdef0, 8);
	device_put(self->from, CONFIG, 0x0c, 0x10, 1);
	device_put(self->from, CONFIG, 0x3c, 11, 1);
	device_put(self->from, CONFIG, 0x44, 0xfee00000, 4);
	device_put(self->from, CONFIG, 0x4c, 0x4321, 2);
	/* Something that must be gone afterwards. */
	fill(self->to->mem + 9 * MIB, MIB, 2);
	device_put(self->to, BAR0, MCOPY_REG_RING_SIZE, 8, 4);
	ASSERT_EQ(0, abi_set(self->from, variant->save, STOP_COPY, &fd));
	ASSERT_EQ(0, stream_save(self->from, fd, self->s));
	ASSERT_EQ(0, abi_set(self->to, variant->load, RESUMING, &into));
	ASSERT_EQ(0, stream_load(self->to, into, self->s->data, self->s->len));
	ASSERT_EQ(0, abi_set(self->to, variant->load, STOP, NULL));
	expect_same(_metadata, self);
	TH_LOG("%zu bytes", self->s->len);
}

/* Live, at work, to its end, with interrupts. */
TEST_F(both, work_goes_on_at_the_destination)
{
	int msi = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	uint8_t *source = self->guest->mem + MIB + 8;
	uint64_t count;
	int fd, into;

	fill(source, LENGTH, 1);
	fill(self->from->mem + 8 * MIB, 4 * MIB, 2);
	ASSERT_EQ(0, device_irq(self->to, VFIO_PCI_MSI_IRQ_INDEX, msi));
	engine_start(self->from);
	device_put(self->from, BAR0, MCOPY_REG_INT_ENABLE, MCOPY_INT_ALL, 4);
	for (unsigned int i = 0; i < COPIES; i++)
		engine_fill(self->guest, i, DMA(MIB + 8), i * (64UL << 10) + 1,
			    LENGTH, TO_DEVICE | MCOPY_DESC_INT);
	ASSERT_EQ(0, abi_set(self->from, variant->save, PRE_COPY, &fd));
	ASSERT_EQ(0, abi_set(self->to, variant->load, RESUMING, &into));
	ASSERT_LT(0, stream_some(self->from, fd, self->s, MIB));
	engine_kick(self->from, COPIES);
	ASSERT_LE(0, stream_some(self->from, fd, self->s, MIB));
	ASSERT_EQ(0, abi_set(self->from, variant->save, STOP_COPY, NULL));
	ASSERT_EQ(0, stream_save(self->from, fd, self->s));
	TH_LOG("moved with %u of %u copies done", engine_head(self->from),
	       COPIES);
	ASSERT_EQ(0, stream_load(self->to, into, self->s->data, self->s->len));
	expect_same(_metadata, self);
	EXPECT_EQ(-1, read(msi, &count, 8));
	ASSERT_EQ(0, abi_set(self->to, variant->load, RUNNING, NULL));
	ASSERT_TRUE(engine_done(self->to, COPIES, WAIT_MS));
	EXPECT_EQ((uint64_t)COPIES * LENGTH,
		  device_get(self->to, BAR0, MCOPY_REG_BYTES, 8));
	EXPECT_TRUE(vt_until(read(msi, &count, 8) == 8, WAIT_MS));
	for (unsigned int i = 0; i < COPIES; i++) {
		ASSERT_EQ(MCOPY_DESC_DONE, self->guest->ring[i].status);
		ASSERT_EQ(0, memcmp(source, self->to->mem + i * (64UL << 10) + 1,
				    LENGTH));
	}
	EXPECT_EQ(0, memcmp(self->from->mem + 8 * MIB, self->to->mem + 8 * MIB,
			    4 * MIB));
	/* The source's own work has stopped for good. */
	EXPECT_EQ(STOP_COPY, v2_state(self->from));
}

/* What the user writes to config space while loading, lasts. */
TEST_F(both, config_written_while_loading_lasts)
{
	struct stream *s = abi_save(self->from, variant->save);
	int into;

	ASSERT_EQ(0, abi_set(self->to, variant->load, RESUMING, &into));
	ASSERT_EQ(0, stream_load(self->to, into, s->data, s->len));
	device_put(self->to, CONFIG, 4, 0x0402, 2);
	device_put(self->to, CONFIG, 0x44, 0xfee01000, 4);
	ASSERT_EQ(0, abi_set(self->to, variant->load, RUNNING, NULL));
	EXPECT_EQ(0x0402, device_get(self->to, CONFIG, 4, 2));
	EXPECT_EQ(0xfee01000, device_get(self->to, CONFIG, 0x44, 4));
}

/* There and back, ten times, is nothing. */
TEST_F(both, round_trips_change_nothing)
{
	uint64_t before;
	int fd, into;

	fill(self->from->mem, 300 * PAGE, 4);
	before = hash(self->from->mem, self->from->size);
	for (int i = 0; i < 10; i++) {
		struct device *back = self->from;

		self->s->len = 0;
		ASSERT_EQ(0, abi_set(self->from, variant->save, STOP_COPY, &fd));
		ASSERT_EQ(0, stream_save(self->from, fd, self->s));
		ASSERT_EQ(0, abi_set(self->to, variant->load, RESUMING, &into));
		ASSERT_EQ(0, stream_load(self->to, into, self->s->data,
					 self->s->len));
		ASSERT_EQ(0, abi_set(self->to, variant->load, RUNNING, NULL));
		ASSERT_EQ(0, device_reset(self->from));
		if (fd >= 0)
			close(fd);
		if (into >= 0)
			close(into);
		self->from = self->to;
		self->to = back;
	}
	EXPECT_EQ(before, hash(self->from->mem, self->from->size));
}

TEST_HARNESS_MAIN
