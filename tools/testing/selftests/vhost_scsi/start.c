// SPDX-License-Identifier: GPL-2.0
/* Starting again after a stop, and what may change in between (G2, G8, M8). */
#include <errno.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "rig.h"

FIXTURE(start)
{
	struct rig rig;
	struct device *d;
	struct ring *vr;
};

FIXTURE_SETUP(start)
{
	RIG_UP(&self->rig, .kind = RIG_DISK, .dev.io_queues = 2);
	self->d = &self->rig.d;
	self->vr = &self->d->q[Q_IO];
}

FIXTURE_TEARDOWN(start)
{
	undo_all();
}

#define RESTART() do {								\
	ASSERT_EQ(0, device_stop(self->d));					\
	ASSERT_EQ(0, device_start(self->d, NULL));				\
} while (0)

TEST_F(start, serves_a_request_that_was_kicked_while_stopped)
{
	struct req *r = req_read(self->d, 0, 8);

	ASSERT_EQ(0, device_stop(self->d));
	req_post(r, Q_IO);
	vring_kick_always(self->vr);
	vt_sleep_ms(100);
	EXPECT_EQ(0, vring_reap(self->vr));
	ASSERT_EQ(0, device_start(self->d, NULL));
	EXPECT_TRUE(req_wait(r, WAIT_MS));
	EXPECT_GOOD(r);
}

/* The kick may also have gone to a VMM that had taken the eventfd away. */
TEST_F(start, serves_a_request_that_was_never_kicked)
{
	struct req *r = req_read(self->d, 0, 8);

	ASSERT_EQ(0, device_stop(self->d));
	req_post(r, Q_IO + 1);
	ASSERT_EQ(0, device_start(self->d, NULL));
	EXPECT_TRUE(req_wait(r, WAIT_MS));
	EXPECT_GOOD(r);
}

TEST_F(start, looks_at_the_control_queue_too)
{
	struct ctl *c = an_new(self->d, VIRTIO_SCSI_T_AN_QUERY, 0);

	ASSERT_EQ(0, device_stop(self->d));
	ctl_send(c);
	ASSERT_EQ(0, device_start(self->d, NULL));
	EXPECT_TRUE(ctl_wait(c, WAIT_MS));
}

TEST_F(start, keeps_the_place_in_the_rings)
{
	uint16_t before = self->vr->used_seen;

	for (int i = 0; i < 5; i++) {
		ASSERT_TRUE(scsi_alive(self->d, Q_IO));
		RESTART();
	}
	ASSERT_TRUE(scsi_alive(self->d, Q_IO));
	EXPECT_EQ(before + 6, self->vr->used_seen);
}

TEST_F(start, ring_of_another_size)
{
	struct ring *vr = self->vr;

	ASSERT_EQ(0, device_stop(self->d));
	vring_close(vr);
	vring_open(vr, &self->d->guest, 1024);
	ASSERT_EQ(0, device_set_ring(self->d, Q_IO));
	ASSERT_EQ(0, device_start(self->d, NULL));
	{
		struct req **r = rig_reads(&self->rig, Q_IO, 300);

		EXPECT_TRUE(vring_drain(vr, WAIT_MS));
		EXPECT_EQ(0, reqs_not_good(r, 300));
	}
}

TEST_F(start, ring_at_another_address)
{
	struct ring *vr = self->vr;

	ASSERT_EQ(0, device_stop(self->d));
	vring_close(vr);
	vring_open(vr, &self->d->guest, 128);
	ASSERT_EQ(0, device_set_ring(self->d, Q_IO));
	ASSERT_EQ(0, device_start(self->d, NULL));
	EXPECT_TRUE(scsi_alive(self->d, Q_IO));
}

/* M8: it fails as a whole, and works once the ring is good again. */
TEST_F(start, fails_if_a_ring_is_not_in_memory)
{
	struct vring_desc *desc = self->vr->desc;

	ASSERT_EQ(0, device_stop(self->d));
	self->vr->desc = (void *)0xffff800000001000ull;
	device_set_ring_addr(self->d, Q_IO);
	EXPECT_EQ(-EFAULT, device_start(self->d, NULL));
	req_post(req_read(self->d, 0, 8), Q_IO + 1);
	vring_kick_always(&self->d->q[Q_IO + 1]);
	vt_sleep_ms(100);
	EXPECT_EQ(0, vring_reap(&self->d->q[Q_IO + 1]));
	self->vr->desc = desc;
	ASSERT_EQ(0, device_set_ring_addr(self->d, Q_IO));
	ASSERT_EQ(0, device_start(self->d, NULL));
	EXPECT_TRUE(vring_drain(&self->d->q[Q_IO + 1], WAIT_MS));
	EXPECT_TRUE(scsi_alive(self->d, Q_IO));
}

