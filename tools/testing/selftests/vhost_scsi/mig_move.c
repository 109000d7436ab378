// SPDX-License-Identifier: GPL-2.0
/* Whole migrations: the guest goes on at the destination where it was (M4, M5). */
#include <endian.h>
#include <errno.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mig.h"

/* One guest memory for both: what a machine monitor copies is there already. */
FIXTURE(move)
{
	struct pair p;
	struct disk *ram;
};

FIXTURE_SETUP(move)
{
	mig_need();
	self->ram = disk_ram(NULL);
	disk_fill(self->ram, 0, 2048, 0);
	PAIR_UP(&self->p, .bs = backstore_block(self->ram));
	ASSERT_TRUE(scsi_alive(&self->p.s, Q_IO));
}

FIXTURE_TEARDOWN(move)
{
	undo_all();
}

/* The guest is behind the other device now, with everything that it knows. */
static void follow(struct device *to, const struct device *from)
{
	struct device_opts opts = { .mem_file = true, .mem_fd = from->guest.fd,
				    .mem = from->guest.size };

	/* Opening lays the rings out as they are, but writes to them. */
	uint8_t *saved = vt_zalloc(from->guest.used);

	memcpy(saved, from->guest.mem, from->guest.used);
	device_close(to);
	device_open_bare(to, &opts);
	memcpy(to->guest.mem, saved, from->guest.used);
	to->guest.used = from->guest.used;
	for (unsigned int q = 0; q < to->nq; q++) {
		struct ring *vr = &to->q[q];
		const struct ring *was = &from->q[q];

		vr->avail_idx = was->avail_idx;
		vr->kicked = was->kicked;
		vr->used_seen = was->used_seen;
		vr->nfree = was->nfree;
		vr->inflight = was->inflight;
		memcpy(vr->free, was->free, vr->num * sizeof(*vr->free));
		memcpy(vr->next, was->next, vr->num * sizeof(*vr->next));
		memcpy(vr->count, was->count, vr->num * sizeof(*vr->count));
		memcpy(vr->owner, was->owner, vr->num * sizeof(*vr->owner));
	}
}

static int own(struct device *d)
{
	int ret = device_ioctl(d, VHOST_SET_OWNER, NULL);

	if (!ret)
		ret = device_set_features(d, d->features);
	if (!ret)
		ret = device_set_mem(d);
	for (unsigned int q = 0; !ret && q < d->nq; q++) {
		ret = device_set_ring(d, q);
		if (!ret)
			ret = device_set_ring_base(d, q, d->q[q].used_seen);
	}
	return ret;
}

/* From a running device to another: -errno, or 0. */
static int migrate(struct device *from, struct device *to, struct target *t)
{
	struct stream *s;
	int ret = mig_set(from, S_RUNLOG);

	if (!ret)
		ret = mig_set(from, S_LOG);
	if (ret)
		return ret;
	for (unsigned int q = 0; q < from->nq; q++)
		vring_reap(&from->q[q]);
	s = mig_save(from);
	follow(to, from);
	ret = own(to);
	if (!ret)
		ret = mig_load(to, t->wwpn, s, 0);
	if (!ret)
		ret = mig_set(to, S_STOP);
	if (!ret)
		ret = device_start(to, t->wwpn);
	if (!ret)
		ret = mig_set(from, S_STOP);
	return ret ? ret : device_stop(from);
}

TEST_F(move, requests_of_a_stopped_guest_are_served_at_the_destination)
{
	struct pair *p = &self->p;
	struct req *r[8];

	ASSERT_EQ(0, mig_set(&p->s, S_STOP));
	for (int i = 0; i < 8; i++) {
		r[i] = req_read(&p->s, i * 8, 8);
		req_post(r[i], Q_IO);
	}
	ASSERT_EQ(0, mig_set(&p->s, S_LOG));
	{
		struct stream *s = mig_save(&p->s);

		follow(&p->d, &p->s);
		ASSERT_EQ(0, own(&p->d));
		ASSERT_EQ(0, mig_load(&p->d, p->td->wwpn, s, 0));
	}
	/* Without a detour by STOP: SET_ENDPOINT does it all. */
	ASSERT_EQ(0, device_start(&p->d, p->td->wwpn));
	EXPECT_STATE(&p->d, S_RUN);
	ASSERT_EQ(0, mig_set(&p->s, S_STOP));
	/* Nobody has kicked. */
	EXPECT_TRUE(vring_drain(&p->d.q[Q_IO], WAIT_MS));
	for (int i = 0; i < 8; i++) {
		EXPECT_EQ(1, r[i]->out_come.returned);
		EXPECT_EQ(0, pattern_diff(r[i]->data_in, i * 8, 8, 0));
	}
}

TEST_F(move, there_and_back_again_under_io)
{
	struct pair *p = &self->p;
	uint8_t *disk = vt_zalloc(4096);

	for (unsigned int i = 1; i <= 6; i++) {
		struct device *from = i % 2 ? &p->s : &p->d, *to = i % 2 ? &p->d : &p->s;
		struct req *w = req_write(from, 64, 8, i);

		req_send(w, Q_IO);
		ASSERT_EQ(0, migrate(from, to, i % 2 ? p->td : p->ts));
		EXPECT_TRUE(vring_drain(&to->q[Q_IO], WAIT_MS));
		EXPECT_EQ(1, w->out_come.returned);
		disk_read(self->ram, 64, disk, 4096);
		EXPECT_EQ(0, pattern_diff(disk, 64, 8, i));
		EXPECT_TRUE(scsi_alive(to, Q_IO));
	}
}

