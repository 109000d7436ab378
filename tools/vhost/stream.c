// SPDX-License-Identifier: GPL-2.0
#include <endian.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>
#include "crc32c.h"
#include "stream.h"

#define VIRTIO_ID_SCSI	8

/* What is left of the section that is being taken apart, and where it began. */
struct reader {
	const uint8_t *at;
	size_t left, offset;
	const char *name;
	struct failure *f;
};

static const char * const section_names[] = {
	[VHOST_SCSI_MIG_HEADER] = "HEADER",
	[VHOST_SCSI_MIG_INVENTORY] = "INVENTORY",
	[VHOST_SCSI_MIG_RINGS] = "RINGS",
	[VHOST_SCSI_MIG_EVENTS] = "EVENTS",
	[VHOST_SCSI_MIG_ATTENTIONS] = "ATTENTIONS",
	[VHOST_SCSI_MIG_RESERVATIONS] = "RESERVATIONS",
	[VHOST_SCSI_MIG_END] = "END",
};

static int bad(const struct reader *r, const char *what)
{
	return fail(r->f, CTL_FAILED, "the %s section at byte %zu %s", r->name,
		    r->offset, what);
}

/* Copied, for nothing in a stream is aligned. */
static int take(struct reader *r, void *to, size_t size)
{
	if (r->left < size)
		return bad(r, "is too short for what it says it holds");
	memcpy(to, r->at, size);
	r->at += size;
	r->left -= size;
	return 0;
}

/* An array that fills the section; NULL with *count 0 is an empty one. */
static int allocate(struct reader *r, size_t element, size_t size,
		    void **array, size_t *count)
{
	*array = NULL;
	*count = r->left / element;
	if (r->left % element)
		return bad(r, "is no whole number of entries");
	if (!*count)
		return 0;
	*array = calloc(*count, size);
	return *array ? 0 : fail(r->f, CTL_FAILED, "out of memory");
}

static bool zero(const void *data, size_t size)
{
	const uint8_t *byte = data;

	while (size--)
		if (*byte++)
			return false;
	return true;
}

/* to has one byte more than from, which is padded with zero bytes. */
static int text(struct reader *r, char *to, const char *from, size_t size)
{
	size_t length = strnlen(from, size);

	if (!zero(from + length, size - length))
		return bad(r, "has something behind the end of a name");
	memcpy(to, from, length);
	to[length] = 0;
	return 0;
}

static int decode_header(struct stream *s, struct reader *r)
{
	struct vhost_scsi_mig_header raw;

	if (take(r, &raw, sizeof(raw)))
		return -1;
	if (le64toh(raw.magic) != VHOST_SCSI_MIG_MAGIC)
		return bad(r, "has no magic number: this is no stream");
	s->version = le32toh(raw.version);
	if (s->version != VHOST_SCSI_MIG_STREAM_VERSION)
		return bad(r, "is of a stream version that is not known here");
	if (le32toh(raw.device) != VIRTIO_ID_SCSI)
		return bad(r, "is of another type of device");
	if (raw.reserved || r->left)
		return bad(r, "has something where nothing may be");
	if (!memchr(raw.wwpn, 0, sizeof(raw.wwpn)))
		return bad(r, "has a target port whose name does not end");
	s->features = le64toh(raw.features);
	s->nr_queues = le32toh(raw.nr_queues);
	memcpy(s->host, raw.host, sizeof(s->host));
	return text(r, s->wwpn, raw.wwpn, sizeof(raw.wwpn));
}

