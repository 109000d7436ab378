// SPDX-License-Identifier: GPL-2.0
/* The pending counter against a model of it, while memory is being dirtied (V2). */
#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "engine.h"
#include "kselftest_harness.h"
#include "wire.h"

/**
 * struct model - what must be counted
 * @unsent: of each page, is it to be sent?
 * @pages: how many are.
 * @taken: bytes in a section, or chunk, that was begun and not read to its end.
 * @final: of the state that exists only once stopped, what is not read: its
 *	size, or -1 while it is being read.
 * @first: bytes of the snapshot that were not read.
 * @parsed: bytes of whole sections.
 * @begun: the section after them was taken.
 * @ending: that one is the last: what is written from now on is not sent.
 * @ended: the last byte was read.
 */
struct model {
	uint8_t *unsent;
	uint64_t pages;
	uint64_t taken;
	int64_t final;
	uint64_t first;
	size_t parsed;
	bool begun;
	bool ending;
	bool ended;
};

struct rig {
	struct space *space;
	struct guest *guest;
	struct device *d;
	struct stream *s;
	struct model m;
	uint64_t final;
	uint64_t nr;
	uint32_t seed;
	uint32_t tail;
	int fd;
};

static void rig_up(struct rig *rig)
{
	rig->space = space_new(BY_GROUP);
	rig->d = device_up(rig->space, MCOPY);
	rig->guest = guest_new(rig->space);
	rig->nr = rig->d->size / PAGE;
	rig->final = v2_data_size(rig->d) - rig->d->size;
	rig->m.unsent = vt_zalloc(rig->nr);
	rig->s = stream_new(128 * MIB);
	rig->seed = 1;
	rig->fd = -1;
	engine_start(rig->d);
}

/* What holds for both ABIs. */
FIXTURE(pending)
{
	struct rig rig;
};

FIXTURE_VARIANT(pending)
{
	enum version abi;
};

FIXTURE_VARIANT_ADD(pending, region)
{
	.abi = V1,
};

FIXTURE_VARIANT_ADD(pending, feature)
{
	.abi = V2,
};

FIXTURE_SETUP(pending)
{
	rig_up(&self->rig);
}

FIXTURE_TEARDOWN(pending)
{
	undo_all();
}

/* What version 1 alone has, and version 2 alone. */
FIXTURE(chunks)
{
	struct rig rig;
};

FIXTURE_SETUP(chunks)
{
	rig_up(&self->rig);
}

FIXTURE_TEARDOWN(chunks)
{
	undo_all();
}

FIXTURE(precopy)
{
	struct rig rig;
};

FIXTURE_SETUP(precopy)
{
	rig_up(&self->rig);
}

FIXTURE_TEARDOWN(precopy)
{
	undo_all();
}

static void model_begin(struct rig *rig, bool stopped)
{
	struct model *m = &rig->m;

	memset(m->unsent, 1, rig->nr);
	m->pages = rig->nr;
	m->taken = 0;
	m->final = stopped ? rig->final : 0;
	m->first = rig->d->size;
	m->parsed = rig->s->len;
	m->begun = false;
	m->ending = false;
	m->ended = false;
}

static void model_write(struct rig *rig, unsigned long page)
{
	if (!rig->m.unsent[page])
		rig->m.pages++;
	rig->m.unsent[page] = 1;
}

/* A section of these pages is on its way to the user. */
static void model_take(struct rig *rig, const struct wire *w)
{
	uint64_t len = w->length, page;

	if (w->type != WIRE_PIECE || w->kind == WIRE_DEVICE)
		return;
	if (w->kind == WIRE_ZERO)
		memcpy(&len, w->payload, sizeof(len));
	for (page = w->arg / PAGE; page < (w->arg + len) / PAGE; page++) {
		rig->m.pages -= rig->m.unsent[page];
		rig->m.unsent[page] = 0;
	}
	rig->m.taken += len;
}

