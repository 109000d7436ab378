// SPDX-License-Identifier: GPL-2.0
/* T10 protection information: 8 bytes beside each block of 512, type 1. */
#include <errno.h>

#include "kselftest_harness.h"
#include "rig.h"

#define BLOCKS 16
#define PI_LEN (BLOCKS * 8)

struct pi_tuple {
	uint8_t guard[2];
	uint8_t app[2];
	uint8_t ref[4];
};

/* CRC-16 of T10: polynomial 0x8bb7, no reflection, starts at 0. */
static uint16_t pi_guard(const uint8_t *p, size_t len)
{
	uint16_t crc = 0;

	while (len--) {
		crc ^= *p++ << 8;
		for (int bit = 0; bit < 8; bit++)
			crc = crc & 0x8000 ? crc << 1 ^ 0x8bb7 : crc << 1;
	}
	return crc;
}

static void pi_fill(struct pi_tuple *t, const uint8_t *data, uint64_t lba, unsigned int blocks)
{
	for (unsigned int i = 0; i < blocks; i++, t++, data += 512) {
		cdb_be(t->guard, pi_guard(data, 512), 2);
		cdb_be(t->app, 0x4242, 2);
		cdb_be(t->ref, lba + i, 4);
	}
}

static unsigned int pi_wrong(struct pi_tuple *t, const uint8_t *data, uint64_t lba,
			     unsigned int blocks)
{
	unsigned int wrong = 0;

	for (unsigned int i = 0; i < blocks; i++, t++, data += 512)
		wrong += be_get(t->guard, 2) != pi_guard(data, 512) ||
			 be_get(t->ref, 4) != lba + i;
	return wrong;
}

FIXTURE(pi)
{
	struct backstore *bs;
	struct target *t;
	struct device d;
};

/* The RAM disk keeps protection information in memory, fileio in a file. */
FIXTURE_VARIANT(pi)
{
	bool file;
};

FIXTURE_VARIANT_ADD(pi, ram)
{
};

FIXTURE_VARIANT_ADD(pi, file)
{
	.file = true,
};

static void file_undo(void *path)
{
	unlink(path);
	unlink(vt_str("%s.protection", (char *)path));
}

static struct backstore *pi_backstore(bool file)
{
	char *path = vt_str("/tmp/vt%d_pi", getpid());
	struct backstore *b;

	if (file)
		undo_push(file_undo, path);
	b = file ? backstore_file(path, 4) : backstore_ram(4, false);
	if (backstore_attr(b, "pi_prot_type", 1))
		vt_skip("the backstore knows no protection information");
	if (file && backstore_attr(b, "pi_prot_format", 1))
		vt_fatal("cannot format with protection information");
	return b;
}

FIXTURE_SETUP(pi)
{
	self->bs = pi_backstore(variant->file);
	self->t = target_open();
	target_lun(self->t, 0, self->bs);
	device_open(&self->d, &(struct device_opts){ .features = F_DEFAULT | F_T10_PI });
	ASSERT_EQ(0, device_start(&self->d, self->t->wwpn));
	ASSERT_EQ(0, scsi_clear_ua(&self->d, Q_IO, 0));
}

FIXTURE_TEARDOWN(pi)
{
	undo_all();
}

/* Protection information comes first, data behind it; WRPROTECT = 1. */
static struct req *pi_write(struct device *d, uint64_t lba, unsigned int seed)
{
	struct cdb c = cdb_write16(lba, BLOCKS);
	struct req *r;

	c.b[1] = 1 << 5;
	r = req_new(d, c, DATA_OUT, PI_LEN + BLOCKS * 512);
	r->cmd_pi->pi_bytesout = PI_LEN;
	pattern_fill(r->data_out + PI_LEN, lba, BLOCKS, seed);
	pi_fill((void *)r->data_out, r->data_out + PI_LEN, lba, BLOCKS);
	return r;
}

static struct req *pi_read(struct device *d, uint64_t lba)
{
	struct cdb c = cdb_read16(lba, BLOCKS);
	struct req *r;

	c.b[1] = 1 << 5;
	r = req_new(d, c, DATA_IN, PI_LEN + BLOCKS * 512);
	r->cmd_pi->pi_bytesin = PI_LEN;
	return r;
}

TEST_F(pi, write_and_read_carry_protection_information)
{
	struct req *w = pi_write(&self->d, 32, 1), *r = pi_read(&self->d, 32);

	ASSERT_RUNS(w, Q_IO);
	EXPECT_GOOD(w);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	EXPECT_EQ(0, pattern_diff(r->data_in + PI_LEN, 32, BLOCKS, 1));
	EXPECT_EQ(0, pi_wrong((void *)r->data_in, r->data_in + PI_LEN, 32, BLOCKS));
	EXPECT_EQ(0x42, r->data_in[2]);
}

