// SPDX-License-Identifier: GPL-2.0
/*
 * M8: threads that call everything at once on one descriptor.  Nobody sees the
 * middle of another's call, nothing hangs, no request is lost; and then it works.
 */
#include <errno.h>
#include <stdatomic.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mig.h"

static unsigned int seconds(void)
{
	const char *env = getenv("VHOST_SCSI_STRESS_SECONDS");

	return env ? atoi(env) : 5;
}

FIXTURE(race)
{
	struct rig rig;
	struct device *d;
};

FIXTURE_SETUP(race)
{
	mig_need();
	RIG_UP(&self->rig, .kind = RIG_DISK, .dev.features = F_DEFAULT | F_HOTPLUG);
	self->d = &self->rig.d;
}

FIXTURE_TEARDOWN(race)
{
	undo_all();
}

static uint64_t end_ms;
static struct rig *rig;
static struct backstore *spare;
static atomic_uint odd_errors;

static bool for_a_while(void)
{
	return vt_now_ms() < end_ms;
}

/* What is written is random, and in part what was read. */
#define REFUSED 1000

static bool is_refusal(int err)
{
	return err == EPROTO || err == EBADMSG || err == EMEDIUMTYPE || err == EFBIG ||
	       err == EREMCHG;
}

/* Of all that may be, depending on what the others do; 0 and these. */
static void may(int ret, const int *errors, const char *what)
{
	if (ret >= 0)
		return;
	for (; *errors; errors++)
		if (ret == -*errors || (*errors == REFUSED && is_refusal(-ret)))
			return;
	if (!atomic_fetch_add(&odd_errors, 1))
		vt_note("%s: %s", what, strerror(-ret));
}

#define MAY(call, ...) may(call, (const int[]){ __VA_ARGS__, 0 }, #call)

static unsigned int roll(unsigned int *seed, unsigned int n)
{
	return rand_r(seed) % n;
}

static long do_states(void *arg)
{
	static const uint32_t states[] = { S_STOP, S_RUN, S_LOG, S_RUNLOG, S_RESUME };
	unsigned int seed = (uintptr_t)&seed;
	struct device *d = arg;

	while (for_a_while()) {
		uint32_t flags = roll(&seed, 4), state = states[roll(&seed, 5)];

		MAY(mig_set_flags(d, state, flags, roll(&seed, 3)), EINVAL, EBUSY, ENOTCONN,
		    ETIMEDOUT, EAGAIN, REFUSED);
	}
	return 0;
}

static long do_endpoint(void *arg)
{
	struct device *d = arg;

	while (for_a_while()) {
		MAY(device_stop(d), EINVAL);
		MAY(device_start(d, NULL), EEXIST, EAGAIN, REFUSED);
	}
	return 0;
}

static long do_data(void *arg)
{
	unsigned int seed = (uintptr_t)&seed;
	uint8_t buf[512] = { 0 };
	struct device *d = arg;

	while (for_a_while()) {
		bool save = roll(&seed, 2);
		int fd;

		fd = mig_data(d, save ? VHOST_SCSI_MIG_DATA_SAVE : VHOST_SCSI_MIG_DATA_LOAD,
			      save ? NULL : rig->t->wwpn);
		MAY(fd, ENODATA, EBUSY);
		if (fd < 0)
			continue;
		for (int i = 0; i < 8; i++) {
			size_t n = roll(&seed, sizeof(buf));

			if (save)
				MAY(read(fd, buf, n) < 0 ? -errno : 0, ENOMSG, ENODEV);
			else
				MAY(write(fd, buf, n) < 0 ? -errno : 0, REFUSED, ENODEV);
		}
		close(fd);
	}
	return 0;
}