/* The used ring cannot be read: not even that start leaves a running half. */
TEST_F(start, fails_if_a_used_ring_is_unmapped)
{
	struct ring *other = &self->d->q[Q_IO + 1];

	ASSERT_EQ(0, device_stop(self->d));
	mprotect(other->used, PAGE, PROT_NONE);
	EXPECT_EQ(-EFAULT, device_start(self->d, NULL));
	req_post(req_read(self->d, 0, 8), Q_IO);
	vring_kick_always(self->vr);
	vt_sleep_ms(100);
	EXPECT_EQ(0, vring_reap(self->vr));
	mprotect(other->used, PAGE, PROT_READ | PROT_WRITE);
	ASSERT_EQ(0, device_start(self->d, NULL));
	EXPECT_TRUE(vring_drain(self->vr, WAIT_MS));
}

TEST_F(start, failed_start_leaves_the_tpg_free)
{
	struct vring_desc *desc = self->vr->desc;

	ASSERT_EQ(0, device_stop(self->d));
	self->vr->desc = (void *)0xffff800000001000ull;
	device_set_ring_addr(self->d, Q_IO);
	EXPECT_NE(0, device_start(self->d, NULL));
	self->vr->desc = desc;
	EXPECT_EQ(0, target_lun_unlink(self->rig.t, 0));
	EXPECT_EQ(0, target_nexus(self->rig.t, "NULL"));
	EXPECT_EQ(0, rmdir(self->rig.t->tpg));
}

/* G8: nothing leaks over many stops and starts under load. */
TEST_F_TIMEOUT(start, many_cycles_under_load_lose_no_descriptor, 3600)
{
	const char *env = getenv("VHOST_SCSI_CYCLES");
	unsigned int cycles = env ? atoi(env) : 200, i, k;
	struct req *r[32];

	for (k = 0; k < 32; k++)
		r[k] = req_read(self->d, k * 8, 8);
	for (i = 0; i < cycles; i++) {
		for (k = 0; k < 32; k++)
			if (r[k]->out_come.returned || !i)
				req_post(r[k], k % 2 ? Q_IO : Q_IO + 1);
		vring_kick(self->vr);
		vring_kick(&self->d->q[Q_IO + 1]);
		if (i % 4)
			vring_reap(self->vr);
		ASSERT_EQ(0, device_stop(self->d));
		EXPECT_RING_SETTLED(self->d, Q_IO);
		EXPECT_RING_SETTLED(self->d, Q_IO + 1);
		ASSERT_EQ(0, device_start(self->d, NULL));
	}
	for (unsigned int q = Q_IO; q < self->d->nq; q++) {
		ASSERT_TRUE(vring_drain(&self->d->q[q], WAIT_MS));
		EXPECT_EQ(self->d->q[q].num, self->d->q[q].nfree);
	}
	EXPECT_EQ(0, reqs_not_good(r, 32));
}

/* Without SET_VRING_BASE in between, as QEMU does on a pause. */
TEST_F(start, stop_is_idempotent)
{
	EXPECT_EQ(0, device_stop(self->d));
	EXPECT_EQ(0, device_stop(self->d));
	EXPECT_EQ(0, device_start(self->d, NULL));
	EXPECT_TRUE(scsi_alive(self->d, Q_IO));
}

/*
 * G6: a WWPN that is not the one that is set is an error, but it cannot keep
 * the device running.
 */
TEST_F(start, stop_by_a_wwpn_that_is_not_ours)
{
	struct req *r = req_read(self->d, 0, 8);
	int ret = device_stop_wwpn(self->d, "naa.0000000000000000");

	EXPECT_EQ(-EINVAL, ret);
	req_post(r, Q_IO);
	vring_kick_always(self->vr);
	EXPECT_FALSE(req_wait(r, 200));
	EXPECT_EQ(0, device_start(self->d, NULL));
	EXPECT_TRUE(req_wait(r, WAIT_MS));
}

TEST_F(start, only_logging_may_be_switched_while_it_runs)
{
	uint64_t other = (self->d->features ^ F_EVENT_IDX);

	ASSERT_EQ(0, device_set_log_base(self->d));
	EXPECT_EQ(-EBUSY, device_ioctl(self->d, VHOST_SET_FEATURES, &other));
	other = self->d->features | F_LOG_ALL;
	EXPECT_EQ(0, device_ioctl(self->d, VHOST_SET_FEATURES, &other));
	other = self->d->features;
	EXPECT_EQ(0, device_ioctl(self->d, VHOST_SET_FEATURES, &other));
	EXPECT_TRUE(scsi_alive(self->d, Q_IO));
}

TEST_F(start, features_change_between_stop_and_start)
{
	ASSERT_EQ(0, device_stop(self->d));
	ASSERT_EQ(0, device_set_features(self->d, F_DEFAULT | F_EVENT_IDX));
	for (unsigned int q = 0; q < self->d->nq; q++) {
		self->d->q[q].event_idx = true;
		vring_reset(&self->d->q[q], 0);
		ASSERT_EQ(0, device_set_ring(self->d, q));
	}
	ASSERT_EQ(0, device_start(self->d, NULL));
	EXPECT_TRUE(scsi_alive(self->d, Q_IO));
}

TEST_HARNESS_MAIN
