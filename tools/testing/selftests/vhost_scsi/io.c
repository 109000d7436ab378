// SPDX-License-Identifier: GPL-2.0
/* What a command does and answers: data, status, sense, residuals, addressing. */
#include "kselftest_harness.h"
#include "rig.h"

FIXTURE(io)
{
	struct rig rig;
	struct device *d;
};

FIXTURE_SETUP(io)
{
	RIG_UP(&self->rig, .kind = RIG_DISK);
	self->d = &self->rig.d;
}

FIXTURE_TEARDOWN(io)
{
	undo_all();
}

/* Every CDB size that carries READ and WRITE. */
FIXTURE(cdb)
{
	struct rig rig;
};

FIXTURE_VARIANT(cdb)
{
	unsigned int size;
};

FIXTURE_VARIANT_ADD(cdb, of_6_bytes)
{
	.size = 6,
};

FIXTURE_VARIANT_ADD(cdb, of_10_bytes)
{
	.size = 10,
};

FIXTURE_VARIANT_ADD(cdb, of_12_bytes)
{
	.size = 12,
};

FIXTURE_VARIANT_ADD(cdb, of_16_bytes)
{
	.size = 16,
};

FIXTURE_SETUP(cdb)
{
	RIG_UP(&self->rig, .kind = RIG_DISK);
}

FIXTURE_TEARDOWN(cdb)
{
	undo_all();
}

TEST_F(cdb, read_returns_what_the_disk_holds)
{
	struct req *r = req_new(&self->rig.d, cdb_rw(variant->size, 0, 16, 8), DATA_IN, 4096);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	EXPECT_EQ(0, pattern_diff(r->data_in, 16, 8, 0));
}

TEST_F(cdb, write_reaches_the_disk)
{
	struct req *r = req_new(&self->rig.d, cdb_rw(variant->size, 1, 16, 8), DATA_OUT, 4096);
	uint8_t disk[8 * 512];

	pattern_fill(r->data_out, 16, 8, 7);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	disk_read(self->rig.ram, 16, disk, sizeof(disk));
	EXPECT_EQ(0, pattern_diff(disk, 16, 8, 7));
}

