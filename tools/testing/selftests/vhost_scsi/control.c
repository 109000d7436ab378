// SPDX-License-Identifier: GPL-2.0
/* The control queue: all task management functions, notifications. */
#include "kselftest_harness.h"
#include "rig.h"

#define TMF(name) VIRTIO_SCSI_T_TMF_##name
#define COMPLETE VIRTIO_SCSI_S_OK		/* FUNCTION COMPLETE */
#define SUCCEEDED VIRTIO_SCSI_S_FUNCTION_SUCCEEDED
#define REJECTED VIRTIO_SCSI_S_FUNCTION_REJECTED

FIXTURE(control)
{
	struct rig rig;
	struct device *d;
};

FIXTURE_SETUP(control)
{
	RIG_UP(&self->rig, .kind = RIG_GATE);
	self->d = &self->rig.d;
}

FIXTURE_TEARDOWN(control)
{
	undo_all();
}

/* With nothing in flight, and what the specification says to that. */
FIXTURE(tmf)
{
	struct rig rig;
};

FIXTURE_VARIANT(tmf)
{
	uint32_t subtype;
	int idle;		/* answer with nothing in flight */
};

FIXTURE_VARIANT_ADD(tmf, abort_task)
{
	.subtype = TMF(ABORT_TASK), .idle = COMPLETE,
};

FIXTURE_VARIANT_ADD(tmf, abort_task_set)
{
	.subtype = TMF(ABORT_TASK_SET), .idle = COMPLETE,
};

FIXTURE_VARIANT_ADD(tmf, clear_aca)
{
	.subtype = TMF(CLEAR_ACA), .idle = REJECTED,
};

FIXTURE_VARIANT_ADD(tmf, clear_task_set)
{
	.subtype = TMF(CLEAR_TASK_SET), .idle = REJECTED,
};

FIXTURE_VARIANT_ADD(tmf, i_t_nexus_reset)
{
	.subtype = TMF(I_T_NEXUS_RESET), .idle = COMPLETE,
};

FIXTURE_VARIANT_ADD(tmf, logical_unit_reset)
{
	.subtype = TMF(LOGICAL_UNIT_RESET), .idle = COMPLETE,
};

FIXTURE_VARIANT_ADD(tmf, query_task)
{
	.subtype = TMF(QUERY_TASK), .idle = COMPLETE,
};

FIXTURE_VARIANT_ADD(tmf, query_task_set)
{
	.subtype = TMF(QUERY_TASK_SET), .idle = COMPLETE,
};

FIXTURE_SETUP(tmf)
{
	RIG_UP(&self->rig, .kind = RIG_DISK);
}

FIXTURE_TEARDOWN(tmf)
{
	undo_all();
}

TEST_F(tmf, answer_when_nothing_is_in_flight)
{
	EXPECT_EQ(variant->idle, tmf_run(&self->rig.d, variant->subtype, 0, 1));
	EXPECT_EQ(1, self->rig.d.q[Q_CTL].used->ring[0].len);
}

TEST_F(tmf, lun_that_is_not_there_is_incorrect)
{
	if (variant->subtype == TMF(I_T_NEXUS_RESET))
		SKIP(return, "an I_T nexus reset is about no LUN");
	EXPECT_EQ(VIRTIO_SCSI_S_INCORRECT_LUN,
		  tmf_run(&self->rig.d, variant->subtype, 9, 1));
}

TEST_F(tmf, target_that_is_not_there_is_bad)
{
	struct ctl *c = tmf_new(&self->rig.d, variant->subtype, 0, 1);

	c->req->tmf.lun[1] = 9;
	ctl_send(c);
	ASSERT_TRUE(ctl_wait(c, WAIT_MS));
	EXPECT_EQ(VIRTIO_SCSI_S_BAD_TARGET, c->resp->tmf.response);
}

TEST_F(control, unknown_function_is_rejected)
{
	EXPECT_EQ(REJECTED, tmf_run(self->d, 8, 0, 0));
	EXPECT_EQ(REJECTED, tmf_run(self->d, 0xffffffff, 0, 0));
}

