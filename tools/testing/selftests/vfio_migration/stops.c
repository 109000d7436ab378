// SPDX-License-Identifier: GPL-2.0
/* A reader that stops anywhere, and a device that is stopped at any moment (V3). */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "kselftest_harness.h"
#include "wire.h"

#define MARKED	3	/* the page that is not zero */

FIXTURE(stops)
{
	struct space *space;
	struct device *d;
	struct stream *whole;	/* of the device as it is, never interrupted */
	struct stream *s;
	size_t early;		/* bytes that come while it runs */
	struct wire *section[8];
	unsigned int nr;
};

/* One page with data between two runs of zeroes: a section of every kind. */
FIXTURE_SETUP(stops)
{
	int fd;

	self->space = space_new(BY_GROUP);
	self->d = device_new(MCOPY);
	file_set(vt_str("%s/mcopy/migration_data_size", self->d->dir), "8192");
	ASSERT_EQ(0, device_open(self->d, self->space));
	fill(self->d->mem + MARKED * PAGE, PAGE, 1);
	self->whole = stream_new(64 << 10);
	self->s = stream_new(32 * MIB);
	ASSERT_EQ(0, v2_set(self->d, PRE_COPY, &fd));
	ASSERT_EQ(-ENOMSG, stream_save(self->d, fd, self->whole));
	self->early = self->whole->len;
	ASSERT_EQ(0, v2_set(self->d, STOP_COPY, NULL));
	ASSERT_EQ(0, stream_save(self->d, fd, self->whole));
	ASSERT_EQ(0, v2_set(self->d, RUNNING, NULL));
	close(fd);
	self->nr = wire_sections(self->whole, self->section, 8);
	ASSERT_EQ(6, self->nr);
}

FIXTURE_TEARDOWN(stops)
{
	undo_all();
}

static bool is_whole(struct _test_data_stops *self)
{
	return self->s->len == self->whole->len &&
	       !memcmp(self->s->data, self->whole->data, self->s->len);
}

static size_t offset_of(struct _test_data_stops *self, unsigned int section)
{
	return (void *)self->section[section] - (void *)self->whole->data;
}

/* Reads @len bytes in one go. */
static void read_exactly(struct __test_metadata *_metadata,
			 struct _test_data_stops *self, int fd, size_t len)
{
	if (len)
		ASSERT_EQ(len, stream_some(self->d, fd, self->s, len));
}

TEST_F(stops, stream_is_the_same_wherever_the_reader_pauses_and_the_device_stops)
{
	const unsigned int stride = kernel_is_debug() ? 13 : 1;
	size_t early, n;
	int fd;

	for (n = 0; n <= self->whole->len; n += stride) {
		early = n < self->early ? n : self->early;
		self->s->len = 0;
		ASSERT_EQ(0, v2_set(self->d, PRE_COPY, &fd));
		read_exactly(_metadata, self, fd, early);
		ASSERT_EQ(0, v2_set(self->d, STOP_COPY, NULL));
		read_exactly(_metadata, self, fd, n - early);
		ASSERT_EQ(0, stream_save(self->d, fd, self->s));
		ASSERT_TRUE(is_whole(self)) {
			TH_LOG("stopped after %zu bytes", n);
		}
		ASSERT_EQ(0, v2_set(self->d, RUNNING, NULL));
		close(fd);
	}
	TH_LOG("%zu bytes of stream", self->whole->len);
}

TEST_F(stops, stream_is_the_same_byte_by_byte)
{
	int fd;

	ASSERT_EQ(0, v2_set(self->d, STOP_COPY, &fd));
	while (self->s->len < self->whole->len)
		read_exactly(_metadata, self, fd, 1);
	EXPECT_EQ(0, stream_some(self->d, fd, self->s, 1));
	EXPECT_EQ(0, stream_some(self->d, fd, self->s, 1));
	EXPECT_TRUE(is_whole(self));
}

/*
 * A page that is written after its section was begun is sent again, and once
 * more only; one that is written before is sent once.
 */
