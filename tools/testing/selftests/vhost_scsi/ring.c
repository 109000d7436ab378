// SPDX-License-Identifier: GPL-2.0
/* Rings in good order: batches, depth, wrap, when the guest is called. */
#include "kselftest_harness.h"
#include "rig.h"

FIXTURE(ring)
{
	struct rig rig;
	struct device *d;
	struct ring *vr;
};

/* Each test with every way of holding back notifications. */
FIXTURE_VARIANT(ring)
{
	uint64_t features;
};

FIXTURE_VARIANT_ADD(ring, flags)
{
	.features = F_DEFAULT,
};

FIXTURE_VARIANT_ADD(ring, event_idx)
{
	.features = F_DEFAULT | F_EVENT_IDX,
};

FIXTURE_VARIANT_ADD(ring, legacy)
{
	.features = F_INDIRECT | F_ANY_LAYOUT | F_NOTIFY_ON_EMPTY,
};

FIXTURE_SETUP(ring)
{
	RIG_UP(&self->rig, .kind = RIG_DISK, .dev.features = variant->features,
	       .dev.num = 512, .dev.io_queues = 2);
	self->d = &self->rig.d;
	self->vr = &self->d->q[Q_IO];
}

FIXTURE_TEARDOWN(ring)
{
	undo_all();
}

TEST_F(ring, batch_of_128_reads_all_come_back_good)
{
	struct req **r = rig_reads(&self->rig, Q_IO, 128);

	ASSERT_TRUE(vring_drain(self->vr, WAIT_MS));
	EXPECT_EQ(0, reqs_not_good(r, 128));
	EXPECT_EQ(0, self->vr->uncalled);
	for (int i = 0; i < 128; i++)
		EXPECT_EQ(0, pattern_diff(r[i]->data_in, i * 8, 8, 0));
}

/* Every descriptor of the ring in use: no TASK SET FULL. */
TEST_F(ring, full_ring_of_indirect_chains_is_served)
{
	struct req *r[512];
	int i;

	for (i = 0; i < 512; i++) {
		r[i] = req_read(self->d, i * 4, 4);
		r[i]->indirect = true;
		req_post(r[i], Q_IO);
	}
	vring_kick(self->vr);
	ASSERT_TRUE(vring_drain(self->vr, WAIT_MS));
	for (i = 0; i < 512; i++)
		ASSERT_NE(SAM_TASK_SET_FULL, r[i]->resp->status);
	EXPECT_EQ(0, reqs_not_good(r, 512));
}

/* The indices wrap at 65536, the ring at 512. */
TEST_F(ring, indices_wrap)
{
	int n;

	ASSERT_EQ(0, device_stop(self->d));
	for (unsigned int q = 0; q < self->d->nq; q++) {
		vring_reset(&self->d->q[q], 65500);
		ASSERT_EQ(0, device_set_ring(self->d, q));
	}
	ASSERT_EQ(0, device_start(self->d, NULL));
	for (n = 0; n < 100; n++)
		ASSERT_TRUE(scsi_alive(self->d, Q_IO));
	EXPECT_EQ(64, self->vr->used_seen);
}

TEST_F(ring, each_of_500_single_requests_calls_the_guest)
{
	for (int n = 0; n < 500; n++) {
		struct req *r = req_new(self->d, cdb_tur(), NO_DATA, 0);

		ASSERT_RUNS(r, Q_IO);
		ASSERT_EQ(0, r->resp->status);
	}
	EXPECT_EQ(0, self->vr->uncalled);
}

TEST_F(ring, two_queues_work_side_by_side)
{
	struct req **a = rig_reads(&self->rig, Q_IO, 64);
	struct req **b = rig_reads(&self->rig, Q_IO + 1, 64);

	ASSERT_TRUE(vring_drain(&self->d->q[Q_IO], WAIT_MS));
	ASSERT_TRUE(vring_drain(&self->d->q[Q_IO + 1], WAIT_MS));
	EXPECT_EQ(0, reqs_not_good(a, 64));
	EXPECT_EQ(0, reqs_not_good(b, 64));
}