static void model_done(struct rig *rig, const struct wire *w,
		       uint64_t covers)
{
	struct model *m = &rig->m;

	m->taken -= covers;
	m->first -= covers < m->first ? covers : m->first;
	if (w->type == WIRE_PIECE && w->kind == WIRE_DEVICE)
		m->final = -1;
	if (w->type == WIRE_END) {
		m->final = 0;
		m->ended = true;
	}
}

/* Is what has been read of the next section enough to know what it is? */
static bool is_known(struct rig *rig)
{
	size_t rest = rig->s->len - rig->m.parsed;

	return !rest || rest >= sizeof(struct wire) + 8;
}

/* Follows what was read from the data descriptor. */
static void model_follow(struct rig *rig)
{
	struct model *m = &rig->m;
	struct stream *s = rig->s;

	while (s->len > m->parsed) {
		struct wire *w = (void *)(s->data + m->parsed);
		struct wire *whole = wire_at(w, s->len - m->parsed);
		uint64_t len = w->length;

		if (!m->begun)
			model_take(rig, w);
		m->begun = true;
		m->ending = w->type == WIRE_END;
		if (!whole)
			return;
		if (w->type != WIRE_PIECE || w->kind == WIRE_DEVICE)
			len = 0;
		else if (w->kind == WIRE_ZERO)
			memcpy(&len, w->payload, sizeof(len));
		model_done(rig, w, len);
		m->begun = false;
		m->parsed += wire_length(w);
	}
}

static uint64_t model_value(const struct model *m)
{
	return m->pages * PAGE + m->taken + (m->final > 0 ? m->final : 0);
}

/* Compares; after the end of the stream there is nothing to compare. */
static void check_counter(struct __test_metadata *_metadata,
			  struct rig *rig, bool stopped)
{
	struct vfio_precopy_info info;
	struct model *m = &rig->m;
	uint64_t now;

	if (m->ended)
		return;
	now = v2_data_size(rig->d) - (stopped ? 0 : rig->final);
	if (m->final < 0) {
		ASSERT_LT(model_value(m), now);
		ASSERT_GT(model_value(m) + rig->final, now);
		return;
	}
	ASSERT_EQ(model_value(m), now) {
		TH_LOG("%zu bytes read, %lu pages and %lu bytes to come",
		       rig->s->len, m->pages, m->taken);
	}
	if (stopped)
		return;
	ASSERT_EQ(0, v2_info(rig->fd, &info));
	ASSERT_EQ(now, info.initial_bytes + info.dirty_bytes);
	ASSERT_EQ(m->first < now ? m->first : now, info.initial_bytes);
}

/* Writes to a page, by one of the three ways that there are. */
static void write_page(struct __test_metadata *_metadata,
		       struct rig *rig, bool stopped)
{
	unsigned long page = random_next(&rig->seed) % rig->nr;
	uint8_t byte = random_next(&rig->seed) | 1;
	unsigned int how = random_next(&rig->seed) % 3;

	if (how == 2 && stopped)
		how = 0;
	switch (how) {
	case 0:
		rig->d->mem[page * PAGE + byte] = byte;
		break;
	case 1:
		ASSERT_EQ(1, device_write(rig->d, BAR2, page * PAGE + byte,
					  &byte, 1));
		break;
	case 2:
		engine_fill(rig->guest, rig->tail, DMA(2 * PAGE),
			    page * PAGE, 100, TO_DEVICE);
		engine_kick(rig->d, ++rig->tail);
		ASSERT_TRUE(engine_done(rig->d, rig->tail, WAIT_MS));
		break;
	}
	model_write(rig, page);
}

/* Reads something; returns false if there was nothing. */
static bool read_some(struct __test_metadata *_metadata,
		      struct rig *rig)
{
	long ret;

	do {
		ret = stream_some(rig->d, rig->fd, rig->s,
				  40 + random_next(&rig->seed) % 100000);
		if (ret == -ENOMSG || !ret)
			break;
		ASSERT_LT(0, ret);
	} while (!is_known(rig));
	model_follow(rig);
	return ret > 0;
}