static int decode_lun(struct stream_lun *lun, struct reader *r)
{
	struct vhost_scsi_mig_lun raw;

	if (take(r, &raw, sizeof(raw)))
		return -1;
	if (!zero(raw.reserved, sizeof(raw.reserved)))
		return bad(r, "has something where nothing may be");
	lun->lun = le64toh(raw.lun);
	lun->blocks = le64toh(raw.blocks);
	lun->target = le32toh(raw.target);
	lun->block_size = le32toh(raw.block_size);
	lun->backstore = le32toh(raw.backstore);
	lun->flags = le32toh(raw.flags);
	lun->type = raw.type;
	lun->protection = raw.protection;
	if (text(r, lun->vendor, raw.vendor, sizeof(raw.vendor)) ||
	    text(r, lun->product, raw.product, sizeof(raw.product)) ||
	    text(r, lun->backend, raw.backend, sizeof(raw.backend)) ||
	    text(r, lun->serial, raw.serial, sizeof(raw.serial)))
		return -1;
	return 0;
}

static int after(uint32_t target, uint64_t lun, uint32_t last_target,
		 uint64_t last_lun)
{
	return target > last_target ||
	       (target == last_target && lun > last_lun);
}

static int decode_inventory(struct stream *s, struct reader *r)
{
	void *array;
	size_t i;

	free(s->lun);
	s->lun = NULL;
	s->inventories++;
	if (allocate(r, sizeof(struct vhost_scsi_mig_lun), sizeof(*s->lun),
		     &array, &s->nr_luns))
		return -1;
	s->lun = array;
	for (i = 0; i < s->nr_luns; i++) {
		if (decode_lun(&s->lun[i], r))
			return -1;
		if (i && !after(s->lun[i].target, s->lun[i].lun,
				s->lun[i - 1].target, s->lun[i - 1].lun))
			return bad(r, "is not in the order of target and LUN");
	}
	return 0;
}

static int decode_rings(struct stream *s, struct reader *r)
{
	struct vhost_scsi_mig_ring raw;
	void *array;
	size_t i;

	if (allocate(r, sizeof(raw), sizeof(*s->ring), &array, &s->nr_rings))
		return -1;
	s->ring = array;
	if (s->nr_rings != s->nr_queues)
		return bad(r, "has another number of queues than the HEADER");
	for (i = 0; i < s->nr_rings; i++) {
		if (take(r, &raw, sizeof(raw)))
			return -1;
		s->ring[i].size = le16toh(raw.size);
		s->ring[i].last_avail = le16toh(raw.last_avail);
	}
	return 0;
}

static int decode_events(struct stream *s, struct reader *r)
{
	struct vhost_scsi_mig_events head;
	struct vhost_scsi_mig_event raw;
	void *array;
	size_t i;

	if (take(r, &head, sizeof(head)) ||
	    allocate(r, sizeof(raw), sizeof(*s->event), &array, &s->nr_events))
		return -1;
	s->event = array;
	s->missed = le32toh(head.missed);
	if (s->nr_events != le32toh(head.count))
		return bad(r, "has another number of events than it says");
	for (i = 0; i < s->nr_events; i++) {
		if (take(r, &raw, sizeof(raw)))
			return -1;
		s->event[i].event = le32toh(raw.event);
		s->event[i].reason = le32toh(raw.reason);
		memcpy(s->event[i].lun, raw.lun, sizeof(raw.lun));
	}
	return 0;
}

static int decode_attentions(struct stream *s, struct reader *r)
{
	struct vhost_scsi_mig_attention raw;
	void *array;
	size_t i;

	if (allocate(r, sizeof(raw), sizeof(*s->attention), &array,
		     &s->nr_attentions))
		return -1;
	s->attention = array;
	for (i = 0; i < s->nr_attentions; i++) {
		if (take(r, &raw, sizeof(raw)))
			return -1;
		if (raw.reserved)
			return bad(r, "has something where nothing may be");
		s->attention[i].lun = le64toh(raw.lun);
		s->attention[i].target = le32toh(raw.target);
		s->attention[i].asc = raw.asc;
		s->attention[i].ascq = raw.ascq;
	}
	return 0;
}