/* Sends READs that the backend holds; n of them are with LIO. */
#define HELD_READS(n) ({							\
	struct req **__r;							\
	disk_hold(self->rig.top);						\
	rig_mark(&self->rig);							\
	__r = rig_reads(&self->rig, Q_IO, n);					\
	ASSERT_TRUE(rig_submitted(&self->rig, n));				\
	__r;									\
})

/*
 * Sends the function, lets the backend go, waits for both. What tells that the
 * function has taken hold is the time that it had: plenty, on a busy machine.
 */
#define RUN_WHILE_HELD(subtype, lun, tag) ({					\
	struct ctl *__c = tmf_new(self->d, subtype, lun, tag);			\
	ctl_send(__c);								\
	vt_sleep_ms(1000);							\
	disk_let_go(self->rig.top);						\
	ASSERT_TRUE(ctl_wait(__c, WAIT_MS));					\
	vring_reap(&self->d->q[Q_IO]);						\
	__c->resp->tmf.response;						\
})

TEST_F(control, query_task_finds_a_command_in_flight)
{
	struct req **r = HELD_READS(4);

	EXPECT_EQ(SUCCEEDED, tmf_run(self->d, TMF(QUERY_TASK), 0, req_tag(r[2])));
	EXPECT_EQ(COMPLETE, tmf_run(self->d, TMF(QUERY_TASK), 0, 12345));
	disk_let_go(self->rig.top);
	ASSERT_TRUE(vring_drain(&self->d->q[Q_IO], WAIT_MS));
	EXPECT_EQ(COMPLETE, tmf_run(self->d, TMF(QUERY_TASK), 0, req_tag(r[2])));
}

TEST_F(control, query_task_set_finds_commands_in_flight)
{
	HELD_READS(4);
	EXPECT_EQ(SUCCEEDED, tmf_run(self->d, TMF(QUERY_TASK_SET), 0, 0));
	disk_let_go(self->rig.top);
	ASSERT_TRUE(vring_drain(&self->d->q[Q_IO], WAIT_MS));
	EXPECT_EQ(COMPLETE, tmf_run(self->d, TMF(QUERY_TASK_SET), 0, 0));
}

TEST_F(control, abort_task_ends_that_command_and_no_other)
{
	struct req **r = HELD_READS(4);

	EXPECT_EQ(COMPLETE, RUN_WHILE_HELD(TMF(ABORT_TASK), 0, req_tag(r[2])));
	EXPECT_EQ(1, r[2]->out_come.returned);
	EXPECT_EQ(VIRTIO_SCSI_S_ABORTED, r[2]->resp->response);
	ASSERT_TRUE(vring_drain(&self->d->q[Q_IO], WAIT_MS));
	EXPECT_GOOD(r[0]);
	EXPECT_GOOD(r[1]);
	EXPECT_GOOD(r[3]);
}

TEST_F(control, abort_task_of_an_unknown_tag_ends_nothing)
{
	struct req **r = HELD_READS(4);

	EXPECT_EQ(COMPLETE, tmf_run(self->d, TMF(ABORT_TASK), 0, 12345));
	disk_let_go(self->rig.top);
	ASSERT_TRUE(vring_drain(&self->d->q[Q_IO], WAIT_MS));
	EXPECT_EQ(0, reqs_not_good(r, 4));
}

/* The tag of a command to another LUN names no task of this one. */
TEST_F(control, abort_task_minds_the_lun)
{
	struct req **r;

	target_lun(self->rig.t, 1, backstore_ram(1, false));
	ASSERT_EQ(0, scsi_clear_ua(self->d, Q_IO, 0));
	r = HELD_READS(1);
	EXPECT_EQ(COMPLETE, tmf_run(self->d, TMF(ABORT_TASK), 1, req_tag(r[0])));
	disk_let_go(self->rig.top);
	ASSERT_TRUE(vring_drain(&self->d->q[Q_IO], WAIT_MS));
	EXPECT_GOOD(r[0]);
}

/*
 * LIO aborts one command at a time and waits for the backend each time, so
 * others may end by themselves; before the function's answer they all have.
 */
static unsigned int count_ended(struct req **r, unsigned int n, uint8_t how)
{
	unsigned int ended = 0;

	while (n--)
		ended += r[n]->resp->response == how;
	return ended;
}

