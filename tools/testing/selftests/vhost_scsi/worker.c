// SPDX-License-Identifier: GPL-2.0
/* Workers: VHOST_NEW_WORKER, ATTACH, GET, FREE, as QEMU's worker-per-virtqueue. */
#include <errno.h>
#include <stdatomic.h>

#include "kselftest_harness.h"
#include "rig.h"

FIXTURE(worker)
{
	struct rig rig;
	struct device *d;
};

FIXTURE_SETUP(worker)
{
	RIG_UP(&self->rig, .kind = RIG_GATE, .stopped = true, .dev.io_queues = 4);
	self->d = &self->rig.d;
}

FIXTURE_TEARDOWN(worker)
{
	undo_all();
}

#define START() ASSERT_EQ(0, device_start(self->d, self->rig.t->wwpn))

TEST_F(worker, one_for_each_queue)
{
	int id[4];

	for (int i = 0; i < 4; i++) {
		id[i] = device_worker_new(self->d);
		ASSERT_LE(0, id[i]);
		ASSERT_EQ(0, device_worker_attach(self->d, Q_IO + i, id[i]));
		EXPECT_EQ(id[i], device_worker_of(self->d, Q_IO + i));
	}
	START();
	ASSERT_EQ(0, scsi_clear_ua(self->d, Q_IO, 0));
	for (int i = 0; i < 4; i++)
		rig_reads(&self->rig, Q_IO + i, 32);
	for (int i = 0; i < 4; i++)
		EXPECT_TRUE(vring_drain(&self->d->q[Q_IO + i], WAIT_MS));
}

TEST_F(worker, control_and_event_queue_may_have_their_own)
{
	int id = device_worker_new(self->d);

	ASSERT_LE(0, id);
	EXPECT_EQ(0, device_worker_attach(self->d, Q_CTL, id));
	EXPECT_EQ(0, device_worker_attach(self->d, Q_EVT, id));
	START();
	EXPECT_LE(0, tmf_run(self->d, VIRTIO_SCSI_T_TMF_QUERY_TASK_SET, 0, 0));
	ASSERT_EQ(0, scsi_clear_ua(self->d, Q_IO, 0));
}

TEST_F(worker, that_is_attached_cannot_be_freed)
{
	int id = device_worker_new(self->d);

	ASSERT_LE(0, id);
	ASSERT_EQ(0, device_worker_attach(self->d, Q_IO, id));
	EXPECT_EQ(-EBUSY, device_worker_free(self->d, id));
}

TEST_F(worker, that_is_not_attached_can_be_freed)
{
	int id = device_worker_new(self->d);

	ASSERT_LE(0, id);
	EXPECT_EQ(0, device_worker_free(self->d, id));
	EXPECT_EQ(-ENODEV, device_worker_attach(self->d, Q_IO, id));
}

TEST_F(worker, that_does_not_exist_cannot_be_attached_or_freed)
{
	EXPECT_EQ(-ENODEV, device_worker_attach(self->d, Q_IO, 4711));
	EXPECT_EQ(-ENODEV, device_worker_free(self->d, 4711));
}

TEST_F(worker, of_a_queue_that_does_not_exist_is_an_error)
{
	int id = device_worker_new(self->d);

	EXPECT_EQ(-ENOBUFS, device_worker_attach(self->d, 5000, id));
	EXPECT_EQ(-ENOBUFS, device_worker_of(self->d, 5000));
}

TEST_F(worker, needs_an_owner)
{
	struct device d;

	device_open_bare(&d, &(struct device_opts){ 0 });
	EXPECT_EQ(-EINVAL, device_worker_new(&d));
	EXPECT_EQ(-EINVAL, device_worker_attach(&d, Q_IO, 0));
	EXPECT_EQ(-EINVAL, device_worker_of(&d, Q_IO));
	EXPECT_EQ(-EINVAL, device_worker_free(&d, 0));
	device_close(&d);
}

TEST_F(worker, of_a_running_device_can_be_freed_once_it_is_detached)
{
	int a = device_worker_new(self->d), b = device_worker_new(self->d);

	ASSERT_EQ(0, device_worker_attach(self->d, Q_IO, a));
	START();
	ASSERT_EQ(0, scsi_clear_ua(self->d, Q_IO, 0));
	EXPECT_EQ(-EBUSY, device_worker_free(self->d, a));
	EXPECT_EQ(0, device_worker_attach(self->d, Q_IO, b));
	EXPECT_EQ(b, device_worker_of(self->d, Q_IO));
	EXPECT_EQ(0, device_worker_free(self->d, a));
	EXPECT_TRUE(scsi_alive(self->d, Q_IO));
}

/* Requests of before and after the change come back, and the stop finds all. */
TEST_F(worker, changes_under_load)
{
	int old, id = device_worker_new(self->d);
	struct req **r;

	START();
	ASSERT_EQ(0, scsi_clear_ua(self->d, Q_IO, 0));
	old = device_worker_of(self->d, Q_IO);
	for (int i = 0; i < 20; i++) {
		r = rig_reads(&self->rig, Q_IO, 32);
		ASSERT_EQ(0, device_worker_attach(self->d, Q_IO, i % 2 ? old : id));
		ASSERT_TRUE(vring_drain(&self->d->q[Q_IO], WAIT_MS));
		ASSERT_EQ(0, reqs_not_good(r, 32));
	}
	ASSERT_EQ(0, device_stop(self->d));
	EXPECT_RING_SETTLED(self->d, Q_IO);
}

struct move {
	struct device *d;
	int id;
};

