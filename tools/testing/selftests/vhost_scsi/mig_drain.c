// SPDX-License-Identifier: GPL-2.0
/* Stops that take long: deadlines, giving up, looking on meanwhile (G6, G7, M8). */
#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mig.h"

#define BATCH 16
#define PROMPT_MS 5000u

FIXTURE(drain)
{
	struct rig rig;
	struct device *d;
	struct req **r;
	long pins;
};

/* The backend holds all requests until the gate opens. */
FIXTURE_SETUP(drain)
{
	mig_need();
	RIG_UP(&self->rig, .kind = RIG_GATE);
	self->d = &self->rig.d;
	self->pins = pins_held();
	disk_hold(self->rig.top);
	self->r = rig_reads(&self->rig, Q_IO, BATCH);
	ASSERT_TRUE(rig_submitted(&self->rig, BATCH));
}

FIXTURE_TEARDOWN(drain)
{
	undo_all();
}

#define DRAINING VHOST_SCSI_MIG_DRAINING

static bool is_draining(struct device *d)
{
	struct vhost_scsi_mig_status st = mig_status(d);

	return st.flags & DRAINING && st.inflight >= BATCH;
}

#define EXPECT_DRAINED() do {							\
	struct vhost_scsi_mig_status __st = mig_status(self->d);		\
	EXPECT_EQ(0, __st.flags & DRAINING);					\
	EXPECT_EQ(0, __st.inflight);						\
	EXPECT_RING_SETTLED(self->d, Q_IO);					\
	EXPECT_EQ(0, reqs_not_good(self->r, BATCH));				\
	EXPECT_EQ(self->pins, pins_held());					\
} while (0)

TEST_F(drain, in_flight_are_counted_while_running)
{
	struct vhost_scsi_mig_status st = mig_status(self->d);

	EXPECT_EQ(S_RUN, st.state);
	EXPECT_EQ(0, st.flags & DRAINING);
	EXPECT_LE(BATCH, st.inflight);
	disk_let_go(self->rig.top);
	EXPECT_TRUE(vring_drain(&self->d->q[Q_IO], WAIT_MS));
	EXPECT_TRUE(vt_until(!mig_status(self->d).inflight, WAIT_MS));
}

TEST_F(drain, deadline_passes_and_it_goes_on_draining)
{
	uint64_t start = vt_now_ms();

	EXPECT_EQ(-ETIMEDOUT, mig_set_flags(self->d, S_STOP, 0, 300));
	EXPECT_LE(300, vt_now_ms() - start);
	EXPECT_TRUE(is_draining(self->d));
	/* Nothing new is taken meanwhile (G2). */
	req_post(req_read(self->d, 0, 8), Q_IO);
	vring_kick_always(&self->d->q[Q_IO]);
	vt_sleep_ms(100);
	EXPECT_EQ(BATCH, mig_status(self->d).inflight);
	EXPECT_EQ(-ETIMEDOUT, mig_set_flags(self->d, S_STOP, 0, 1));
	disk_let_go(self->rig.top);
	EXPECT_EQ(0, mig_set_flags(self->d, S_STOP, 0, 30000));
	EXPECT_STATE(self->d, S_STOP);
	EXPECT_DRAINED();
}

/* Nobody calls again: it ends by itself, and says so. */
TEST_F(drain, ends_without_another_call)
{
	int efd = eventfd(0, EFD_NONBLOCK);

	ASSERT_EQ(0, mig_eventfd(self->d, efd));
	EXPECT_EQ(-ETIMEDOUT, mig_set_flags(self->d, S_STOP, 0, 100));
	eventfd_take(efd);
	disk_let_go(self->rig.top);
	EXPECT_TRUE(vt_until(eventfd_take(efd), WAIT_MS));
	EXPECT_TRUE(vt_until(!mig_status(self->d).inflight, WAIT_MS));
	EXPECT_EQ(0, mig_set(self->d, S_STOP));
	EXPECT_DRAINED();
}