TEST_F(move, rings_that_are_not_those_of_the_load_do_not_start)
{
	struct pair *p = &self->p;
	struct stream *s = pair_save(p);

	ASSERT_EQ(0, pair_apply(p, s, 0));
	/* The destination's are where they were. */
	EXPECT_EQ(-ESTALE, device_start(&p->d, p->td->wwpn));
	EXPECT_STATE(&p->d, S_STOP);
	EXPECT_EQ(VHOST_SCSI_MIG_LOADED, mig_status(&p->d).flags);
	pair_rings(p);
	EXPECT_EQ(-EXDEV, device_start(&p->d, p->ts->wwpn));
	ASSERT_EQ(0, device_set_features(&p->d, p->d.features & ~F_INDIRECT));
	EXPECT_EQ(-ESTALE, device_start(&p->d, p->td->wwpn));
	ASSERT_EQ(0, device_set_features(&p->d, p->s.features));
	EXPECT_EQ(0, device_start(&p->d, p->td->wwpn));
	EXPECT_EQ(VHOST_SCSI_MIG_ENDPOINT, mig_status(&p->d).flags);
	EXPECT_EQ(0, mig_set(&p->s, S_STOP));
	EXPECT_TRUE(scsi_alive(&p->d, Q_IO));
}

/* A monitor that sets its endpoint first, and is suspended before that. */
TEST_F(move, into_a_device_with_an_endpoint)
{
	struct pair *p = &self->p;
	struct stream *s = pair_save(p);

	ASSERT_EQ(0, device_start(&p->d, p->td->wwpn));
	ASSERT_EQ(0, mig_set(&p->d, S_STOP));
	ASSERT_EQ(0, mig_load(&p->d, p->td->wwpn, s, 0));
	EXPECT_EQ(-ESTALE, mig_set(&p->d, S_RUN));
	ASSERT_EQ(0, mig_set_flags(&p->d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	ASSERT_EQ(0, device_stop(&p->d));
	pair_rings(p);
	ASSERT_EQ(0, device_start(&p->d, p->td->wwpn));
	EXPECT_STATE(&p->d, S_STOP);
	ASSERT_EQ(0, mig_load(&p->d, p->td->wwpn, s, 0));
	EXPECT_EQ(0, mig_set(&p->d, S_RUN));
	EXPECT_STATE(&p->d, S_RUN);
	EXPECT_EQ(0, mig_set(&p->s, S_STOP));
	EXPECT_TRUE(scsi_alive(&p->d, Q_IO));
}

TEST_F(move, accepted_load_keeps_the_claim_until_it_is_dropped)
{
	struct pair *p = &self->p;
	struct stream *s = pair_save(p);
	struct device other;

	device_open(&other, &(struct device_opts){ 0 });
	ASSERT_EQ(0, pair_apply(p, s, 0));
	EXPECT_EQ(-EBUSY, device_start(&other, p->td->wwpn));
	EXPECT_EQ(0, mig_set_flags(&p->d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	EXPECT_EQ(0, mig_status(&p->d).flags & VHOST_SCSI_MIG_LOADED);
	EXPECT_EQ(0, device_start(&other, p->td->wwpn));
}

TEST_F(move, source_goes_on_when_the_destination_has_refused)
{
	struct pair *p = &self->p;
	struct req *r[32];
	struct stream *s;

	ASSERT_EQ(0, target_lun_unlink(p->td, 0));
	for (int i = 0; i < 32; i++) {
		r[i] = req_read(&p->s, i * 8, 8);
		req_post(r[i], Q_IO);
	}
	vring_kick(&p->s.q[Q_IO]);
	s = pair_save(p);
	EXPECT_EQ(-EREMCHG, pair_apply(p, s, 0));
	EXPECT_EQ(0, mig_set_flags(&p->d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	/* As QEMU does it, which knows nothing of all this. */
	ASSERT_EQ(0, device_stop(&p->s));
	ASSERT_EQ(0, device_start(&p->s, NULL));
	EXPECT_EQ(0, mig_set(&p->s, S_RUN));
	EXPECT_TRUE(vring_drain(&p->s.q[Q_IO], WAIT_MS));
	EXPECT_EQ(0, reqs_not_good(r, 32));
	EXPECT_TRUE(scsi_alive(&p->s, Q_IO));
}

/* It arrived, was never started, and is sent back. */
TEST_F(move, load_that_was_not_started_can_be_saved_again)
{
	struct pair *p = &self->p;
	struct stream *s = pair_save(p), *again;

	ASSERT_EQ(0, pair_apply(p, s, 0));
	ASSERT_EQ(0, mig_set(&p->s, S_STOP));
	ASSERT_EQ(0, device_stop(&p->s));
	ASSERT_EQ(0, mig_set(&p->s, S_RUN));
	ASSERT_EQ(0, mig_set(&p->d, S_LOG));
	again = mig_save(&p->d);
	EXPECT_EQ(le32toh(stream_find(s, VHOST_SCSI_MIG_RINGS)->length),
		  le32toh(stream_find(again, VHOST_SCSI_MIG_RINGS)->length));
	EXPECT_EQ(0, memcmp(stream_payload(s, VHOST_SCSI_MIG_RINGS),
			    stream_payload(again, VHOST_SCSI_MIG_RINGS),
			    le32toh(stream_find(s, VHOST_SCSI_MIG_RINGS)->length)));
	ASSERT_EQ(0, mig_load(&p->s, p->ts->wwpn, again, 0));
	ASSERT_EQ(0, mig_set(&p->s, S_STOP));
	EXPECT_EQ(0, device_start(&p->s, NULL));
	EXPECT_EQ(0, mig_set(&p->d, S_STOP));
	EXPECT_TRUE(scsi_alive(&p->s, Q_IO));
}

TEST_HARNESS_MAIN
