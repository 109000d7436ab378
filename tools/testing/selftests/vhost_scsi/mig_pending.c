// SPDX-License-Identifier: GPL-2.0
/* The save side: how much is there to read, and what reading it does (M2, M3). */
#include <endian.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mig.h"

FIXTURE(pending)
{
	struct rig rig;
	struct device *d;
	struct stream *s;
	int fd;
};

FIXTURE_SETUP(pending)
{
	mig_need();
	RIG_UP(&self->rig, .kind = RIG_RAM, .dev.features = F_DEFAULT | F_HOTPLUG);
	self->d = &self->rig.d;
	self->s = stream_new();
	ASSERT_EQ(0, mig_set(self->d, S_RUNLOG));
	self->fd = mig_data(self->d, VHOST_SCSI_MIG_DATA_SAVE, NULL);
	ASSERT_LE(0, self->fd);
}

FIXTURE_TEARDOWN(pending)
{
	undo_all();
	close(self->fd);
}

static uint64_t pending(struct device *d)
{
	return mig_status(d).pending;
}

static unsigned int count(const struct stream *s, uint32_t type)
{
	struct vhost_scsi_mig_section *sec = NULL;
	unsigned int n = 0;

	while ((sec = stream_next(s, sec)))
		n += le32toh(sec->type) == type;
	return n;
}

TEST_F(pending, is_zero_without_a_session)
{
	ASSERT_EQ(0, mig_set(self->d, S_RUN));
	EXPECT_EQ(0, pending(self->d));
	ASSERT_EQ(0, mig_set(self->d, S_STOP));
	EXPECT_EQ(0, pending(self->d));
}

TEST_F(pending, is_what_can_be_read_byte_by_byte)
{
	uint64_t left = pending(self->d);
	char byte;

	EXPECT_EQ(12 + 272 + 12 + 336, left);
	/* Reading it changes nothing. */
	EXPECT_EQ(left, pending(self->d));
	while (left--) {
		ASSERT_EQ(1, read(self->fd, &byte, 1));
		ASSERT_EQ(left, pending(self->d));
	}
	EXPECT_EQ(-1, read(self->fd, &byte, 1));
	EXPECT_EQ(ENOMSG, errno);
}

TEST_F(pending, is_zero_after_the_last_byte_in_logging)
{
	struct device *d = self->d;
	uint64_t n;

	ASSERT_EQ(-ENOMSG, stream_read(self->s, self->fd));
	EXPECT_EQ(0, pending(d));
	ASSERT_EQ(0, mig_set(d, S_LOG));
	n = pending(d);
	EXPECT_LT(0, n);
	n += self->s->len;
	ASSERT_EQ(0, stream_read(self->s, self->fd));
	EXPECT_EQ(n, self->s->len);
	EXPECT_EQ(0, pending(d));
	/* The end is the end, however often it is looked at. */
	ASSERT_EQ(0, stream_read(self->s, self->fd));
	EXPECT_EQ(n, self->s->len);
	EXPECT_EQ(1, count(self->s, VHOST_SCSI_MIG_INVENTORY));
	EXPECT_EQ(1, count(self->s, VHOST_SCSI_MIG_END));
}

TEST_F(pending, what_was_not_read_ahead_comes_in_logging)
{
	uint8_t first[100];
	uint64_t n;

	ASSERT_EQ(sizeof(first), read(self->fd, first, sizeof(first)));
	memcpy(self->s->p, first, sizeof(first));
	self->s->len = sizeof(first);
	ASSERT_EQ(0, mig_set(self->d, S_LOG));
	n = pending(self->d);
	ASSERT_EQ(0, stream_read(self->s, self->fd));
	EXPECT_EQ(n + sizeof(first), self->s->len);
	EXPECT_EQ(1, count(self->s, VHOST_SCSI_MIG_HEADER));
	EXPECT_EQ(1, count(self->s, VHOST_SCSI_MIG_END));
	EXPECT_EQ(crc32c(self->s->p, self->s->len - 4),
		  le32toh(*(uint32_t *)stream_payload(self->s, VHOST_SCSI_MIG_END)));
}

TEST_F(pending, lun_linked_meanwhile_gives_a_newer_inventory)
{
	struct vhost_scsi_mig_lun *lun;
	struct device *d = self->d;

	ASSERT_EQ(-ENOMSG, stream_read(self->s, self->fd));
	target_lun(self->rig.t, 5, backstore_ram(2, false));
	EXPECT_TRUE(vt_until(pending(d) == 12 + 2 * 336, WAIT_MS));
	ASSERT_EQ(-ENOMSG, stream_read(self->s, self->fd));
	EXPECT_EQ(2, count(self->s, VHOST_SCSI_MIG_INVENTORY));
	lun = stream_payload(self->s, VHOST_SCSI_MIG_INVENTORY);
	EXPECT_EQ(0, le64toh(lun[0].lun));
	EXPECT_EQ(5, le64toh(lun[1].lun));
	EXPECT_EQ(4096, le64toh(lun[1].blocks));
	ASSERT_EQ(0, target_lun_unlink(self->rig.t, 5));
	ASSERT_EQ(0, mig_set(d, S_LOG));
	ASSERT_EQ(0, stream_read(self->s, self->fd));
	/* The last one counts, and it is true. */
	EXPECT_EQ(336, le32toh(stream_find(self->s, VHOST_SCSI_MIG_INVENTORY)->length));
}

