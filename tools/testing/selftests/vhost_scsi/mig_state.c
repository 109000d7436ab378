// SPDX-License-Identifier: GPL-2.0
/*
 * Migration states: every state asked for in every place, by SET_STATE and by
 * the endpoint's ioctls (M1, M8).
 */
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mig.h"

#define F_SUSP VHOST_SCSI_MIG_SUSPENDED
#define F_EP VHOST_SCSI_MIG_ENDPOINT
#define F_ALL (F_SUSP | F_EP | VHOST_SCSI_MIG_DRAINING | VHOST_SCSI_MIG_LOADED)

/* Where a device can be. */
enum place {
	FRESH,		/* nothing was ever set */
	PAUSED,		/* the endpoint was cleared */
	SUSPENDED,	/* stopped by SET_STATE, endpoint set */
	BOTH,		/* suspended, then the endpoint cleared */
	RUNNING,
	AHEAD,		/* running, a session open */
	FINAL,		/* the session open, stopped by SET_STATE */
	CLEARED,	/* the session open, stopped by CLEAR_ENDPOINT */
	FINAL_CLEARED,	/* the session open, stopped by both */
	TAKING,		/* a load session, no endpoint */
	TAKING_SET,	/* a load session, suspended, endpoint set */
	TAKING_BOTH,	/* a load session, suspended, endpoint cleared */
	NR_PLACES
};

static const char *const name[NR_PLACES] = {
	"fresh", "paused", "suspended", "suspended and cleared", "running",
	"running with a session", "stopped with a session",
	"cleared with a session", "stopped and cleared with a session",
	"resuming", "resuming with an endpoint", "resuming and suspended",
};

static const struct {
	uint32_t state, flags;
} seen[NR_PLACES] = {
	[FRESH] = { S_STOP, 0 },
	[PAUSED] = { S_STOP, 0 },
	[SUSPENDED] = { S_STOP, F_SUSP | F_EP },
	[BOTH] = { S_STOP, F_SUSP },
	[RUNNING] = { S_RUN, F_EP },
	[AHEAD] = { S_RUNLOG, F_EP },
	[FINAL] = { S_LOG, F_SUSP | F_EP },
	[CLEARED] = { S_LOG, 0 },
	[FINAL_CLEARED] = { S_LOG, F_SUSP },
	[TAKING] = { S_RESUME, 0 },
	[TAKING_SET] = { S_RESUME, F_SUSP | F_EP },
	[TAKING_BOTH] = { S_RESUME, F_SUSP },
};

FIXTURE(state)
{
	struct rig rig;
	struct device *d;
};

FIXTURE_SETUP(state)
{
	mig_need();
	RIG_UP(&self->rig, .kind = RIG_RAM, .stopped = true);
	self->d = &self->rig.d;
}

FIXTURE_TEARDOWN(state)
{
	undo_all();
}

/* 0, or what went wrong on the way there. */
static int go(struct rig *rig, struct device *d, enum place to)
{
	int ret = 0;

	device_close(d);
	device_open(d, &(struct device_opts){ 0 });
	if (to == FRESH)
		return 0;
	if (to == TAKING)
		return mig_set(d, S_RESUME);
	ret = device_start(d, rig->t->wwpn);
	if (!ret && (to == AHEAD || to == FINAL || to == CLEARED || to == FINAL_CLEARED))
		ret = mig_set(d, S_RUNLOG);
	if (!ret && (to == FINAL || to == FINAL_CLEARED))
		ret = mig_set(d, S_LOG);
	if (!ret && (to == SUSPENDED || to == BOTH || to >= TAKING_SET))
		ret = mig_set(d, S_STOP);
	if (!ret && to >= TAKING_SET)
		ret = mig_set(d, S_RESUME);
	if (!ret && (to == PAUSED || to == BOTH || to == CLEARED || to == FINAL_CLEARED ||
		     to == TAKING_BOTH))
		ret = device_stop(d);
	return ret;
}

static bool is_at(struct device *d, enum place at)
{
	struct vhost_scsi_mig_status st = mig_status(d);

	/* A worker that looks at a ring counts, too. */
	if (st.state & S_RUN)
		st.inflight = 0;
	if (st.state == seen[at].state && (st.flags & F_ALL) == seen[at].flags && !st.inflight)
		return true;
	vt_note("expected %s (%u, flags %#x), is %u, flags %#x, %u in flight", name[at],
		seen[at].state, seen[at].flags, st.state, st.flags & F_ALL, st.inflight);
	return false;
}