TEST_F(pi, split_over_descriptors_anywhere)
{
	struct req *w = pi_write(&self->d, 32, 2), *r = pi_read(&self->d, 32);

	req_cut_out(w, CUT(20, 100, 3, 1000));
	ASSERT_RUNS(w, Q_IO);
	EXPECT_GOOD(w);
	req_cut_in(r, CUT(150, 7, 2000));
	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	EXPECT_EQ(0, pattern_diff(r->data_in + PI_LEN, 32, BLOCKS, 2));
	EXPECT_EQ(0, pi_wrong((void *)r->data_in, r->data_in + PI_LEN, 32, BLOCKS));
}

TEST_F(pi, wrong_guard_is_a_check_condition)
{
	struct req *w = pi_write(&self->d, 32, 1);

	w->data_out[0] ^= 1;
	ASSERT_RUNS(w, Q_IO);
	EXPECT_SENSE(w, KEY_ABORTED, 0x10);
	EXPECT_EQ(0x01, w->resp->sense[13]);
}

TEST_F(pi, wrong_reference_tag_is_a_check_condition)
{
	struct req *w = pi_write(&self->d, 32, 1);

	w->data_out[7] ^= 1;
	ASSERT_RUNS(w, Q_IO);
	EXPECT_SENSE(w, KEY_ABORTED, 0x10);
	EXPECT_EQ(0x03, w->resp->sense[13]);
}

TEST_F(pi, command_without_protection_information_is_served)
{
	struct req *w = req_write(&self->d, 64, 8, 3), *r = req_read(&self->d, 64, 8);

	ASSERT_RUNS(w, Q_IO);
	EXPECT_GOOD(w);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	EXPECT_EQ(0, pattern_diff(r->data_in, 64, 8, 3));
}

TEST_F(pi, read_16_capacity_says_protected)
{
	struct req *r = req_new(&self->d, cdb_read_capacity16(32), DATA_IN, 32);

	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(1, r->data_in[12] & 1);
}

/* G8: sizes that cannot be; each comes back with an error. */
#define EXPECT_REFUSED(r) do {							\
	ASSERT_RUNS(r, Q_IO);							\
	EXPECT_EQ(1, (r)->out_come.returned);					\
	EXPECT_EQ(VIRTIO_SCSI_S_FAILURE, (r)->resp->response);			\
	EXPECT_EQ(0, scsi_clear_ua(&self->d, Q_IO, 0));				\
} while (0)

TEST_F(pi, more_protection_information_than_data_is_refused)
{
	struct req *r = pi_read(&self->d, 32);

	/* The stock driver computes with such sizes, and the host panics. */
	if (driver_is_stock())
		SKIP(return, "panics the kernel with the stock driver");
	r->cmd_pi->pi_bytesin = PI_LEN + BLOCKS * 512 + 1;
	EXPECT_REFUSED(r);
}

TEST_F(pi, nothing_but_protection_information_is_refused)
{
	struct req *r = pi_read(&self->d, 32), *w = pi_write(&self->d, 32, 1);

	/* The stock driver computes with such sizes, and the host panics. */
	if (driver_is_stock())
		SKIP(return, "panics the kernel with the stock driver");
	r->cmd_pi->pi_bytesin = PI_LEN + BLOCKS * 512;
	EXPECT_REFUSED(r);
	w->cmd_pi->pi_bytesout = PI_LEN + BLOCKS * 512;
	EXPECT_REFUSED(w);
}

TEST_F(pi, protection_information_of_4_gib_is_refused)
{
	struct req *r = pi_read(&self->d, 32), *w = pi_write(&self->d, 32, 1);

	/* The stock driver computes with such sizes, and the host panics. */
	if (driver_is_stock())
		SKIP(return, "panics the kernel with the stock driver");
	r->cmd_pi->pi_bytesin = 0xffffffff;
	EXPECT_REFUSED(r);
	w->cmd_pi->pi_bytesout = 0xfffffff8;
	EXPECT_REFUSED(w);
}

TEST_F(pi, protection_information_out_for_data_in_is_refused)
{
	struct req *r = pi_read(&self->d, 32);

	r->cmd_pi->pi_bytesin = 0;
	r->cmd_pi->pi_bytesout = PI_LEN;
	EXPECT_REFUSED(r);
}