TEST_F(pending, starts_again_with_a_header_after_a_guest_reboot)
{
	struct vhost_scsi_mig_section *first;
	struct device *d = self->d;
	struct stream *again = stream_new();
	uint64_t n;

	ASSERT_EQ(0, device_stop(d));
	ASSERT_EQ(0, stream_read(self->s, self->fd));
	EXPECT_EQ(0, pending(d));
	ASSERT_EQ(0, device_start(d, NULL));
	EXPECT_STATE(d, S_RUNLOG);
	n = pending(d);
	EXPECT_LT(0, n);
	ASSERT_EQ(-ENOMSG, stream_read(again, self->fd));
	EXPECT_EQ(n, again->len);
	first = stream_next(again, NULL);
	ASSERT_NE(NULL, first);
	EXPECT_EQ(VHOST_SCSI_MIG_HEADER, le32toh(first->type));
	ASSERT_EQ(0, mig_set(d, S_LOG));
	ASSERT_EQ(0, stream_read(again, self->fd));
	EXPECT_EQ(0, pending(d));
	EXPECT_EQ(1, count(again, VHOST_SCSI_MIG_END));
	EXPECT_EQ(crc32c(again->p, again->len - 4),
		  le32toh(*(uint32_t *)stream_payload(again, VHOST_SCSI_MIG_END)));
}

/*
 * A reader that was cut off in the middle of a section gets the rest of it
 * before the new header: only at the beginning of a section is it one.
 */
TEST_F(pending, reader_that_was_behind_finds_whole_sections_after_a_reboot)
{
	struct stream *s = self->s;
	struct device *d = self->d;

	s->len = 12 + 272 + 20;
	ASSERT_EQ(s->len, read(self->fd, s->p, s->len));
	ASSERT_EQ(0, device_stop(d));
	ASSERT_EQ(0, device_start(d, NULL));
	ASSERT_EQ(0, mig_set(d, S_LOG));
	ASSERT_EQ(0, stream_read(s, self->fd));
	EXPECT_EQ(1, count(s, VHOST_SCSI_MIG_END));
	EXPECT_EQ(0, pending(d));
}

TEST_F(pending, session_is_the_same_when_it_is_opened_while_stopped)
{
	struct device *d = self->d;
	struct stream *s;

	ASSERT_EQ(0, mig_set(d, S_RUN));
	ASSERT_EQ(0, device_stop(d));
	ASSERT_EQ(0, mig_set(d, S_LOG));
	s = mig_save(d);
	EXPECT_EQ(0, pending(d));
	EXPECT_EQ(1, count(s, VHOST_SCSI_MIG_HEADER));
	EXPECT_EQ(1, count(s, VHOST_SCSI_MIG_RINGS));
	EXPECT_EQ(1, count(s, VHOST_SCSI_MIG_END));
	EXPECT_EQ(336, le32toh(stream_find(s, VHOST_SCSI_MIG_INVENTORY)->length));
}

/* A guest that has no driver yet: nothing was ever set up. */
TEST_F(pending, device_that_was_never_started_can_be_saved)
{
	struct vhost_scsi_mig_header *h;
	struct device fresh;
	struct stream *s;

	device_open(&fresh, &(struct device_opts){ 0 });
	ASSERT_EQ(0, mig_set(&fresh, S_LOG));
	s = mig_save(&fresh);
	h = stream_payload(s, VHOST_SCSI_MIG_HEADER);
	EXPECT_STREQ("", h->wwpn);
	EXPECT_EQ(0, le32toh(stream_find(s, VHOST_SCSI_MIG_INVENTORY)->length));
	EXPECT_EQ(1, count(s, VHOST_SCSI_MIG_END));
	EXPECT_EQ(0, mig_set(&fresh, S_STOP));
}

TEST_F(pending, bad_buffer_loses_nothing)
{
	void *nowhere = mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	uint64_t n = pending(self->d);

	EXPECT_EQ(-1, read(self->fd, nowhere, 100));
	EXPECT_EQ(EFAULT, errno);
	EXPECT_EQ(n, pending(self->d));
	ASSERT_EQ(-ENOMSG, stream_read(self->s, self->fd));
	EXPECT_EQ(n, self->s->len);
}

TEST_HARNESS_MAIN
