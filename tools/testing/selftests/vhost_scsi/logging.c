// SPDX-License-Identifier: GPL-2.0
/*
 * G4: whatever the device writes while VHOST_F_LOG_ALL is set is in the dirty
 * log, and nothing else is. Each part of a request stands on pages of its own,
 * so the set of pages is compared exactly.
 */
#include <sys/mman.h>

#include "kselftest_harness.h"
#include "rig.h"

FIXTURE(logging)
{
	struct rig rig;
	struct device *d;
	struct guest *g;
};

FIXTURE_SETUP(logging)
{
	RIG_UP(&self->rig, .kind = RIG_GATE, .dev.features = F_DEFAULT | F_HOTPLUG,
	       .dev.num = 512);
	self->d = &self->rig.d;
	self->g = &self->d->guest;
	device_log_on(self->d);
	vt_sleep_ms(20);
	guest_log_clear(self->g);
}

FIXTURE_TEARDOWN(logging)
{
	undo_all();
}

/* Of the used ring only what the requests so far have reached. */
static void want_used(struct device *d, unsigned int q)
{
	struct ring *vr = &d->q[q];

	guest_log_want(&d->guest, vr->used, 8);
	guest_log_want(&d->guest, &vr->used->ring[(uint16_t)(vr->used_seen - 1) % vr->num], 8);
}

static void want_req(struct req *r)
{
	guest_log_want(&r->d->guest, r->resp, RESP_LEN);
	guest_log_want(&r->d->guest, r->data_in, r->in_len);
	want_used(r->d, r->q);
}

#define EXPECT_LOG_EXACT() EXPECT_EQ(0, guest_log_diff(self->g))

TEST_F(logging, read_logs_data_response_and_used_ring)
{
	struct req *r = req_read(self->d, 0, 32);

	ASSERT_RUNS(r, Q_IO);
	want_req(r);
	EXPECT_LOG_EXACT();
}

TEST_F(logging, read_through_an_indirect_table_logs_the_same)
{
	struct req *r = req_read(self->d, 0, 32);

	r->indirect = true;
	ASSERT_RUNS(r, Q_IO);
	want_req(r);
	EXPECT_LOG_EXACT();
}

TEST_F(logging, read_with_response_and_data_in_one_descriptor)
{
	struct req *r = req_read(self->d, 0, 32);

	req_cut_in(r, CUT(RESP_LEN + 32 * 512));
	ASSERT_RUNS(r, Q_IO);
	want_req(r);
	EXPECT_LOG_EXACT();
}

TEST_F(logging, read_in_200_segments)
{
	struct req *r = req_read(self->d, 0, 1600);

	req_cut_in(r, CUT(RESP_LEN, 4096));
	ASSERT_RUNS(r, Q_IO);
	want_req(r);
	EXPECT_LOG_EXACT();
}

/* 8 blocks that begin at byte 511 of a page touch two pages. */
TEST_F(logging, misaligned_read_across_a_page_boundary)
{
	struct req *r = req_read(self->d, 0, 8);

	req_misalign(r, 511);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_TRUE(guest_log_covers(self->g, r->data_in, 4096));
	want_req(r);
	EXPECT_LOG_EXACT();
}

TEST_F(logging, response_across_a_page_boundary)
{
	struct req *r = req_new(self->d, cdb_tur(), NO_DATA, 0);
	uint8_t *pages = guest_alloc(self->g, 2 * PAGE, PAGE);

	r->resp = (void *)(pages + PAGE - 50);
	r->seg[1].p = r->resp;
	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(0, r->resp->response);
	want_req(r);
	EXPECT_LOG_EXACT();
}

TEST_F(logging, write_logs_response_and_used_ring_only)
{
	struct req *r = req_write(self->d, 0, 32, 1);

	ASSERT_RUNS(r, Q_IO);
	want_req(r);
	EXPECT_LOG_EXACT();
}

/* 36 bytes into two pages of room: the second page was not written. */
TEST_F(logging, short_transfer_logs_what_was_written)
{
	struct req *r = req_new(self->d, cdb_inquiry(36), DATA_IN, 2 * PAGE);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(2 * PAGE - 36, r->resp->resid);
	guest_log_want(self->g, r->resp, RESP_LEN);
	guest_log_want(self->g, r->data_in, 36);
	want_used(self->d, Q_IO);
	EXPECT_LOG_EXACT();
}

TEST_F(logging, check_condition_logs_the_response)
{
	struct req *r = req_new(self->d, (struct cdb){ { 0xff } }, NO_DATA, 0);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(SAM_CHECK_CONDITION, r->resp->status);
	want_req(r);
	EXPECT_LOG_EXACT();
}

