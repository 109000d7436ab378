// SPDX-License-Identifier: GPL-2.0
/*
 * Reservations that do not stand alone: other registrants, several LUNs, APTPL,
 * and what keeps them from moving (M4, M11).
 */
#include <errno.h>
#include <stdio.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mig.h"
#include "pr.h"

#define KEY 0x1111
#define OTHER 0x2222
#define PR_DIR "/var/target/pr"

static const uint32_t dropped = VHOST_SCSI_MIG_DATA_CACHE_DROPPED;

/* One host; or two, that share a file. */
FIXTURE(registrant)
{
	struct pair p;
	struct target *tw, *te;
	struct device w;	/* a third initiator, beside the source */
	struct device e;	/* and one beside the destination, if elsewhere */
};

FIXTURE_VARIANT(registrant)
{
	bool elsewhere;
};

FIXTURE_VARIANT_ADD(registrant, on_one_host)
{
	.elsewhere = false,
};

FIXTURE_VARIANT_ADD(registrant, to_another_host)
{
	.elsewhere = true,
};

static void third_party(struct target *t, struct device *d, struct backstore *b)
{
	target_lun(t, 0, b);
	device_open(d, &(struct device_opts){ .mem = 8 << 20 });
	if (device_start(d, t->wwpn) || scsi_clear_ua(d, Q_IO, 0))
		vt_fatal("a third initiator does not start");
}

FIXTURE_SETUP(registrant)
{
	const char *path = vt_str("/tmp/vt-%d-%u", getpid(), vt_serial());
	struct backstore *a, *b = NULL;
	char name[256];

	mig_need();
	a = backstore_file(path, 4);
	backstore_serial(a, path + 5);
	if (variant->elsewhere) {
		b = backstore_file(path, 4);
		backstore_serial(b, path + 5);
	}
	PAIR_UP(&self->p, .bs = a, .bd = b, .dev.mem = 8 << 20);
	self->tw = target_open();
	third_party(self->tw, &self->w, a);
	if (variant->elsewhere) {
		/* The same initiator, as it is known over there. */
		file_get(target_path(self->tw, "nexus"), name, sizeof(name));
		self->te = target_open_bare(1);
		ASSERT_EQ(0, target_nexus(self->te, name));
		third_party(self->te, &self->e, b);
	}
}

FIXTURE_TEARDOWN(registrant)
{
	undo_all();
}

/* The stream of the source, as it arrives. */
static struct stream *stream_of(struct pair *p, bool elsewhere)
{
	struct stream *s = pair_save(p);

	if (elsewhere)
		stream_from_elsewhere(s);
	return s;
}

static int move(struct pair *p, bool elsewhere)
{
	int ret = pair_apply(p, stream_of(p, elsewhere), elsewhere ? dropped : 0);

	if (ret)
		return ret;
	pair_rings(p);
	ret = device_start(&p->d, p->td->wwpn);
	return ret ? ret : mig_set(&p->s, S_STOP);
}

/* It cannot be applied: this reason, and the source goes on with what it had. */
#define EXPECT_REJECTED(why, tgt, nr) do {					\
	const char *__before = pr_shown(&self->w, nr);				\
	struct vhost_scsi_mig_status __st;					\
	EXPECT_EQ(-EKEYREJECTED, pair_apply(&self->p,				\
		  stream_of(&self->p, variant->elsewhere),			\
		  variant->elsewhere ? dropped : 0));				\
	__st = mig_status(&self->p.d);						\
	EXPECT_EQ(EKEYREJECTED, __st.error);					\
	EXPECT_EQ(why, __st.reason);						\
	EXPECT_EQ(tgt, __st.target);						\
	EXPECT_EQ(nr, __st.lun);						\
	EXPECT_EQ(0, mig_set_flags(&self->p.d, S_STOP, VHOST_SCSI_MIG_DROP, 0)); \
	EXPECT_EQ(0, mig_set(&self->p.s, S_RUN));				\
	EXPECT_STREQ(__before, pr_shown(&self->w, nr));				\
	EXPECT_EQ(0, scsi_clear_ua(&self->p.s, Q_IO, nr));			\
} while (0)

/* Who looks at the disk where the guest has gone, as which target. */
#define THERE (variant->elsewhere ? &self->e : &self->w)
#define THERE_NAME pr_name(self->tw)