static long do_looks(void *arg)
{
	struct vhost_scsi_mig_blocker b[2];
	struct vhost_scsi_mig_check c;
	struct device *d = arg;
	uint64_t events = 0;
	long bad = 0;

	while (for_a_while()) {
		struct vhost_scsi_mig_status st = mig_status(d);

		bad += st.events < events;
		events = st.events;
		/* No state that there is not. */
		bad += st.state > S_RESUME;
		MAY(mig_blockers(d, b, 2), ENOENT);
		MAY(mig_check_get(d, &c), ENODATA);
		MAY(mig_eventfd(d, -1), ENOENT);
	}
	return bad;
}

static long do_plug(void *arg)
{
	long bad = 0;

	while (for_a_while()) {
		bad += target_lun_link(rig->t, 3, spare) != 0;
		bad += target_lun_unlink(rig->t, 3) != 0;
	}
	return bad;
}

#define DEPTH 8

static long do_load(void *arg)
{
	struct device *d = arg;
	struct req *r[DEPTH];
	long bad = 0;

	for (int i = 0; i < DEPTH; i++) {
		r[i] = req_read(d, i * 8, 8);
		req_post(r[i], Q_IO);
	}
	while (for_a_while()) {
		vring_kick_always(&d->q[Q_IO]);
		vring_reap(&d->q[Q_IO]);
		for (int i = 0; i < DEPTH; i++) {
			if (!r[i]->out_come.returned)
				continue;
			if (req_sense_key(r[i]) != KEY_UNIT_ATTENTION)
				bad += req_not_good(r[i]) ||
				       pattern_diff(r[i]->data_in, i * 8, 8, 0);
			req_poison(r[i]);
			req_post(r[i], Q_IO);
		}
		vt_sleep_ms(1);
	}
	return bad;
}

/* From wherever it was left, back to a guest that is served. */
static int recover(struct device *d)
{
	int ret;

	if (mig_state(d) & S_RESUME)
		mig_set_flags(d, S_STOP, VHOST_SCSI_MIG_DROP, 0);
	ret = mig_set(d, S_RUN);
	if (ret == -ENOTCONN)
		ret = 0;
	if (!ret && mig_state(d) == S_STOP)
		ret = device_start(d, NULL);
	return ret;
}

#define RACE(...) do {								\
	long (*__fn[])(void *) = { do_load, __VA_ARGS__ };			\
	struct vt_thread *__t[ARRAY_SIZE(__fn)];				\
	rig = &self->rig;							\
	end_ms = vt_now_ms() + seconds() * 1000;				\
	for (unsigned int __i = 0; __i < ARRAY_SIZE(__fn); __i++)		\
		__t[__i] = thread_start(__fn[__i], self->d);			\
	for (unsigned int __i = 0; __i < ARRAY_SIZE(__fn); __i++)		\
		EXPECT_EQ(0, thread_join(__t[__i], seconds() * 1000 + 30000));	\
	EXPECT_EQ(0, atomic_load(&odd_errors));					\
	EXPECT_EQ(0, recover(self->d));						\
	EXPECT_STATE(self->d, S_RUN);						\
	vring_kick_always(&self->d->q[Q_IO]);					\
	EXPECT_TRUE(vring_drain(&self->d->q[Q_IO], WAIT_MS));			\
	EXPECT_EQ(0, device_stop(self->d));					\
	EXPECT_RING_SETTLED(self->d, Q_IO);					\
	EXPECT_EQ(0, device_start(self->d, NULL));				\
	EXPECT_EQ(0, scsi_clear_ua(self->d, Q_IO, 0));				\
} while (0)

TEST_F_TIMEOUT(race, states_against_each_other, 600)
{
	RACE(do_states, do_states, do_looks);
}

TEST_F_TIMEOUT(race, states_against_the_endpoint, 600)
{
	RACE(do_states, do_endpoint, do_looks);
}

TEST_F_TIMEOUT(race, states_against_data, 600)
{
	RACE(do_states, do_data, do_data, do_looks);
}

TEST_F_TIMEOUT(race, all_of_it_at_once, 600)
{
	spare = backstore_ram(1, false);
	RACE(do_states, do_states, do_endpoint, do_data, do_looks, do_plug);
}

TEST_HARNESS_MAIN
