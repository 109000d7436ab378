// SPDX-License-Identifier: GPL-2.0
/* What the guest is owed moves: unit attentions and events, once and in order. */
#include <endian.h>
#include <errno.h>

#include "kselftest_harness.h"
#include "mig.h"
#include "pr.h"

FIXTURE(owed)
{
	struct pair p;
	struct backstore *more;
	struct target *tw;
	struct device w;	/* a third initiator */
};

FIXTURE_SETUP(owed)
{
	mig_need();
	self->more = backstore_ram(1, false);
	PAIR_UP(&self->p, .dev.features = F_DEFAULT | F_HOTPLUG);
	self->tw = target_open();
	target_lun(self->tw, 0, self->p.bs);
	device_open(&self->w, &(struct device_opts){ 0 });
	ASSERT_EQ(0, device_start(&self->w, self->tw->wwpn));
	ASSERT_EQ(0, scsi_clear_ua(&self->w, Q_IO, 0));
}

FIXTURE_TEARDOWN(owed)
{
	undo_all();
}

/* ASC and ASCQ of the attention that TEST UNIT READY meets, 0 if none. */
static int attention(struct device *d, unsigned int lun)
{
	struct req *r = req_new(d, cdb_tur(), NO_DATA, 0);

	req_lun(r, 1, lun);
	if (!req_run(r, Q_IO) || r->resp->response)
		return -1;
	if (req_sense_key(r) != KEY_UNIT_ATTENTION)
		return r->resp->status;
	return req_sense_asc(r) << 8 | r->resp->sense[13];
}

/* The other one preempts the guest's registration: 2A/05 for the guest. */
static int preempt(struct device *w, struct device *guest)
{
	int ret = pr_register(guest, 0, 0x1111);

	if (!ret)
		ret = pr_register(w, 0, 0x2222);
	return ret ? ret : pr_out(w, 0, PR_PREEMPT, PR_WE, 0x2222, 0x1111);
}

static uint32_t missed(struct device *d)
{
	uint32_t n = ~0u;

	device_ioctl(d, VHOST_SCSI_GET_EVENTS_MISSED, &n);
	return n;
}

TEST_F(owed, attention_is_delivered_at_the_destination_once)
{
	struct pair *p = &self->p;

	ASSERT_EQ(SAM_GOOD, preempt(&self->w, &p->s));
	ASSERT_EQ(0, pair_move(p));
	EXPECT_EQ(0x2a05, attention(&p->d, 0));
	EXPECT_EQ(SAM_GOOD, attention(&p->d, 0));
	EXPECT_EQ(SAM_GOOD, attention(&p->d, 0));
}

TEST_F(owed, attention_stays_with_a_source_that_goes_on)
{
	struct pair *p = &self->p;

	ASSERT_EQ(SAM_GOOD, preempt(&self->w, &p->s));
	pair_save(p);
	ASSERT_EQ(0, mig_set(&p->s, S_RUN));
	EXPECT_EQ(0x2a05, attention(&p->s, 0));
	EXPECT_EQ(SAM_GOOD, attention(&p->s, 0));
}

/* INQUIRY, REPORT LUNS and REQUEST SENSE do not take it. */
TEST_F(owed, attention_waits_for_a_command_that_reports_it)
{
	struct pair *p = &self->p;
	struct req *r;

	ASSERT_EQ(SAM_GOOD, preempt(&self->w, &p->s));
	ASSERT_EQ(0, pair_move(p));
	r = req_new(&p->d, cdb_inquiry(36), DATA_IN, 36);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(SAM_GOOD, r->resp->status);
	r = req_new(&p->d, cdb_report_luns(64), DATA_IN, 64);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(SAM_GOOD, r->resp->status);
	EXPECT_EQ(0x2a05, attention(&p->d, 0));
}

TEST_F(owed, attentions_of_each_lun_are_told_apart_and_in_the_stream)
{
	struct pair *p = &self->p;
	struct vhost_scsi_mig_attention *a;
	unsigned int i, n;
	struct stream *s;

	/* A LUN that comes: REPORTED LUNS DATA HAS CHANGED on the others. */
	target_lun(p->td, 3, self->more);
	target_lun(p->ts, 3, self->more);
	ASSERT_EQ(0x3f0e, attention(&p->s, 0));
	ASSERT_EQ(SAM_GOOD, scsi_clear_ua(&p->s, Q_IO, 3));
	ASSERT_EQ(SAM_GOOD, preempt(&self->w, &p->s));
	target_lun(p->ts, 4, self->more);
	ASSERT_EQ(0, target_lun_unlink(p->ts, 4));
	s = pair_save(p);
	a = stream_payload(s, VHOST_SCSI_MIG_ATTENTIONS);
	n = le32toh(stream_find(s, VHOST_SCSI_MIG_ATTENTIONS)->length) / sizeof(*a);
	/* LIO may note the same twice; all but the first is about LUNs. */
	ASSERT_LE(3, n);
	for (i = 0; i < n; i++) {
		EXPECT_EQ(1, le32toh(a[i].target));
		EXPECT_EQ(i < n - 1 ? 0 : 3, le64toh(a[i].lun));
		EXPECT_EQ(i ? 0x3f0e : 0x2a05, a[i].asc << 8 | a[i].ascq);
	}
	ASSERT_EQ(0, pair_apply(p, s, 0));
	pair_rings(p);
	ASSERT_EQ(0, device_start(&p->d, p->td->wwpn));
	EXPECT_EQ(0x2a05, attention(&p->d, 0));
	EXPECT_EQ(0x3f0e, attention(&p->d, 0));
	EXPECT_EQ(SAM_GOOD, attention(&p->d, 0));
	EXPECT_EQ(0x3f0e, attention(&p->d, 3));
	EXPECT_EQ(SAM_GOOD, attention(&p->d, 3));
}

