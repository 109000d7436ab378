// SPDX-License-Identifier: GPL-2.0
/*
 * A load that was applied and then comes to nothing leaves nothing behind, and
 * the source has its reservations back (M4, M5).
 */
#include <errno.h>

#include "kselftest_harness.h"
#include "pr.h"
#include "scene.h"

FIXTURE(undone)
{
	struct scene c;
};

FIXTURE_VARIANT(undone)
{
	struct scene_opts o;
};

FIXTURE_VARIANT_ADD(undone, on_one_host)
{
	.o.kind = "iblock",
};

FIXTURE_VARIANT_ADD(undone, on_one_host_destination_linked_first)
{
	.o.kind = "rd_mcp", .o.destination_first = true,
};

FIXTURE_VARIANT_ADD(undone, on_another_host)
{
	.o.kind = "fileio", .o.elsewhere = true,
};

FIXTURE_SETUP(undone)
{
	mig_need();
	scene_up(&self->c, &variant->o);
}

FIXTURE_TEARDOWN(undone)
{
	undo_all();
}

#define EXPECT_UNDONE(how, type) do {						\
	struct scene *__c = &self->c;						\
	struct stream *__s;							\
	const char *__before;							\
	ASSERT_EQ(SAM_GOOD, scene_take(&__c->p.s, type));			\
	__before = pr_shown(&__c->ws, 0);					\
	EXPECT_STREQ(scene_held(__c->p.ts, type), __before);			\
	__s = scene_save(__c, &variant->o);					\
	ASSERT_EQ(0, pair_apply(&__c->p, __s, scene_flags(&variant->o)));	\
	how;									\
	if (variant->o.elsewhere)						\
		EXPECT_TRUE(vt_until(!strcmp("none", pr_shown(&__c->wd, 0)), WAIT_MS)); \
	/* A third initiator is kept out all the while. */			\
	if (!variant->o.elsewhere && (type))					\
		EXPECT_TRUE(scene_locked_out(&__c->ws, type));			\
	ASSERT_EQ(0, mig_set(&__c->p.s, S_RUN));				\
	EXPECT_STREQ(__before, pr_shown(&__c->ws, 0));				\
	EXPECT_TRUE(scene_locked_out(&__c->ws, type));				\
	EXPECT_EQ(SAM_GOOD, scsi_write(&__c->p.s, 0));				\
	ASSERT_EQ(SAM_GOOD, scene_clear(&__c->p.s, type));			\
} while (0)

TEST_F_TIMEOUT(undone, when_it_is_dropped, 300)
{
	static const uint8_t types[] = { PR_WE, PR_EA_RO, PR_WE_AR, 0 };

	for (unsigned int i = 0; i < ARRAY_SIZE(types); i++)
		EXPECT_UNDONE(ASSERT_EQ(0, mig_set_flags(&self->c.p.d, S_STOP,
							 VHOST_SCSI_MIG_DROP, 0)), types[i]);
}

TEST_F_TIMEOUT(undone, when_its_device_is_closed, 300)
{
	EXPECT_UNDONE(device_close(&self->c.p.d), PR_EA);
}

TEST_F_TIMEOUT(undone, when_another_session_replaces_it, 300)
{
	EXPECT_UNDONE(ASSERT_EQ(0, mig_set(&self->c.p.d, S_RESUME)), PR_WE_RO);
}

TEST_HARNESS_MAIN