TEST_F(registrant, that_holds_nothing)
{
	ASSERT_EQ(SAM_GOOD, pr_register(&self->w, 0, OTHER));
	ASSERT_EQ(SAM_GOOD, pr_reserve(&self->w, 0, OTHER, PR_EA_RO));
	ASSERT_EQ(SAM_GOOD, pr_register(&self->p.s, 0, KEY));
	if (variant->elsewhere) {
		ASSERT_EQ(SAM_GOOD, pr_register(&self->e, 0, OTHER));
		ASSERT_EQ(SAM_GOOD, pr_reserve(&self->e, 0, OTHER, PR_EA_RO));
	}
	ASSERT_EQ(0, move(&self->p, variant->elsewhere));
	EXPECT_STREQ(vt_str("%x@%s %x@%s* type 6", KEY, pr_name(self->p.td), OTHER, THERE_NAME),
		     pr_shown(THERE, 0));
	EXPECT_EQ(SAM_GOOD, scsi_write(&self->p.d, 0));
	EXPECT_EQ(SAM_GOOD, scsi_write(THERE, 0));
}

TEST_F(registrant, that_holds_beside_another)
{
	ASSERT_EQ(SAM_GOOD, pr_register(&self->p.s, 0, KEY));
	ASSERT_EQ(SAM_GOOD, pr_reserve(&self->p.s, 0, KEY, PR_WE_RO));
	ASSERT_EQ(SAM_GOOD, pr_register(&self->w, 0, OTHER));
	if (variant->elsewhere)
		ASSERT_EQ(SAM_GOOD, pr_register(&self->e, 0, OTHER));
	ASSERT_EQ(0, move(&self->p, variant->elsewhere));
	EXPECT_STREQ(vt_str("%x@%s* %x@%s type 5", KEY, pr_name(self->p.td), OTHER, THERE_NAME),
		     pr_shown(THERE, 0));
	EXPECT_EQ(SAM_GOOD, scsi_write(&self->p.d, 0));
	/* It is still registered, so still let in. */
	EXPECT_EQ(SAM_GOOD, scsi_write(THERE, 0));
	EXPECT_EQ(SAM_GOOD, pr_out(THERE, 0, PR_PREEMPT, PR_EA, OTHER, KEY));
	EXPECT_EQ(SAM_RESERVATION_CONFLICT, scsi_write(&self->p.d, 0));
}

TEST_F(registrant, of_a_type_for_all_moves_beside_another)
{
	ASSERT_EQ(SAM_GOOD, pr_register(&self->p.s, 0, KEY));
	ASSERT_EQ(SAM_GOOD, pr_register(&self->w, 0, OTHER));
	ASSERT_EQ(SAM_GOOD, pr_reserve(&self->w, 0, OTHER, PR_EA_AR));
	if (variant->elsewhere) {
		ASSERT_EQ(SAM_GOOD, pr_register(&self->e, 0, OTHER));
		ASSERT_EQ(SAM_GOOD, pr_reserve(&self->e, 0, OTHER, PR_EA_AR));
	}
	ASSERT_EQ(0, move(&self->p, variant->elsewhere));
	EXPECT_EQ(SAM_GOOD, scsi_write(&self->p.d, 0));
	EXPECT_EQ(SAM_GOOD, scsi_write(THERE, 0));
	/* The guest holds it, too: it may release it. */
	EXPECT_EQ(SAM_GOOD, pr_out(&self->p.d, 0, PR_RELEASE, PR_EA_AR, KEY, 0));
	EXPECT_STREQ(vt_str("%x@%s %x@%s", KEY, pr_name(self->p.td), OTHER, THERE_NAME),
		     pr_shown(THERE, 0));
}

TEST_F(registrant, with_the_key_of_another_is_a_blocker)
{
	struct vhost_scsi_mig_blocker b[4] = { 0 };

	ASSERT_EQ(SAM_GOOD, pr_register(&self->p.s, 0, KEY));
	EXPECT_EQ(0, mig_blockers(&self->p.s, b, 4));
	ASSERT_EQ(SAM_GOOD, pr_register(&self->w, 0, KEY));
	ASSERT_EQ(1, mig_blockers(&self->p.s, b, 4));
	EXPECT_EQ(VHOST_SCSI_MIG_PR_KEY_SHARED, b[0].reason);
	EXPECT_EQ(1, b[0].target);
	EXPECT_EQ(0, b[0].lun);
	EXPECT_REJECTED(VHOST_SCSI_MIG_PR_KEY_SHARED, 1, 0);
	ASSERT_EQ(SAM_GOOD, pr_out(&self->w, 0, PR_REGISTER, 0, KEY, 0));
	EXPECT_EQ(0, mig_blockers(&self->p.s, b, 4));
	ASSERT_EQ(0, move(&self->p, variant->elsewhere));
	EXPECT_STREQ(vt_str("%x@%s", KEY, pr_name(self->p.td)), pr_shown(THERE, 0));
}