/* The destination's own nexus is new there, and the guest must not notice. */
TEST_F(owed, nothing_that_the_guest_is_not_owed)
{
	struct pair *p = &self->p;

	ASSERT_EQ(0, pair_move(p));
	EXPECT_EQ(SAM_GOOD, attention(&p->d, 0));
}

TEST_F(owed, attention_of_a_load_that_is_dropped_goes_with_it)
{
	struct pair *p = &self->p;

	ASSERT_EQ(SAM_GOOD, preempt(&self->w, &p->s));
	ASSERT_EQ(0, pair_apply(p, pair_save(p), 0));
	ASSERT_EQ(0, mig_set_flags(&p->d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	if (mig_status(&p->d).flags & VHOST_SCSI_MIG_SUSPENDED)
		ASSERT_EQ(0, mig_set(&p->d, S_RUN));
	ASSERT_EQ(0, device_start(&p->d, p->td->wwpn));
	EXPECT_NE(0x2a05, attention(&p->d, 0));
	EXPECT_EQ(SAM_GOOD, attention(&p->d, 0));
}

TEST_F(owed, missed_events_are_told_at_the_destination)
{
	struct pair *p = &self->p;
	struct event *e;

	/* No buffer: it is missed. */
	target_lun(p->ts, 3, self->more);
	target_lun(p->td, 3, self->more);
	EXPECT_TRUE(vt_until(missed(&p->s) == 1, 2000));
	ASSERT_EQ(0, pair_move(p));
	EXPECT_EQ(1, missed(&p->d));
	e = event_post(&p->d);
	ASSERT_TRUE(vring_wait(&p->d.q[Q_EVT], &e->out_come, WAIT_MS));
	EXPECT_EQ((uint32_t)VIRTIO_SCSI_T_EVENTS_MISSED, e->ev->event);
	EXPECT_EQ(0, missed(&p->d));
}

/* Each plug while suspended is one, to be told when it runs. */
TEST_F(owed, queued_events_come_at_the_destination_in_order)
{
	struct pair *p = &self->p;
	struct vhost_scsi_mig_events *ev;
	struct event *e[3];
	struct stream *s;

	ASSERT_EQ(0, mig_set(&p->s, S_STOP));
	target_lun(p->ts, 3, self->more);
	ASSERT_EQ(0, target_lun_unlink(p->ts, 3));
	ASSERT_EQ(0, mig_set(&p->s, S_LOG));
	s = mig_save(&p->s);
	ev = stream_payload(s, VHOST_SCSI_MIG_EVENTS);
	EXPECT_EQ(0, ev->missed);
	ASSERT_EQ(2, le32toh(ev->count));
	EXPECT_EQ(VIRTIO_SCSI_T_TRANSPORT_RESET, le32toh(ev->event[0].event));
	EXPECT_EQ(VIRTIO_SCSI_EVT_RESET_RESCAN, le32toh(ev->event[0].reason));
	EXPECT_EQ(VIRTIO_SCSI_EVT_RESET_REMOVED, le32toh(ev->event[1].reason));
	EXPECT_EQ(3, ev->event[1].lun[3]);
	ASSERT_EQ(0, pair_apply(p, s, 0));
	pair_rings(p);
	for (int i = 0; i < 3; i++)
		e[i] = event_post(&p->d);
	ASSERT_EQ(0, device_start(&p->d, p->td->wwpn));
	ASSERT_TRUE(vring_wait(&p->d.q[Q_EVT], &e[1]->out_come, WAIT_MS));
	EXPECT_EQ(VIRTIO_SCSI_EVT_RESET_RESCAN, e[0]->ev->reason);
	EXPECT_EQ(VIRTIO_SCSI_EVT_RESET_REMOVED, e[1]->ev->reason);
	vt_sleep_ms(100);
	vring_reap(&p->d.q[Q_EVT]);
	EXPECT_EQ(0, e[2]->out_come.returned);
}

TEST_HARNESS_MAIN