TEST_F(pi, protection_information_in_for_data_out_is_refused)
{
	struct req *w = pi_write(&self->d, 32, 1);

	w->cmd_pi->pi_bytesout = 0;
	w->cmd_pi->pi_bytesin = PI_LEN;
	EXPECT_REFUSED(w);
}

/* Neither a whole number of tuples nor as many as there are blocks. */
TEST_F(pi, protection_information_of_another_length_is_answered)
{
	static const uint32_t len[] = { 1, 7, PI_LEN - 8, PI_LEN + 8, 512 };

	for (unsigned int i = 0; i < ARRAY_SIZE(len); i++) {
		struct req *r = pi_read(&self->d, 32), *w = pi_write(&self->d, 32, 1);

		r->cmd_pi->pi_bytesin = len[i];
		w->cmd_pi->pi_bytesout = len[i];
		ASSERT_RUNS(r, Q_IO);
		EXPECT_EQ(1, r->out_come.returned);
		ASSERT_RUNS(w, Q_IO);
		EXPECT_EQ(1, w->out_come.returned);
	}
	EXPECT_EQ(0, scsi_clear_ua(&self->d, Q_IO, 0));
	EXPECT_TRUE(scsi_alive(&self->d, Q_IO));
}

TEST_F(pi, protection_information_without_data_is_refused)
{
	struct req *r = req_new(&self->d, cdb_tur(), NO_DATA, 0);

	/* The stock driver computes with such sizes, and the host panics. */
	if (driver_is_stock())
		SKIP(return, "panics the kernel with the stock driver");
	r->cmd_pi->pi_bytesin = 8;
	EXPECT_REFUSED(r);
}

TEST_F(pi, both_directions_at_once_are_refused)
{
	struct req *r = pi_read(&self->d, 32);

	r->cmd_pi->pi_bytesout = 8;
	EXPECT_REFUSED(r);
}

TEST_F(pi, logging_covers_protection_information)
{
	struct req *w = pi_write(&self->d, 32, 1), *r = pi_read(&self->d, 32);

	ASSERT_RUNS(w, Q_IO);
	device_log_on(&self->d);
	vt_sleep_ms(20);
	guest_log_clear(&self->d.guest);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_TRUE(guest_log_covers(&self->d.guest, r->data_in, r->in_len));
	EXPECT_TRUE(guest_log_has(&self->d.guest, r->resp));
}

FIXTURE(fabric)
{
	struct target *t;
	struct device d;
};

/* The backstore knows nothing of it: LIO inserts and strips, for the fabric. */
FIXTURE_SETUP(fabric)
{
	self->t = target_open_bare(1);
	target_lun(self->t, 0, backstore_ram(4, false));
}

FIXTURE_TEARDOWN(fabric)
{
	undo_all();
}

TEST_F(fabric, prot_type_is_0_1_or_3)
{
	const char *path = vt_str("%s", target_path(self->t, "attrib/fabric_prot_type"));
	char value[16];

	for (int i = 0; i < 5; i++) {
		bool ok = i == 0 || i == 1 || i == 3;

		EXPECT_EQ(ok ? 0 : -EINVAL, file_put(path, "%d", i));
		file_get(path, value, sizeof(value));
		EXPECT_EQ(i == 4 ? 3 : i == 2 ? 1 : i, atoi(value));
	}
	EXPECT_EQ(-EINVAL, file_put(path, "x"));
}

TEST_F(fabric, prot_type_protects_what_the_backstore_does_not)
{
	struct req *cap, *w, *r;

	file_set(target_path(self->t, "attrib/fabric_prot_type"), "1");
	ASSERT_EQ(0, target_nexus(self->t, "naa.6001405000000001"));
	device_open(&self->d, &(struct device_opts){ .features = F_DEFAULT | F_T10_PI });
	ASSERT_EQ(0, device_start(&self->d, self->t->wwpn));
	ASSERT_EQ(0, scsi_clear_ua(&self->d, Q_IO, 0));

	cap = req_new(&self->d, cdb_read_capacity16(32), DATA_IN, 32);
	ASSERT_RUNS(cap, Q_IO);
	EXPECT_EQ(1, cap->data_in[12] & 0xf);
	w = pi_write(&self->d, 32, 4);
	ASSERT_RUNS(w, Q_IO);
	EXPECT_GOOD(w);
	r = pi_read(&self->d, 32);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(SAM_GOOD, r->resp->status);
	EXPECT_EQ(0, pattern_diff(r->data_in + PI_LEN, 32, BLOCKS, 4));
}

TEST_HARNESS_MAIN