TEST_F(state, is_what_was_done)
{
	for (enum place p = FRESH; p < NR_PLACES; p++) {
		EXPECT_EQ(0, go(&self->rig, self->d, p));
		EXPECT_TRUE(is_at(self->d, p));
	}
}

struct arc {
	int ret;
	enum place to;
};

#define NO -EINVAL

/* By place and by the state asked for; anything from ERROR on is never legal. */
static const struct arc arcs[NR_PLACES][6] = {
	/* STOP, RUNNING, LOGGING, RUNNING|LOGGING, RESUMING, RESUMING|RUNNING */
	[FRESH] = {
		{ 0, FRESH }, { -ENOTCONN, FRESH }, { 0, CLEARED },
		{ NO, FRESH }, { 0, TAKING }, { NO, FRESH },
	},
	[PAUSED] = {
		{ 0, PAUSED }, { -ENOTCONN, PAUSED }, { 0, CLEARED },
		{ NO, PAUSED }, { 0, TAKING }, { NO, PAUSED },
	},
	[SUSPENDED] = {
		{ 0, SUSPENDED }, { 0, RUNNING }, { 0, FINAL },
		{ NO, SUSPENDED }, { 0, TAKING_SET }, { NO, SUSPENDED },
	},
	[BOTH] = {
		{ 0, BOTH }, { 0, PAUSED }, { 0, FINAL_CLEARED },
		{ NO, BOTH }, { 0, TAKING_BOTH }, { NO, BOTH },
	},
	[RUNNING] = {
		{ 0, SUSPENDED }, { 0, RUNNING }, { NO, RUNNING },
		{ 0, AHEAD }, { NO, RUNNING }, { NO, RUNNING },
	},
	[AHEAD] = {
		{ NO, AHEAD }, { 0, RUNNING }, { 0, FINAL },
		{ 0, AHEAD }, { NO, AHEAD }, { NO, AHEAD },
	},
	[FINAL] = {
		{ 0, SUSPENDED }, { 0, RUNNING }, { 0, FINAL },
		{ 0, AHEAD }, { NO, FINAL }, { NO, FINAL },
	},
	[CLEARED] = {
		{ 0, PAUSED }, { 0, PAUSED }, { 0, CLEARED },
		{ -ENOTCONN, CLEARED }, { NO, CLEARED }, { NO, CLEARED },
	},
	[FINAL_CLEARED] = {
		{ 0, BOTH }, { 0, PAUSED }, { 0, FINAL_CLEARED },
		{ -ENOTCONN, FINAL_CLEARED }, { NO, FINAL_CLEARED }, { NO, FINAL_CLEARED },
	},
	[TAKING] = {
		{ -EAGAIN, TAKING }, { -ENOTCONN, TAKING }, { NO, TAKING },
		{ NO, TAKING }, { 0, TAKING }, { NO, TAKING },
	},
	[TAKING_SET] = {
		{ -EAGAIN, TAKING_SET }, { -EAGAIN, TAKING_SET }, { NO, TAKING_SET },
		{ NO, TAKING_SET }, { 0, TAKING_SET }, { NO, TAKING_SET },
	},
	[TAKING_BOTH] = {
		{ -EAGAIN, TAKING_BOTH }, { -ENOTCONN, TAKING_BOTH }, { NO, TAKING_BOTH },
		{ NO, TAKING_BOTH }, { 0, TAKING_BOTH }, { NO, TAKING_BOTH },
	},
};

TEST_F_TIMEOUT(state, every_one_asked_for_in_every_place, 600)
{
	static const uint32_t never[] = { S_ERROR, 7, 8, 9, 0x80000000, ~0u };

	for (enum place p = FRESH; p < NR_PLACES; p++) {
		for (uint32_t want = 0; want < 6; want++) {
			struct arc arc = arcs[p][want];

			vt_note("from %s to %u", name[p], want);
			ASSERT_EQ(0, go(&self->rig, self->d, p));
			EXPECT_EQ(arc.ret, mig_set(self->d, want));
			EXPECT_TRUE(is_at(self->d, arc.to));
		}
		ASSERT_EQ(0, go(&self->rig, self->d, p));
		for (unsigned int i = 0; i < ARRAY_SIZE(never); i++)
			EXPECT_EQ(-EINVAL, mig_set(self->d, never[i]));
		EXPECT_TRUE(is_at(self->d, p));
	}
}

