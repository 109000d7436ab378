// SPDX-License-Identifier: GPL-2.0
/* G8 on the control queue: every head comes back, whatever it says. */
#include "kselftest_harness.h"
#include "rig.h"

FIXTURE(malformed_control)
{
	struct rig rig;
	struct device *d;
	struct ring *vr;
};

FIXTURE_SETUP(malformed_control)
{
	RIG_UP(&self->rig, .kind = RIG_DISK);
	self->d = &self->rig.d;
	self->vr = &self->d->q[Q_CTL];
}

FIXTURE_TEARDOWN(malformed_control)
{
	undo_all();
}

/* The queue still answers, and after a stop nothing is left in it. */
#define EXPECT_QUEUE_WELL() do {						\
	EXPECT_LE(0, tmf_run(self->d, VIRTIO_SCSI_T_TMF_QUERY_TASK, 0, 1));	\
	EXPECT_EQ(0, device_stop(self->d));					\
	EXPECT_RING_SETTLED(self->d, Q_CTL);					\
	EXPECT_EQ(0, self->vr->inflight);					\
} while (0)

#define EXPECT_RETURNED(c, length) do {						\
	ctl_send(c);								\
	EXPECT_TRUE(ctl_wait(c, WAIT_MS));					\
	EXPECT_EQ(1, (c)->out_come.returned);					\
	EXPECT_EQ(length, (c)->out_come.len);					\
	EXPECT_QUEUE_WELL();							\
} while (0)

TEST_F(malformed_control, unknown_type_comes_back_empty)
{
	struct ctl *c = an_new(self->d, 3, 0);

	EXPECT_RETURNED(c, 0);
}

TEST_F(malformed_control, type_cut_short_comes_back_empty)
{
	struct ctl *c = an_new(self->d, VIRTIO_SCSI_T_AN_QUERY, 0);

	c->req_len = 3;
	EXPECT_RETURNED(c, 0);
}

TEST_F(malformed_control, tmf_without_room_for_the_response_comes_back_empty)
{
	struct ctl *c = tmf_new(self->d, VIRTIO_SCSI_T_TMF_QUERY_TASK, 0, 1);

	c->resp_len = 0;
	EXPECT_RETURNED(c, 0);
}

TEST_F(malformed_control, notification_without_room_for_the_response_comes_back_empty)
{
	struct ctl *c = an_new(self->d, VIRTIO_SCSI_T_AN_QUERY, 0);

	c->resp_len = 4;
	EXPECT_RETURNED(c, 0);
}

TEST_F(malformed_control, tmf_cut_short_is_answered_with_an_error)
{
	struct ctl *c = tmf_new(self->d, VIRTIO_SCSI_T_TMF_QUERY_TASK, 0, 1);

	c->req_len--;
	ctl_send(c);
	EXPECT_TRUE(ctl_wait(c, WAIT_MS));
	EXPECT_EQ(1, c->out_come.returned);
	EXPECT_NE(VIRTIO_SCSI_S_OK, c->resp->tmf.response);
	EXPECT_NE(VIRTIO_SCSI_S_FUNCTION_SUCCEEDED, c->resp->tmf.response);
	EXPECT_QUEUE_WELL();
}

TEST_F(malformed_control, notification_cut_short_is_answered_with_an_error)
{
	struct ctl *c = an_new(self->d, VIRTIO_SCSI_T_AN_QUERY, 0);

	c->req_len--;
	ctl_send(c);
	EXPECT_TRUE(ctl_wait(c, WAIT_MS));
	EXPECT_EQ(1, c->out_come.returned);
	EXPECT_NE(VIRTIO_SCSI_S_OK, c->resp->an.response);
	EXPECT_QUEUE_WELL();
}

TEST_F(malformed_control, chain_outside_guest_memory_comes_back_empty)
{
	struct chain c = chain_begin(self->vr);
	struct outcome o;

	chain_add_raw(&c, 0x1000, 24, 0);
	chain_post(&c, &o);
	vring_kick(self->vr);
	EXPECT_TRUE(vring_wait(self->vr, &o, WAIT_MS));
	EXPECT_EQ(1, o.returned);
	EXPECT_EQ(0, o.len);
	EXPECT_QUEUE_WELL();
}

TEST_F(malformed_control, chain_that_loops_comes_back_empty)
{
	struct ctl *r = tmf_new(self->d, VIRTIO_SCSI_T_TMF_QUERY_TASK, 0, 1);
	struct chain c = chain_begin(self->vr);
	struct outcome o;

	chain_add(&c, r->req, 24, false);
	self->vr->desc[c.head].flags |= VRING_DESC_F_NEXT;
	self->vr->desc[c.head].next = c.head;
	chain_post(&c, &o);
	vring_kick(self->vr);
	EXPECT_TRUE(vring_wait(self->vr, &o, WAIT_MS));
	EXPECT_EQ(1, o.returned);
	EXPECT_EQ(0, o.len);
	EXPECT_QUEUE_WELL();
}

TEST_F(malformed_control, head_out_of_range_leaves_the_io_queue_running)
{
	vring_post_head(self->vr, self->vr->num);
	vring_kick(self->vr);
	EXPECT_TRUE(scsi_alive(self->d, Q_IO));
	EXPECT_EQ(0, device_stop(self->d));
}

TEST_HARNESS_MAIN