static int decode_registration(struct stream_registration *reg, struct reader *r)
{
	struct vhost_scsi_mig_registration raw;

	if (take(r, &raw, sizeof(raw)))
		return -1;
	if (raw.reserved)
		return bad(r, "has something where nothing may be");
	reg->key = le64toh(raw.key);
	reg->flags = le32toh(raw.flags);
	reg->rel_port = le16toh(raw.rel_port);
	reg->type = raw.type;
	return text(r, reg->initiator, raw.initiator, sizeof(raw.initiator));
}

static int decode_reservation(struct stream_reservation *res, struct reader *r)
{
	struct vhost_scsi_mig_reservation raw;
	uint32_t i;

	if (take(r, &raw, sizeof(raw)))
		return -1;
	if (raw.reserved)
		return bad(r, "has something where nothing may be");
	res->lun = le64toh(raw.lun);
	res->target = le32toh(raw.target);
	res->flags = le32toh(raw.flags);
	i = le32toh(raw.count);
	if (i > r->left / sizeof(struct vhost_scsi_mig_registration))
		return bad(r, "is too short for the registrations that it says it holds");
	res->registration = i ? calloc(i, sizeof(*res->registration)) : NULL;
	if (i && !res->registration)
		return fail(r->f, CTL_FAILED, "out of memory");
	res->count = i;
	for (i = 0; i < res->count; i++)
		if (decode_registration(&res->registration[i], r))
			return -1;
	return 0;
}

static int decode_reservations(struct stream *s, struct reader *r)
{
	size_t room = r->left / sizeof(struct vhost_scsi_mig_reservation);

	if (!r->left)
		return 0;
	s->reservation = calloc(room ? room : 1, sizeof(*s->reservation));
	if (!s->reservation)
		return fail(r->f, CTL_FAILED, "out of memory");
	while (r->left) {
		struct stream_reservation *res;

		if (s->nr_reservations == room)
			return bad(r, "is no whole number of entries");
		res = &s->reservation[s->nr_reservations++];
		if (decode_reservation(res, r))
			return -1;
		if (s->nr_reservations > 1 &&
		    !after(res->target, res->lun, res[-1].target, res[-1].lun))
			return bad(r, "is not in the order of target and LUN");
	}
	return 0;
}

static int skip(struct stream *s, struct reader *r,
		const struct vhost_scsi_mig_section *section)
{
	void *more;

	if (!(le16toh(section->flags) & VHOST_SCSI_MIG_SKIPPABLE))
		return fail(r->f, CTL_FAILED,
			    "the section at byte %zu has type %" PRIu32
			    ", version %u, which is not known here and must not be skipped",
			    r->offset, le32toh(section->type),
			    le16toh(section->version));
	more = realloc(s->skipped, (s->nr_skipped + 1) * sizeof(*s->skipped));
	if (!more)
		return fail(r->f, CTL_FAILED, "out of memory");
	s->skipped = more;
	s->skipped[s->nr_skipped++] = (struct stream_skipped) {
		.type = le32toh(section->type),
		.version = le16toh(section->version),
		.length = le32toh(section->length),
	};
	return 0;
}

static int decode_end(struct stream *s, struct reader *r, const uint8_t *begin)
{
	size_t covered = r->at - begin;
	struct vhost_scsi_mig_end raw;

	if (take(r, &raw, sizeof(raw)))
		return -1;
	if (r->left)
		return bad(r, "has something where nothing may be");
	if (le32toh(raw.crc) != crc32c(begin, covered))
		return bad(r, "has another checksum: the stream was changed on its way");
	s->complete = true;
	return 0;
}

/* May a section of this type stand behind the last one? */
static bool in_order(uint32_t last, uint32_t type)
{
	return type == last + 1 ||
	       (type == VHOST_SCSI_MIG_INVENTORY && last == type);
}

