// SPDX-License-Identifier: GPL-2.0
/* Data outside a session: no data, no end, no fault (V4). */
#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "engine.h"
#include "kselftest_harness.h"

FIXTURE(outside)
{
	struct space *space;
	struct device *d;
	struct stream *s;
	size_t section;
};

FIXTURE_SETUP(outside)
{
	self->space = space_new(BY_GROUP);
	self->d = device_up(self->space, MCOPY);
	fill(self->d->mem, 8 * PAGE, 1);
	self->s = stream_new(32 * MIB);
	self->section = v1_section_size(self->d);
}

FIXTURE_TEARDOWN(outside)
{
	undo_all();
}

/* @error: of a write of data_size. */
static void expect_idle_region(struct __test_metadata *_metadata,
			       struct _test_data_outside *self, int error)
{
	for (int i = 0; i < 2; i++) {
		EXPECT_EQ(0, v1_pending(self->d));
		EXPECT_EQ(0, v1_offset(self->d));
		EXPECT_EQ(0, v1_size(self->d));
	}
	EXPECT_EQ(error, v1_put_size(self->d, 0));
	EXPECT_EQ(error, v1_put_size(self->d, 8));
}

static bool is_zero(const uint8_t *p, size_t len)
{
	while (len && !*p)
		p++, len--;
	return !len;
}

static bool section_is_zero(struct _test_data_outside *self)
{
	uint8_t *buf = malloc(self->section);
	bool zero;

	zero = device_read(self->d, self->d->migration, PAGE, buf,
			   self->section) == (long)self->section &&
	       is_zero(buf, self->section);
	free(buf);
	return zero;
}

TEST_F(outside, registers_are_zero_and_no_error)
{
	expect_idle_region(_metadata, self, -EINVAL);
	ASSERT_EQ(0, v1_set(self->d, 0));
	expect_idle_region(_metadata, self, -EINVAL);
	ASSERT_EQ(0, v1_set(self->d, 1));
	expect_idle_region(_metadata, self, -EINVAL);
}

TEST_F(outside, registers_are_zero_in_a_session_of_the_other_abi)
{
	static const uint32_t states[] = {
		PRE_COPY, PRE_COPY_P2P, STOP_COPY, RESUMING,
	};
	int fd;

	for (unsigned int i = 0; i < ARRAY_SIZE(states); i++) {
		ASSERT_EQ(0, device_reset(self->d));
		ASSERT_EQ(0, v2_set(self->d, states[i], &fd));
		expect_idle_region(_metadata, self, -EBUSY);
		if (states[i] == RESUMING)
			continue;
		/* And it has taken nothing away from the session. */
		self->s->len = 0;
		EXPECT_LT(0, stream_some(self->d, fd, self->s, 4096));
		EXPECT_EQ(states[i], v2_state(self->d));
		close(fd);
	}
}

TEST_F(outside, fresh_data_section_is_zero)
{
	EXPECT_TRUE(section_is_zero(self));
}

/* Each way in which a session can end. */
TEST_F(outside, data_section_is_zeroed_and_stays_mapped)
{
	uint8_t *map = device_mmap(self->d, self->d->migration, PAGE,
				   self->section);
	static const uint32_t ends[] = { 0, 1, 4, ~0U };

	ASSERT_NE(MAP_FAILED, (void *)map);
	for (uint32_t from = 2; from <= 3; from++)
		for (unsigned int i = 0; i < ARRAY_SIZE(ends); i++) {
			ASSERT_EQ(0, device_reset(self->d));
			fill(self->d->mem, 8 * PAGE, 1);
			ASSERT_EQ(0, v1_set(self->d, from));
			ASSERT_EQ(PAGE, v1_offset(self->d));
			ASSERT_FALSE(is_zero(map, self->section));
			ASSERT_EQ(0, ends[i] == ~0U ? device_reset(self->d) :
				  v1_set(self->d, ends[i]));
			EXPECT_TRUE(is_zero(map, self->section)) {
				TH_LOG("%u to %d", from, (int)ends[i]);
			}
			map[0] = 1;
			EXPECT_EQ(1, map[0]);
			map[0] = 0;
		}
	/* And a load that is left by a reset. */
	ASSERT_EQ(0, device_reset(self->d));
	ASSERT_EQ(0, v1_set(self->d, 4));
	memset(map, 5, self->section);
	EXPECT_NE(0, v1_put_size(self->d, 100));
	ASSERT_EQ(0, device_reset(self->d));
	EXPECT_TRUE(is_zero(map, self->section));
	munmap(map, self->section);
}

/* Reading data without having asked for a chunk. */
TEST_F(outside, data_section_has_no_old_chunk)
{
	ASSERT_EQ(0, v1_set(self->d, 3));
	v1_offset(self->d);
	ASSERT_LT(0, v1_size(self->d));
	ASSERT_EQ(0, v1_set(self->d, 1));
	ASSERT_EQ(0, v1_set(self->d, 3));
	EXPECT_EQ(0, v1_size(self->d));
	EXPECT_TRUE(section_is_zero(self));
}

static void expect_stale(struct __test_metadata *_metadata, int fd, bool load)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };
	struct vfio_precopy_info info;
	char byte = 0;

	errno = 0;
	EXPECT_EQ(-1, load ? write(fd, &byte, 1) : read(fd, &byte, 1));
	EXPECT_EQ(ENODEV, errno);
	EXPECT_EQ(-ENODEV, v2_info(fd, &info));
	EXPECT_EQ(1, poll(&p, 1, 0));
	EXPECT_EQ(POLLERR | POLLHUP, p.revents & (POLLERR | POLLHUP));
}

