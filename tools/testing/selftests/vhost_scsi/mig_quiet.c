// SPDX-License-Identifier: GPL-2.0
/* M6: the destination leaves the disks alone until the guest asks for something. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mig.h"
#include "pr.h"

FIXTURE(quiet)
{
	struct pair p;
	struct disk *ram, *there;	/* the disk, and as the destination sees it */
};

FIXTURE_SETUP(quiet)
{
	struct disk *here;

	mig_need();
	/* With a volatile cache: nor is it written back where nothing was written. */
	self->ram = disk_ram(&(struct disk_ram_opts){ .cache = true });
	here = disk_gate(self->ram);
	self->there = disk_gate(self->ram);
	PAIR_UP(&self->p, .bs = backstore_block(here), .bd = backstore_block(self->there));
	/* One disk: only the name tells that. */
	device_stop(&self->p.s);
}

FIXTURE_TEARDOWN(quiet)
{
	undo_all();
}

/* Everything that the block layer counts: reads, writes, discards, flushes. */
static const char *counters(struct disk *d)
{
	char path[128], text[512];

	snprintf(path, sizeof(path), "%s/stat", d->sys);
	if (file_get(path, text, sizeof(text)) <= 0)
		vt_fatal("no %s", path);
	return vt_str("%s", text);
}

static void same_disk(struct pair *p)
{
	const char *serial = vt_str("quiet-%d", getpid());
	struct {
		struct target *t;
		struct backstore *b;
	} side[2] = { { p->ts, p->bs }, { p->td, p->bd } };

	for (int i = 0; i < 2; i++) {
		if (target_lun_unlink(side[i].t, 0))
			vt_fatal("cannot unlink LUN 0");
		backstore_serial(side[i].b, serial);
		target_lun(side[i].t, 0, side[i].b);
	}
}

TEST_F(quiet, until_the_guest_asks)
{
	struct pair *p = &self->p;
	const char *before;
	struct stream *s;
	struct req *r;

	same_disk(p);
	ASSERT_EQ(0, device_start(&p->s, NULL));
	ASSERT_EQ(0, scsi_clear_ua(&p->s, Q_IO, 0));
	ASSERT_EQ(SAM_GOOD, pr_register(&p->s, 0, 1));
	ASSERT_EQ(SAM_GOOD, pr_reserve(&p->s, 0, 1, PR_EA));
	s = pair_save(p);
	stream_from_elsewhere(s);

	before = counters(self->there);
	ASSERT_EQ(0, pair_apply(p, s, 0));
	EXPECT_STREQ(before, counters(self->there));
	pair_rings(p);
	ASSERT_EQ(0, device_start(&p->d, p->td->wwpn));
	vt_sleep_ms(500);
	EXPECT_STREQ(before, counters(self->there));
	r = req_read(&p->d, 0, 8);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_STRNE(before, counters(self->there));
}

TEST_F(quiet, when_a_load_is_refused_or_dropped)
{
	struct pair *p = &self->p;
	const char *before;
	struct stream *s;

	ASSERT_EQ(0, device_start(&p->s, NULL));
	s = pair_save(p);
	stream_from_elsewhere(s);
	before = counters(self->there);
	EXPECT_EQ(-EREMCHG, pair_apply(p, s, 0));
	EXPECT_EQ(VHOST_SCSI_MIG_LUN_IDENTITY, mig_check(&p->d).blocker.reason);
	EXPECT_EQ(0, mig_set_flags(&p->d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	EXPECT_EQ(0, mig_set(&p->s, S_RUN));
	same_disk(p);
	EXPECT_EQ(0, mig_set(&p->s, S_RUNLOG));
	EXPECT_EQ(0, mig_set(&p->s, S_RUN));
	s = pair_save(p);
	stream_from_elsewhere(s);
	EXPECT_EQ(0, pair_apply(p, s, 0));
	EXPECT_EQ(0, mig_set_flags(&p->d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	EXPECT_STREQ(before, counters(self->there));
}

TEST_HARNESS_MAIN