TEST_F(drain, running_gives_up)
{
	struct req *r = req_read(self->d, 0, 8);

	EXPECT_EQ(-ETIMEDOUT, mig_set_flags(self->d, S_STOP, 0, 100));
	EXPECT_EQ(0, mig_set(self->d, S_RUN));
	EXPECT_STATE(self->d, S_RUN);
	EXPECT_EQ(0, mig_status(self->d).flags & DRAINING);
	req_send(r, Q_IO);
	EXPECT_TRUE(vt_until(mig_status(self->d).inflight > BATCH, WAIT_MS));
	disk_let_go(self->rig.top);
	EXPECT_TRUE(vring_drain(&self->d->q[Q_IO], WAIT_MS));
	EXPECT_EQ(0, reqs_not_good(self->r, BATCH));
	EXPECT_GOOD(r);
}

TEST_F(drain, opening_a_session_gives_up_too)
{
	EXPECT_EQ(-ETIMEDOUT, mig_set_flags(self->d, S_STOP, 0, 100));
	EXPECT_EQ(0, mig_set(self->d, S_RUNLOG));
	EXPECT_EQ(0, mig_status(self->d).flags & DRAINING);
	req_send(req_read(self->d, 0, 8), Q_IO);
	EXPECT_TRUE(vt_until(mig_status(self->d).inflight > BATCH, WAIT_MS));
	disk_let_go(self->rig.top);
	EXPECT_TRUE(vring_drain(&self->d->q[Q_IO], WAIT_MS));
}

TEST_F(drain, session_that_times_out_gives_up_too)
{
	ASSERT_EQ(0, mig_set(self->d, S_RUNLOG));
	EXPECT_EQ(-ETIMEDOUT, mig_set_flags(self->d, S_LOG, 0, 100));
	EXPECT_TRUE(is_draining(self->d));
	EXPECT_EQ(0, mig_set(self->d, S_RUN));
	EXPECT_STATE(self->d, S_RUN);
	EXPECT_EQ(0, mig_status(self->d).flags & DRAINING);
	/* It is served: one more is taken from the ring. */
	req_send(req_read(self->d, 0, 8), Q_IO);
	EXPECT_TRUE(vt_until(mig_status(self->d).inflight > BATCH, WAIT_MS));
	ASSERT_EQ(0, mig_set(self->d, S_RUNLOG));
	EXPECT_EQ(-ETIMEDOUT, mig_set_flags(self->d, S_LOG, 0, 100));
	disk_let_go(self->rig.top);
	EXPECT_EQ(0, mig_set(self->d, S_LOG));
	EXPECT_STATE(self->d, S_LOG);
	EXPECT_DRAINED();
}

static long stop_for_ever(void *arg)
{
	return mig_set(arg, S_STOP);
}

static long clear(void *arg)
{
	return device_stop(arg);
}

/* GET_STATE, GET_INFO and poll() wait for nobody. */
TEST_F(drain, can_be_looked_at_from_another_thread)
{
	struct vt_thread *t = thread_start(stop_for_ever, self->d);
	struct vhost_scsi_mig_info info = { .argsz = sizeof(info) };
	struct pollfd p = { .fd = self->d->fd, .events = POLLIN };
	uint64_t start;

	EXPECT_TRUE(vt_until(is_draining(self->d), WAIT_MS));
	start = vt_now_ms();
	for (int i = 0; i < 100; i++)
		EXPECT_EQ(BATCH, mig_status(self->d).inflight);
	EXPECT_EQ(0, mig_info(self->d, &info));
	EXPECT_LE(0, poll(&p, 1, 0));
	EXPECT_GT(PROMPT_MS, vt_now_ms() - start);
	EXPECT_FALSE(thread_done(t));
	disk_let_go(self->rig.top);
	EXPECT_EQ(0, thread_join(t, WAIT_MS));
	EXPECT_DRAINED();
}