/* PERSISTENT RESERVE IN, REPORT CAPABILITIES: persists through power loss. */
static int aptpl(struct device *d, unsigned int lun)
{
	struct req *r = req_new(d, cdb_pr_in(2, 8), DATA_IN, 8);

	req_lun(r, 1, lun);
	return req_run(r, Q_IO) && !req_not_good(r) ? r->data_in[3] & 1 : -1;
}

TEST_F(registrant, keeps_its_aptpl)
{
	ASSERT_EQ(SAM_GOOD, pr_register_aptpl(&self->p.s, 0, KEY));
	ASSERT_EQ(SAM_GOOD, pr_reserve(&self->p.s, 0, KEY, PR_EA));
	EXPECT_EQ(1, aptpl(&self->w, 0));
	ASSERT_EQ(0, move(&self->p, variant->elsewhere));
	EXPECT_EQ(0, scsi_clear_ua(THERE, Q_IO, 0));
	EXPECT_EQ(1, aptpl(THERE, 0));
	EXPECT_STREQ(vt_str("%x@%s* type 3", KEY, pr_name(self->p.td)), pr_shown(THERE, 0));
}

/* REGISTER with APTPL 0 would clear it for everybody. */
TEST_F(registrant, does_not_take_the_aptpl_of_others)
{
	/* The last one to register decides. */
	ASSERT_EQ(SAM_GOOD, pr_register(&self->p.s, 0, KEY));
	ASSERT_EQ(SAM_GOOD, pr_register_aptpl(&self->w, 0, OTHER));
	if (variant->elsewhere)
		ASSERT_EQ(SAM_GOOD, pr_register_aptpl(&self->e, 0, OTHER));
	ASSERT_EQ(0, move(&self->p, variant->elsewhere));
	EXPECT_EQ(1, aptpl(THERE, 0));
}

static void pr_dir_back(void *away)
{
	rename(away, PR_DIR);
}

/* LIO does such a REGISTER, and fails it. */
TEST_F(registrant, whose_aptpl_cannot_be_kept_is_refused)
{
	char *away = vt_str(PR_DIR "-%d", getpid());

	if (!variant->elsewhere)
		SKIP(return, "one host has its directory, or it has not");
	ASSERT_EQ(SAM_GOOD, pr_register_aptpl(&self->p.s, 0, KEY));
	ASSERT_EQ(0, rename(PR_DIR, away));
	undo_push(pr_dir_back, away);
	EXPECT_REJECTED(VHOST_SCSI_MIG_PR_APTPL, 1, 0);
	EXPECT_STREQ("none", pr_shown(&self->e, 0));
}

TEST_F(registrant, of_several_luns)
{
	static const uint8_t types[] = { PR_WE, 0, PR_EA_RO, PR_WE_AR };
	struct pair *p = &self->p;

	if (variant->elsewhere)
		SKIP(return, "one host is enough");
	/* The device that looks on sees the LUNs under the same numbers. */
	for (unsigned int lun = 1; lun <= ARRAY_SIZE(types); lun++) {
		struct backstore *b = backstore_ram(1, false);

		target_lun(p->ts, lun, b);
		target_lun(p->td, lun, b);
		target_lun(self->tw, lun, b);
		ASSERT_EQ(0, scsi_clear_ua(&p->s, Q_IO, lun));
		ASSERT_EQ(SAM_GOOD, pr_register(&p->s, lun, KEY + lun));
		if (types[lun - 1])
			ASSERT_EQ(SAM_GOOD, pr_reserve(&p->s, lun, KEY + lun, types[lun - 1]));
	}
	ASSERT_EQ(0, move(p, false));
	EXPECT_STREQ("none", pr_shown(&self->w, 0));
	for (unsigned int lun = 1; lun <= ARRAY_SIZE(types); lun++) {
		uint8_t type = types[lun - 1];
		const char *want = vt_str("%x@%s", KEY + lun, pr_name(p->td));

		if (type)
			want = vt_str("%s* type %u", want, type);
		EXPECT_STREQ(want, pr_shown(&self->w, lun));
		EXPECT_EQ(SAM_GOOD, scsi_write(&p->d, lun));
		EXPECT_EQ(type ? SAM_RESERVATION_CONFLICT : SAM_GOOD, scsi_write(&self->w, lun));
	}
}

