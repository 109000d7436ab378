// SPDX-License-Identifier: GPL-2.0
/* CLEAR_ENDPOINT with requests in flight: what "stopped" guarantees (G1 to G3). */
#include <errno.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "rig.h"

#define BATCH 64

FIXTURE(stop)
{
	struct rig rig;
	struct device *d;
	struct ring *vr;
	long pins;
};

/* Completes late, holds back, or sends down late: three ways to be slow. */
FIXTURE_VARIANT(stop)
{
	enum rig_kind kind;
};

FIXTURE_VARIANT_ADD(stop, late_completion)
{
	.kind = RIG_SLOW,
};

FIXTURE_VARIANT_ADD(stop, late_submission)
{
	.kind = RIG_DELAY,
};

FIXTURE_SETUP(stop)
{
	RIG_UP(&self->rig, .kind = variant->kind, .dev.num = 256, .dev.io_queues = 2);
	self->d = &self->rig.d;
	self->vr = &self->d->q[Q_IO];
	/* The unit attention of the new nexus, once and slowly. */
	ASSERT_EQ(0, scsi_clear_ua(self->d, Q_IO, 0));
	rig_mark(&self->rig);
	self->pins = pins_held();
}

FIXTURE_TEARDOWN(stop)
{
	undo_all();
}

/* Nothing pinned, nothing changes, nobody is called; for this long. */
#define EXPECT_QUIET(ms) do {							\
	uint64_t __hash = guest_hash(&self->d->guest);				\
	EXPECT_EQ(self->pins, pins_held());					\
	device_events_take(self->d);						\
	vt_sleep_ms(ms);							\
	EXPECT_EQ(__hash, guest_hash(&self->d->guest));				\
	EXPECT_EQ(0, device_events_take(self->d));				\
	EXPECT_EQ(self->pins, pins_held());					\
} while (0)

TEST_F(stop, returns_after_the_last_of_64_reads)
{
	struct req **r = rig_reads(&self->rig, Q_IO, BATCH);

	ASSERT_TRUE(rig_submitted(&self->rig, BATCH));
	EXPECT_EQ(0, device_stop(self->d));
	EXPECT_RING_SETTLED(self->d, Q_IO);
	EXPECT_EQ(BATCH, reqs_returned(r, BATCH));
	EXPECT_EQ(0, reqs_not_good(r, BATCH));
	EXPECT_QUIET(2000);
}

TEST_F(stop, returns_after_the_last_of_64_writes)
{
	struct req **r = rig_writes(&self->rig, Q_IO, BATCH, 5);
	uint8_t *disk = vt_zalloc(BATCH * 4096);

	ASSERT_TRUE(rig_submitted(&self->rig, BATCH));
	EXPECT_EQ(0, device_stop(self->d));
	EXPECT_RING_SETTLED(self->d, Q_IO);
	EXPECT_EQ(0, reqs_not_good(r, BATCH));
	EXPECT_EQ(self->pins, pins_held());
	disk_read(self->rig.ram, 0, disk, BATCH * 4096);
	EXPECT_EQ(0, pattern_diff(disk, 0, BATCH * 8, 5));
}

/* At once after the kick: some may be fetched, the others stay available. */
TEST_F(stop, splits_a_batch_without_losing_any)
{
	struct req **r = rig_reads(&self->rig, Q_IO, BATCH);
	int base;

	EXPECT_EQ(0, device_stop(self->d));
	vring_reap(self->vr);
	base = device_get_ring_base(self->d, Q_IO);
	EXPECT_EQ(base, self->vr->used_seen);
	EXPECT_EQ(base - (self->vr->avail_idx - BATCH), reqs_returned(r, BATCH));
	EXPECT_QUIET(1500);
	EXPECT_EQ(0, device_start(self->d, NULL));
	EXPECT_TRUE(vring_drain(self->vr, WAIT_MS));
	EXPECT_EQ(0, reqs_not_good(r, BATCH));
}

/* G3: memory behind a memfd can be sealed at once, so no page of it is held. */
TEST_F(stop, memory_can_be_sealed_against_writes)
{
	rig_reads(&self->rig, Q_IO, BATCH);
	ASSERT_TRUE(rig_submitted(&self->rig, BATCH));
	EXPECT_EQ(0, device_stop(self->d));
	EXPECT_EQ(0, guest_seal(&self->d->guest));
}

