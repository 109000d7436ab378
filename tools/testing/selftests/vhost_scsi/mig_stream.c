// SPDX-License-Identifier: GPL-2.0
/*
 * The stream: what is saved, and everything that can be wrong with what is
 * loaded (M3, M5).  Whatever was refused, the device is as before.
 */
#include <endian.h>
#include <errno.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mig.h"

FIXTURE(stream)
{
	struct pair p;
	struct stream *s;	/* a good one */
};

FIXTURE_SETUP(stream)
{
	PAIR_UP(&self->p, .dev.mem = 4 << 20);
	self->s = pair_save(&self->p);
	ASSERT_LT(0, self->s->len);
}

FIXTURE_TEARDOWN(stream)
{
	undo_all();
}

static size_t at_of(const struct stream *s, uint32_t type)
{
	return (uint8_t *)stream_find(s, type) - s->p;
}

struct result {
	int ret;		/* of write() */
	struct vhost_scsi_mig_check check;
	int leave;		/* of STOP, by which nothing is dropped */
};

/* One load from STOP back to STOP; what is not leavable is dropped. */
static struct result load(struct pair *p, const struct stream *s, size_t chunk)
{
	struct result r = { 0 };
	int fd;

	if (mig_set(&p->d, S_RESUME))
		vt_fatal("to RESUMING");
	fd = mig_data(&p->d, VHOST_SCSI_MIG_DATA_LOAD, p->td->wwpn);
	if (fd < 0)
		vt_fatal("VHOST_SCSI_MIG_DATA_FD: %s", strerror(-fd));
	r.ret = stream_write(s, fd, chunk);
	close(fd);
	r.check = mig_check(&p->d);
	r.leave = mig_set(&p->d, S_STOP);
	if (mig_set_flags(&p->d, S_STOP, VHOST_SCSI_MIG_DROP, 0))
		vt_fatal("to STOP");
	return r;
}

/* From its last HEADER on: what comes before that is void. */
static size_t length(const struct stream *s)
{
	return s->len - at_of(s, VHOST_SCSI_MIG_HEADER);
}

#define EXPECT_LOADS(s, chunk) do {						\
	const struct stream *__s = s;						\
	struct result __r = load(&self->p, __s, chunk);				\
	EXPECT_EQ(0, __r.ret);							\
	EXPECT_EQ(VHOST_SCSI_MIG_ACCEPTED, __r.check.verdict);			\
	EXPECT_EQ(0, __r.check.error);						\
	EXPECT_EQ(VHOST_SCSI_MIG_OK, __r.check.blocker.reason);			\
	EXPECT_EQ(length(__s), __r.check.offset);				\
	EXPECT_EQ(0, __r.leave);						\
} while (0)

#define EXPECT_FAILS(s, err, why, tgt, nr) do {					\
	struct result __r = load(&self->p, s, 0);				\
	EXPECT_EQ(-(err), __r.ret);						\
	EXPECT_EQ(VHOST_SCSI_MIG_REFUSED, __r.check.verdict);			\
	EXPECT_EQ(err, __r.check.error);					\
	EXPECT_EQ(why, __r.check.blocker.reason);				\
	EXPECT_EQ(tgt, __r.check.blocker.target);				\
	EXPECT_EQ(nr, __r.check.blocker.lun);					\
	EXPECT_EQ(-(err), __r.leave);						\
} while (0)

/* It serves its own guest as if nothing had been loaded. */
#define EXPECT_AS_BEFORE() do {							\
	struct device *__d = &self->p.d;					\
	EXPECT_STATE(__d, S_STOP);						\
	if (mig_status(__d).flags & VHOST_SCSI_MIG_SUSPENDED)			\
		EXPECT_EQ(0, mig_set(__d, S_RUN));				\
	EXPECT_EQ(0, device_start(__d, self->p.td->wwpn));			\
	EXPECT_EQ(0, scsi_clear_ua(__d, Q_IO, 0));				\
	EXPECT_TRUE(scsi_alive(__d, Q_IO));					\
	EXPECT_EQ(0, device_stop(__d));						\
} while (0)

