// SPDX-License-Identifier: GPL-2.0
/* Every pair of states, of both ABIs, against a search of the documented graph (V1). */
#include <errno.h>
#include <unistd.h>

#include "engine.h"
#include "graph.h"
#include "kselftest_harness.h"

static const uint32_t v1_states[] = {
	STOP, RUNNING, STOP_COPY, PRE_COPY, RESUMING,
};

static const uint32_t v2_states[] = {
	STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P,
};

FIXTURE(arcs)
{
	struct space *space;
	struct guest *guest;
	struct device *d;
	struct stream *stream;	/* of a device whose engine is enabled */
	uint64_t final;		/* bytes of state of a stopped device alone */
	int fd;
};

FIXTURE_VARIANT(arcs)
{
	enum space_kind kind;
	enum version abi;
	const uint32_t *states;
	unsigned int nr;
};

FIXTURE_VARIANT_ADD(arcs, region)
{
	.kind = BY_GROUP, .abi = V1, .states = v1_states, .nr = 5,
};

FIXTURE_VARIANT_ADD(arcs, feature)
{
	.kind = BY_GROUP, .abi = V2, .states = v2_states, .nr = 7,
};

FIXTURE_VARIANT_ADD(arcs, region_cdev)
{
	.kind = BY_CDEV, .abi = V1, .states = v1_states, .nr = 5,
};

FIXTURE_VARIANT_ADD(arcs, feature_cdev)
{
	.kind = BY_CDEV, .abi = V2, .states = v2_states, .nr = 7,
};

FIXTURE_SETUP(arcs)
{
	self->space = space_new(variant->kind);
	self->d = device_up(self->space, MCOPY);
	self->guest = guest_new(self->space);
	self->final = v2_data_size(self->d) - self->d->size;
	engine_start(self->d);
	self->d->mem[0] = 1;
	self->stream = abi_save(self->d, variant->abi);
	self->fd = -1;
}

FIXTURE_TEARDOWN(arcs)
{
	undo_all();
}

/* Bytes to be read, by whatever this ABI has for it. */
static uint64_t pending(struct _test_data_arcs *self, enum version abi, uint32_t state)
{
	if (abi == V1)
		return v1_pending(self->d);
	return v2_data_size(self->d) - (graph_stopped(state) ? 0 : self->final);
}

/* A fresh device, then its state, with the load complete if that is the state. */
static void arrive(struct __test_metadata *_metadata, struct _test_data_arcs *self,
		   enum version abi, uint32_t state, bool loaded)
{
	if (self->fd >= 0)
		close(self->fd);
	self->fd = -1;
	ASSERT_EQ(0, device_reset(self->d));
	ASSERT_EQ(RUNNING, v2_state(self->d));
	device_put(self->d, CONFIG, 4, 6, 2);
	engine_start(self->d);
	if (state != RUNNING)
		ASSERT_EQ(0, abi_set(self->d, abi, state, &self->fd));
	ASSERT_EQ(state, v2_state(self->d));
	if (state == RESUMING && loaded)
		ASSERT_EQ(0, stream_load(self->d, self->fd, self->stream->data,
					 self->stream->len));
}

static void check_pair(struct __test_metadata *_metadata,
		       struct _test_data_arcs *self, enum version abi, uint32_t from,
		       uint32_t to)
{
	struct stream *s = stream_new(2 * MIB);
	bool legal, runs, stopped_on_the_way;
	struct graph_path path;
	uint64_t before = 0, now;
	int ret, fd;

	legal = graph_search(from, to, VFIO_MIGRATION_P2P |
			     VFIO_MIGRATION_PRE_COPY, &path);
	arrive(_metadata, self, abi, from, true);
	if (graph_saves(from)) {
		/* A session that is half read goes on with the other half. */
		ASSERT_LT(0, stream_some(self->d, self->fd, s, 8192));
		before = pending(self, abi, from);
	}
	ret = abi_set(self->d, abi, to, &fd);
	EXPECT_EQ(legal ? 0 : -EINVAL, ret) {
		TH_LOG("%s to %s", graph_name(from), graph_name(to));
	}
	if (!legal)
		to = from;
	EXPECT_EQ(to, v2_state(self->d)) {
		TH_LOG("after %s to %s", graph_name(from), graph_name(to));
	}
	EXPECT_EQ(v1_value(to == RUNNING_P2P ? RUNNING : to == PRE_COPY_P2P ?
			   PRE_COPY : to), v1_state(self->d));
	EXPECT_EQ(abi == V2 && legal && graph_begins(&path), fd >= 0) {
		TH_LOG("descriptor %d of %s to %s", fd, graph_name(from),
		       graph_name(to));
	}
	if (graph_saves(to)) {
		now = pending(self, abi, to);
		stopped_on_the_way = graph_stopped(to) && !graph_stopped(from);
		if (legal && graph_begins(&path))
			before = self->d->size +
				 (graph_stopped(to) ? self->final : 0);
		else if (stopped_on_the_way)
			before += self->final;
		EXPECT_EQ(before, now) {
			TH_LOG("pending, after %s to %s", graph_name(from),
			       graph_name(to));
		}
	} else if (abi == V1) {
		EXPECT_EQ(0, v1_pending(self->d));
	}
	runs = engine_works(self->d, self->guest);
	EXPECT_EQ(to == RUNNING || to == PRE_COPY, runs) {
		TH_LOG("the engine, after %s to %s", graph_name(from),
		       graph_name(to));
	}
	if (fd >= 0)
		close(fd);
}

