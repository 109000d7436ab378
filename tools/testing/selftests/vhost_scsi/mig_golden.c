// SPDX-License-Identifier: GPL-2.0
/*
 * Streams that released versions of the driver have made go on loading (M3);
 * see golden/README.  They come from another host, so nothing in them is
 * changed; the disk is made to be the one that they tell of.
 */
#include <endian.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "golden/golden.h"
#include "kselftest_harness.h"
#include "mig.h"
#include "pr.h"

#define KEY 0x1111
#define SERIAL "golden"
#define MIB 4

GOLDEN(v1);

static struct stream *stream_of(const uint8_t *p, const uint8_t *end)
{
	struct stream *s = stream_new();

	memcpy(s->p, p, end - p);
	s->len = end - p;
	return s;
}

FIXTURE(golden)
{
	struct backstore *bs;
	struct target *t, *tw;
	struct device d, w;
};

FIXTURE_SETUP(golden)
{
	mig_need();
	self->bs = backstore_file(vt_str("/tmp/vt-golden-%d", getpid()), MIB);
	backstore_serial(self->bs, SERIAL);
	self->t = target_open();
	self->tw = target_open();
	target_lun(self->t, 0, self->bs);
	target_lun(self->tw, 0, self->bs);
	device_open(&self->d, &(struct device_opts){ .features = F_DEFAULT | F_HOTPLUG });
	device_open(&self->w, &(struct device_opts){ .mem = 8 << 20 });
	ASSERT_EQ(0, device_start(&self->w, self->tw->wwpn));
	ASSERT_EQ(0, scsi_clear_ua(&self->w, Q_IO, 0));
}

FIXTURE_TEARDOWN(golden)
{
	undo_all();
}

TEST_F(golden, stream_of_version_1_loads)
{
	struct stream *s = stream_of(golden_v1, golden_v1_end);
	struct vhost_scsi_mig_ring *ring = stream_payload(s, VHOST_SCSI_MIG_RINGS);
	struct vhost_scsi_mig_events *ev = stream_payload(s, VHOST_SCSI_MIG_EVENTS);
	unsigned int i, count = le32toh(ev->count);
	struct device *d = &self->d;
	struct event *e[8];
	struct req *r;

	/* All that a stream can have is in it. */
	EXPECT_EQ(1, le32toh(ev->missed));
	ASSERT_LT(0, count);
	ASSERT_GE(ARRAY_SIZE(e), count);
	EXPECT_LT(0, le32toh(stream_find(s, VHOST_SCSI_MIG_ATTENTIONS)->length));
	EXPECT_LT(0, le32toh(stream_find(s, VHOST_SCSI_MIG_RESERVATIONS)->length));
	ASSERT_EQ(0, mig_load(d, self->t->wwpn, s, VHOST_SCSI_MIG_DATA_CACHE_DROPPED));
	EXPECT_EQ(VHOST_SCSI_MIG_ACCEPTED, mig_check(d).verdict);
	ASSERT_EQ(0, mig_set(d, S_STOP));
	EXPECT_STREQ(vt_str("%x@%s* type 5", KEY, pr_name(self->t)), pr_shown(&self->w, 0));
	EXPECT_EQ(SAM_RESERVATION_CONFLICT, scsi_write(&self->w, 0));
	for (unsigned int q = 0; q < d->nq; q++) {
		vring_reset(&d->q[q], le16toh(ring[q].last_avail));
		ASSERT_EQ(0, device_set_ring(d, q));
	}
	for (i = 0; i < count; i++)
		e[i] = event_post(d);
	ASSERT_EQ(0, device_start(d, self->t->wwpn));
	ASSERT_TRUE(vring_drain(&d->q[Q_EVT], WAIT_MS));
	for (i = 0; i < count; i++) {
		EXPECT_EQ(VIRTIO_SCSI_T_TRANSPORT_RESET | (i ? 0 : VIRTIO_SCSI_T_EVENTS_MISSED),
			  e[i]->ev->event);
		EXPECT_EQ(le32toh(ev->event[i].reason), e[i]->ev->reason);
		EXPECT_EQ(7, e[i]->ev->lun[3]);
	}
	r = req_new(d, cdb_tur(), NO_DATA, 0);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_SENSE(r, KEY_UNIT_ATTENTION, 0x3f);
	EXPECT_EQ(SAM_GOOD, scsi_write(d, 0));
}

/* How they are made; writes v1.stream into the directory that is named. */
TEST_F(golden, can_be_made_anew)
{
	const char *dir = getenv("VHOST_SCSI_GOLDEN");
	struct backstore *more;
	struct device *d = &self->d;
	uint32_t missed = 1;
	struct stream *s;
	FILE *f;

	if (!dir)
		SKIP(return, "VHOST_SCSI_GOLDEN does not name a directory");
	more = backstore_ram(1, false);
	ASSERT_EQ(0, device_start(d, self->t->wwpn));
	ASSERT_EQ(0, scsi_clear_ua(d, Q_IO, 0));
	ASSERT_EQ(SAM_GOOD, pr_register(d, 0, KEY));
	ASSERT_EQ(SAM_GOOD, pr_reserve(d, 0, KEY, PR_WE_RO));
	ASSERT_EQ(0, target_lun_link(self->t, 7, more));
	ASSERT_EQ(0, mig_set(d, S_STOP));
	ASSERT_EQ(0, target_lun_unlink(self->t, 7));
	ASSERT_EQ(0, device_ioctl(d, VHOST_SCSI_SET_EVENTS_MISSED, &missed));
	ASSERT_EQ(0, mig_set(d, S_LOG));
	s = mig_save(d);
	f = fopen(vt_str("%s/v1.stream", dir), "we");
	ASSERT_NE(NULL, f);
	EXPECT_EQ(s->len, fwrite(s->p, 1, s->len, f));
	EXPECT_EQ(0, fclose(f));
}

TEST_HARNESS_MAIN
