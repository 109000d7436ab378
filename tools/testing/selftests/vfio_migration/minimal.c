// SPDX-License-Identifier: GPL-2.0
/* The helper under a second driver: no dirty logging, no P2P, no DMA. */
#include <errno.h>
#include <string.h>
#include <unistd.h>

#include "device.h"
#include "graph.h"
#include "kselftest_harness.h"

#define SIZE	(64UL << 10)
#define MEMORY	0
#define WRITES	1

FIXTURE(minimal)
{
	struct space *space;
	struct device *from, *to;
	struct stream *s;
	uint8_t in[SIZE], out[SIZE];
	uint64_t all;
};

FIXTURE_VARIANT(minimal)
{
	enum version save, load;
};

FIXTURE_VARIANT_ADD(minimal, region_to_region)
{
	.save = V1, .load = V1,
};

FIXTURE_VARIANT_ADD(minimal, region_to_feature)
{
	.save = V1, .load = V2,
};

FIXTURE_VARIANT_ADD(minimal, feature_to_region)
{
	.save = V2, .load = V1,
};

FIXTURE_VARIANT_ADD(minimal, feature_to_feature)
{
	.save = V2, .load = V2,
};

FIXTURE_SETUP(minimal)
{
	self->space = space_new(BY_GROUP);
	self->from = device_up(self->space, MINIMAL);
	self->to = device_up(self->space, MINIMAL);
	self->s = stream_new(MIB);
	self->all = v2_data_size(self->from);
	for (unsigned int i = 0; i < SIZE; i++)
		self->in[i] = i * 7 + i / 256;
	ASSERT_EQ(SIZE, device_write(self->from, MEMORY, 0, self->in, SIZE));
}

FIXTURE_TEARDOWN(minimal)
{
	undo_all();
}

TEST_F(minimal, offers_what_it_has)
{
	EXPECT_EQ(VFIO_MIGRATION_STOP_COPY, v2_flags(self->from));
	EXPECT_LT(SIZE, self->all);
}

TEST_F(minimal, each_pair_goes_where_the_graph_says)
{
	struct graph_path path;
	int fd, other;

	for (uint32_t from = STOP; from <= RESUMING; from++)
		for (uint32_t to = STOP; to < NR_STATES; to++) {
			bool legal = graph_search(from, to,
						  VFIO_MIGRATION_STOP_COPY, &path);

			fd = -1;
			ASSERT_EQ(0, device_reset(self->to));
			self->s->len = 0;
			ASSERT_EQ(0, v2_set(self->from, STOP_COPY, &other));
			ASSERT_EQ(0, stream_save(self->from, other, self->s));
			ASSERT_EQ(0, v2_set(self->from, RUNNING, NULL));
			close(other);
			if (from != RUNNING)
				ASSERT_EQ(0, v2_set(self->to, from, &fd));
			if (from == RESUMING)
				ASSERT_EQ(0, stream_load(self->to, fd,
							 self->s->data,
							 self->s->len));
			EXPECT_EQ(legal ? 0 : -EINVAL,
				  v2_set(self->to, to, &other)) {
				TH_LOG("%s to %s", graph_name(from),
				       graph_name(to));
			}
			EXPECT_EQ(legal ? to : from, v2_state(self->to));
			EXPECT_EQ(legal && graph_begins(&path), other >= 0);
			if (other >= 0)
				close(other);
			if (fd >= 0)
				close(fd);
		}
}

/* V2: the seed's "no data until both stopped and logging are set". */
TEST_F(minimal, counts_nothing_until_it_is_stopped)
{
	ASSERT_EQ(0, v1_set(self->from, 3));
	EXPECT_EQ(0, v1_pending(self->from));
	ASSERT_EQ(SIZE, device_write(self->from, MEMORY, 0, self->in, SIZE));
	EXPECT_EQ(0, v1_pending(self->from));
	EXPECT_EQ(self->all, v2_data_size(self->from));
	ASSERT_EQ(0, v1_set(self->from, 2));
	EXPECT_EQ(self->all, v1_pending(self->from));
	ASSERT_EQ(0, stream_save(self->from, -1, self->s));
	EXPECT_EQ(0, v1_pending(self->from));
	EXPECT_LT(SIZE, self->s->len);
}

/* A reader that comes too early, though the counter is 0, is not hurt. */
TEST_F(minimal, chunk_that_is_asked_for_too_early_loses_nothing)
{
	int into;

	ASSERT_EQ(0, v1_set(self->from, 3));
	ASSERT_LE(0, stream_some(self->from, -1, self->s, 0));
	EXPECT_EQ(0, v1_pending(self->from));
	EXPECT_EQ(0, stream_some(self->from, -1, self->s, 0));
	ASSERT_EQ(0, v1_set(self->from, 2));
	ASSERT_EQ(0, stream_save(self->from, -1, self->s));
	ASSERT_EQ(0, abi_set(self->to, variant->load, RESUMING, &into));
	ASSERT_EQ(0, stream_load(self->to, into, self->s->data, self->s->len));
	ASSERT_EQ(0, abi_set(self->to, variant->load, STOP, NULL));
	ASSERT_EQ(SIZE, device_read(self->to, MEMORY, 0, self->out, SIZE));
	EXPECT_EQ(0, memcmp(self->in, self->out, SIZE));
}

TEST_F(minimal, state_and_memory_arrive)
{
	int fd, into;

	for (int i = 0; i < 9; i++)
		ASSERT_EQ(1, device_write(self->from, MEMORY, i, self->in + i, 1));
	ASSERT_EQ(0, abi_set(self->from, variant->save, STOP_COPY, &fd));
	ASSERT_EQ(0, stream_save(self->from, fd, self->s));
	ASSERT_EQ(0, abi_set(self->to, variant->load, RESUMING, &into));
	ASSERT_EQ(0, stream_load(self->to, into, self->s->data, self->s->len));
	ASSERT_EQ(0, abi_set(self->to, variant->load, RUNNING, NULL));
	ASSERT_EQ(SIZE, device_read(self->to, MEMORY, 0, self->out, SIZE));
	EXPECT_EQ(0, memcmp(self->in, self->out, SIZE));
	EXPECT_EQ(10, device_get(self->to, WRITES, 0, 8));
	/* It is running now. */
	ASSERT_EQ(1, device_write(self->to, MEMORY, 0, self->in, 1));
	EXPECT_EQ(11, device_get(self->to, WRITES, 0, 8));
}

TEST_F(minimal, cut_off_or_damaged_stream_is_not_accepted)
{
	struct stream *s = stream_new(MIB);
	int fd, into;

	ASSERT_EQ(0, abi_set(self->from, variant->save, STOP_COPY, &fd));
	ASSERT_EQ(0, stream_save(self->from, fd, s));
	for (size_t n = 0; n < s->len; n += 997) {
		ASSERT_EQ(0, device_reset(self->to));
		ASSERT_EQ(0, abi_set(self->to, variant->load, RESUMING, &into));
		ASSERT_EQ(0, stream_load(self->to, into, s->data, n));
		EXPECT_EQ(-EINVAL, abi_set(self->to, variant->load, RUNNING, NULL));
		close(into);
		ASSERT_EQ(0, device_reset(self->to));
		ASSERT_EQ(0, abi_set(self->to, variant->load, RESUMING, &into));
		s->data[n] ^= 4;
		EXPECT_EQ(-EBADMSG, stream_load(self->to, into, s->data, s->len));
		s->data[n] ^= 4;
		EXPECT_EQ(-EBADMSG, abi_set(self->to, variant->load, RUNNING, NULL));
		close(into);
	}
}

TEST_HARNESS_MAIN