TEST_F(stream, is_as_the_specification_says)
{
	static const uint32_t order[] = { 1, 2, 3, 4, 5, 6, 7 };
	struct vhost_scsi_mig_header *h = stream_payload(self->s, VHOST_SCSI_MIG_HEADER);
	struct vhost_scsi_mig_lun *lun = stream_payload(self->s, VHOST_SCSI_MIG_INVENTORY);
	struct vhost_scsi_mig_ring *ring = stream_payload(self->s, VHOST_SCSI_MIG_RINGS);
	struct vhost_scsi_mig_events *ev = stream_payload(self->s, VHOST_SCSI_MIG_EVENTS);
	struct vhost_scsi_mig_section *sec = NULL;
	uint32_t crc = crc32c(self->s->p, self->s->len - 4);
	unsigned int n = 0;

	while ((sec = stream_next(self->s, sec))) {
		ASSERT_GT(ARRAY_SIZE(order), n);
		EXPECT_EQ(order[n++], le32toh(sec->type));
		EXPECT_EQ(1, le16toh(sec->version));
	}
	EXPECT_EQ(ARRAY_SIZE(order), n);
	EXPECT_EQ(VHOST_SCSI_MIG_MAGIC, le64toh(h->magic));
	EXPECT_EQ(1, le32toh(h->version));
	EXPECT_EQ(8, le32toh(h->device));
	EXPECT_EQ(self->p.s.features, le64toh(h->features));
	EXPECT_EQ(0, h->reserved);
	EXPECT_STREQ(self->p.ts->wwpn, h->wwpn);
	ASSERT_EQ(sizeof(*lun), le32toh(stream_find(self->s, 2)->length));
	EXPECT_EQ(0, le64toh(lun->lun));
	EXPECT_EQ(2048, le64toh(lun->blocks));
	EXPECT_EQ(1, le32toh(lun->target));
	EXPECT_EQ(512, le32toh(lun->block_size));
	EXPECT_EQ(VHOST_SCSI_MIG_LUN_MEMORY, le32toh(lun->flags));
	EXPECT_EQ(0, lun->type);
	EXPECT_EQ(0, lun->protection);
	EXPECT_EQ(0, strncmp("LIO-ORG", lun->vendor, 7));
	EXPECT_EQ(0, strncmp("rd_mcp", lun->backend, sizeof(lun->backend)));
	EXPECT_EQ(0, strncmp("vt-", lun->serial, 3));
	ASSERT_EQ(le32toh(h->nr_queues) * sizeof(*ring), le32toh(stream_find(self->s, 3)->length));
	for (unsigned int q = 0; q < self->p.s.nq; q++) {
		vring_reap(&self->p.s.q[q]);
		EXPECT_EQ(128, le16toh(ring[q].size));
		EXPECT_EQ(self->p.s.q[q].used_seen, le16toh(ring[q].last_avail));
	}
	for (unsigned int q = self->p.s.nq; q < le32toh(h->nr_queues); q++)
		EXPECT_EQ(0, le16toh(ring[q].size));
	EXPECT_EQ(0, ev->missed);
	EXPECT_EQ(0, ev->count);
	EXPECT_EQ(0, stream_find(self->s, VHOST_SCSI_MIG_ATTENTIONS)->length);
	EXPECT_EQ(0, stream_find(self->s, VHOST_SCSI_MIG_RESERVATIONS)->length);
	EXPECT_EQ(0, memcmp(&crc, self->s->p + self->s->len - 4, 4));
}

TEST_F(stream, loads_whole_byte_by_byte_and_in_odd_chunks)
{
	static const size_t chunks[] = { 0, 1, 3, 7, 11, 13, 127, 271, 349 };

	for (unsigned int i = 0; i < ARRAY_SIZE(chunks); i++)
		EXPECT_LOADS(self->s, chunks[i]);
	EXPECT_AS_BEFORE();
}

TEST_F_TIMEOUT(stream, truncated_at_every_offset_is_incomplete, 600)
{
	struct stream cut = *self->s;
	size_t inventory = at_of(self->s, VHOST_SCSI_MIG_RINGS);
	struct result r;

	for (cut.len = 0; cut.len < self->s->len; cut.len++) {
		r = load(&self->p, &cut, 0);
		EXPECT_EQ(0, r.ret);
		EXPECT_EQ(cut.len < inventory ? VHOST_SCSI_MIG_INCOMPLETE :
			  VHOST_SCSI_MIG_INVENTORY_OK, r.check.verdict);
		EXPECT_EQ(0, r.check.blocker.reason);
		EXPECT_EQ(cut.len, r.check.offset);
		EXPECT_EQ(-EAGAIN, r.leave);
	}
	EXPECT_LOADS(self->s, 0);
	EXPECT_AS_BEFORE();
}