TEST_F(logging, bad_target_logs_the_response)
{
	struct req *r = req_read(self->d, 0, 8);

	req_lun(r, 9, 0);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(VIRTIO_SCSI_S_BAD_TARGET, r->resp->response);
	guest_log_want(self->g, r->resp, RESP_LEN);
	want_used(self->d, Q_IO);
	EXPECT_LOG_EXACT();
}

TEST_F(logging, header_too_short_logs_the_response)
{
	struct req *r = req_read(self->d, 0, 8);

	r->seg[0].len--;
	ASSERT_RUNS(r, Q_IO);
	guest_log_want(self->g, r->resp, RESP_LEN);
	want_used(self->d, Q_IO);
	EXPECT_LOG_EXACT();
}

TEST_F(logging, refused_chain_logs_the_used_ring_only)
{
	struct ring *vr = &self->d->q[Q_IO];
	struct chain c = chain_begin(vr);
	struct outcome o;

	chain_add_raw(&c, 0x1000, 51, 0);
	chain_post(&c, &o);
	vring_kick(vr);
	ASSERT_TRUE(vring_wait(vr, &o, WAIT_MS));
	want_used(self->d, Q_IO);
	EXPECT_LOG_EXACT();
}

TEST_F(logging, task_management_logs_its_response)
{
	struct ctl *c = tmf_new(self->d, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 0, 0);

	ctl_send(c);
	ASSERT_TRUE(ctl_wait(c, WAIT_MS));
	guest_log_want(self->g, c->resp, 1);
	want_used(self->d, Q_CTL);
	EXPECT_LOG_EXACT();
}

TEST_F(logging, rejected_task_management_logs_its_response)
{
	struct ctl *c = tmf_new(self->d, 99, 0, 0);

	ctl_send(c);
	ASSERT_TRUE(ctl_wait(c, WAIT_MS));
	guest_log_want(self->g, c->resp, 1);
	want_used(self->d, Q_CTL);
	EXPECT_LOG_EXACT();
}

TEST_F(logging, notification_query_logs_its_response)
{
	struct ctl *c = an_new(self->d, VIRTIO_SCSI_T_AN_QUERY, 0x7f);

	ctl_send(c);
	ASSERT_TRUE(ctl_wait(c, WAIT_MS));
	guest_log_want(self->g, c->resp, sizeof(c->resp->an));
	want_used(self->d, Q_CTL);
	EXPECT_LOG_EXACT();
}

TEST_F(logging, hot_plug_logs_the_event)
{
	struct event *e = event_post(self->d);

	vt_sleep_ms(50);
	guest_log_clear(self->g);
	target_lun(self->rig.t, 3, backstore_ram(1, false));
	ASSERT_TRUE(vring_wait(&self->d->q[Q_EVT], &e->out_come, WAIT_MS));
	guest_log_want(self->g, e->ev, sizeof(*e->ev));
	want_used(self->d, Q_EVT);
	EXPECT_LOG_EXACT();
}

/*
 * In flight when logging is switched. Time ends the wait, not the test: the
 * stock driver's ioctls wait for the backend.
 */
FIXTURE(logging_in_flight)
{
	struct rig rig;
	struct device *d;
	struct guest *g;
	struct req *r;
};

FIXTURE_VARIANT(logging_in_flight)
{
	bool indirect;
	unsigned int offset;
};

FIXTURE_VARIANT_ADD(logging_in_flight, direct)
{
};

FIXTURE_VARIANT_ADD(logging_in_flight, indirect)
{
	.indirect = true,
};

FIXTURE_VARIANT_ADD(logging_in_flight, misaligned)
{
	.offset = 511,
};

FIXTURE_SETUP(logging_in_flight)
{
	RIG_UP(&self->rig, .kind = RIG_DELAY, .slow_ms = 700);
	self->d = &self->rig.d;
	self->g = &self->d->guest;
	ASSERT_EQ(0, scsi_clear_ua(self->d, Q_IO, 0));
	rig_mark(&self->rig);
	self->r = req_read(self->d, 0, 32);
	if (variant->offset)
		req_misalign(self->r, variant->offset);
	self->r->indirect = variant->indirect;
}

FIXTURE_TEARDOWN(logging_in_flight)
{
	undo_all();
}

TEST_F(logging_in_flight, read_is_logged_when_logging_is_switched_on)
{
	req_send(self->r, Q_IO);
	ASSERT_TRUE(rig_submitted(&self->rig, 1));
	device_log_on(self->d);
	ASSERT_TRUE(req_wait(self->r, WAIT_MS));
	EXPECT_EQ(0, pattern_diff(self->r->data_in, 0, 32, 0));
	want_req(self->r);
	EXPECT_LOG_EXACT();
}