/* While the device works on a ring it asks for no kicks; when idle it does. */
TEST_F(ring, idle_device_asks_for_a_kick)
{
	ASSERT_TRUE(scsi_alive(self->d, Q_IO));
	if (self->vr->event_idx) {
		EXPECT_TRUE(vt_until(*vring_avail_event_field(self->vr) ==
				     self->vr->avail_idx, 1000));
	} else {
		EXPECT_TRUE(vt_until(!(self->vr->used->flags & VRING_USED_F_NO_NOTIFY), 1000));
	}
}

TEST_F(ring, a_kick_with_nothing_available_does_no_harm)
{
	for (unsigned int q = 0; q < self->d->nq; q++)
		vring_kick_always(&self->d->q[q]);
	ASSERT_TRUE(scsi_alive(self->d, Q_IO));
	EXPECT_EQ(0, self->vr->strangers);
}

FIXTURE(notify)
{
	struct rig rig;
	struct device *d;
	struct ring *vr;
};

FIXTURE_SETUP(notify)
{
}

FIXTURE_TEARDOWN(notify)
{
	undo_all();
}

static void notify_up(struct rig *rig, uint64_t features)
{
	RIG_UP(rig, .kind = RIG_DISK, .dev.features = features);
}

TEST_F(notify, no_call_while_the_guest_asks_for_none)
{
	struct ring *vr = &self->rig.d.q[Q_IO];
	struct req **r;

	notify_up(&self->rig, F_DEFAULT);
	vring_want_calls(vr, false);
	eventfd_take(vr->call);
	r = rig_reads(&self->rig, Q_IO, 16);
	ASSERT_TRUE(vt_until((vring_reap(vr), !vr->inflight), WAIT_MS));
	vt_sleep_ms(50);
	EXPECT_EQ(0, eventfd_take(vr->call));
	EXPECT_EQ(0, reqs_not_good(r, 16));
}

/* Even a guest that asks for no call gets one when the ring runs empty. */
TEST_F(notify, notify_on_empty_calls_when_the_ring_runs_empty)
{
	struct ring *vr = &self->rig.d.q[Q_IO];

	notify_up(&self->rig, F_INDIRECT | F_ANY_LAYOUT | F_NOTIFY_ON_EMPTY);
	vring_want_calls(vr, false);
	eventfd_take(vr->call);
	rig_reads(&self->rig, Q_IO, 16);
	ASSERT_TRUE(vt_until((vring_reap(vr), !vr->inflight), WAIT_MS));
	EXPECT_TRUE(vt_until(eventfd_take(vr->call), 1000));
}

/* used_event says: not before 16 elements are used. */
TEST_F(notify, event_idx_calls_once_the_wanted_element_is_used)
{
	struct ring *vr = &self->rig.d.q[Q_IO];

	notify_up(&self->rig, F_DEFAULT | F_EVENT_IDX);
	vring_reap(vr);
	vring_call_after(vr, 16);
	eventfd_take(vr->call);
	for (int i = 0; i < 15; i++) {
		req_send(req_read(&self->rig.d, 0, 8), Q_IO);
		ASSERT_TRUE(vt_until((vring_reap(vr), !vr->inflight), WAIT_MS));
	}
	vt_sleep_ms(50);
	EXPECT_EQ(0, eventfd_take(vr->call));
	req_send(req_read(&self->rig.d, 0, 8), Q_IO);
	EXPECT_TRUE(vt_until(eventfd_take(vr->call), WAIT_MS));
}

/* One signal for what completes together, not one each. */
TEST_F(notify, completions_are_signalled_in_batches)
{
	struct ring *vr = &self->rig.d.q[Q_IO];
	struct req **r;

	RIG_UP(&self->rig, .kind = RIG_GATE);
	disk_hold(self->rig.top);
	r = rig_reads(&self->rig, Q_IO, 32);
	vt_sleep_ms(100);
	eventfd_take(vr->call);
	disk_let_go(self->rig.top);
	ASSERT_TRUE(vt_until((vring_reap(vr), !vr->inflight), WAIT_MS));
	EXPECT_EQ(0, reqs_not_good(r, 32));
	EXPECT_GE(32, eventfd_take(vr->call));
}

TEST_HARNESS_MAIN
