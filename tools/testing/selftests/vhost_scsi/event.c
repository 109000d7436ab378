// SPDX-License-Identifier: GPL-2.0
/* The event queue: hot plug and unplug, and events that were missed. */
#include "kselftest_harness.h"
#include "rig.h"

FIXTURE(event)
{
	struct rig rig;
	struct device *d;
	struct ring *vr;
	struct backstore *more;
};

FIXTURE_SETUP(event)
{
	self->more = backstore_ram(1, false);
	RIG_UP(&self->rig, .kind = RIG_RAM, .dev.features = F_DEFAULT | F_HOTPLUG);
	self->d = &self->rig.d;
	self->vr = &self->d->q[Q_EVT];
}

FIXTURE_TEARDOWN(event)
{
	undo_all();
}

static bool event_came(struct device *d, struct event *e)
{
	return vring_wait(&d->q[Q_EVT], &e->out_come, WAIT_MS);
}

static uint32_t events_missed(struct device *d)
{
	uint32_t missed = ~0u;

	if (device_ioctl(d, VHOST_SCSI_GET_EVENTS_MISSED, &missed))
		vt_fatal("VHOST_SCSI_GET_EVENTS_MISSED");
	return missed;
}

TEST_F(event, hot_plug_asks_for_a_rescan)
{
	struct event *e = event_post(self->d);
	const uint8_t lun[8] = { 1, 1, 0, 3 };

	target_lun(self->rig.t, 3, self->more);
	ASSERT_TRUE(event_came(self->d, e));
	EXPECT_EQ(VIRTIO_SCSI_T_TRANSPORT_RESET, e->ev->event);
	EXPECT_EQ(VIRTIO_SCSI_EVT_RESET_RESCAN, e->ev->reason);
	EXPECT_EQ(0, memcmp(lun, e->ev->lun, 8));
}

TEST_F(event, unplug_says_removed)
{
	struct event *plug = event_post(self->d), *unplug;

	target_lun(self->rig.t, 3, self->more);
	ASSERT_TRUE(event_came(self->d, plug));
	unplug = event_post(self->d);
	EXPECT_EQ(0, target_lun_unlink(self->rig.t, 3));
	ASSERT_TRUE(event_came(self->d, unplug));
	EXPECT_EQ(VIRTIO_SCSI_T_TRANSPORT_RESET, unplug->ev->event);
	EXPECT_EQ(VIRTIO_SCSI_EVT_RESET_REMOVED, unplug->ev->reason);
	EXPECT_EQ(3, unplug->ev->lun[3]);
}

TEST_F(event, lun_above_255_uses_flat_addressing)
{
	struct event *e = event_post(self->d);
	const uint8_t lun[8] = { 1, 1, 0x41, 0x2c };

	target_lun(self->rig.t, 300, self->more);
	ASSERT_TRUE(event_came(self->d, e));
	EXPECT_EQ(0, memcmp(lun, e->ev->lun, 8));
}

TEST_F(event, events_come_in_order)
{
	struct event *e[3] = { event_post(self->d), event_post(self->d), event_post(self->d) };

	target_lun(self->rig.t, 3, self->more);
	target_lun(self->rig.t, 4, self->more);
	EXPECT_EQ(0, target_lun_unlink(self->rig.t, 3));
	ASSERT_TRUE(vring_drain(self->vr, WAIT_MS));
	EXPECT_EQ(3, e[0]->ev->lun[3]);
	EXPECT_EQ(4, e[1]->ev->lun[3]);
	EXPECT_EQ(3, e[2]->ev->lun[3]);
	EXPECT_EQ(VIRTIO_SCSI_EVT_RESET_REMOVED, e[2]->ev->reason);
}

/* virtio: the length is that of the event. */
TEST_F(event, used_len_is_that_of_the_event)
{
	struct event *e = event_post(self->d);

	target_lun(self->rig.t, 3, self->more);
	ASSERT_TRUE(event_came(self->d, e));
	EXPECT_EQ(16, e->out_come.len);
}

TEST_F(event, without_a_buffer_it_counts_as_missed)
{
	struct event *e;

	target_lun(self->rig.t, 3, self->more);
	EXPECT_TRUE(vt_until(events_missed(self->d) == 1, 2000));
	e = event_post(self->d);
	ASSERT_TRUE(event_came(self->d, e));
	EXPECT_EQ((uint32_t)(VIRTIO_SCSI_T_NO_EVENT | VIRTIO_SCSI_T_EVENTS_MISSED),
		  e->ev->event);
	EXPECT_EQ(0, events_missed(self->d));
}

TEST_F(event, missed_ones_are_told_once)
{
	struct event *a, *b;

	for (int i = 0; i < 5; i++) {
		target_lun(self->rig.t, 3, self->more);
		EXPECT_EQ(0, target_lun_unlink(self->rig.t, 3));
	}
	EXPECT_TRUE(vt_until(events_missed(self->d) == 1, 2000));
	a = event_post(self->d);
	b = event_post(self->d);
	ASSERT_TRUE(event_came(self->d, a));
	vt_sleep_ms(100);
	vring_reap(self->vr);
	EXPECT_EQ(0, b->out_come.returned);
}