TEST_F(precopy, counter_is_the_model_s)
{
	struct rig *rig = &self->rig;
	const unsigned int steps = kernel_is_debug() ? 200 : 600;
	bool stopped = false;

	for (int i = 0; i < 500; i++)
		rig->d->mem[random_next(&rig->seed) % rig->nr * PAGE] = 1;
	ASSERT_EQ(0, abi_set(rig->d, V2, PRE_COPY, &rig->fd));
	model_begin(rig, false);
	check_counter(_metadata, rig, false);
	for (unsigned int i = 0; i < steps && !rig->m.ending; i++) {
		for (int n = random_next(&rig->seed) % 12; n; n--)
			write_page(_metadata, rig, stopped);
		check_counter(_metadata, rig, stopped);
		read_some(_metadata, rig);
		check_counter(_metadata, rig, stopped);
		if (i == steps - 50) {
			ASSERT_EQ(0, v2_set(rig->d, STOP_COPY, NULL));
			stopped = true;
			rig->m.final = rig->final;
			check_counter(_metadata, rig, true);
		}
	}
	while (read_some(_metadata, rig))
		check_counter(_metadata, rig, true);
	EXPECT_TRUE(rig->m.ended);
	EXPECT_EQ(0, rig->m.pages);
	EXPECT_EQ(rig->s->len, rig->m.parsed);
}

/*
 * The same in chunks: what is in one is counted until it is acknowledged, and
 * what is written meanwhile a second time.
 */
TEST_F(chunks, counter_is_the_model_s)
{
	struct rig *rig = &self->rig;
	const unsigned int steps = kernel_is_debug() ? 100 : 300;
	uint64_t before, size, ended = 0;
	bool stopped = false;
	struct wire *w;
	size_t from;

	for (int i = 0; i < 500; i++)
		rig->d->mem[random_next(&rig->seed) % rig->nr * PAGE] = 1;
	ASSERT_EQ(0, v1_set(rig->d, 3));
	model_begin(rig, false);
	for (unsigned int i = 0; !ended; i++) {
		if (i == steps) {
			ASSERT_EQ(0, v1_set(rig->d, 2));
			stopped = true;
			rig->m.final = rig->final;
		}
		for (int n = random_next(&rig->seed) % 12; n && i < steps + 9; n--)
			write_page(_metadata, rig, stopped);
		before = v1_pending(rig->d);
		if (rig->m.final >= 0)
			ASSERT_EQ(model_value(&rig->m), before);
		if (!before)
			continue;
		from = rig->s->len;
		v1_offset(rig->d);
		size = v1_size(rig->d);
		ASSERT_EQ(size, device_read(rig->d, rig->d->migration, PAGE,
					    rig->s->data + from, size));
		rig->s->len += size;
		for (size_t at = from; at < rig->s->len; at += wire_length(w)) {
			w = (void *)(rig->s->data + at);
			ended += w->type == WIRE_END;
			if (w->type == WIRE_PIECE && w->kind == WIRE_DEVICE)
				rig->m.final = -1;
			model_take(rig, w);
		}
		rig->m.taken = 0;
		/* Goes in again, whatever the chunk has. */
		if (!ended)
			write_page(_metadata, rig, stopped);
		if (rig->m.final >= 0)
			ASSERT_EQ(model_value(&rig->m), v1_pending(rig->d));
	}
	EXPECT_EQ(0, v1_pending(rig->d));
	EXPECT_EQ(0, rig->m.pages);
}

TEST_F(pending, begins_as_the_snapshot)
{
	struct rig *rig = &self->rig;
	struct vfio_precopy_info info;

	ASSERT_EQ(0, abi_set(rig->d, variant->abi, PRE_COPY, &rig->fd));
	if (variant->abi == V1) {
		EXPECT_EQ(rig->d->size, v1_pending(rig->d));
	} else {
		ASSERT_EQ(0, v2_info(rig->fd, &info));
		EXPECT_EQ(rig->d->size, info.initial_bytes);
		EXPECT_EQ(0, info.dirty_bytes);
		EXPECT_EQ(0, info.flags);
	}
}