TEST_F(outside, descriptor_is_stale_after_its_session)
{
	static const struct {
		uint32_t from, to;
	} arcs[] = {
		{ PRE_COPY, RUNNING }, { PRE_COPY, RUNNING_P2P },
		{ PRE_COPY, STOP }, { PRE_COPY, RESUMING },
		{ PRE_COPY_P2P, RUNNING_P2P }, { PRE_COPY_P2P, RUNNING },
		{ PRE_COPY_P2P, STOP }, { STOP_COPY, STOP },
		{ STOP_COPY, RUNNING }, { STOP_COPY, RESUMING },
		{ PRE_COPY, ~0U }, { PRE_COPY_P2P, ~0U }, { STOP_COPY, ~0U },
	};
	int fd, other;

	for (unsigned int i = 0; i < ARRAY_SIZE(arcs); i++) {
		ASSERT_EQ(0, device_reset(self->d));
		ASSERT_EQ(0, v2_set(self->d, arcs[i].from, &fd));
		self->s->len = 0;
		ASSERT_LT(0, stream_some(self->d, fd, self->s, 100));
		ASSERT_EQ(0, arcs[i].to == ~0U ? device_reset(self->d) :
			  v2_set(self->d, arcs[i].to, &other));
		expect_stale(_metadata, fd, false);
		close(fd);
	}
}

TEST_F(outside, descriptor_is_stale_in_the_next_session)
{
	int first, second;

	ASSERT_EQ(0, v2_set(self->d, PRE_COPY, &first));
	ASSERT_EQ(0, v2_set(self->d, RUNNING, NULL));
	ASSERT_EQ(0, v2_set(self->d, PRE_COPY, &second));
	expect_stale(_metadata, first, false);
	EXPECT_LT(0, stream_some(self->d, second, self->s, 100));
	close(first);
	EXPECT_LT(0, stream_some(self->d, second, self->s, 100));
}

/* All of it was read: not the end again, which would mean complete. */
TEST_F(outside, descriptor_that_was_read_to_its_end_is_stale_afterwards)
{
	int fd;

	ASSERT_EQ(0, v2_set(self->d, STOP_COPY, &fd));
	ASSERT_EQ(0, stream_save(self->d, fd, self->s));
	EXPECT_EQ(0, stream_some(self->d, fd, self->s, 100));
	ASSERT_EQ(0, v2_set(self->d, STOP, NULL));
	expect_stale(_metadata, fd, false);
	EXPECT_EQ(-ENODEV, stream_some(self->d, fd, self->s, 100));
}

TEST_F(outside, loading_descriptor_is_stale_after_its_load)
{
	struct stream *s = abi_save(self->d, V2);
	int fd;

	ASSERT_EQ(0, v2_set(self->d, RESUMING, &fd));
	ASSERT_EQ(0, stream_load(self->d, fd, s->data, s->len));
	ASSERT_EQ(0, v2_set(self->d, STOP, NULL));
	expect_stale(_metadata, fd, true);
	close(fd);
	ASSERT_EQ(0, v2_set(self->d, RESUMING, &fd));
	ASSERT_EQ(0, device_reset(self->d));
	expect_stale(_metadata, fd, true);
}

TEST_F(outside, descriptor_goes_in_one_direction)
{
	char byte = 0;
	int fd;

	ASSERT_EQ(0, v2_set(self->d, PRE_COPY, &fd));
	EXPECT_EQ(-1, write(fd, &byte, 1));
	EXPECT_EQ(EBADF, errno);
	EXPECT_EQ(-1, lseek(fd, 0, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);
	EXPECT_EQ(-1, pread(fd, &byte, 1, 0));
	EXPECT_EQ(ESPIPE, errno);
	ASSERT_EQ(0, v2_set(self->d, RESUMING, &fd));
	EXPECT_EQ(-1, read(fd, &byte, 1));
	EXPECT_EQ(EBADF, errno);
}

/* Its session goes on, and can be ended, without a reader. */
TEST_F(outside, closed_descriptor_ends_nothing)
{
	uint64_t size;
	int fd;

	ASSERT_EQ(0, v2_set(self->d, PRE_COPY, &fd));
	size = v2_data_size(self->d);
	close(fd);
	EXPECT_EQ(PRE_COPY, v2_state(self->d));
	EXPECT_EQ(size, v2_data_size(self->d));
	ASSERT_EQ(0, v2_set(self->d, STOP_COPY, &fd));
	EXPECT_EQ(-1, fd);
	ASSERT_EQ(0, v2_set(self->d, RUNNING, NULL));
	ASSERT_EQ(0, v2_set(self->d, PRE_COPY, &fd));
	EXPECT_LT(0, stream_some(self->d, fd, self->s, 100));
}

TEST_F(outside, descriptor_outlives_the_device)
{
	int save, load;

	ASSERT_EQ(0, v2_set(self->d, PRE_COPY, &save));
	device_close(self->d);
	expect_stale(_metadata, save, false);
	ASSERT_EQ(0, device_open(self->d, space_new(BY_GROUP)));
	expect_stale(_metadata, save, false);
	ASSERT_EQ(0, v2_set(self->d, RESUMING, &load));
	device_close(self->d);
	ASSERT_EQ(0, device_remove(self->d));
	expect_stale(_metadata, save, false);
	expect_stale(_metadata, load, true);
}

TEST_HARNESS_MAIN
