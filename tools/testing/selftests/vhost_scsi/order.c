// SPDX-License-Identifier: GPL-2.0
/*
 * G9: once stopped, no older write can reach the LUN after a newer one from
 * the other side. G5: the backend's volatile cache is flushed by then.
 */
#include "kselftest_harness.h"
#include "rig.h"

FIXTURE(order)
{
	struct rig rig;
	struct target *other;	/* another port of the same backstore */
	struct device d2;
};

FIXTURE_VARIANT(order)
{
	enum rig_kind kind;
};

FIXTURE_VARIANT_ADD(order, late_submission)
{
	.kind = RIG_DELAY,
};

FIXTURE_VARIANT_ADD(order, late_completion)
{
	.kind = RIG_SLOW,
};

FIXTURE_SETUP(order)
{
	RIG_UP(&self->rig, .kind = variant->kind, .slow_ms = 1000);
	self->other = target_open();
	target_lun(self->other, 0, self->rig.bs);
	device_open(&self->d2, &(struct device_opts){ 0 });
	ASSERT_EQ(0, scsi_clear_ua(&self->rig.d, Q_IO, 0));
	rig_mark(&self->rig);
}

FIXTURE_TEARDOWN(order)
{
	undo_all();
}

TEST_F(order, write_after_the_stop_is_not_overtaken_by_an_older_one)
{
	struct req *a = req_write(&self->rig.d, 0, 64, 1), *b;
	uint8_t disk[64 * 512];

	req_send(a, Q_IO);
	ASSERT_TRUE(rig_submitted(&self->rig, 1));
	ASSERT_EQ(0, device_stop(&self->rig.d));
	ASSERT_EQ(0, device_start(&self->d2, self->other->wwpn));
	ASSERT_EQ(0, scsi_clear_ua(&self->d2, Q_IO, 0));
	b = req_write(&self->d2, 0, 64, 2);
	ASSERT_RUNS(b, Q_IO);
	EXPECT_GOOD(b);
	/* Whatever were still under way has landed by now. */
	vt_sleep_ms(2500);
	disk_read(self->rig.ram, 0, disk, sizeof(disk));
	EXPECT_EQ(0, pattern_diff(disk, 0, 64, 2));
}

TEST_F(order, endpoint_moves_to_another_device_at_once)
{
	struct req **r = rig_writes(&self->rig, Q_IO, 32, 3);
	struct req *b;

	ASSERT_TRUE(rig_submitted(&self->rig, 32));
	ASSERT_EQ(0, device_stop(&self->rig.d));
	vring_reap(&self->rig.d.q[Q_IO]);
	EXPECT_EQ(32, reqs_returned(r, 32));
	ASSERT_EQ(0, device_start(&self->d2, self->rig.t->wwpn));
	b = req_read(&self->d2, 0, 8);
	ASSERT_RUNS(b, Q_IO);
	EXPECT_EQ(0, pattern_diff(b->data_in, 0, 8, 3));
}

FIXTURE(flush)
{
	struct rig rig;
	struct device *d;
};

FIXTURE_SETUP(flush)
{
	RIG_UP(&self->rig, .kind = RIG_DISK, .cache = true);
	self->d = &self->rig.d;
}

FIXTURE_TEARDOWN(flush)
{
	undo_all();
}

#define FLUSH_PARAM "/sys/module/vhost_scsi/parameters/flush_on_stop"

TEST_F(flush, stop_flushes_the_cache_of_the_backend)
{
	struct req *w = req_write(self->d, 0, 8, 1);
	unsigned long before;

	ASSERT_RUNS(w, Q_IO);
	before = disk_flushes(self->rig.ram);
	ASSERT_EQ(0, device_stop(self->d));
	EXPECT_LT(before, disk_flushes(self->rig.ram));
}

TEST_F(flush, every_lun_is_flushed)
{
	struct disk *second = disk_ram(&(struct disk_ram_opts){ .cache = true });
	unsigned long before;

	target_lun(self->rig.t, 1, backstore_block(second));
	before = disk_flushes(second);
	ASSERT_EQ(0, device_stop(self->d));
	EXPECT_LT(before, disk_flushes(second));
}

TEST_F(flush, can_be_switched_off)
{
	unsigned long before;

	if (!file_exists(FLUSH_PARAM))
		SKIP(return, "the module does not flush on stop");
	before = disk_flushes(self->rig.ram);
	file_set(FLUSH_PARAM, "N");
	EXPECT_EQ(0, device_stop(self->d));
	file_set(FLUSH_PARAM, "Y");
	EXPECT_EQ(before, disk_flushes(self->rig.ram));
}

TEST_F(flush, is_on_by_default)
{
	char value[8];

	ASSERT_LT(0, file_get(FLUSH_PARAM, value, sizeof(value)));
	EXPECT_STREQ("Y", value);
}

/* G5: a flush that fails does not keep the device from stopping. */
TEST_F(flush, that_fails_leaves_the_device_stopped)
{
	struct disk *bad = disk_error(self->rig.ram);
	struct req *r;

	target_lun(self->rig.t, 1, backstore_block(bad));
	EXPECT_EQ(0, device_stop(self->d));
	r = req_read(self->d, 0, 8);
	req_post(r, Q_IO);
	vring_kick_always(&self->d->q[Q_IO]);
	EXPECT_FALSE(req_wait(r, 200));
}

/* The guest's next command finds what was pending for it, flush or not. */
TEST_F(flush, unit_attention_is_not_consumed)
{
	struct req *r = req_new(self->d, cdb_tur(), NO_DATA, 0);

	ASSERT_EQ(0, scsi_clear_ua(self->d, Q_IO, 0));
	/* A reset leaves one: power on, reset, or bus device reset occurred. */
	EXPECT_LE(0, tmf_run(self->d, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 0, 0));
	ASSERT_EQ(0, device_stop(self->d));
	ASSERT_EQ(0, device_start(self->d, NULL));
	ASSERT_RUNS(r, Q_IO);
	EXPECT_SENSE(r, KEY_UNIT_ATTENTION, 0x29);
}

TEST_HARNESS_MAIN