/* V1: also while stopped; then all the state is there, and counted. */
TEST_F(pending, begins_as_the_snapshot_while_stopped)
{
	struct rig *rig = &self->rig;

	ASSERT_EQ(0, abi_set(rig->d, variant->abi, STOP_COPY, &rig->fd));
	EXPECT_EQ(rig->d->size + rig->final,
		  variant->abi == V1 ? v1_pending(rig->d) :
				       v2_data_size(rig->d));
}

static uint64_t dirty(struct rig *rig, enum version abi)
{
	return abi == V1 ? v1_pending(rig->d) :
			   v2_data_size(rig->d) - rig->final;
}

static void read_snapshot(struct __test_metadata *_metadata,
			  struct rig *rig, enum version abi)
{
	ASSERT_EQ(0, abi_set(rig->d, abi, PRE_COPY, &rig->fd));
	ASSERT_EQ(abi == V1 ? 0 : -ENOMSG,
		  stream_save(rig->d, rig->fd, rig->s));
	ASSERT_EQ(0, dirty(rig, abi));
}

TEST_F(pending, counts_a_page_once_however_often_it_is_written)
{
	struct rig *rig = &self->rig;

	read_snapshot(_metadata, rig, variant->abi);
	for (int i = 0; i < 100; i++)
		rig->d->mem[5 * PAGE + i] = i;
	EXPECT_EQ(PAGE, dirty(rig, variant->abi));
	rig->d->mem[6 * PAGE - 1] = 1;
	EXPECT_EQ(PAGE, dirty(rig, variant->abi));
	rig->d->mem[6 * PAGE] = 1;
	EXPECT_EQ(2 * PAGE, dirty(rig, variant->abi));
}

/* A page that is read, by any of the ways, is not dirty. */
TEST_F(pending, does_not_count_a_page_that_is_read)
{
	struct rig *rig = &self->rig;
	uint8_t byte;

	rig->d->mem[7 * PAGE] = 1;
	read_snapshot(_metadata, rig, variant->abi);
	EXPECT_EQ(1, rig->d->mem[7 * PAGE]);
	EXPECT_EQ(0, rig->d->mem[8 * PAGE]);
	EXPECT_EQ(1, device_read(rig->d, BAR2, 7 * PAGE, &byte, 1));
	engine_fill(rig->guest, 0, 7 * PAGE, DMA(2 * PAGE), 3 * PAGE,
		    FROM_DEVICE);
	engine_kick(rig->d, 1);
	ASSERT_TRUE(engine_done(rig->d, 1, WAIT_MS));
	EXPECT_EQ(0, dirty(rig, variant->abi));
	rig->d->mem[7 * PAGE] = 2;
	EXPECT_EQ(PAGE, dirty(rig, variant->abi));
}

TEST_F(pending, does_not_change_by_being_read)
{
	struct rig *rig = &self->rig;

	read_snapshot(_metadata, rig, variant->abi);
	rig->d->mem[0] = 1;
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(PAGE, dirty(rig, variant->abi));
}

TEST_F(pending, counts_each_page_that_a_copy_touches)
{
	struct rig *rig = &self->rig;

	read_snapshot(_metadata, rig, variant->abi);
	engine_fill(rig->guest, 0, DMA(2 * PAGE), 10 * PAGE - 1, PAGE + 2,
		    TO_DEVICE);
	engine_fill(rig->guest, 1, 20 * PAGE, 30 * PAGE, 2 * PAGE,
		    FROM_DEVICE | TO_DEVICE);
	engine_kick(rig->d, 2);
	ASSERT_TRUE(engine_done(rig->d, 2, WAIT_MS));
	EXPECT_EQ((3 + 2) * PAGE, dirty(rig, variant->abi));
}

struct writer {
	struct device *d;
	uint64_t nr;
	atomic_bool stop;
	atomic_ulong writes;
	uint8_t *touched;
};