/* As a VMM does on the destination of a migration. */
TEST_F(event, missed_flag_set_by_ioctl_reaches_the_guest)
{
	uint32_t missed = 1;
	struct event *e;

	ASSERT_EQ(0, device_ioctl(self->d, VHOST_SCSI_SET_EVENTS_MISSED, &missed));
	EXPECT_EQ(1, events_missed(self->d));
	e = event_post(self->d);
	ASSERT_TRUE(event_came(self->d, e));
	EXPECT_EQ((uint32_t)VIRTIO_SCSI_T_EVENTS_MISSED, e->ev->event);
}

TEST_F(event, missed_flag_survives_stop_and_start)
{
	struct event *e;

	target_lun(self->rig.t, 3, self->more);
	EXPECT_TRUE(vt_until(events_missed(self->d) == 1, 2000));
	ASSERT_EQ(0, device_stop(self->d));
	EXPECT_EQ(1, events_missed(self->d));
	ASSERT_EQ(0, device_start(self->d, NULL));
	e = event_post(self->d);
	ASSERT_TRUE(event_came(self->d, e));
	EXPECT_EQ((uint32_t)VIRTIO_SCSI_T_EVENTS_MISSED, e->ev->event);
}

TEST_F(event, nothing_comes_unless_hotplug_was_negotiated)
{
	struct event *e;

	ASSERT_EQ(0, device_stop(self->d));
	ASSERT_EQ(0, device_set_features(self->d, F_DEFAULT));
	ASSERT_EQ(0, device_start(self->d, NULL));
	e = event_post(self->d);
	target_lun(self->rig.t, 3, self->more);
	EXPECT_FALSE(vring_wait(self->vr, &e->out_come, 200));
	EXPECT_EQ(0, events_missed(self->d));
}

/* G3: a stopped device writes no event. */
TEST_F(event, nothing_comes_while_stopped)
{
	struct event *e = event_post(self->d);

	ASSERT_EQ(0, device_stop(self->d));
	target_lun(self->rig.t, 3, self->more);
	vt_sleep_ms(200);
	vring_reap(self->vr);
	EXPECT_EQ(0, e->out_come.returned);
	EXPECT_EQ(0xa5, e->ev->lun[0]);
}

/* G8: what cannot take an event is returned, and the next one takes it. */
#define BAD_BUFFER(buf, size, in) do {						\
	struct chain __c = chain_begin(self->vr);				\
	struct outcome __o;							\
	struct event *__e;							\
	chain_add(&__c, buf, size, in);						\
	chain_post(&__c, &__o);							\
	__e = event_post(self->d);						\
	target_lun(self->rig.t, 3, self->more);					\
	EXPECT_TRUE(event_came(self->d, __e));					\
	EXPECT_EQ(1, __o.returned);						\
	EXPECT_EQ(0, __o.len);							\
	EXPECT_EQ(3, __e->ev->lun[3]);						\
	ASSERT_EQ(0, device_stop(self->d));					\
	EXPECT_RING_SETTLED(self->d, Q_EVT);					\
} while (0)

TEST_F(event, buffer_too_small_is_returned_empty)
{
	BAD_BUFFER(guest_alloc(&self->d->guest, 64, 64), 15, true);
}

TEST_F(event, buffer_that_is_read_only_is_returned_empty)
{
	BAD_BUFFER(guest_alloc(&self->d->guest, 64, 64), 16, false);
}

TEST_F(event, chain_that_the_core_refuses_is_returned_empty)
{
	/* 4 GiB from a good address on. */
	BAD_BUFFER(guest_alloc(&self->d->guest, 64, 64), 0xffffffff, true);
}

TEST_F(event, buffer_that_is_larger_is_used)
{
	struct chain c = chain_begin(self->vr);
	uint8_t *p = guest_alloc(&self->d->guest, 64, 64);
	struct outcome o;

	chain_add(&c, p, 5, true);
	chain_add(&c, p + 5, 59, true);
	chain_post(&c, &o);
	vring_kick(self->vr);
	target_lun(self->rig.t, 3, self->more);
	EXPECT_TRUE(vring_wait(self->vr, &o, WAIT_MS));
	EXPECT_EQ(3, p[4 + 3]);
}

TEST_F(event, hundred_plugs_without_a_buffer_do_no_harm)
{
	for (int i = 0; i < 100; i++) {
		ASSERT_EQ(0, target_lun_link(self->rig.t, 3, self->more));
		ASSERT_EQ(0, target_lun_unlink(self->rig.t, 3));
	}
	EXPECT_EQ(0, device_stop(self->d));
	EXPECT_EQ(1, events_missed(self->d));
}

TEST_HARNESS_MAIN