/* LIO has the commands, but not those of 32 bytes: it parses, and says so. */
TEST_F(io, cdb_of_32_bytes_is_parsed_and_answered)
{
	struct req *r = req_new(self->d, cdb_read32(16, 8), DATA_IN, 4096);
	struct req *w = req_new(self->d, cdb_write32(16, 8), DATA_OUT, 4096);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_SENSE(r, KEY_ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
	ASSERT_RUNS(w, Q_IO);
	EXPECT_SENSE(w, KEY_ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
}

/* A variable-length CDB that says it is longer than virtio-scsi can carry. */
TEST_F(io, cdb_longer_than_32_bytes_is_refused)
{
	struct cdb c = cdb_read32(16, 8);
	struct req *r;

	c.b[7] = 0x80;
	r = req_new(self->d, c, DATA_IN, 4096);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_TRUE(r->resp->response || r->resp->status);
	EXPECT_TRUE(scsi_alive(self->d, Q_IO));
}

TEST_F(io, test_unit_ready_has_no_data)
{
	struct req *r = req_new(self->d, cdb_tur(), NO_DATA, 0);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
}

TEST_F(io, inquiry_shows_a_disk)
{
	struct req *r = req_new(self->d, cdb_inquiry(36), DATA_IN, 36);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	EXPECT_EQ(0, r->data_in[0] & 0x1f);
	EXPECT_EQ(0, memcmp(r->data_in + 8, "LIO-ORG ", 8));
}

TEST_F(io, read_capacity_16_gives_last_lba)
{
	struct req *r = req_new(self->d, cdb_read_capacity16(32), DATA_IN, 32);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	EXPECT_EQ(self->rig.ram->sectors - 1, be_get(r->data_in, 8));
	EXPECT_EQ(512, be_get(r->data_in + 8, 4));
}

TEST_F(io, report_luns_lists_every_lun)
{
	struct req *r;

	target_lun(self->rig.t, 5, backstore_ram(1, false));
	r = req_new(self->d, cdb_report_luns(64), DATA_IN, 64);
	ASSERT_RUNS(r, Q_IO);
	if (req_sense_key(r) == KEY_UNIT_ATTENTION)
		ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(SAM_GOOD, r->resp->status);
	EXPECT_EQ(16, be_get(r->data_in, 4));
	/* In either order. */
	EXPECT_EQ(5, r->data_in[8 + 1] ^ r->data_in[16 + 1]);
	EXPECT_EQ(5, r->data_in[8 + 1] + r->data_in[16 + 1]);
}

TEST_F(io, mode_sense_6_is_answered)
{
	struct req *r = req_new(self->d, cdb_mode_sense6(0x3f, 192), DATA_IN, 192);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(SAM_GOOD, r->resp->status);
	EXPECT_LT(3, r->data_in[0]);
}

TEST_F(io, synchronize_cache_10_and_16_are_good)
{
	struct req *a = req_new(self->d, cdb_sync_cache10(0, 0), NO_DATA, 0);
	struct req *b = req_new(self->d, cdb_sync_cache16(0, 0), NO_DATA, 0);

	ASSERT_RUNS(a, Q_IO);
	EXPECT_GOOD(a);
	ASSERT_RUNS(b, Q_IO);
	EXPECT_GOOD(b);
}

TEST_F(io, write_same_16_fills_blocks)
{
	struct req *r = req_new(self->d, cdb_write_same16(64, 16), DATA_OUT, 512);
	uint8_t disk[16 * 512];

	memset(r->data_out, 0x5a, 512);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	disk_read(self->rig.ram, 64, disk, sizeof(disk));
	for (int i = 0; i < 16 * 512; i++)
		ASSERT_EQ(0x5a, disk[i]);
}

TEST_F(io, write_same_10_fills_blocks)
{
	struct req *r = req_new(self->d, cdb_write_same10(64, 4), DATA_OUT, 512);
	uint8_t disk[4 * 512];

	memset(r->data_out, 0xc3, 512);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	disk_read(self->rig.ram, 64, disk, sizeof(disk));
	for (int i = 0; i < 4 * 512; i++)
		ASSERT_EQ(0xc3, disk[i]);
}

TEST_F(io, vital_product_data_gives_the_serial_number)
{
	struct req *r = req_new(self->d, cdb_inquiry_vpd(0x80, 64), DATA_IN, 64);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(SAM_GOOD, r->resp->status);
	EXPECT_EQ(0x80, r->data_in[1]);
	EXPECT_EQ(0, memcmp(r->data_in + 4, "vt-", 3));
}

TEST_F(io, request_sense_has_nothing_to_say)
{
	struct req *r = req_new(self->d, cdb_request_sense(18), DATA_IN, 18);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	EXPECT_EQ(0x70, r->data_in[0]);
	EXPECT_EQ(0, r->data_in[2]);
}

TEST_F(io, persistent_reservation_is_registered_and_read_back)
{
	struct req *out = req_new(self->d, cdb_pr_out(0, 0), DATA_OUT, 24);
	struct req *in = req_new(self->d, cdb_pr_in(0, 64), DATA_IN, 64);

	memset(out->data_out, 0, 24);
	cdb_be(out->data_out + 8, 0x1122334455667788ull, 8);
	ASSERT_RUNS(out, Q_IO);
	EXPECT_GOOD(out);
	ASSERT_RUNS(in, Q_IO);
	EXPECT_EQ(SAM_GOOD, in->resp->status);
	EXPECT_EQ(8, be_get(in->data_in + 4, 4));
	EXPECT_EQ(0x1122334455667788ull, be_get(in->data_in + 8, 8));
}

/* WRITE EXCLUSIVE, held through another port of the same backstore. */
TEST_F(io, reservation_of_another_port_is_a_conflict)
{
	struct target *t = target_open();
	struct req *reg, *res, *w = req_write(self->d, 0, 8, 1);
	struct device other;

	target_lun(t, 0, self->rig.bs);
	device_open(&other, &(struct device_opts){ 0 });
	ASSERT_EQ(0, device_start(&other, t->wwpn));
	ASSERT_EQ(0, scsi_clear_ua(&other, Q_IO, 0));
	reg = req_new(&other, cdb_pr_out(0, 0), DATA_OUT, 24);
	cdb_be(reg->data_out + 8, 0x77, 8);
	ASSERT_RUNS(reg, Q_IO);
	EXPECT_GOOD(reg);
	res = req_new(&other, cdb_pr_out(1, 1), DATA_OUT, 24);
	cdb_be(res->data_out, 0x77, 8);
	ASSERT_RUNS(res, Q_IO);
	EXPECT_GOOD(res);
	ASSERT_RUNS(w, Q_IO);
	EXPECT_EQ(SAM_RESERVATION_CONFLICT, w->resp->status);
	EXPECT_EQ(0, w->resp->response);
}

TEST_F(io, lba_out_of_range_gives_check_condition)
{
	struct req *r = req_read(self->d, self->rig.ram->sectors, 8);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_SENSE(r, KEY_ILLEGAL_REQUEST, ASC_LBA_OUT_OF_RANGE);
	EXPECT_EQ(96, r->resp->sense_len);
}

TEST_F(io, unknown_opcode_gives_check_condition)
{
	struct req *r = req_new(self->d, (struct cdb){ { 0xff } }, NO_DATA, 0);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_SENSE(r, KEY_ILLEGAL_REQUEST, ASC_INVALID_OPCODE);
}

/* Room for more than the command transfers: 36 bytes of INQUIRY in 512. */
TEST_F(io, underflow_is_the_residual)
{
	struct req *r = req_new(self->d, cdb_inquiry(36), DATA_IN, 512);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(SAM_GOOD, r->resp->status);
	EXPECT_EQ(512 - 36, r->resp->resid);
}

/*
 * One block of room for a READ of eight: LIO refuses it, so none of the 512
 * bytes were transferred.
 */
TEST_F(io, overflow_does_not_write_past_the_buffer)
{
	struct req *r = req_new(self->d, cdb_read10(16, 8), DATA_IN, 512);

	memset(r->data_in, 0xa5, 4096);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(1, r->out_come.returned);
	EXPECT_EQ(512, r->resp->resid);
	for (int i = 512; i < 4096; i++)
		ASSERT_EQ(0xa5, r->data_in[i]);
}

TEST_F(io, read_of_zero_blocks_is_good_and_moves_nothing)
{
	struct req *r = req_new(self->d, cdb_read10(0, 0), NO_DATA, 0);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
}

/* G10, and virtio: the length is what the device wrote, response included. */
TEST_F(io, used_len_of_a_read_is_response_plus_data)
{
	struct req *r = req_read(self->d, 0, 8);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(108 + 4096, r->out_come.len);
}

TEST_F(io, used_len_of_a_write_is_the_response)
{
	struct req *r = req_write(self->d, 0, 8, 0);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(108, r->out_come.len);
}

TEST_F(io, used_len_of_a_short_inquiry_counts_what_was_transferred)
{
	struct req *r = req_new(self->d, cdb_inquiry(36), DATA_IN, 512);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(108 + 36, r->out_come.len);
}

TEST_F(io, used_len_of_a_check_condition_is_the_response)
{
	struct req *r = req_new(self->d, (struct cdb){ { 0xff } }, DATA_IN, 512);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(108, r->out_come.len);
}

/* ORDERED, HEAD OF QUEUE and SIMPLE are served; ACA is not supported by LIO. */
TEST_F(io, task_attributes_are_accepted)
{
	static const uint8_t attr[] = {
		VIRTIO_SCSI_S_SIMPLE, VIRTIO_SCSI_S_ORDERED, VIRTIO_SCSI_S_HEAD,
	};

	for (unsigned int i = 0; i < ARRAY_SIZE(attr); i++) {
		struct req *r = req_read(self->d, 0, 8);

		req_attr(r, attr[i]);
		ASSERT_RUNS(r, Q_IO);
		EXPECT_GOOD(r);
	}
}

TEST_F(io, task_attribute_aca_and_unknown_ones_are_answered)
{
	static const uint8_t attr[] = { VIRTIO_SCSI_S_ACA, 4, 0xff };

	for (unsigned int i = 0; i < ARRAY_SIZE(attr); i++) {
		struct req *r = req_read(self->d, 0, 8);

		req_attr(r, attr[i]);
		ASSERT_RUNS(r, Q_IO);
		EXPECT_EQ(1, r->out_come.returned);
	}
	EXPECT_TRUE(scsi_alive(self->d, Q_IO));
}

TEST_F(io, target_that_is_not_there_is_a_bad_target)
{
	struct req *r = req_read(self->d, 0, 8);

	req_lun(r, 2, 0);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(VIRTIO_SCSI_S_BAD_TARGET, r->resp->response);
	EXPECT_TRUE(req_len_is(r, 108));
}

/* LIO answers for a LUN that is not mapped. */
TEST_F(io, lun_that_is_not_there_gives_lun_not_supported)
{
	struct req *r = req_read(self->d, 0, 8);

	req_lun(r, 1, 9);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_SENSE(r, KEY_ILLEGAL_REQUEST, ASC_LUN_NOT_SUPPORTED);
}

TEST_F(io, lun_field_must_begin_with_1)
{
	struct req *r = req_read(self->d, 0, 8);
	const uint8_t lun[8] = { 0, 1, 0x40, 0 };

	req_lun_bytes(r, lun);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(VIRTIO_SCSI_S_BAD_TARGET, r->resp->response);
}

/* Peripheral addressing (0x00) and flat addressing (0x40) name the same LUN. */
TEST_F(io, both_lun_addressing_forms_are_understood)
{
	static const uint8_t forms[][8] = { { 1, 1, 0x40, 0 }, { 1, 1, 0x00, 0 } };

	for (unsigned int i = 0; i < ARRAY_SIZE(forms); i++) {
		struct req *r = req_read(self->d, 0, 8);

		req_lun_bytes(r, forms[i]);
		ASSERT_RUNS(r, Q_IO);
		EXPECT_GOOD(r);
	}
}

TEST_F(io, lun_300_is_reached_by_flat_addressing)
{
	struct req *r = req_read(self->d, 0, 8);

	target_lun(self->rig.t, 300, backstore_ram(1, false));
	ASSERT_EQ(0, scsi_clear_ua(self->d, Q_IO, 300));
	req_lun(r, 1, 300);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
}

/* Several TPGs under one WWN are several targets of one device. */
TEST_F(io, two_tpgs_are_two_targets)
{
	struct target *t2 = target_add_tpg(self->rig.t, 7);
	struct req *r;

	target_lun(t2, 0, backstore_ram(1, false));
	ASSERT_EQ(0, device_stop(self->d));
	ASSERT_EQ(0, device_start(self->d, NULL));
	r = req_new(self->d, cdb_inquiry(36), DATA_IN, 36);
	req_lun(r, 7, 0);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	EXPECT_EQ(0, memcmp(r->data_in + 16, "RAMDISK-MCP", 11));
	device_stop(self->d);
}

/* Bidirectional commands are not supported: an answer, and no harm. */
TEST_F(io, data_both_ways_is_answered_once)
{
	struct req *r = req_new_both(self->d, cdb_write10(0, 8), 4096, 4096);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(1, r->out_come.returned);
	EXPECT_EQ(VIRTIO_SCSI_S_FAILURE, r->resp->response);
	EXPECT_TRUE(scsi_alive(self->d, Q_IO));
}

TEST_F(io, more_than_16_mib_is_refused)
{
	struct req *r = req_new(self->d, cdb_read16(0, 8), DATA_IN, 4096);

	for (int i = 0; i < 17; i++)
		req_add_seg(r, true, r->d->guest.mem, 1 << 20);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(1, r->out_come.returned);
	EXPECT_EQ(VIRTIO_SCSI_S_FAILURE, r->resp->response);
	EXPECT_TRUE(scsi_alive(self->d, Q_IO));
}

TEST_HARNESS_MAIN
