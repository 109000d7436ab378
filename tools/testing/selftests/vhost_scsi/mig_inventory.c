// SPDX-License-Identifier: GPL-2.0
/*
 * Before anything is moved: the destination looks at the inventory, and says
 * what it lacks, with target, LUN and reason (M5, M11).
 */
#include <endian.h>
#include <errno.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mig.h"
#include "pr.h"

FIXTURE(inventory)
{
	struct pair p;
	struct stream *s;	/* header and inventory of the running source */
	struct vhost_scsi_mig_lun *lun;
};

FIXTURE_SETUP(inventory)
{
	struct backstore *more;
	int fd;

	mig_need();
	more = backstore_ram(2, false);
	PAIR_UP(&self->p);
	target_lun(self->p.ts, 3, more);
	target_lun(self->p.td, 3, more);
	ASSERT_EQ(0, scsi_clear_ua(&self->p.s, Q_IO, 0));
	ASSERT_EQ(0, scsi_clear_ua(&self->p.s, Q_IO, 3));
	ASSERT_EQ(0, mig_set(&self->p.s, S_RUNLOG));
	fd = mig_data(&self->p.s, VHOST_SCSI_MIG_DATA_SAVE, NULL);
	ASSERT_LE(0, fd);
	self->s = stream_new();
	ASSERT_EQ(-ENOMSG, stream_read(self->s, fd));
	close(fd);
	/* The guest is served all the while. */
	EXPECT_TRUE(scsi_alive(&self->p.s, Q_IO));
	ASSERT_EQ(2 * sizeof(*self->lun),
		  le32toh(stream_find(self->s, VHOST_SCSI_MIG_INVENTORY)->length));
	self->lun = stream_payload(self->s, VHOST_SCSI_MIG_INVENTORY);
}

FIXTURE_TEARDOWN(inventory)
{
	undo_all();
}

#define EXPECT_INVENTORY(want) do {						\
	EXPECT_EQ(0, mig_load(&self->p.d, self->p.td->wwpn, self->s, 0));	\
	EXPECT_EQ(want, mig_check(&self->p.d).verdict);				\
	EXPECT_EQ(0, mig_check(&self->p.d).error);				\
	EXPECT_EQ(-EAGAIN, mig_set(&self->p.d, S_STOP));			\
	EXPECT_EQ(0, mig_set_flags(&self->p.d, S_STOP, VHOST_SCSI_MIG_DROP, 0)); \
} while (0)

/* Refused for this reason, and nothing is left of it. */
#define EXPECT_LACKS(why, tgt, nr) do {						\
	EXPECT_EQ(-EREMCHG, mig_load(&self->p.d, self->p.td->wwpn, self->s, 0)); \
	EXPECT_REFUSED(&self->p.d, EREMCHG, why, tgt, nr);			\
	EXPECT_EQ(-EREMCHG, mig_set(&self->p.d, S_STOP));			\
	EXPECT_EQ(-EREMCHG, device_start(&self->p.d, self->p.td->wwpn));	\
	EXPECT_STATE(&self->p.d, S_RESUME);					\
	EXPECT_EQ(0, mig_set_flags(&self->p.d, S_STOP, VHOST_SCSI_MIG_DROP, 0)); \
} while (0)

TEST_F(inventory, is_accepted_before_the_source_stops)
{
	EXPECT_EQ(3, le64toh(self->lun[1].lun));
	EXPECT_EQ(4096, le64toh(self->lun[1].blocks));
	EXPECT_INVENTORY(VHOST_SCSI_MIG_INVENTORY_OK);
	EXPECT_STATE(&self->p.s, S_RUNLOG);
}

TEST_F(inventory, lun_that_is_missing)
{
	ASSERT_EQ(0, target_lun_unlink(self->p.td, 3));
	EXPECT_LACKS(VHOST_SCSI_MIG_LUN_MISSING, 1, 3);
	target_lun(self->p.td, 4, self->p.bs);
	EXPECT_LACKS(VHOST_SCSI_MIG_LUN_MISSING, 1, 3);
}

TEST_F(inventory, target_that_is_missing)
{
	self->lun[1].target = htole32(7);
	EXPECT_LACKS(VHOST_SCSI_MIG_LUN_MISSING, 7, 3);
}

TEST_F(inventory, lun_of_another_identity)
{
	self->lun[1].serial[0] ^= 1;
	EXPECT_LACKS(VHOST_SCSI_MIG_LUN_IDENTITY, 1, 3);
	self->lun[1].serial[0] ^= 1;
	self->lun[0].vendor[0] ^= 1;
	EXPECT_LACKS(VHOST_SCSI_MIG_LUN_IDENTITY, 1, 0);
	self->lun[0].vendor[0] ^= 1;
	self->lun[1].product[15] ^= 1;
	EXPECT_LACKS(VHOST_SCSI_MIG_LUN_IDENTITY, 1, 3);
	self->lun[1].product[15] ^= 1;
	EXPECT_INVENTORY(VHOST_SCSI_MIG_INVENTORY_OK);
}