/* G6: rings that cannot be reached any more do not keep it from stopping. */
TEST_F(stop, works_after_the_memory_table_was_emptied)
{
	struct req **r = rig_reads(&self->rig, Q_IO, BATCH);

	ASSERT_TRUE(rig_submitted(&self->rig, BATCH));
	device_set_mem_empty(self->d);
	EXPECT_EQ(0, device_stop(self->d));
	EXPECT_EQ(self->pins, pins_held());
	vring_reap(self->vr);
	EXPECT_EQ(BATCH, reqs_returned(r, BATCH));
	EXPECT_QUIET(2000);
}

TEST_F(stop, works_after_the_rings_were_unmapped)
{
	rig_reads(&self->rig, Q_IO, BATCH);
	ASSERT_TRUE(rig_submitted(&self->rig, BATCH));
	munmap(self->d->guest.mem, self->d->guest.size);
	EXPECT_EQ(0, device_stop(self->d));
	EXPECT_EQ(self->pins, pins_held());
	/* For the undo, which looks at nothing in it. */
	mmap(self->d->guest.mem, self->d->guest.size, PROT_READ | PROT_WRITE,
	     MAP_SHARED | MAP_FIXED, self->d->guest.fd, 0);
}

static long unlink_lun(void *arg)
{
	return target_lun_unlink(arg, 0);
}

/* G1, with a LUN that goes while its requests are being drained. */
TEST_F(stop, works_while_a_lun_is_unlinked)
{
	struct req **r = rig_reads(&self->rig, Q_IO, BATCH);
	struct vt_thread *t;

	ASSERT_TRUE(rig_submitted(&self->rig, BATCH));
	t = thread_start(unlink_lun, self->rig.t);
	vt_sleep_ms(50);
	EXPECT_EQ(0, device_stop(self->d));
	EXPECT_RING_SETTLED(self->d, Q_IO);
	EXPECT_EQ(BATCH, reqs_returned(r, BATCH));
	EXPECT_EQ(self->pins, pins_held());
	EXPECT_EQ(0, thread_join(t, WAIT_MS));
}

static long stop_device(void *arg)
{
	return device_stop(arg);
}

TEST_F(stop, keeps_the_tpg_busy_until_it_is_done)
{
	struct vt_thread *t;

	rig_reads(&self->rig, Q_IO, BATCH);
	ASSERT_TRUE(rig_submitted(&self->rig, BATCH));
	t = thread_start(stop_device, self->d);
	vt_sleep_ms(100);
	EXPECT_FALSE(thread_done(t));
	EXPECT_EQ(-1, rmdir(self->rig.t->tpg));
	EXPECT_EQ(EBUSY, errno);
	EXPECT_EQ(0, thread_join(t, WAIT_MS));
}

/* Both queues are busy, and kicks go on all the while (G2). */
static long kick_forever(void *arg)
{
	struct rig *rig = arg;
	uint64_t end = vt_now_ms() + 2500;

	while (vt_now_ms() < end) {
		vring_kick_always(&rig->d.q[Q_IO]);
		vring_kick_always(&rig->d.q[Q_IO + 1]);
		vring_kick_always(&rig->d.q[Q_CTL]);
		vring_kick_always(&rig->d.q[Q_EVT]);
		vt_sleep_ms(1);
	}
	return 0;
}

TEST_F(stop, is_not_disturbed_by_kicks)
{
	struct req **a = rig_reads(&self->rig, Q_IO, BATCH);
	struct req **b = rig_reads(&self->rig, Q_IO + 1, BATCH);
	struct vt_thread *t = thread_start(kick_forever, &self->rig);
	struct req *late;

	ASSERT_TRUE(rig_submitted(&self->rig, 2 * BATCH));
	EXPECT_EQ(0, device_stop(self->d));
	EXPECT_RING_SETTLED(self->d, Q_IO);
	EXPECT_RING_SETTLED(self->d, Q_IO + 1);
	EXPECT_EQ(0, reqs_not_good(a, BATCH) + reqs_not_good(b, BATCH));
	late = req_read(self->d, 0, 8);
	req_post(late, Q_IO);
	EXPECT_QUIET(1000);
	EXPECT_EQ(0, late->out_come.returned);
	thread_join(t, WAIT_MS);
}

TEST_HARNESS_MAIN