static long keep_writing(void *arg)
{
	struct writer *w = arg;
	uint32_t seed = 5;

	while (!atomic_load(&w->stop)) {
		unsigned long page = random_next(&seed) % w->nr;

		w->d->mem[page * PAGE + 8] = seed;
		w->touched[page] = 1;
		atomic_fetch_add(&w->writes, 1);
	}
	return 0;
}

TEST_F(pending, grows_monotonically_until_it_is_read)
{
	struct rig *rig = &self->rig;
	struct writer w = { .d = rig->d, .nr = rig->nr };
	struct vt_thread *thread;
	uint64_t last = 0, now, pages = 0;

	w.touched = vt_zalloc(rig->nr);
	read_snapshot(_metadata, rig, variant->abi);
	thread = thread_start(keep_writing, &w);
	for (int i = 0; i < 500 || atomic_load(&w.writes) < 2000; i++) {
		now = dirty(rig, variant->abi);
		ASSERT_LE(last, now);
		last = now;
	}
	atomic_store(&w.stop, true);
	ASSERT_EQ(0, thread_join(thread, WAIT_MS));
	for (uint64_t i = 0; i < rig->nr; i++)
		pages += w.touched[i];
	EXPECT_LT(0, pages);
	EXPECT_EQ(pages * PAGE, dirty(rig, variant->abi));
}

/* Memory after a load is the source's, though a writer never paused. */
TEST_F(pending, loses_no_write_of_a_busy_writer)
{
	struct rig *rig = &self->rig;
	struct device *to = device_up(rig->space, MCOPY);
	struct writer w = { .d = rig->d, .nr = rig->nr };
	struct vt_thread *thread;
	int into, ret;

	w.touched = vt_zalloc(rig->nr);
	thread = thread_start(keep_writing, &w);
	ASSERT_EQ(0, abi_set(rig->d, variant->abi, PRE_COPY, &rig->fd));
	for (int i = 0; i < 12; i++) {
		ret = stream_some(rig->d, rig->fd, rig->s, 300000);
		ASSERT_TRUE(ret > 0 || ret == -ENOMSG ||
			    (!ret && variant->abi == V1));
		dirty(rig, variant->abi);
	}
	ASSERT_EQ(0, abi_set(rig->d, variant->abi, STOP_COPY, NULL));
	atomic_store(&w.stop, true);
	ASSERT_EQ(0, thread_join(thread, WAIT_MS));
	ASSERT_EQ(0, stream_save(rig->d, rig->fd, rig->s));
	ASSERT_EQ(0, abi_set(to, variant->abi, RESUMING, &into));
	ASSERT_EQ(0, stream_load(to, into, rig->s->data, rig->s->len));
	ASSERT_EQ(0, abi_set(to, variant->abi, STOP, NULL));
	EXPECT_EQ(0, memcmp(rig->d->mem, to->mem, rig->d->size));
}

TEST_F(precopy, precopy_info_is_refused_where_it_means_nothing)
{
	struct rig *rig = &self->rig;
	struct vfio_precopy_info info = { .argsz = sizeof(info) - 8 };
	int fd;

	ASSERT_EQ(0, v2_set(rig->d, PRE_COPY, &rig->fd));
	EXPECT_EQ(-1, ioctl(rig->fd, VFIO_MIG_GET_PRECOPY_INFO, &info));
	EXPECT_EQ(EINVAL, errno);
	EXPECT_EQ(-1, ioctl(rig->fd, VFIO_MIG_GET_PRECOPY_INFO, NULL));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(-1, ioctl(rig->fd, VFIO_DEVICE_RESET));
	EXPECT_EQ(ENOTTY, errno);
	ASSERT_EQ(0, v2_set(rig->d, PRE_COPY_P2P, NULL));
	EXPECT_EQ(0, v2_info(rig->fd, &info));
	EXPECT_EQ(rig->d->size, info.initial_bytes);
	ASSERT_EQ(0, v2_set(rig->d, STOP_COPY, NULL));
	EXPECT_EQ(-EINVAL, v2_info(rig->fd, &info));
	ASSERT_EQ(0, v2_set(rig->d, RESUMING, &fd));
	EXPECT_EQ(-EINVAL, v2_info(fd, &info));
}