/* G6: it cannot defeat a CLEAR_ENDPOINT. */
TEST_F(drain, running_is_busy_while_clear_endpoint_drains)
{
	struct vt_thread *t = thread_start(clear, self->d);

	EXPECT_TRUE(vt_until(is_draining(self->d), WAIT_MS));
	EXPECT_EQ(-EBUSY, mig_set(self->d, S_RUN));
	EXPECT_TRUE(is_draining(self->d));
	EXPECT_FALSE(thread_done(t));
	disk_let_go(self->rig.top);
	EXPECT_EQ(0, thread_join(t, WAIT_MS));
	EXPECT_STATE(self->d, S_STOP);
	EXPECT_DRAINED();
}

TEST_F(drain, clear_endpoint_goes_on_where_a_deadline_has_passed)
{
	EXPECT_EQ(-ETIMEDOUT, mig_set_flags(self->d, S_STOP, 0, 100));
	disk_let_go(self->rig.top);
	EXPECT_EQ(0, device_stop(self->d));
	EXPECT_STATE(self->d, S_STOP);
	EXPECT_DRAINED();
}

static int stop_and_be_killed(void *arg)
{
	return mig_set(arg, S_STOP);
}

/* The killed one is not the owner: the device goes on draining. */
TEST_F(drain, caller_that_is_killed_leaves_it_draining)
{
	pid_t pid = child_start(stop_and_be_killed, self->d);

	EXPECT_TRUE(vt_until(is_draining(self->d), WAIT_MS));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(pid, PROMPT_MS));
	EXPECT_TRUE(is_draining(self->d));
	EXPECT_EQ(0, mig_set(self->d, S_RUN));
	disk_let_go(self->rig.top);
	EXPECT_TRUE(vring_drain(&self->d->q[Q_IO], WAIT_MS));
	EXPECT_EQ(0, reqs_not_good(self->r, BATCH));
}

TEST_F(drain, no_wait_at_all_is_a_deadline_of_a_millisecond)
{
	disk_let_go(self->rig.top);
	EXPECT_TRUE(vring_drain(&self->d->q[Q_IO], WAIT_MS));
	/* Idle: there is nothing to wait for, however short the time. */
	EXPECT_EQ(0, mig_set_flags(self->d, S_STOP, VHOST_SCSI_MIG_NO_FLUSH, 1000));
	EXPECT_DRAINED();
}

/* The cache that is written back takes its second. */
FIXTURE(flush)
{
	struct disk *ram;
	struct target *t;
	struct device d;
};

FIXTURE_SETUP(flush)
{
	struct disk *slow;

	mig_need();
	self->ram = disk_ram(&(struct disk_ram_opts){ .cache = true });
	slow = disk_delay(self->ram, 0, 1000);
	self->t = target_open();
	target_lun(self->t, 0, backstore_block(slow));
	device_open(&self->d, &(struct device_opts){ 0 });
	ASSERT_EQ(0, device_start(&self->d, self->t->wwpn));
	ASSERT_EQ(0, scsi_clear_ua(&self->d, Q_IO, 0));
}

FIXTURE_TEARDOWN(flush)
{
	undo_all();
}

TEST_F(flush, counts_against_the_deadline)
{
	unsigned long before = disk_flushes(self->ram);

	EXPECT_EQ(-ETIMEDOUT, mig_set_flags(&self->d, S_STOP, 0, 100));
	EXPECT_NE(0, mig_status(&self->d).flags & DRAINING);
	EXPECT_EQ(0, mig_set_flags(&self->d, S_STOP, 0, 30000));
	EXPECT_LT(before, disk_flushes(self->ram));
	EXPECT_EQ(VHOST_SCSI_MIG_FLUSH_OK, mig_status(&self->d).flush);
}

TEST_F(flush, can_be_left_out)
{
	unsigned long before = disk_flushes(self->ram);

	EXPECT_EQ(0, mig_set_flags(&self->d, S_STOP, VHOST_SCSI_MIG_NO_FLUSH, 500));
	EXPECT_EQ(before, disk_flushes(self->ram));
	EXPECT_EQ(VHOST_SCSI_MIG_FLUSH_OFF, mig_status(&self->d).flush);
}

TEST_HARNESS_MAIN
