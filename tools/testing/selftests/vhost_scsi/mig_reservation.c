// SPDX-License-Identifier: GPL-2.0
/*
 * Reservations move with the guest (M4): each type, over each kind of backend,
 * on one host and between two.  The test prints the table of it.
 */
#include <errno.h>

#include "kselftest_harness.h"
#include "pr.h"
#include "scene.h"

FIXTURE(moves)
{
	struct scene c;
};

FIXTURE_VARIANT(moves)
{
	struct scene_opts o;
	bool refused;
};

FIXTURE_VARIANT_ADD(moves, iblock_on_one_host)
{
	.o.kind = "iblock",
};

/* What LIO finds first is not always what is meant. */
FIXTURE_VARIANT_ADD(moves, iblock_on_one_host_destination_linked_first)
{
	.o.kind = "iblock", .o.destination_first = true,
};

FIXTURE_VARIANT_ADD(moves, iblock_to_another_host)
{
	.o.kind = "iblock", .o.elsewhere = true,
};

FIXTURE_VARIANT_ADD(moves, fileio_on_one_host)
{
	.o.kind = "fileio",
};

FIXTURE_VARIANT_ADD(moves, fileio_to_another_host)
{
	.o.kind = "fileio", .o.elsewhere = true,
};

FIXTURE_VARIANT_ADD(moves, rd_mcp_on_one_host)
{
	.o.kind = "rd_mcp",
};

FIXTURE_VARIANT_ADD(moves, rd_mcp_to_another_host)
{
	.o.kind = "rd_mcp", .o.elsewhere = true, .refused = true,
};

FIXTURE_SETUP(moves)
{
	mig_need();
	scene_up(&self->c, &variant->o);
}

FIXTURE_TEARDOWN(moves)
{
	undo_all();
}

/* From one host to another, or to another port of it. */
#define EXPECT_MOVES(type) do {							\
	struct scene *__c = &self->c;						\
	struct device *__w = variant->o.elsewhere ? &__c->wd : &__c->ws;	\
	struct stream *__s;							\
	ASSERT_EQ(SAM_GOOD, scene_take(&__c->p.s, type));			\
	EXPECT_TRUE(scene_locked_out(&__c->ws, type));				\
	__s = scene_save(__c, &variant->o);					\
	/* SPC-2 reservations cannot be taken: there is a gap until then. */	\
	if (type)								\
		EXPECT_TRUE(scene_locked_out(&__c->ws, type));			\
	ASSERT_EQ(0, mig_load(&__c->p.d, __c->p.td->wwpn, __s,			\
			      scene_flags(&variant->o)));			\
	EXPECT_EQ(VHOST_SCSI_MIG_ACCEPTED, mig_check(&__c->p.d).verdict);	\
	/* Nothing has changed yet. */						\
	if (variant->o.elsewhere)						\
		EXPECT_STREQ("none", pr_shown(__w, 0));				\
	ASSERT_EQ(0, mig_set(&__c->p.d, S_STOP));				\
	EXPECT_TRUE(scene_locked_out(__w, type));				\
	pair_rings(&__c->p);							\
	ASSERT_EQ(0, device_start(&__c->p.d, __c->p.td->wwpn));			\
	EXPECT_TRUE(scene_locked_out(__w, type));				\
	ASSERT_EQ(0, mig_set(&__c->p.s, S_STOP));				\
	EXPECT_TRUE(scene_locked_out(__w, type));				\
	EXPECT_STREQ(scene_held(__c->p.td, type), pr_shown(__w, 0));		\
	EXPECT_EQ(SAM_GOOD, scsi_write(&__c->p.d, 0));				\
	EXPECT_EQ(SAM_GOOD, scsi_read(&__c->p.d, 0));				\
	/* What the source had of it is gone with the guest. */			\
	if (variant->o.elsewhere) {						\
		EXPECT_STREQ("none", pr_shown(&__c->ws, 0));			\
		EXPECT_EQ(SAM_GOOD, scsi_write(&__c->ws, 0));			\
	}									\
} while (0)

/* Memory of another host is not there: refused, and nothing is lost. */
#define EXPECT_STAYS(type) do {							\
	struct scene *__c = &self->c;						\
	struct stream *__s;							\
	ASSERT_EQ(SAM_GOOD, scene_take(&__c->p.s, type));			\
	__s = scene_save(__c, &variant->o);					\
	EXPECT_EQ(-EREMCHG, mig_load(&__c->p.d, __c->p.td->wwpn, __s, 0));	\
	EXPECT_REFUSED(&__c->p.d, EREMCHG, VHOST_SCSI_MIG_LUN_NOT_SHARED, 1, 0); \
	ASSERT_EQ(0, mig_set_flags(&__c->p.d, S_STOP, VHOST_SCSI_MIG_DROP, 0));	\
	ASSERT_EQ(0, mig_set(&__c->p.s, S_RUN));				\
	EXPECT_TRUE(scene_locked_out(&__c->ws, type));				\
	EXPECT_EQ(SAM_GOOD, scsi_write(&__c->p.s, 0));				\
	ASSERT_EQ(SAM_GOOD, scene_clear(&__c->p.s, type));			\
} while (0)

/* For the next type: everything is where it began. */
static int back(struct pair *p, uint8_t type)
{
	int ret = scene_clear(&p->d, type);

	if (!ret)
		ret = device_stop(&p->d);
	if (!ret)
		ret = device_stop(&p->s);
	if (!ret && mig_status(&p->s).flags & VHOST_SCSI_MIG_SUSPENDED)
		ret = mig_set(&p->s, S_RUN);
	if (!ret)
		ret = device_start(&p->s, NULL);
	return ret ? ret : scsi_clear_ua(&p->s, Q_IO, 0);
}

TEST_F_TIMEOUT(moves, reservation_of_each_type, 600)
{
	static const uint8_t types[] = { PR_WE, PR_EA, PR_WE_RO, PR_EA_RO, PR_WE_AR, PR_EA_AR, 0 };

	for (unsigned int i = 0; i < ARRAY_SIZE(types); i++) {
		const char *result = "moves";

		if (variant->refused) {
			EXPECT_STAYS(types[i]);
			result = "refused: not shared";
		} else {
			EXPECT_MOVES(types[i]);
			ASSERT_EQ(0, back(&self->c.p, types[i]));
		}
		if (_metadata->exit_code == KSFT_FAIL)
			result = "FAILED";
		vt_note("table: | %s | %s | %s | %s |", pr_type_name(types[i]),
			variant->o.kind, variant->o.elsewhere ? "another host" : "same host",
			result);
	}
}

TEST_HARNESS_MAIN
