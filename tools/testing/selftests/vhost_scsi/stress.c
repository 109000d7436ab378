// SPDX-License-Identifier: GPL-2.0
/*
 * M8: many threads on one descriptor. No interleaving of their calls loses a
 * request, hangs the device or leaves it half started; afterwards it works.
 */
#include <errno.h>
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "rig.h"

static unsigned int seconds(void)
{
	const char *env = getenv("VHOST_SCSI_STRESS_SECONDS");

	return env ? atoi(env) : 5;
}

FIXTURE(stress)
{
	struct rig rig;
	struct device *d;
};

FIXTURE_SETUP(stress)
{
	RIG_UP(&self->rig, .kind = RIG_DISK, .dev.io_queues = 4,
	       .dev.features = F_DEFAULT | F_HOTPLUG);
	self->d = &self->rig.d;
	ASSERT_EQ(0, device_set_log_base(self->d));
}

FIXTURE_TEARDOWN(stress)
{
	undo_all();
}

static uint64_t end_ms;
static struct backstore *spare;

static bool for_a_while(void)
{
	return vt_now_ms() < end_ms;
}

static long do_start_stop(void *arg)
{
	struct device *d = arg;
	long bad = 0;
	int ret;

	while (for_a_while()) {
		ret = device_stop(d);
		bad += ret != 0;
		ret = device_start(d, NULL);
		bad += ret != 0 && ret != -EEXIST;
	}
	return bad;
}

static long do_memory(void *arg)
{
	long bad = 0;

	while (for_a_while())
		bad += device_set_mem(arg) != 0;
	return bad;
}

static long do_log(void *arg)
{
	struct device *d = arg;
	uint64_t on = d->features | F_LOG_ALL, off = d->features & ~F_LOG_ALL;
	long bad = 0;

	while (for_a_while()) {
		bad += device_set_log_base(d) != 0;
		bad += device_ioctl(d, VHOST_SET_FEATURES, &on) != 0;
		bad += device_ioctl(d, VHOST_SET_FEATURES, &off) != 0;
	}
	return bad;
}

static long do_events(void *arg)
{
	uint32_t missed = 1;
	long bad = 0;

	while (for_a_while()) {
		bad += device_ioctl(arg, VHOST_SCSI_SET_EVENTS_MISSED, &missed) != 0;
		bad += device_ioctl(arg, VHOST_SCSI_GET_EVENTS_MISSED, &missed) != 0;
	}
	return bad;
}

static long do_workers(void *arg)
{
	long bad = 0;
	unsigned int i = 0;

	while (for_a_while()) {
		int q = Q_IO + i++ % 4, old = device_worker_of(arg, q);
		int id = device_worker_new(arg);

		bad += id < 0;
		bad += device_worker_attach(arg, q, id) != 0;
		bad += device_worker_attach(arg, q, old) != 0;
		bad += device_worker_free(arg, id) != 0;
	}
	return bad;
}

static long do_kicks(void *arg)
{
	struct device *d = arg;

	while (for_a_while()) {
		for (unsigned int q = 0; q < d->nq; q++)
			vring_kick_always(&d->q[q]);
		vt_sleep_ms(1);
	}
	return 0;
}

static long do_plug(void *arg)
{
	long bad = 0;

	while (for_a_while()) {
		bad += target_lun_link(arg, 3, spare) != 0;
		bad += target_lun_unlink(arg, 3) != 0;
	}
	return bad;
}

#define DEPTH 16

/* The guest keeps a ring busy, and knows every request. */
static long do_load(void *arg)
{
	struct device *d = arg;
	struct ring *vr = &d->q[Q_IO];
	struct req *r[DEPTH];
	long bad = 0;

	for (int i = 0; i < DEPTH; i++) {
		r[i] = req_read(d, i * 8, 8);
		req_post(r[i], Q_IO);
	}
	while (for_a_while()) {
		vring_kick(vr);
		vring_reap(vr);
		for (int i = 0; i < DEPTH; i++) {
			if (!r[i]->out_come.returned)
				continue;
			/* Hot plug leaves unit attentions. */
			if (req_sense_key(r[i]) != KEY_UNIT_ATTENTION)
				bad += req_not_good(r[i]) ||
				       pattern_diff(r[i]->data_in, i * 8, 8, 0);
			req_post(r[i], Q_IO);
		}
		vt_sleep_ms(1);
	}
	return bad;
}

/* Runs the calls of the list beside a busy queue; then all must be well. */
#define STRESS(...) do {							\
	long (*__fn[])(void *) = { do_load, __VA_ARGS__ };			\
	struct vt_thread *__t[ARRAY_SIZE(__fn)];				\
	end_ms = vt_now_ms() + seconds() * 1000;				\
	for (unsigned int __i = 0; __i < ARRAY_SIZE(__fn); __i++)		\
		__t[__i] = thread_start(__fn[__i], __fn[__i] == do_plug ?	\
					(void *)self->rig.t : self->d);		\
	for (unsigned int __i = 0; __i < ARRAY_SIZE(__fn); __i++)		\
		EXPECT_EQ(0, thread_join(__t[__i], seconds() * 1000 + 15000));	\
	device_start(self->d, NULL);						\
	vring_kick_always(&self->d->q[Q_IO]);					\
	EXPECT_TRUE(vring_drain(&self->d->q[Q_IO], WAIT_MS));			\
	EXPECT_EQ(0, device_stop(self->d));					\
	EXPECT_RING_SETTLED(self->d, Q_IO);					\
	EXPECT_EQ(0, device_start(self->d, NULL));				\
	/* Hot plug leaves unit attentions. */					\
	EXPECT_EQ(0, scsi_clear_ua(self->d, Q_IO + 1, 0));			\
	EXPECT_TRUE(scsi_alive(self->d, Q_IO + 1));				\
} while (0)

TEST_F_TIMEOUT(stress, start_and_stop_against_each_other, 600)
{
	STRESS(do_start_stop, do_start_stop, do_kicks);
}

TEST_F_TIMEOUT(stress, start_and_stop_against_the_memory_table, 600)
{
	STRESS(do_start_stop, do_memory);
}

TEST_F_TIMEOUT(stress, start_and_stop_against_logging, 600)
{
	STRESS(do_start_stop, do_log, do_kicks);
}

TEST_F_TIMEOUT(stress, start_and_stop_against_workers, 600)
{
	STRESS(do_start_stop, do_workers);
}

TEST_F_TIMEOUT(stress, start_and_stop_against_hot_plug, 600)
{
	spare = backstore_ram(1, false);
	STRESS(do_start_stop, do_plug, do_events);
}

TEST_F_TIMEOUT(stress, everything_at_once, 600)
{
	spare = backstore_ram(1, false);
	STRESS(do_start_stop, do_memory, do_log, do_workers, do_plug, do_events, do_kicks);
}

TEST_HARNESS_MAIN
