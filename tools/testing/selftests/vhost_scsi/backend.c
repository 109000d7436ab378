// SPDX-License-Identifier: GPL-2.0
/* Every kind of backstore: what is written is read again, and errors come through. */
#include "kselftest_harness.h"
#include "rig.h"

FIXTURE(backend)
{
	struct target *t;
	struct device d;
};

FIXTURE_SETUP(backend)
{
	self->t = target_open();
	device_open(&self->d, &(struct device_opts){ 0 });
}

FIXTURE_TEARDOWN(backend)
{
	undo_all();
}

static bool start_on(struct target *t, struct device *d, struct backstore *b)
{
	target_lun(t, 0, b);
	return !device_start(d, t->wwpn) && !scsi_clear_ua(d, Q_IO, 0);
}

/* 256 KiB written in one request, read in another, in pieces. */
#define EXPECT_KEEPS_DATA(backstore) do {					\
	struct req *__w, *__r;							\
	ASSERT_TRUE(start_on(self->t, &self->d, backstore));			\
	__w = req_write(&self->d, 64, 512, 11);					\
	ASSERT_RUNS(__w, Q_IO);							\
	EXPECT_GOOD(__w);							\
	__r = req_read(&self->d, 64, 512);					\
	req_cut_in(__r, CUT(RESP_LEN, 4096));					\
	ASSERT_RUNS(__r, Q_IO);							\
	EXPECT_GOOD(__r);							\
	EXPECT_EQ(0, pattern_diff(__r->data_in, 64, 512, 11));			\
} while (0)

/* The same at an odd offset in memory. */
#define EXPECT_KEEPS_MISALIGNED_DATA() do {					\
	struct req *__w = req_write(&self->d, 1024, 64, 12), *__r;		\
	req_misalign(__w, 1);							\
	ASSERT_RUNS(__w, Q_IO);							\
	EXPECT_GOOD(__w);							\
	__r = req_read(&self->d, 1024, 64);					\
	req_misalign(__r, 511);							\
	ASSERT_RUNS(__r, Q_IO);							\
	EXPECT_GOOD(__r);							\
	EXPECT_EQ(0, pattern_diff(__r->data_in, 1024, 64, 12));			\
} while (0)

TEST_F(backend, rd_mcp_keeps_data)
{
	EXPECT_KEEPS_DATA(backstore_ram(4, false));
	EXPECT_KEEPS_MISALIGNED_DATA();
}

static void unlink_path(void *path)
{
	unlink(path);
}

TEST_F(backend, fileio_keeps_data)
{
	char *path = vt_str("/tmp/vt%d_file", getpid());

	undo_push(unlink_path, path);
	EXPECT_KEEPS_DATA(backstore_file(path, 4));
	EXPECT_KEEPS_MISALIGNED_DATA();
}

TEST_F(backend, iblock_on_null_blk_keeps_data)
{
	EXPECT_KEEPS_DATA(backstore_block(disk_ram(NULL)));
	EXPECT_KEEPS_MISALIGNED_DATA();
}

TEST_F(backend, iblock_on_device_mapper_keeps_data)
{
	EXPECT_KEEPS_DATA(backstore_block(disk_delay(disk_ram(NULL), 10, 10)));
	EXPECT_KEEPS_MISALIGNED_DATA();
}

TEST_F(backend, iblock_on_scsi_debug_keeps_data)
{
	EXPECT_KEEPS_DATA(backstore_block(disk_scsi_debug("dev_size_mb=16")));
	EXPECT_KEEPS_MISALIGNED_DATA();
}

TEST_F(backend, error_of_the_disk_becomes_a_check_condition)
{
	struct req *r;

	ASSERT_TRUE(start_on(self->t, &self->d, backstore_block(disk_error(disk_ram(NULL)))));
	r = req_read(&self->d, 0, 8);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(1, r->out_come.returned);
	EXPECT_EQ(VIRTIO_SCSI_S_OK, r->resp->response);
	EXPECT_EQ(SAM_CHECK_CONDITION, r->resp->status);
	EXPECT_LT(0, req_sense_key(r));
}

TEST_F(backend, unmap_zeroes_what_it_covers)
{
	struct disk *d = disk_scsi_debug("dev_size_mb=16 lbpu=1 lbprz=1");
	struct backstore *b = backstore_block(d);
	struct req *w, *u, *r;

	if (backstore_attr(b, "emulate_tpu", 1))
		SKIP(return, "the block device does not discard");
	ASSERT_TRUE(start_on(self->t, &self->d, b));
	w = req_write(&self->d, 0, 64, 1);
	ASSERT_RUNS(w, Q_IO);
	u = req_new(&self->d, cdb_unmap(24), DATA_OUT, 24);
	memset(u->data_out, 0, 24);
	cdb_be(u->data_out, 22, 2);
	cdb_be(u->data_out + 2, 16, 2);
	cdb_be(u->data_out + 8, 8, 8);
	cdb_be(u->data_out + 16, 16, 4);
	ASSERT_RUNS(u, Q_IO);
	EXPECT_GOOD(u);
	r = req_read(&self->d, 0, 64);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(0, pattern_diff(r->data_in, 0, 8, 1));
	EXPECT_EQ(0, r->data_in[8 * 512]);
	EXPECT_EQ(0, pattern_diff(r->data_in + 24 * 512, 24, 40, 1));
}

TEST_HARNESS_MAIN