static int decode_known(struct stream *s, struct reader *r, uint32_t type,
			const uint8_t *begin)
{
	switch (type) {
	case VHOST_SCSI_MIG_INVENTORY:
		return decode_inventory(s, r);
	case VHOST_SCSI_MIG_RINGS:
		return decode_rings(s, r);
	case VHOST_SCSI_MIG_EVENTS:
		return decode_events(s, r);
	case VHOST_SCSI_MIG_ATTENTIONS:
		return decode_attentions(s, r);
	case VHOST_SCSI_MIG_RESERVATIONS:
		return decode_reservations(s, r);
	case VHOST_SCSI_MIG_END:
		return decode_end(s, r, begin);
	default:
		return decode_header(s, r);
	}
}

void stream_free(struct stream *stream)
{
	size_t i;

	for (i = 0; i < stream->nr_reservations; i++)
		free(stream->reservation[i].registration);
	free(stream->lun);
	free(stream->ring);
	free(stream->event);
	free(stream->attention);
	free(stream->reservation);
	free(stream->skipped);
	memset(stream, 0, sizeof(*stream));
}

static void begin_anew(struct stream *s)
{
	unsigned int headers = s->headers + 1;

	stream_free(s);
	s->headers = headers;
}

static int decode_sections(struct stream *s, const uint8_t *data, size_t length,
			   struct failure *f)
{
	const uint8_t *at = data, *end = data + length, *begin = data;
	uint32_t last = 0;

	while (at < end) {
		struct vhost_scsi_mig_section section;
		struct reader r = {
			.offset = at - data, .name = "unknown", .f = f,
		};
		uint32_t type, size;
		bool known;

		if ((size_t)(end - at) < sizeof(section))
			return fail(f, CTL_FAILED,
				    "truncated: it ends at byte %zu, within the head of a section",
				    length);
		memcpy(&section, at, sizeof(section));
		type = le32toh(section.type);
		size = le32toh(section.length);
		known = type >= VHOST_SCSI_MIG_HEADER &&
			type <= VHOST_SCSI_MIG_END;
		if (known)
			r.name = section_names[type];
		if (!last && type != VHOST_SCSI_MIG_HEADER)
			return fail(f, CTL_FAILED,
				    "no stream of migration state: it begins with no HEADER");
		if (le16toh(section.flags) & ~VHOST_SCSI_MIG_SKIPPABLE)
			return bad(&r, "has a flag that is not known here");
		if (size > VHOST_SCSI_MIG_MAX_SECTION)
			return bad(&r, "is larger than any can be");
		at += sizeof(section);
		if (size > (size_t)(end - at))
			return fail(f, CTL_FAILED,
				    "truncated: it ends at byte %zu, within the %s section that begins at byte %zu",
				    length, r.name, r.offset);
		r.at = at;
		r.left = size;
		at += size;
		if (type == VHOST_SCSI_MIG_HEADER) {
			begin_anew(s);
			begin = data + r.offset;
			last = 0;
		}
		if ((size_t)(at - begin) > VHOST_SCSI_MIG_MAX_STREAM)
			return fail(f, CTL_FAILED, "larger than any stream can be");
		if (last == VHOST_SCSI_MIG_END)
			return bad(&r, "stands behind the END");
		if (!known || le16toh(section.version) != 1) {
			if (type == VHOST_SCSI_MIG_HEADER)
				return bad(&r, "is of a version that is not known here");
			if (skip(s, &r, &section))
				return -1;
			if (known && in_order(last, type))
				last = type;
			continue;
		}
		if (!in_order(last, type))
			return bad(&r, "does not stand where it must");
		if (decode_known(s, &r, type, begin))
			return -1;
		last = type;
	}
	return last ? 0 : fail(f, CTL_FAILED, "empty");
}

int stream_decode(struct stream *stream, const void *data, size_t length,
		  struct failure *f)
{
	memset(stream, 0, sizeof(*stream));
	if (!decode_sections(stream, data, length, f))
		return 0;
	stream_free(stream);
	return -1;
}