/* The disk there is really another one, rather than a stream that says so. */
TEST_F(inventory, disk_of_another_serial_number)
{
	ASSERT_EQ(0, target_lun_unlink(self->p.td, 3));
	target_lun(self->p.td, 3, backstore_ram(2, false));
	EXPECT_LACKS(VHOST_SCSI_MIG_LUN_IDENTITY, 1, 3);
}

TEST_F(inventory, disk_of_another_size)
{
	struct backstore *b = backstore_ram(3, false);

	backstore_serial(b, self->lun[1].serial);
	ASSERT_EQ(0, target_lun_unlink(self->p.td, 3));
	target_lun(self->p.td, 3, b);
	EXPECT_LACKS(VHOST_SCSI_MIG_LUN_SIZE, 1, 3);
}

TEST_F(inventory, disk_of_another_block_size)
{
	struct backstore *b = backstore_ram(2, false);

	ASSERT_EQ(0, backstore_attr(b, "block_size", 4096));
	backstore_serial(b, self->lun[1].serial);
	ASSERT_EQ(0, target_lun_unlink(self->p.td, 3));
	target_lun(self->p.td, 3, b);
	EXPECT_LACKS(VHOST_SCSI_MIG_LUN_BLOCK_SIZE, 1, 3);
}

TEST_F(inventory, disk_of_another_protection_type)
{
	struct backstore *b = backstore_ram(2, false);

	if (backstore_attr(b, "pi_prot_type", 1))
		SKIP(return, "rd_mcp has no protection information");
	backstore_serial(b, self->lun[1].serial);
	ASSERT_EQ(0, target_lun_unlink(self->p.td, 3));
	target_lun(self->p.td, 3, b);
	EXPECT_LACKS(VHOST_SCSI_MIG_LUN_PROTECTION, 1, 3);
}

TEST_F(inventory, lun_of_another_type_or_access)
{
	self->lun[1].type = 5;
	EXPECT_LACKS(VHOST_SCSI_MIG_LUN_TYPE, 1, 3);
	self->lun[1].type = 0;
	self->lun[0].flags |= htole32(VHOST_SCSI_MIG_LUN_RO);
	EXPECT_LACKS(VHOST_SCSI_MIG_LUN_ACCESS, 1, 0);
	self->lun[0].flags &= ~htole32(VHOST_SCSI_MIG_LUN_RO);
	EXPECT_INVENTORY(VHOST_SCSI_MIG_INVENTORY_OK);
}

/* The first that is wrong is named, in the order of target and LUN. */
TEST_F(inventory, first_of_several_faults_is_told)
{
	self->lun[0].blocks = htole64(1);
	self->lun[1].block_size = htole32(4096);
	EXPECT_LACKS(VHOST_SCSI_MIG_LUN_SIZE, 1, 0);
}

TEST_F(inventory, memory_of_another_host)
{
	stream_from_elsewhere(self->s);
	EXPECT_LACKS(VHOST_SCSI_MIG_LUN_NOT_SHARED, 1, 0);
}

/* On one host, what is shared is the backstore, whatever it is called. */
TEST_F(inventory, other_memory_of_this_host)
{
	struct backstore *b = backstore_ram(2, false);

	backstore_serial(b, self->lun[1].serial);
	ASSERT_EQ(0, target_lun_unlink(self->p.td, 3));
	target_lun(self->p.td, 3, b);
	EXPECT_LACKS(VHOST_SCSI_MIG_LUN_NOT_SHARED, 1, 3);
}

/* More than the guest knew is no fault: it was hot-plugged meanwhile. */
TEST_F(inventory, lun_that_only_the_destination_has)
{
	target_lun(self->p.td, 9, backstore_ram(1, false));
	EXPECT_INVENTORY(VHOST_SCSI_MIG_INVENTORY_OK);
}

TEST_F(inventory, later_one_replaces_the_one_before)
{
	struct stream *bad = stream_copy(self->s);
	struct vhost_scsi_mig_lun *lun = stream_payload(bad, VHOST_SCSI_MIG_INVENTORY);

	/* Once refused, a load is refused for good. */
	lun[1].blocks = htole64(1);
	stream_add_section(bad, stream_find(self->s, VHOST_SCSI_MIG_INVENTORY));
	EXPECT_EQ(-EREMCHG, mig_load(&self->p.d, self->p.td->wwpn, bad, 0));
	EXPECT_EQ(0, mig_set_flags(&self->p.d, S_STOP, VHOST_SCSI_MIG_DROP, 0));

	/* One LUN less in the second: that the destination lacks it is no fault. */
	ASSERT_EQ(0, mig_set(&self->p.s, S_RUN));
	ASSERT_EQ(0, target_lun_unlink(self->p.ts, 3));
	target_lun(self->p.ts, 8, backstore_ram(1, false));
	{
		struct stream *s = pair_save(&self->p);

		lun = stream_payload(s, VHOST_SCSI_MIG_INVENTORY);
		EXPECT_EQ(8, le64toh(lun[1].lun));
		EXPECT_EQ(-EREMCHG, mig_load(&self->p.d, self->p.td->wwpn, s, 0));
		EXPECT_REFUSED(&self->p.d, EREMCHG, VHOST_SCSI_MIG_LUN_MISSING, 1, 8);
	}
}