#define EXPECT_ENDED(r, n, how) do {						\
	unsigned int __ended = count_ended(r, n, how);				\
	EXPECT_EQ(n, reqs_returned(r, n));					\
	EXPECT_LE(1, __ended);							\
	EXPECT_EQ((n) - __ended, count_ended(r, n, VIRTIO_SCSI_S_OK));		\
} while (0)

TEST_F(control, abort_task_set_ends_every_command_of_the_lun)
{
	struct req **r = HELD_READS(8);

	EXPECT_EQ(COMPLETE, RUN_WHILE_HELD(TMF(ABORT_TASK_SET), 0, 0));
	EXPECT_ENDED(r, 8, VIRTIO_SCSI_S_ABORTED);
	EXPECT_TRUE(scsi_alive(self->d, Q_IO));
}

TEST_F(control, logical_unit_reset_ends_every_command_of_the_lun)
{
	struct req **r = HELD_READS(8);

	EXPECT_EQ(COMPLETE, RUN_WHILE_HELD(TMF(LOGICAL_UNIT_RESET), 0, 0));
	EXPECT_EQ(8, reqs_returned(r, 8));
	for (int i = 0; i < 8; i++)
		EXPECT_EQ(VIRTIO_SCSI_S_RESET, r[i]->resp->response);
}

TEST_F(control, i_t_nexus_reset_ends_every_command_of_the_guest)
{
	struct req **r = HELD_READS(8);

	EXPECT_EQ(COMPLETE, RUN_WHILE_HELD(TMF(I_T_NEXUS_RESET), 0, 0));
	EXPECT_ENDED(r, 8, VIRTIO_SCSI_S_RESET);
}

TEST_F(control, a_reset_leaves_a_unit_attention)
{
	static const uint32_t reset[] = { TMF(LOGICAL_UNIT_RESET), TMF(I_T_NEXUS_RESET) };

	for (unsigned int i = 0; i < ARRAY_SIZE(reset); i++) {
		struct req *r = req_new(self->d, cdb_tur(), NO_DATA, 0);

		ASSERT_EQ(COMPLETE, tmf_run(self->d, reset[i], 0, 0));
		ASSERT_RUNS(r, Q_IO);
		EXPECT_SENSE(r, KEY_UNIT_ATTENTION, 0x29);
		ASSERT_EQ(0, scsi_clear_ua(self->d, Q_IO, 0));
	}
}

/* An abort, and the stop that has to wait for both (G1). */
TEST_F(control, stop_with_an_abort_under_way_returns_both)
{
	struct req **r = HELD_READS(4);
	struct ctl *c = tmf_new(self->d, TMF(ABORT_TASK_SET), 0, 0);

	ctl_send(c);
	vt_sleep_ms(200);
	disk_let_go(self->rig.top);
	ASSERT_EQ(0, device_stop(self->d));
	EXPECT_RING_SETTLED(self->d, Q_IO);
	EXPECT_RING_SETTLED(self->d, Q_CTL);
	EXPECT_EQ(4, reqs_returned(r, 4));
	EXPECT_EQ(1, c->out_come.returned);
}

TEST_F(control, thirty_functions_at_once_are_all_answered)
{
	struct ctl *c[30];

	for (int i = 0; i < 30; i++) {
		c[i] = tmf_new(self->d, i % 8, 0, i);
		ctl_send(c[i]);
	}
	ASSERT_TRUE(vring_drain(&self->d->q[Q_CTL], WAIT_MS));
	for (int i = 0; i < 30; i++)
		EXPECT_EQ(1, c[i]->out_come.returned);
}

/* LIO reports nothing asynchronously: no event is supported, and none starts. */
TEST_F(control, notification_query_and_subscribe_support_no_event)
{
	static const uint32_t type[] = { VIRTIO_SCSI_T_AN_QUERY, VIRTIO_SCSI_T_AN_SUBSCRIBE };

	for (int i = 0; i < 2; i++) {
		struct ctl *c = an_new(self->d, type[i], 0x7e);

		ctl_send(c);
		ASSERT_TRUE(ctl_wait(c, WAIT_MS));
		EXPECT_EQ(VIRTIO_SCSI_S_OK, c->resp->an.response);
		EXPECT_EQ(0, c->resp->an.event_actual);
		EXPECT_EQ(5, c->out_come.len);
	}
}

TEST_HARNESS_MAIN