static short polled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

TEST_F(precopy, poll_says_when_there_is_something)
{
	struct rig *rig = &self->rig;
	struct pollfd p = { .events = POLLIN };

	ASSERT_EQ(0, v2_set(rig->d, PRE_COPY, &rig->fd));
	EXPECT_EQ(POLLIN, polled(rig->fd));
	ASSERT_EQ(-ENOMSG, stream_save(rig->d, rig->fd, rig->s));
	EXPECT_EQ(0, polled(rig->fd));
	rig->d->mem[PAGE] = 1;
	EXPECT_EQ(POLLIN, polled(rig->fd));
	ASSERT_EQ(-ENOMSG, stream_save(rig->d, rig->fd, rig->s));
	EXPECT_EQ(0, polled(rig->fd));
	p.fd = rig->fd;
	EXPECT_EQ(0, poll(&p, 1, 50));
	/* Stopped, there is always something, the true end at least. */
	ASSERT_EQ(0, v2_set(rig->d, STOP_COPY, NULL));
	EXPECT_EQ(POLLIN, polled(rig->fd));
	ASSERT_EQ(0, stream_save(rig->d, rig->fd, rig->s));
	EXPECT_EQ(POLLIN, polled(rig->fd));
}

static long write_later(void *arg)
{
	struct device *d = arg;

	vt_sleep_ms(200);
	d->mem[3 * PAGE] = 1;
	return 0;
}

TEST_F(precopy, poll_is_woken_by_a_write)
{
	struct rig *rig = &self->rig;
	struct pollfd p = { .events = POLLIN };
	struct vt_thread *thread;

	read_snapshot(_metadata, rig, V2);
	p.fd = rig->fd;
	thread = thread_start(write_later, rig->d);
	EXPECT_EQ(1, poll(&p, 1, WAIT_MS));
	EXPECT_EQ(POLLIN, p.revents);
	EXPECT_EQ(0, thread_join(thread, WAIT_MS));
}

#define REINIT_SET (VFIO_DEVICE_FEATURE_SET | \
		    VFIO_DEVICE_FEATURE_MIG_PRECOPY_INFOv2)

TEST_F(precopy, reset_by_the_guest_begins_the_snapshot_anew)
{
	struct rig *rig = &self->rig;
	struct vfio_precopy_info info;
	bool told;

	told = !device_feature(rig->d, VFIO_DEVICE_FEATURE_PROBE | REINIT_SET,
			       NULL, 0);
	if (told)
		ASSERT_EQ(0, device_feature(rig->d, REINIT_SET, NULL, 0));
	for (int i = 0; i < 10; i++)
		rig->d->mem[i * PAGE] = 1;
	read_snapshot(_metadata, rig, V2);
	device_put(rig->d, BAR0, MCOPY_REG_CTRL, MCOPY_CTRL_RESET, 4);
	ASSERT_EQ(0, v2_info(rig->fd, &info));
	EXPECT_EQ(told ? VFIO_PRECOPY_INFO_REINIT : 0, info.flags);
	EXPECT_EQ(told ? 10 * PAGE : 0, info.initial_bytes);
	EXPECT_EQ(told ? 0 : 10 * PAGE, info.dirty_bytes);
	ASSERT_EQ(0, v2_info(rig->fd, &info));
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(10 * PAGE, info.initial_bytes + info.dirty_bytes);
	rig->d->mem[20 * PAGE] = 1;
	ASSERT_EQ(0, v2_info(rig->fd, &info));
	EXPECT_EQ(11 * PAGE, info.initial_bytes + info.dirty_bytes);
	ASSERT_EQ(-ENOMSG, stream_save(rig->d, rig->fd, rig->s));
	ASSERT_EQ(0, v2_info(rig->fd, &info));
	EXPECT_EQ(0, info.initial_bytes + info.dirty_bytes);
}

TEST_HARNESS_MAIN