static const struct arc set_arcs[NR_PLACES] = {
	[FRESH] = { 0, RUNNING },
	[PAUSED] = { 0, RUNNING },
	[SUSPENDED] = { -EEXIST, SUSPENDED },
	[BOTH] = { 0, SUSPENDED },
	[RUNNING] = { -EEXIST, RUNNING },
	[AHEAD] = { -EEXIST, AHEAD },
	[FINAL] = { -EEXIST, FINAL },
	[CLEARED] = { 0, AHEAD },
	[FINAL_CLEARED] = { 0, FINAL },
	[TAKING] = { -EAGAIN, TAKING },
	[TAKING_SET] = { -EEXIST, TAKING_SET },
	[TAKING_BOTH] = { -EAGAIN, TAKING_BOTH },
};

TEST_F_TIMEOUT(state, set_endpoint_in_every_place, 300)
{
	for (enum place p = FRESH; p < NR_PLACES; p++) {
		vt_note("from %s", name[p]);
		ASSERT_EQ(0, go(&self->rig, self->d, p));
		EXPECT_EQ(set_arcs[p].ret, device_start(self->d, self->rig.t->wwpn));
		EXPECT_TRUE(is_at(self->d, set_arcs[p].to));
	}
}

static const enum place clear_arcs[NR_PLACES] = {
	[FRESH] = FRESH,
	[PAUSED] = PAUSED,
	[SUSPENDED] = BOTH,
	[BOTH] = BOTH,
	[RUNNING] = PAUSED,
	[AHEAD] = CLEARED,
	[FINAL] = FINAL_CLEARED,
	[CLEARED] = CLEARED,
	[FINAL_CLEARED] = FINAL_CLEARED,
	[TAKING] = TAKING,
	[TAKING_SET] = TAKING_BOTH,
	[TAKING_BOTH] = TAKING_BOTH,
};

TEST_F_TIMEOUT(state, clear_endpoint_in_every_place, 300)
{
	for (enum place p = FRESH; p < NR_PLACES; p++) {
		vt_note("from %s", name[p]);
		ASSERT_EQ(0, go(&self->rig, self->d, p));
		EXPECT_EQ(0, device_stop_wwpn(self->d, self->rig.t->wwpn));
		EXPECT_TRUE(is_at(self->d, clear_arcs[p]));
	}
}