static long move_queue(void *arg)
{
	struct move *m = arg;

	return device_worker_attach(m->d, Q_IO, m->id);
}

/* It may wait for them, or not; they come back in both cases. */
TEST_F(worker, changes_while_requests_are_in_flight)
{
	struct move m = { .d = self->d, .id = device_worker_new(self->d) };
	struct vt_thread *t;
	struct req **r;

	START();
	ASSERT_EQ(0, scsi_clear_ua(self->d, Q_IO, 0));
	rig_mark(&self->rig);
	disk_hold(self->rig.top);
	r = rig_reads(&self->rig, Q_IO, 32);
	ASSERT_TRUE(rig_submitted(&self->rig, 32));
	t = thread_start(move_queue, &m);
	vt_sleep_ms(100);
	disk_let_go(self->rig.top);
	ASSERT_EQ(0, thread_join(t, WAIT_MS));
	ASSERT_TRUE(vring_drain(&self->d->q[Q_IO], WAIT_MS));
	EXPECT_EQ(0, reqs_not_good(r, 32));
	EXPECT_EQ(m.id, device_worker_of(self->d, Q_IO));
	EXPECT_EQ(0, device_stop(self->d));
	EXPECT_RING_SETTLED(self->d, Q_IO);
}

#define MOVES 100
#define DEPTH 32u
#define QUEUES 2u

struct mover {
	struct device *d;
	int id[3];
	atomic_bool done;
};

/* Each queue from one worker to the next, the workers shared in between. */
static long move_forever(void *arg)
{
	struct mover *m = arg;
	int ret = 0;

	for (int i = 0; i < MOVES && !ret; i++)
		ret = device_worker_attach(m->d, Q_IO + i % QUEUES, m->id[(i + i / 5) % 3]);
	atomic_store(&m->done, true);
	return ret;
}

/* Sends every request that is back again, until the mover is done: how many. */
static unsigned long load_until(struct mover *m, struct req **r[], unsigned int *bad)
{
	uint64_t end = vt_now_ms() + WAIT_MS;
	unsigned long sent = QUEUES * DEPTH;

	while (!atomic_load(&m->done) && vt_now_ms() < end) {
		for (unsigned int q = 0; q < QUEUES; q++) {
			struct ring *vr = &m->d->q[Q_IO + q];

			if (!vring_reap(vr)) {
				vt_sleep_ms(1);
				continue;
			}
			for (unsigned int i = 0; i < DEPTH; i++) {
				if (!r[q][i]->out_come.returned)
					continue;
				*bad += req_not_good(r[q][i]);
				req_post(r[q][i], Q_IO + q);
				sent++;
			}
			vring_kick(vr);
		}
	}
	return sent;
}

TEST_F(worker, changes_100_times_under_load_and_nothing_is_lost)
{
	struct mover m = { .d = self->d };
	struct req **r[QUEUES];
	unsigned int bad = 0;
	unsigned long sent, used = 0;
	struct vt_thread *t;

	START();
	ASSERT_EQ(0, scsi_clear_ua(self->d, Q_IO, 0));
	ASSERT_EQ(0, scsi_clear_ua(self->d, Q_IO + 1, 0));
	for (int i = 0; i < 3; i++) {
		m.id[i] = i ? device_worker_new(self->d) : device_worker_of(self->d, Q_IO);
		ASSERT_LE(0, m.id[i]);
	}
	for (unsigned int q = 0; q < QUEUES; q++) {
		used -= self->d->q[Q_IO + q].used_seen;
		r[q] = rig_reads(&self->rig, Q_IO + q, DEPTH);
	}
	t = thread_start(move_forever, &m);
	sent = load_until(&m, r, &bad);
	ASSERT_EQ(0, thread_join(t, WAIT_MS));
	for (unsigned int q = 0; q < QUEUES; q++) {
		EXPECT_TRUE(vring_drain(&self->d->q[Q_IO + q], WAIT_MS));
		EXPECT_EQ(0, reqs_not_good(r[q], DEPTH));
		used += self->d->q[Q_IO + q].used_seen;
	}
	EXPECT_EQ(0, bad);
	/* The used index is of 16 bits. */
	EXPECT_EQ(0, (sent - used) & 0xffff);
	EXPECT_LT(QUEUES * DEPTH, sent);
	EXPECT_EQ(0, device_stop(self->d));
	EXPECT_RING_SETTLED(self->d, Q_IO);
	EXPECT_RING_SETTLED(self->d, Q_IO + 1);
}

/* Moved and stopped at once, in either order. */
TEST_F(worker, changes_while_the_device_is_stopped)
{
	struct mover m = { .d = self->d };
	struct vt_thread *t;
	struct req **r;

	START();
	ASSERT_EQ(0, scsi_clear_ua(self->d, Q_IO, 0));
	for (int i = 0; i < 3; i++)
		m.id[i] = i ? device_worker_new(self->d) : device_worker_of(self->d, Q_IO);
	t = thread_start(move_forever, &m);
	for (int i = 0; !atomic_load(&m.done) && i < 200; i++) {
		r = rig_reads(&self->rig, Q_IO, 8);
		ASSERT_EQ(0, device_stop(self->d));
		EXPECT_RING_SETTLED(self->d, Q_IO);
		ASSERT_EQ(0, device_start(self->d, NULL));
		ASSERT_TRUE(vring_drain(&self->d->q[Q_IO], WAIT_MS));
		ASSERT_EQ(0, reqs_not_good(r, 8));
	}
	EXPECT_EQ(0, thread_join(t, WAIT_MS));
}

TEST_HARNESS_MAIN