static bool reason_fits(int err, uint32_t reason)
{
	switch (err) {
	case EPROTO:
		return reason == VHOST_SCSI_MIG_BAD_STREAM ||
		       reason == VHOST_SCSI_MIG_BAD_VERSION ||
		       reason == VHOST_SCSI_MIG_BAD_FEATURES;
	case EBADMSG:
		return reason == VHOST_SCSI_MIG_BAD_CHECKSUM;
	case EMEDIUMTYPE:
		return reason == VHOST_SCSI_MIG_BAD_DEVICE;
	case EFBIG:
		return reason == VHOST_SCSI_MIG_TOO_LARGE;
	case EREMCHG:
		return reason >= VHOST_SCSI_MIG_LUN_MISSING &&
		       reason <= VHOST_SCSI_MIG_LUN_CACHED;
	case EKEYREJECTED:
		return reason >= VHOST_SCSI_MIG_PR_PASSTHROUGH &&
		       reason <= VHOST_SCSI_MIG_BACKEND;
	default:
		return false;
	}
}

/*
 * Refused, for the reason that goes with the errno; or, where the byte is part
 * of a length that grew, still waiting for the rest.
 */
TEST_F_TIMEOUT(stream, with_any_byte_flipped_is_not_accepted, 900)
{
	static const uint8_t flips[] = { 0x01, 0x80, 0xff };
	struct stream *s = stream_copy(self->s);
	unsigned int wrong = 0, waiting = 0;
	struct result r;
	size_t i;

	for (i = 0; i < s->len; i++) {
		uint8_t flip = flips[i % ARRAY_SIZE(flips)];

		s->p[i] ^= flip;
		r = load(&self->p, s, 0);
		s->p[i] ^= flip;
		if (!r.ret && r.leave == -EAGAIN && r.check.verdict < VHOST_SCSI_MIG_ACCEPTED) {
			waiting++;
			continue;
		}
		if (r.ret < 0 && r.leave == r.ret && r.check.error == -r.ret &&
		    r.check.verdict == VHOST_SCSI_MIG_REFUSED &&
		    reason_fits(-r.ret, r.check.blocker.reason))
			continue;
		vt_note("byte %zu ^ %#x: write %d, verdict %u, error %u, reason %u, leave %d",
			i, flip, r.ret, r.check.verdict, r.check.error,
			r.check.blocker.reason, r.leave);
		wrong++;
	}
	EXPECT_EQ(0, wrong);
	/* Of each section the length field alone can do that. */
	EXPECT_GE(7 * 4, waiting);
	EXPECT_LOADS(s, 0);
	EXPECT_AS_BEFORE();
}