/* Whatever it refused, it serves the guest again, and the claim goes with it. */
TEST_F_TIMEOUT(state, every_place_leads_back_to_a_guest_that_is_served, 600)
{
	struct device *d = self->d;

	for (enum place p = FRESH; p < NR_PLACES; p++) {
		struct device other = { 0 };

		vt_note("from %s", name[p]);
		ASSERT_EQ(0, go(&self->rig, d, p));
		switch (seen[p].state) {
		case S_LOG:
		case S_RESUME:
			EXPECT_EQ(0, mig_set_flags(d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
			break;
		case S_RUNLOG:
			EXPECT_EQ(0, mig_set(d, S_RUN));
		}
		EXPECT_EQ(0, device_stop_wwpn(d, self->rig.t->wwpn));
		if (mig_status(d).flags & F_SUSP)
			EXPECT_EQ(0, mig_set(d, S_RUN));
		EXPECT_TRUE(is_at(d, PAUSED));

		device_open(&other, &(struct device_opts){ 0 });
		EXPECT_EQ(0, device_start(&other, self->rig.t->wwpn));
		device_close(&other);
		/* It has come to this TPG before: no attention is new. */
		EXPECT_TRUE(vt_until(!device_start(d, self->rig.t->wwpn), WAIT_MS));
		EXPECT_EQ(0, scsi_clear_ua(d, Q_IO, 0));
		EXPECT_TRUE(scsi_alive(d, Q_IO));
	}
}

/* Without an orchestrator's consent, the target is nobody else's. */
TEST_F(state, session_keeps_the_claim_without_an_endpoint)
{
	struct device other;

	ASSERT_EQ(0, go(&self->rig, self->d, CLEARED));
	device_open(&other, &(struct device_opts){ 0 });
	EXPECT_EQ(-EBUSY, device_start(&other, self->rig.t->wwpn));
	ASSERT_EQ(0, mig_set_flags(self->d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	EXPECT_EQ(0, device_start(&other, self->rig.t->wwpn));
}

TEST_F(state, suspended_device_takes_nothing_from_a_ring)
{
	struct device *d = self->d;
	struct req *r = NULL;

	ASSERT_EQ(0, device_start(d, self->rig.t->wwpn));
	ASSERT_EQ(0, scsi_clear_ua(d, Q_IO, 0));
	ASSERT_EQ(0, mig_set(d, S_STOP));
	r = req_read(d, 0, 8);
	req_post(r, Q_IO);
	vring_kick_always(&d->q[Q_IO]);
	EXPECT_FALSE(req_wait(r, 200));
	EXPECT_RING_SETTLED(d, Q_IO);
	ASSERT_EQ(0, device_stop(d));
	ASSERT_EQ(0, device_start(d, NULL));
	EXPECT_FALSE(req_wait(r, 200));
	/* The kick is not lost. */
	ASSERT_EQ(0, mig_set(d, S_RUN));
	EXPECT_TRUE(req_wait(r, WAIT_MS));
	EXPECT_GOOD(r);
}

/* Stop and start is no reset: ring positions stand (seed of M1). */
TEST_F(state, suspended_device_keeps_its_place)
{
	struct device *d = self->d;

	ASSERT_EQ(0, device_start(d, self->rig.t->wwpn));
	ASSERT_EQ(0, scsi_clear_ua(d, Q_IO, 0));
	for (int i = 0; i < 20; i++) {
		ASSERT_EQ(0, mig_set(d, S_STOP));
		EXPECT_RING_SETTLED(d, Q_IO);
		ASSERT_EQ(0, mig_set(d, S_RUN));
		ASSERT_TRUE(scsi_alive(d, Q_IO));
	}
}

/* A guest reboot, or a pause, in the middle of a session. */
TEST_F(state, session_survives_clear_and_set_of_the_endpoint)
{
	struct stream *s = stream_new();
	struct device *d = self->d;
	int fd;

	ASSERT_EQ(0, go(&self->rig, d, AHEAD));
	fd = mig_data(d, VHOST_SCSI_MIG_DATA_SAVE, NULL);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-ENOMSG, stream_read(s, fd));
	for (int i = 0; i < 3; i++) {
		ASSERT_EQ(0, device_stop(d));
		EXPECT_TRUE(is_at(d, CLEARED));
		EXPECT_EQ(0, stream_read(s, fd));
		EXPECT_NE(NULL, stream_find(s, VHOST_SCSI_MIG_END));
		/* Rings are set up anew, as by a driver that starts. */
		for (unsigned int q = 0; q < d->nq; q++) {
			vring_reset(&d->q[q], 0);
			ASSERT_EQ(0, device_set_ring(d, q));
		}
		ASSERT_EQ(0, device_start(d, NULL));
		EXPECT_TRUE(is_at(d, AHEAD));
		EXPECT_EQ(0, scsi_clear_ua(d, Q_IO, 0));
		EXPECT_TRUE(scsi_alive(d, Q_IO));
		s->len = 0;
		EXPECT_EQ(-ENOMSG, stream_read(s, fd));
		EXPECT_EQ(NULL, stream_find(s, VHOST_SCSI_MIG_END));
	}
	ASSERT_EQ(0, mig_set(d, S_LOG));
	EXPECT_EQ(0, stream_read(s, fd));
	EXPECT_EQ(0, mig_status(d).pending);
	close(fd);
	/* What the last header begins is a whole stream. */
	EXPECT_NE(NULL, stream_find(s, VHOST_SCSI_MIG_END));
	EXPECT_EQ(0, mig_set(d, S_RUN));
	EXPECT_TRUE(scsi_alive(d, Q_IO));
}

TEST_F(state, resuming_starts_only_with_every_ring_in_memory)
{
	struct device *d = self->d;
	struct vring_desc *desc = d->q[Q_IO].desc;

	ASSERT_EQ(0, go(&self->rig, d, BOTH));
	ASSERT_EQ(0, mig_set(d, S_RUN));
	d->q[Q_IO].desc = (void *)0xffff800000001000ull;
	device_set_ring_addr(d, Q_IO);
	EXPECT_EQ(-EFAULT, device_start(d, NULL));
	EXPECT_TRUE(is_at(d, PAUSED));
	d->q[Q_IO].desc = desc;
	ASSERT_EQ(0, device_set_ring_addr(d, Q_IO));
	ASSERT_EQ(0, device_start(d, NULL));
	ASSERT_EQ(0, mig_set(d, S_STOP));
	mprotect(d->q[Q_IO].used, PAGE, PROT_NONE);
	EXPECT_EQ(-EFAULT, mig_set(d, S_RUN));
	EXPECT_TRUE(is_at(d, SUSPENDED));
	mprotect(d->q[Q_IO].used, PAGE, PROT_READ | PROT_WRITE);
	EXPECT_EQ(0, mig_set(d, S_RUN));
	EXPECT_EQ(0, scsi_clear_ua(d, Q_IO, 0));
}

TEST_HARNESS_MAIN