TEST_F(arcs, each_pair_goes_where_the_graph_says)
{
	for (unsigned int i = 0; i < variant->nr; i++)
		for (unsigned int j = 0; j < variant->nr; j++)
			check_pair(_metadata, self, variant->abi,
				   variant->states[i], variant->states[j]);
}

TEST_F(arcs, same_state_changes_nothing)
{
	for (unsigned int i = 0; i < variant->nr; i++) {
		uint32_t state = variant->states[i];
		int fd;

		arrive(_metadata, self, variant->abi, state, true);
		EXPECT_EQ(0, abi_set(self->d, variant->abi, state, &fd));
		EXPECT_EQ(-1, fd);
		EXPECT_EQ(state, v2_state(self->d));
	}
}

TEST_F(arcs, load_that_did_not_come_stays_open)
{
	for (unsigned int i = 0; i < variant->nr; i++) {
		if (variant->states[i] == RESUMING)
			continue;
		arrive(_metadata, self, variant->abi, RESUMING, false);
		EXPECT_EQ(-EINVAL, abi_set(self->d, variant->abi,
					   variant->states[i], NULL));
		EXPECT_EQ(RESUMING, v2_state(self->d));
	}
}

TEST_F(arcs, value_that_is_no_state_is_refused)
{
	static const uint32_t v1_bad[] = { 5, 6, 7, 8, 9, 16, 0x80000001, ~0U };
	static const uint32_t v2_bad[] = { ERROR, NR_STATES, 9, ~0U };

	for (unsigned int i = 0; i < variant->nr; i++) {
		arrive(_metadata, self, variant->abi, variant->states[i], true);
		for (unsigned int j = 0; j < ARRAY_SIZE(v1_bad); j++)
			if (variant->abi == V1)
				EXPECT_EQ(-EINVAL, v1_set(self->d, v1_bad[j]));
		for (unsigned int j = 0; j < ARRAY_SIZE(v2_bad); j++)
			if (variant->abi == V2)
				EXPECT_EQ(-EINVAL,
					  v2_set(self->d, v2_bad[j], NULL));
		EXPECT_EQ(variant->states[i], v2_state(self->d));
	}
}

/* V7: one session at a time. */
TEST_F(arcs, other_abi_is_busy_while_a_session_is_open)
{
	enum version other = variant->abi == V1 ? V2 : V1;

	for (unsigned int i = 0; i < variant->nr; i++) {
		uint32_t state = variant->states[i];

		if (!graph_saves(state) && state != RESUMING)
			continue;
		for (unsigned int j = 0; j < ARRAY_SIZE(v1_states); j++) {
			if (v1_states[j] == state)
				continue;
			arrive(_metadata, self, variant->abi, state, true);
			EXPECT_EQ(-EBUSY, abi_set(self->d, other, v1_states[j],
						  NULL));
			EXPECT_EQ(state, v2_state(self->d));
		}
	}
}

/* V1: without a session, the two ABIs may take turns. */
TEST_F(arcs, abis_take_turns_outside_a_session)
{
	ASSERT_EQ(0, v2_set(self->d, RUNNING_P2P, NULL));
	EXPECT_EQ(1, v1_state(self->d));
	EXPECT_EQ(0, v1_set(self->d, 0));
	EXPECT_EQ(STOP, v2_state(self->d));
	EXPECT_EQ(0, v2_set(self->d, RUNNING, NULL));
	EXPECT_EQ(1, v1_state(self->d));
	EXPECT_TRUE(engine_works(self->d, self->guest));
}

TEST_F(arcs, features_are_offered)
{
	static const uint32_t set_get[] = {
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET |
			VFIO_DEVICE_FEATURE_MIGRATION,
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET |
			VFIO_DEVICE_FEATURE_SET |
			VFIO_DEVICE_FEATURE_MIG_DEVICE_STATE,
		VFIO_DEVICE_FEATURE_PROBE | VFIO_DEVICE_FEATURE_GET |
			VFIO_DEVICE_FEATURE_MIG_DATA_SIZE,
	};

	EXPECT_EQ(VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P |
		  VFIO_MIGRATION_PRE_COPY, v2_flags(self->d));
	for (unsigned int i = 0; i < ARRAY_SIZE(set_get); i++)
		EXPECT_EQ(0, device_feature(self->d, set_get[i], NULL, 0));
}

/* Never 0, in any state; all of the device when no session is open. */
TEST_F(arcs, data_size_is_known_in_every_state)
{
	uint64_t all = self->d->size + self->final;

	for (unsigned int i = 0; i < variant->nr; i++) {
		arrive(_metadata, self, variant->abi, variant->states[i], true);
		EXPECT_EQ(all, v2_data_size(self->d)) {
			TH_LOG("in %s", graph_name(variant->states[i]));
		}
	}
}

TEST_HARNESS_MAIN