TEST_F(stream, header_is_checked)
{
	struct vhost_scsi_mig_header *h = stream_payload(self->s, VHOST_SCSI_MIG_HEADER);
	const struct vhost_scsi_mig_header good = *h;

	h->magic ^= htole64(1);
	EXPECT_FAILS(self->s, EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	*h = good;
	h->version = htole32(2);
	stream_seal(self->s);
	EXPECT_FAILS(self->s, EPROTO, VHOST_SCSI_MIG_BAD_VERSION, 0, 0);
	*h = good;
	h->device = htole32(2);
	stream_seal(self->s);
	EXPECT_FAILS(self->s, EMEDIUMTYPE, VHOST_SCSI_MIG_BAD_DEVICE, 0, 0);
	*h = good;
	h->features |= htole64(1ull << 40);
	stream_seal(self->s);
	EXPECT_FAILS(self->s, EPROTO, VHOST_SCSI_MIG_BAD_FEATURES, 0, 0);
	*h = good;
	h->nr_queues = htole32(1 << 20);
	stream_seal(self->s);
	EXPECT_FAILS(self->s, EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	*h = good;
	memset(h->wwpn, 'a', sizeof(h->wwpn));
	stream_seal(self->s);
	EXPECT_FAILS(self->s, EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	*h = good;
	stream_seal(self->s);
	EXPECT_LOADS(self->s, 0);
	EXPECT_AS_BEFORE();
}

TEST_F(stream, checksum_is_checked)
{
	self->s->p[self->s->len - 1] ^= 1;
	EXPECT_FAILS(self->s, EBADMSG, VHOST_SCSI_MIG_BAD_CHECKSUM, 0, 0);
}

/* A stream of these sections of the good one; 0 ends the list. */
static struct stream *rebuilt(const struct stream *from, const uint32_t *types)
{
	struct stream *s = stream_new();

	for (; *types; types++)
		stream_add_section(s, stream_find(from, *types));
	stream_seal(s);
	return s;
}

#define REBUILT(...) rebuilt(self->s, (const uint32_t[]){ __VA_ARGS__, 0 })

TEST_F(stream, sections_in_another_order)
{
	EXPECT_FAILS(REBUILT(2, 1, 3, 4, 5, 6, 7), EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	EXPECT_FAILS(REBUILT(1, 3, 2, 4, 5, 6, 7), EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	EXPECT_FAILS(REBUILT(1, 2, 4, 3, 5, 6, 7), EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	EXPECT_FAILS(REBUILT(1, 2, 3, 4, 6, 5, 7), EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	EXPECT_FAILS(REBUILT(1, 2, 3, 2, 4, 5, 6, 7), EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	EXPECT_FAILS(REBUILT(7), EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	EXPECT_AS_BEFORE();
}

TEST_F(stream, sections_that_are_missing)
{
	EXPECT_FAILS(REBUILT(1, 3, 4, 5, 6, 7), EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	EXPECT_FAILS(REBUILT(1, 2, 4, 5, 6, 7), EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	EXPECT_FAILS(REBUILT(1, 2, 3, 5, 6, 7), EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	EXPECT_FAILS(REBUILT(1, 2, 3, 4, 6, 7), EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	EXPECT_FAILS(REBUILT(1, 2, 3, 4, 5, 7), EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	EXPECT_FAILS(REBUILT(1, 2, 7), EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
}

TEST_F(stream, sections_twice)
{
	EXPECT_LOADS(REBUILT(1, 2, 2, 3, 4, 5, 6, 7), 0);
	EXPECT_FAILS(REBUILT(1, 2, 3, 3, 4, 5, 6, 7), EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	EXPECT_FAILS(REBUILT(1, 2, 3, 4, 5, 6, 6, 7), EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	EXPECT_FAILS(REBUILT(1, 2, 3, 4, 5, 6, 7, 7), EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
}

TEST_F(stream, header_in_the_middle_starts_anew)
{
	EXPECT_LOADS(REBUILT(1, 1, 2, 3, 4, 5, 6, 7), 0);
	EXPECT_LOADS(REBUILT(1, 2, 1, 2, 3, 4, 5, 6, 7), 0);
	EXPECT_LOADS(REBUILT(1, 2, 3, 4, 5, 1, 2, 3, 4, 5, 6, 7), 0);
	EXPECT_LOADS(REBUILT(1, 2, 3, 4, 5, 6, 7, 1, 2, 3, 4, 5, 6, 7), 0);
	/* What came before is void, so this one is not complete. */
	{
		struct result r = load(&self->p, REBUILT(1, 2, 3, 4, 5, 6, 7, 1, 2), 0);

		EXPECT_EQ(0, r.ret);
		EXPECT_EQ(VHOST_SCSI_MIG_INVENTORY_OK, r.check.verdict);
		EXPECT_EQ(-EAGAIN, r.leave);
	}
	EXPECT_AS_BEFORE();
}

/* The sections up to a type, one more, and the rest. */
static struct stream *with(const struct stream *from, uint32_t after, uint32_t type,
			   uint16_t version, uint16_t flags, uint32_t len)
{
	struct vhost_scsi_mig_section *sec = NULL;
	struct stream *s = stream_new();

	while ((sec = stream_next(from, sec))) {
		stream_add_section(s, sec);
		if (le32toh(sec->type) == after)
			stream_add(s, type, version, flags, vt_zalloc(len + 1), len);
	}
	stream_seal(s);
	return s;
}

TEST_F(stream, unknown_section_is_skipped_if_it_may_be)
{
	for (uint32_t after = VHOST_SCSI_MIG_HEADER; after < VHOST_SCSI_MIG_END; after++) {
		EXPECT_LOADS(with(self->s, after, 99, 1, VHOST_SCSI_MIG_SKIPPABLE, 1000), 0);
		EXPECT_LOADS(with(self->s, after, 99, 7, VHOST_SCSI_MIG_SKIPPABLE, 0), 1);
		EXPECT_FAILS(with(self->s, after, 99, 1, 0, 8), EPROTO,
			     VHOST_SCSI_MIG_BAD_VERSION, 0, 0);
	}
	/* Nobody knows what such a flag might mean. */
	EXPECT_FAILS(with(self->s, 1, 99, 1, VHOST_SCSI_MIG_SKIPPABLE | 1 << 1, 8), EPROTO,
		     VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	EXPECT_AS_BEFORE();
}

TEST_F(stream, section_of_a_newer_version)
{
	for (uint32_t type = VHOST_SCSI_MIG_HEADER; type <= VHOST_SCSI_MIG_END; type++) {
		struct stream *s = stream_copy(self->s);

		stream_find(s, type)->version = htole16(2);
		stream_seal(s);
		EXPECT_FAILS(s, EPROTO, VHOST_SCSI_MIG_BAD_VERSION, 0, 0);
	}
}

TEST_F(stream, section_of_the_wrong_length)
{
	for (uint32_t type = VHOST_SCSI_MIG_HEADER; type < VHOST_SCSI_MIG_END; type++) {
		struct vhost_scsi_mig_section *sec = NULL;
		struct stream *s = stream_new();
		uint8_t payload[4096] = { 0 };

		while ((sec = stream_next(self->s, sec))) {
			uint32_t len = le32toh(sec->length);

			memcpy(payload, section_payload(sec), len);
			if (le32toh(sec->type) == type)
				len++;
			stream_add(s, le32toh(sec->type), 1, le16toh(sec->flags), payload, len);
		}
		stream_seal(s);
		EXPECT_FAILS(s, EPROTO, VHOST_SCSI_MIG_BAD_STREAM, 0, 0);
	}
	EXPECT_AS_BEFORE();
}

TEST_F(stream, section_beyond_the_limit)
{
	struct stream *s = REBUILT(1);
	struct vhost_scsi_mig_section sec = {
		.type = htole32(99), .version = htole16(1),
		.flags = htole16(VHOST_SCSI_MIG_SKIPPABLE),
		.length = htole32(VHOST_SCSI_MIG_MAX_SECTION + 1),
	};

	/* Known from the section's own head: there is no need to wait. */
	memcpy(s->p + s->len, &sec, sizeof(sec));
	s->len += sizeof(sec);
	EXPECT_FAILS(s, EFBIG, VHOST_SCSI_MIG_TOO_LARGE, 0, 0);
}

TEST_F(stream, stream_beyond_the_limit)
{
	const uint32_t len = 512 << 10;
	struct stream *s = REBUILT(1, 2), *more = stream_new();
	unsigned int n = 0;
	int fd, ret;

	stream_add(more, 99, 1, VHOST_SCSI_MIG_SKIPPABLE, vt_zalloc(len), len);
	ASSERT_EQ(0, mig_set(&self->p.d, S_RESUME));
	fd = mig_data(&self->p.d, VHOST_SCSI_MIG_DATA_LOAD, self->p.td->wwpn);
	ASSERT_EQ(0, stream_write(s, fd, 0));
	while (!(ret = stream_write(more, fd, 0)) && n < 1000)
		n++;
	EXPECT_EQ(-EFBIG, ret);
	EXPECT_EQ((VHOST_SCSI_MIG_MAX_STREAM - s->len) / more->len, n);
	EXPECT_REFUSED(&self->p.d, EFBIG, VHOST_SCSI_MIG_TOO_LARGE, 0, 0);
	/* For good. */
	EXPECT_EQ(-EFBIG, stream_write(s, fd, 0));
	close(fd);
	EXPECT_EQ(-EFBIG, mig_set(&self->p.d, S_STOP));
	EXPECT_EQ(0, mig_set_flags(&self->p.d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	EXPECT_AS_BEFORE();
}

TEST_F(stream, load_is_not_over_before_its_descriptor_is_closed)
{
	struct pair *p = &self->p;
	int fd;

	ASSERT_EQ(0, mig_set(&p->d, S_RESUME));
	fd = mig_data(&p->d, VHOST_SCSI_MIG_DATA_LOAD, p->td->wwpn);
	ASSERT_EQ(0, stream_write(self->s, fd, 0));
	EXPECT_EQ(VHOST_SCSI_MIG_ACCEPTED, mig_check(&p->d).verdict);
	EXPECT_EQ(-EAGAIN, mig_set(&p->d, S_STOP));
	EXPECT_EQ(-EAGAIN, device_start(&p->d, p->td->wwpn));
	EXPECT_STATE(&p->d, S_RESUME);
	close(fd);
	EXPECT_EQ(0, mig_set(&p->d, S_STOP));
	EXPECT_EQ(VHOST_SCSI_MIG_LOADED, mig_status(&p->d).flags & VHOST_SCSI_MIG_LOADED);
	EXPECT_EQ(VHOST_SCSI_MIG_ACCEPTED, mig_check(&p->d).verdict);
}

TEST_HARNESS_MAIN