TEST_F(registrant, beside_one_that_the_other_host_does_not_know)
{
	if (!variant->elsewhere)
		SKIP(return, "there is no other host");
	ASSERT_EQ(SAM_GOOD, pr_register(&self->p.s, 0, KEY));
	ASSERT_EQ(SAM_GOOD, pr_reserve(&self->p.s, 0, KEY, PR_WE_RO));
	ASSERT_EQ(SAM_GOOD, pr_register(&self->w, 0, OTHER));
	EXPECT_REJECTED(VHOST_SCSI_MIG_PR_REGISTRANTS, 1, 0);
	EXPECT_STREQ("none", pr_shown(&self->e, 0));
}

TEST_F(registrant, that_finds_another_holder_there)
{
	if (!variant->elsewhere)
		SKIP(return, "there is no other host");
	ASSERT_EQ(SAM_GOOD, pr_register(&self->p.s, 0, KEY));
	ASSERT_EQ(SAM_GOOD, pr_reserve(&self->p.s, 0, KEY, PR_EA));
	ASSERT_EQ(SAM_GOOD, pr_register(&self->e, 0, OTHER));
	ASSERT_EQ(SAM_GOOD, pr_reserve(&self->e, 0, OTHER, PR_WE));
	EXPECT_REJECTED(VHOST_SCSI_MIG_PR_CONFLICT, 1, 0);
	EXPECT_STREQ(vt_str("%x@%s* type 1", OTHER, THERE_NAME), pr_shown(&self->e, 0));
}

TEST_F(registrant, that_finds_an_spc2_reservation_there)
{
	if (!variant->elsewhere)
		SKIP(return, "there is no other host");
	ASSERT_EQ(SAM_GOOD, spc2_reserve(&self->p.s, 0));
	ASSERT_EQ(SAM_GOOD, spc2_reserve(&self->e, 0));
	EXPECT_REJECTED(VHOST_SCSI_MIG_SPC2_CONFLICT, 1, 0);
	EXPECT_EQ(SAM_GOOD, scsi_write(&self->e, 0));
}