TEST_F(inventory, of_two_targets)
{
	struct target *s2, *d2;
	struct stream *s;
	struct vhost_scsi_mig_lun *lun;
	struct device *src = &self->p.s;

	ASSERT_EQ(0, mig_set(src, S_RUN));
	ASSERT_EQ(0, device_stop(src));
	s2 = target_add_tpg(self->p.ts, 2);
	target_lun(s2, 0, self->p.bs);
	ASSERT_EQ(0, device_start(src, NULL));
	s = pair_save(&self->p);
	ASSERT_EQ(3 * sizeof(*lun), le32toh(stream_find(s, VHOST_SCSI_MIG_INVENTORY)->length));
	lun = stream_payload(s, VHOST_SCSI_MIG_INVENTORY);
	EXPECT_EQ(1, le32toh(lun[0].target));
	EXPECT_EQ(1, le32toh(lun[1].target));
	EXPECT_EQ(2, le32toh(lun[2].target));
	EXPECT_EQ(-EREMCHG, mig_load(&self->p.d, self->p.td->wwpn, s, 0));
	EXPECT_REFUSED(&self->p.d, EREMCHG, VHOST_SCSI_MIG_LUN_MISSING, 2, 0);
	ASSERT_EQ(0, mig_set_flags(&self->p.d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	d2 = target_add_tpg(self->p.td, 2);
	target_lun(d2, 0, self->p.bs);
	EXPECT_EQ(0, mig_load(&self->p.d, self->p.td->wwpn, s, 0));
	EXPECT_EQ(VHOST_SCSI_MIG_ACCEPTED, mig_check(&self->p.d).verdict);
	/* They hold what was made after them. */
	device_close(&self->p.d);
	device_close(src);
}

/* A file that the destination's host may have cached (M6). */
FIXTURE(cached)
{
	struct pair p;
};

FIXTURE_SETUP(cached)
{
	const char *path = vt_str("/tmp/vt-%d-%u", getpid(), vt_serial());
	struct backstore *a, *b;

	mig_need();
	a = backstore_file(path, 4);
	b = backstore_file(path, 4);
	backstore_serial(a, path);
	backstore_serial(b, path);
	PAIR_UP(&self->p, .bs = a, .bd = b);
}

FIXTURE_TEARDOWN(cached)
{
	undo_all();
}

TEST_F(cached, file_of_another_host_is_refused_unless_it_was_dropped)
{
	struct stream *s = pair_save(&self->p);
	struct vhost_scsi_mig_lun *lun = stream_payload(s, VHOST_SCSI_MIG_INVENTORY);

	EXPECT_EQ(VHOST_SCSI_MIG_LUN_PAGE_CACHE, le32toh(lun->flags));
	stream_from_elsewhere(s);
	EXPECT_EQ(-EREMCHG, mig_load(&self->p.d, self->p.td->wwpn, s, 0));
	EXPECT_REFUSED(&self->p.d, EREMCHG, VHOST_SCSI_MIG_LUN_CACHED, 1, 0);
	ASSERT_EQ(0, mig_set_flags(&self->p.d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	EXPECT_EQ(0, pair_apply(&self->p, s, VHOST_SCSI_MIG_DATA_CACHE_DROPPED));
}

/* A backend that keeps persistent reservations to itself. */
FIXTURE(hidden)
{
	struct pair p;
};

FIXTURE_SETUP(hidden)
{
	struct backstore *b;

	mig_need();
	b = backstore_block(disk_ram(NULL));
	if (backstore_attr(b, "pgr_support", 0))
		SKIP(return, "iblock passes no reservations through");
	PAIR_UP(&self->p, .bs = b);
}

FIXTURE_TEARDOWN(hidden)
{
	undo_all();
}

TEST_F(hidden, reservations_are_a_blocker_once_the_guest_has_used_some)
{
	struct vhost_scsi_mig_blocker b[2] = { 0 };
	struct stream *s;

	EXPECT_EQ(0, mig_blockers(&self->p.s, b, 2));
	/* The disk has none; but who knows what became of it. */
	pr_register(&self->p.s, 0, 1);
	ASSERT_EQ(1, mig_blockers(&self->p.s, b, 2));
	EXPECT_EQ(VHOST_SCSI_MIG_PR_PASSTHROUGH, b[0].reason);
	EXPECT_EQ(1, b[0].target);
	EXPECT_EQ(0, b[0].lun);
	s = pair_save(&self->p);
	EXPECT_EQ(-EKEYREJECTED, mig_load(&self->p.d, self->p.td->wwpn, s, 0));
	EXPECT_REFUSED(&self->p.d, EKEYREJECTED, VHOST_SCSI_MIG_PR_PASSTHROUGH, 1, 0);
}

TEST_HARNESS_MAIN