TEST_F(stops, page_is_sent_again_only_if_it_was_sent_before)
{
	struct image *image = image_new(self->d->size);
	unsigned int at_stop, i;
	size_t n, points[64];
	unsigned int nr = 0;
	int fd;

	for (i = 0; i < self->nr && offset_of(self, i) < self->early; i++) {
		points[nr++] = offset_of(self, i);
		points[nr++] = offset_of(self, i) + 1;
		points[nr++] = offset_of(self, i) + 31;
		points[nr++] = offset_of(self, i) + 32;
		points[nr++] = offset_of(self, i) + 33;
		points[nr++] = offset_of(self, i) + wire_length(self->section[i]) - 1;
	}
	points[nr++] = self->early;
	for (i = 0; i < 2 * nr; i++) {
		n = points[i / 2];
		at_stop = i % 2;
		self->s->len = 0;
		image_clear(image);
		ASSERT_EQ(0, v2_set(self->d, PRE_COPY, &fd));
		read_exactly(_metadata, self, fd, n);
		/* Just before the device is stopped, or just after. */
		if (at_stop)
			ASSERT_EQ(0, v2_set(self->d, STOP_COPY, NULL));
		fill(self->d->mem + MARKED * PAGE, PAGE, i + 2);
		ASSERT_EQ(0, v2_set(self->d, STOP_COPY, NULL));
		ASSERT_EQ(0, stream_save(self->d, fd, self->s));
		ASSERT_EQ(self->s->len, image_take(image, self->s->data,
						   self->s->len));
		EXPECT_EQ(n > offset_of(self, 2) ? 2 : 1, image->times[MARKED]) {
			TH_LOG("written after %zu bytes", n);
		}
		EXPECT_EQ(self->d->size / PAGE - (image->times[MARKED] != 1),
			  image_pages(image, 1));
		EXPECT_EQ(1, image->device);
		EXPECT_TRUE(image->ended);
		EXPECT_EQ(0, memcmp(image->mem, self->d->mem, 64 * PAGE));
		ASSERT_EQ(0, v2_set(self->d, RUNNING, NULL));
		close(fd);
	}
}

/* V3: the whole of the snapshot goes before anything goes a second time. */
TEST_F(stops, nothing_is_sent_twice_before_all_was_sent_once)
{
	struct image *image = image_new(self->d->size);
	unsigned long pages = self->d->size / PAGE, once, again;
	uint32_t seed = 3;
	size_t at = 0;
	int fd, ret;

	for (int i = 0; i < 300; i++)
		self->d->mem[random_next(&seed) % pages * PAGE] = 1;
	ASSERT_EQ(0, v2_set(self->d, PRE_COPY, &fd));
	do {
		ret = stream_some(self->d, fd, self->s, 20000);
		self->d->mem[random_next(&seed) % pages * PAGE] = seed;
		at += image_take(image, self->s->data + at, self->s->len - at);
		once = image_pages(image, 0);
		again = pages - once - image_pages(image, 1);
		ASSERT_FALSE(once && again) {
			TH_LOG("%lu pages twice, %lu never", again, once);
		}
	} while (once);
	ASSERT_LT(0, ret);
	ASSERT_EQ(0, v2_set(self->d, STOP_COPY, NULL));
	ASSERT_EQ(0, stream_save(self->d, fd, self->s));
	image_take(image, self->s->data + at, self->s->len - at);
	EXPECT_TRUE(image->ended);
	EXPECT_EQ(0, memcmp(image->mem, self->d->mem, self->d->size));
}

/* One chunk; what is read of it, at most up to @step, and without a mistake. */
enum step {
	NOTHING,
	PENDING,
	OFFSET,
	SIZE,
	HALF,
	ALL,
	NR_STEPS,
};

static void chunk_until(struct __test_metadata *_metadata,
			struct _test_data_stops *self, enum step step)
{
	static uint8_t buf[8192];
	uint64_t size;

	if (step >= PENDING)
		v1_pending(self->d);
	if (step >= OFFSET)
		ASSERT_EQ(PAGE, v1_offset(self->d));
	if (step < SIZE)
		return;
	size = v1_size(self->d);
	if (step >= HALF)
		ASSERT_EQ(size / 2, device_read(self->d, self->d->migration,
						PAGE, buf, size / 2));
	if (step == ALL)
		ASSERT_EQ(size, device_read(self->d, self->d->migration, PAGE,
					    buf, size));
}

/* Takes @nr chunks to their end, and leaves the last acknowledged. */
static unsigned int take_chunks(struct __test_metadata *_metadata,
				struct _test_data_stops *self, unsigned int nr)
{
	unsigned int n;

	for (n = 0; n < nr && v1_pending(self->d); n++)
		if (!stream_some(self->d, -1, self->s, 0))
			break;
	v1_pending(self->d);
	return n;
}

/*
 * The device is stopped, or not, when the reader has come so far in chunk so
 * many; the reader then begins its iteration again.  If it had read the size,
 * its next read of pending_bytes is an acknowledgment, so it has read the data.
 */
TEST_F(stops, chunks_are_the_same_wherever_the_device_stops)
{
	struct stream *before = stream_new(1 * MIB);
	unsigned int chunk, chunks, step;

	for (int i = 0; i < 6; i++)
		fill(self->d->mem + (10 + 2 * i) * PAGE, PAGE, i);
	ASSERT_EQ(0, v1_set(self->d, 3));
	chunks = take_chunks(_metadata, self, 100);
	ASSERT_LT(4, chunks);
	ASSERT_EQ(0, v1_set(self->d, 2));
	chunks += take_chunks(_metadata, self, 100);
	ASSERT_EQ(0, v1_set(self->d, 1));
	memcpy(before->data, self->s->data, self->s->len);
	before->len = self->s->len;

	for (chunk = 0; chunk < chunks; chunk++)
		for (step = NOTHING; step <= OFFSET; step++) {
			self->s->len = 0;
			ASSERT_EQ(0, v1_set(self->d, 3));
			take_chunks(_metadata, self, chunk);
			chunk_until(_metadata, self, step);
			ASSERT_EQ(0, v1_set(self->d, 2));
			take_chunks(_metadata, self, 100);
			ASSERT_EQ(0, v1_pending(self->d));
			ASSERT_EQ(before->len, self->s->len);
			ASSERT_EQ(0, memcmp(before->data, self->s->data,
					    before->len)) {
				TH_LOG("chunk %u, step %u", chunk, step);
			}
			ASSERT_EQ(0, v1_set(self->d, 1));
		}
	TH_LOG("%u chunks", chunks);
}