/* On one host the gap of the hand-over can be used by somebody else. */
TEST_F(registrant, whose_spc2_reservation_was_taken_meanwhile)
{
	struct stream *s;

	if (variant->elsewhere)
		SKIP(return, "there is no gap");
	ASSERT_EQ(SAM_GOOD, spc2_reserve(&self->p.s, 0));
	s = pair_save(&self->p);
	ASSERT_EQ(SAM_GOOD, spc2_reserve(&self->w, 0));
	EXPECT_EQ(-EKEYREJECTED, pair_apply(&self->p, s, 0));
	EXPECT_EQ(VHOST_SCSI_MIG_SPC2_CONFLICT, mig_status(&self->p.d).reason);
	EXPECT_EQ(0, mig_set_flags(&self->p.d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	/* Nor can the source have it back; it stays stopped, and says why. */
	EXPECT_EQ(-EIO, mig_set(&self->p.s, S_RUN));
	EXPECT_EQ(VHOST_SCSI_MIG_SPC2_CONFLICT, mig_status(&self->p.s).reason);
	ASSERT_EQ(SAM_GOOD, spc2_release(&self->w, 0));
	EXPECT_EQ(0, mig_set(&self->p.s, S_RUN));
	EXPECT_EQ(SAM_RESERVATION_CONFLICT, scsi_write(&self->w, 0));
	EXPECT_EQ(SAM_GOOD, scsi_write(&self->p.s, 0));
}

/* ASC of what TEST UNIT READY reports, 0 if nothing. */
static int told(struct device *d)
{
	struct req *r = req_new(d, cdb_tur(), NO_DATA, 0);

	if (!req_run(r, Q_IO))
		return -1;
	return r->resp->status == SAM_CHECK_CONDITION ? req_sense_asc(r) : 0;
}

/*
 * Fencing wins: a guest that was preempted while it moved gets nothing back, at
 * either end, and is told.
 */
#define EXPECT_FENCED(d, witness) do {						\
	EXPECT_STREQ(vt_str("%x@%s* type 3", OTHER, THERE_NAME), pr_shown(witness, 0)); \
	EXPECT_EQ(0x2a, told(d));						\
	EXPECT_EQ(SAM_RESERVATION_CONFLICT, scsi_write(d, 0));			\
} while (0)

TEST_F(registrant, that_is_fenced_before_its_state_is_applied)
{
	struct stream *s;

	if (variant->elsewhere)
		SKIP(return, "another host does not hear of it");
	ASSERT_EQ(SAM_GOOD, pr_register(&self->p.s, 0, KEY));
	ASSERT_EQ(SAM_GOOD, pr_reserve(&self->p.s, 0, KEY, PR_EA));
	ASSERT_EQ(SAM_GOOD, pr_register(&self->w, 0, OTHER));
	s = stream_of(&self->p, false);
	ASSERT_EQ(SAM_GOOD, pr_out(&self->w, 0, PR_PREEMPT, PR_EA, OTHER, KEY));
	EXPECT_EQ(-EKEYREJECTED, pair_apply(&self->p, s, 0));
	EXPECT_EQ(VHOST_SCSI_MIG_PR_CONFLICT, mig_status(&self->p.d).reason);
	ASSERT_EQ(0, mig_set_flags(&self->p.d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	ASSERT_EQ(0, mig_set(&self->p.s, S_RUN));
	EXPECT_FENCED(&self->p.s, &self->w);
}

TEST_F(registrant, that_is_fenced_before_it_starts_there)
{
	struct stream *s;

	ASSERT_EQ(SAM_GOOD, pr_register(&self->p.s, 0, KEY));
	ASSERT_EQ(SAM_GOOD, pr_reserve(&self->p.s, 0, KEY, PR_EA));
	ASSERT_EQ(SAM_GOOD, pr_register(&self->w, 0, OTHER));
	if (variant->elsewhere)
		ASSERT_EQ(SAM_GOOD, pr_register(&self->e, 0, OTHER));
	s = stream_of(&self->p, variant->elsewhere);
	ASSERT_EQ(0, pair_apply(&self->p, s, variant->elsewhere ? dropped : 0));
	ASSERT_EQ(SAM_GOOD, pr_out(THERE, 0, PR_PREEMPT, PR_EA, OTHER, KEY));
	pair_rings(&self->p);
	ASSERT_EQ(0, device_start(&self->p.d, self->p.td->wwpn));
	ASSERT_EQ(0, mig_set(&self->p.s, S_STOP));
	EXPECT_FENCED(&self->p.d, THERE);
}

/* The guest runs in one place, and that is where its reservation is. */
TEST_F(registrant, that_went_on_at_the_source_does_not_start_there)
{
	struct stream *s;

	if (variant->elsewhere)
		SKIP(return, "another host does not hear of it");
	ASSERT_EQ(SAM_GOOD, pr_register(&self->p.s, 0, KEY));
	ASSERT_EQ(SAM_GOOD, pr_reserve(&self->p.s, 0, KEY, PR_EA));
	s = stream_of(&self->p, false);
	ASSERT_EQ(0, pair_apply(&self->p, s, 0));
	pair_rings(&self->p);
	ASSERT_EQ(0, mig_set(&self->p.s, S_RUN));
	EXPECT_EQ(-ESTALE, device_start(&self->p.d, self->p.td->wwpn));
	EXPECT_STATE(&self->p.d, S_STOP);
	ASSERT_EQ(0, mig_set_flags(&self->p.d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	EXPECT_STREQ(vt_str("%x@%s* type 3", KEY, pr_name(self->p.ts)), pr_shown(&self->w, 0));
	EXPECT_EQ(SAM_GOOD, scsi_write(&self->p.s, 0));
}

/* Not all of it was read: whoever ends this session keeps what he has. */
TEST_F(registrant, stays_where_it_is_if_the_session_is_no_hand_over)
{
	const char *mine = vt_str("%x@%s* type 3", KEY, pr_name(self->p.ts));

	ASSERT_EQ(SAM_GOOD, pr_register(&self->p.s, 0, KEY));
	ASSERT_EQ(SAM_GOOD, pr_reserve(&self->p.s, 0, KEY, PR_EA));
	ASSERT_EQ(0, mig_set(&self->p.s, S_RUNLOG));
	ASSERT_EQ(0, mig_set(&self->p.s, S_LOG));
	ASSERT_EQ(0, mig_set(&self->p.s, S_STOP));
	EXPECT_STREQ(mine, pr_shown(&self->w, 0));
	ASSERT_EQ(0, mig_set(&self->p.s, S_RUN));
	stream_of(&self->p, false);
	ASSERT_EQ(0, mig_set_flags(&self->p.s, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	EXPECT_STREQ(mine, pr_shown(&self->w, 0));
	ASSERT_EQ(0, mig_set(&self->p.s, S_RUN));
	EXPECT_EQ(SAM_GOOD, scsi_write(&self->p.s, 0));
}

TEST_HARNESS_MAIN