TEST_F(logging_in_flight, read_is_logged_when_logging_goes_off_and_on_again)
{
	device_log_on(self->d);
	req_send(self->r, Q_IO);
	ASSERT_TRUE(rig_submitted(&self->rig, 1));
	device_log_off(self->d);
	vt_sleep_ms(20);
	device_log_on(self->d);
	ASSERT_TRUE(req_wait(self->r, WAIT_MS));
	want_req(self->r);
	EXPECT_LOG_EXACT();
}

static long log_on(void *arg)
{
	device_log_on(arg);
	return 0;
}

/* A VMM begins a migration without waiting for the storage. */
TEST_F(logging, switching_it_on_does_not_wait_for_the_backend)
{
	struct vt_thread *t;

	device_log_off(self->d);
	disk_hold(self->rig.top);
	rig_reads(&self->rig, Q_IO, 8);
	ASSERT_TRUE(rig_submitted(&self->rig, 8));
	t = thread_start(log_on, self->d);
	EXPECT_TRUE(vt_until(thread_done(t), 2000));
	disk_let_go(self->rig.top);
	thread_join(t, WAIT_MS);
}

/* Stopping drains it; that too is before the log is read. */
TEST_F(logging, read_in_flight_at_the_stop_is_logged_before_it_returns)
{
	struct req *r[32];

	disk_hold(self->rig.top);
	rig_mark(&self->rig);
	for (int i = 0; i < 32; i++) {
		r[i] = req_read(self->d, i * 8, 8);
		req_send(r[i], Q_IO);
	}
	ASSERT_TRUE(rig_submitted(&self->rig, 32));
	disk_let_go(self->rig.top);
	ASSERT_EQ(0, device_stop(self->d));
	for (int i = 0; i < 32; i++) {
		ASSERT_TRUE(guest_log_covers(self->g, r[i]->data_in, 4096));
		ASSERT_TRUE(guest_log_has(self->g, r[i]->resp));
	}
	EXPECT_TRUE(guest_log_has(self->g, self->d->q[Q_IO].used));
}

TEST_F(logging, nothing_is_logged_while_it_is_off)
{
	struct req *r = req_read(self->d, 0, 32);

	device_log_off(self->d);
	vt_sleep_ms(20);
	guest_log_clear(self->g);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	EXPECT_EQ(0, guest_log_count(self->g));
}

TEST_F(logging_in_flight, nothing_is_logged_once_it_is_off)
{
	device_log_on(self->d);
	req_send(self->r, Q_IO);
	ASSERT_TRUE(rig_submitted(&self->rig, 1));
	device_log_off(self->d);
	guest_log_clear(self->g);
	ASSERT_TRUE(req_wait(self->r, WAIT_MS));
	EXPECT_EQ(0, guest_log_count(self->g));
}

/* The log is the VMM's memory: losing it must not lose the request. */
TEST_F(logging, log_that_is_unmapped_loses_no_request)
{
	struct req *r = req_read(self->d, 0, 8);

	mprotect(self->g->log, self->g->log_size, PROT_NONE);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(1, r->out_come.returned);
	ASSERT_EQ(0, device_stop(self->d));
	EXPECT_RING_SETTLED(self->d, Q_IO);
	mprotect(self->g->log, self->g->log_size, PROT_READ | PROT_WRITE);
}

TEST_F(logging, log_base_that_was_never_set_loses_no_request)
{
	struct device d;
	struct req *r;

	ASSERT_EQ(0, device_stop(self->d));
	device_open(&d, &(struct device_opts){ .num = 128 });
	device_set_features(&d, F_DEFAULT | F_LOG_ALL);
	ASSERT_EQ(0, device_start(&d, self->rig.t->wwpn));
	r = req_read(&d, 0, 8);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(1, r->out_come.returned);
	EXPECT_EQ(0, device_stop(&d));
}

TEST_F(logging, used_ring_of_every_queue_that_was_used)
{
	struct req *r = req_new(self->d, cdb_tur(), NO_DATA, 0);
	struct ctl *c = an_new(self->d, VIRTIO_SCSI_T_AN_QUERY, 0);

	ASSERT_RUNS(r, Q_IO);
	ctl_send(c);
	ASSERT_TRUE(ctl_wait(c, WAIT_MS));
	EXPECT_TRUE(guest_log_has(self->g, self->d->q[Q_IO].used));
	EXPECT_TRUE(guest_log_has(self->g, self->d->q[Q_CTL].used));
	EXPECT_FALSE(guest_log_has(self->g, self->d->q[Q_EVT].used));
}

TEST_HARNESS_MAIN