/* What the reader has of it, in every step of an iteration. */
TEST_F(stops, chunk_is_immutable_until_it_is_acknowledged)
{
	static uint8_t first[8192], again[8192];
	uint64_t pending, size;

	for (enum step step = OFFSET; step < NR_STEPS; step++) {
		fill(self->d->mem + MARKED * PAGE, PAGE, 1);
		ASSERT_EQ(0, v1_set(self->d, 3));
		pending = v1_pending(self->d);
		ASSERT_EQ(PAGE, v1_offset(self->d));
		ASSERT_EQ(8192, device_read(self->d, self->d->migration, PAGE,
					    first, 8192));
		if (step >= SIZE)
			chunk_until(_metadata, self, step);
		fill(self->d->mem + MARKED * PAGE, PAGE, 2);
		ASSERT_EQ(PAGE, v1_offset(self->d));
		ASSERT_EQ(8192, device_read(self->d, self->d->migration, PAGE,
					    again, 8192));
		EXPECT_EQ(0, memcmp(first, again, 8192));
		size = v1_size(self->d);
		ASSERT_EQ(0, v1_set(self->d, 2));
		EXPECT_EQ(PAGE, v1_offset(self->d));
		EXPECT_EQ(size, v1_size(self->d));
		ASSERT_EQ(8192, device_read(self->d, self->d->migration, PAGE,
					    again, 8192));
		EXPECT_EQ(0, memcmp(first, again, 8192));
		/* Acknowledged now: all but the page that was written. */
		EXPECT_GT(pending, v1_pending(self->d));
		EXPECT_LE(PAGE, v1_pending(self->d));
		ASSERT_EQ(0, v1_set(self->d, 1));
	}
}

TEST_F(stops, chunk_is_acknowledged_after_offset_and_size_only)
{
	uint64_t pending, size;

	ASSERT_EQ(0, v1_set(self->d, 3));
	pending = v1_pending(self->d);
	EXPECT_EQ(self->d->size, pending);
	/* There is no chunk, so it has no size. */
	EXPECT_EQ(0, v1_size(self->d));
	EXPECT_EQ(pending, v1_pending(self->d));
	v1_offset(self->d);
	EXPECT_EQ(pending, v1_pending(self->d));
	EXPECT_EQ(pending, v1_pending(self->d));
	size = v1_size(self->d);
	ASSERT_LT(0, size);
	/* Two runs of pages, as many as there is room for. */
	EXPECT_EQ(pending - (MARKED + 1) * PAGE, v1_pending(self->d));
	EXPECT_EQ(0, v1_size(self->d));
	EXPECT_EQ(pending - (MARKED + 1) * PAGE, v1_pending(self->d));
}

/* Read again and again, it is one chunk and one acknowledgment. */
TEST_F(stops, chunk_read_twice_is_acknowledged_once)
{
	uint64_t pending;

	for (int i = 0; i < 20; i++)
		fill(self->d->mem + (10 + 2 * i) * PAGE, PAGE, i);
	ASSERT_EQ(0, v1_set(self->d, 3));
	for (int i = 0; i < 3; i++)
		chunk_until(_metadata, self, SIZE);
	/* Each but the first began with a read of pending_bytes. */
	pending = v1_pending(self->d);
	for (int i = 0; i < 5; i++)
		EXPECT_EQ(pending, v1_pending(self->d));
	EXPECT_LT(0, pending);
}

/* Version 2 returns the rest, and the new, in one session. */
TEST_F(stops, write_after_the_temporary_end_is_sent)
{
	struct image *image = image_new(self->d->size);
	int fd;

	ASSERT_EQ(0, v2_set(self->d, PRE_COPY, &fd));
	for (int i = 0; i < 10; i++) {
		self->d->mem[i * PAGE] = i + 1;
		ASSERT_EQ(-ENOMSG, stream_save(self->d, fd, self->s));
	}
	ASSERT_EQ(0, v2_set(self->d, STOP_COPY, NULL));
	ASSERT_EQ(0, stream_save(self->d, fd, self->s));
	ASSERT_EQ(self->s->len, image_take(image, self->s->data, self->s->len));
	EXPECT_EQ(9, image_pages(image, 2));
	EXPECT_EQ(self->d->size / PAGE - 9, image_pages(image, 1));
	EXPECT_EQ(0, memcmp(image->mem, self->d->mem, self->d->size));
}

TEST_HARNESS_MAIN
