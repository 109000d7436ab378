// SPDX-License-Identifier: GPL-2.0
/*
 * The decoder of streams: what a whole one says, and that nothing malformed
 * gets through or does harm (built with the address and undefined behaviour
 * sanitizers). Says what it found in the form of the kernel's selftests. With
 * an argument it leaves samples in that directory instead.
 */
#include <endian.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "../crc32c.h"
#include "../show.h"
#include "../stream.h"

static unsigned int number, failed;

static void result(bool good, const char *name)
{
	printf("%sok %u %s\n", good ? "" : "not ", ++number, name);
	failed += !good;
}

/* A stream under construction. */
struct sample {
	uint8_t data[16384];
	size_t length, begin;
};

static void append(struct sample *s, const void *data, size_t size)
{
	memcpy(s->data + s->length, data, size);
	s->length += size;
}

static size_t section(struct sample *s, uint32_t type, uint16_t version,
		      uint16_t flags, const void *payload, size_t size)
{
	struct vhost_scsi_mig_section head = {
		.type = htole32(type), .version = htole16(version),
		.flags = htole16(flags), .length = htole32(size),
	};
	size_t at = s->length;

	append(s, &head, sizeof(head));
	append(s, payload, size);
	return at;
}

#define QUEUES	3

static void header(struct sample *s)
{
	struct vhost_scsi_mig_header h = {
		.magic = htole64(VHOST_SCSI_MIG_MAGIC),
		.version = htole32(VHOST_SCSI_MIG_STREAM_VERSION),
		.device = htole32(8), .features = htole64(1ull << 32 | 1 << 4),
		.host = { 0xab, 0xcd }, .nr_queues = htole32(QUEUES),
		.wwpn = "naa.5001405a0b0c0d01",
	};

	s->begin = section(s, VHOST_SCSI_MIG_HEADER, 1, 0, &h, sizeof(h));
}

static void inventory(struct sample *s, unsigned int luns)
{
	struct vhost_scsi_mig_lun lun[4] = { 0 };
	unsigned int i;

	for (i = 0; i < luns; i++) {
		lun[i].lun = htole64(i);
		lun[i].target = htole32(1);
		lun[i].blocks = htole64(131072 + i);
		lun[i].block_size = htole32(512);
		lun[i].backstore = htole32(7);
		lun[i].flags = htole32(VHOST_SCSI_MIG_LUN_PAGE_CACHE);
		memcpy(lun[i].vendor, "LIO-ORG", 8);
		memcpy(lun[i].product, "sixteen letters.", 16);
		memcpy(lun[i].backend, "fileio", 7);
		memcpy(lun[i].serial, "lab-disk", 9);
	}
	section(s, VHOST_SCSI_MIG_INVENTORY, 1, 0, lun, luns * sizeof(lun[0]));
}

static void rings(struct sample *s)
{
	struct vhost_scsi_mig_ring ring[QUEUES] = {
		{ htole16(128), htole16(7) }, { 0 },
		{ htole16(256), htole16(65535) },
	};

	section(s, VHOST_SCSI_MIG_RINGS, 1, 0, ring, sizeof(ring));
}

static void events(struct sample *s)
{
	struct {
		struct vhost_scsi_mig_events head;
		struct vhost_scsi_mig_event event[2];
	} e = {
		.head = { .missed = htole32(1), .count = htole32(2) },
		.event = { { .event = htole32(1), .reason = htole32(2) } },
	};

	section(s, VHOST_SCSI_MIG_EVENTS, 1, 0, &e, sizeof(e));
}

static void attentions(struct sample *s)
{
	struct vhost_scsi_mig_attention a = {
		.lun = htole64(1), .target = htole32(1), .asc = 0x29, .ascq = 3,
	};

	section(s, VHOST_SCSI_MIG_ATTENTIONS, 1, 0, &a, sizeof(a));
}

static void reservations(struct sample *s)
{
	struct {
		struct vhost_scsi_mig_reservation res;
		struct vhost_scsi_mig_registration reg[2];
	} r = {
		.res = { .lun = htole64(0), .target = htole32(1),
			 .flags = htole32(VHOST_SCSI_MIG_RES_APTPL),
			 .count = htole32(2) },
		.reg = { { .key = htole64(0x1234567890abcdefull),
			   .flags = htole32(VHOST_SCSI_MIG_REG_GUEST |
					    VHOST_SCSI_MIG_REG_HOLDER),
			   .rel_port = htole16(2), .type = 5,
			   .initiator = "naa.5001405a0b0c0d09" },
			 { .key = htole64(2), .rel_port = htole16(3),
			   .initiator = "iqn.2003-01.org:other" } },
	};

	section(s, VHOST_SCSI_MIG_RESERVATIONS, 1, 0, &r, sizeof(r));
}

static void finish(struct sample *s)
{
	struct vhost_scsi_mig_end e = { 0 };
	uint32_t crc;

	section(s, VHOST_SCSI_MIG_END, 1, 0, &e, sizeof(e));
	crc = htole32(crc32c(s->data + s->begin, s->length - 4 - s->begin));
	memcpy(s->data + s->length - 4, &crc, sizeof(crc));
}

static void whole(struct sample *s)
{
	header(s);
	inventory(s, 2);
	rings(s);
	events(s);
	attentions(s);
	reservations(s);
	finish(s);
}

/* Decodes a copy of exactly that size, so that the sanitizer sees its end. */
static bool decodes(const void *data, size_t length, struct stream *out,
		    struct failure *f)
{
	uint8_t *copy = malloc(length ? length : 1);
	struct stream stream;
	bool good;

	memcpy(copy, data, length);
	good = !stream_decode(&stream, copy, length, f);
	if (!good && !*f->text)
		result(false, "a refusal has a reason");
	if (good) {
		FILE *nowhere = fopen("/dev/null", "we");
		json_object *o = show_json(&stream);

		show_text(&stream, nowhere);
		json_object_to_json_string(o);
		json_object_put(o);
		fclose(nowhere);
	}
	free(copy);
	if (good && out)
		*out = stream;
	else if (good)
		stream_free(&stream);
	return good;
}

static bool refused(const struct sample *s, const char *reason)
{
	struct failure f = { 0 };

	if (decodes(s->data, s->length, NULL, &f))
		return false;
	if (strstr(f.text, reason))
		return true;
	printf("# said: %s\n", f.text);
	return false;
}

static void test_whole(void)
{
	struct sample s = { 0 };
	struct stream d;
	struct failure f = { 0 };

	whole(&s);
	if (!decodes(s.data, s.length, &d, &f)) {
		printf("# %s\n", f.text);
		result(false, "a whole stream is understood");
		return;
	}
	result(d.complete && d.nr_queues == 3 && d.headers == 1 &&
	       !strcmp(d.wwpn, "naa.5001405a0b0c0d01") && d.host[1] == 0xcd,
	       "a whole stream is understood");
	result(d.nr_luns == 2 && d.lun[1].blocks == 131073 &&
	       d.lun[1].target == 1 && d.lun[1].lun == 1 &&
	       !strcmp(d.lun[0].product, "sixteen letters.") &&
	       d.lun[0].flags == VHOST_SCSI_MIG_LUN_PAGE_CACHE,
	       "its inventory is what was put in");
	result(d.nr_rings == 3 && d.ring[2].last_avail == 65535 &&
	       d.nr_events == 2 && d.missed == 1 && d.event[0].reason == 2 &&
	       d.nr_attentions == 1 && d.attention[0].asc == 0x29,
	       "its rings, events and attentions are what was put in");
	result(d.nr_reservations == 1 && d.reservation[0].count == 2 &&
	       d.reservation[0].registration[0].key == 0x1234567890abcdefull &&
	       d.reservation[0].registration[0].type == 5 &&
	       d.reservation[0].registration[1].rel_port == 3,
	       "its reservations are what was put in");
	stream_free(&d);
}

/* Complete or refused at each length, and complete at the full one alone. */
static void test_truncated(void)
{
	struct sample s = { 0 };
	size_t length, whole_ones = 0, prefixes = 0;

	whole(&s);
	for (length = 0; length <= s.length; length++) {
		struct failure f = { 0 };
		struct stream d;

		if (!decodes(s.data, length, &d, &f))
			continue;
		whole_ones += d.complete;
		prefixes += !d.complete;
		stream_free(&d);
	}
	printf("# %zu lengths\n", s.length + 1);
	result(whole_ones == 1 && prefixes == 6,
	       "truncated at any byte it is refused, between two sections incomplete");
}

static void test_flipped(void)
{
	struct sample s = { 0 };
	size_t i, wrong = 0;

	whole(&s);
	for (i = 0; i < s.length * 8; i++) {
		struct failure f = { 0 };
		struct stream d;

		s.data[i / 8] ^= 1 << i % 8;
		if (decodes(s.data, s.length, &d, &f)) {
			printf("# bit %zu of byte %zu: understood\n", i % 8, i / 8);
			wrong++;
			stream_free(&d);
		}
		s.data[i / 8] ^= 1 << i % 8;
	}
	printf("# %zu bits\n", s.length * 8);
	result(!wrong, "with any bit flipped it is refused");
}

/* No checksum in the way: what a liar would send. */
static void test_flipped_and_sealed(void)
{
	struct sample s = { 0 };
	size_t i, understood = 0;
	uint32_t crc;

	whole(&s);
	for (i = 0; i < s.length - 16; i++) {
		struct failure f = { 0 };
		unsigned int value;

		for (value = 1; value < 256; value <<= 1) {
			s.data[i] ^= value;
			crc = htole32(crc32c(s.data, s.length - 4));
			memcpy(s.data + s.length - 4, &crc, sizeof(crc));
			understood += decodes(s.data, s.length, NULL, &f);
			s.data[i] ^= value;
		}
	}
	printf("# %zu of %zu say something else\n", understood, (s.length - 16) * 8);
	result(understood > 0, "with any bit flipped and sealed anew it does no harm");
}

static void test_order(void)
{
	struct sample s = { 0 };

	header(&s);
	rings(&s);
	result(refused(&s, "does not stand where it must"),
	       "rings before the inventory are refused");
	memset(&s, 0, sizeof(s));
	header(&s);
	inventory(&s, 1);
	rings(&s);
	rings(&s);
	result(refused(&s, "does not stand where it must"),
	       "rings twice are refused");
	memset(&s, 0, sizeof(s));
	inventory(&s, 1);
	result(refused(&s, "begins with no HEADER"),
	       "a stream without a header is refused");
	memset(&s, 0, sizeof(s));
	whole(&s);
	inventory(&s, 1);
	result(refused(&s, "behind the END"),
	       "a section behind the end is refused");
	memset(&s, 0, sizeof(s));
	header(&s);
	inventory(&s, 1);
	rings(&s);
	finish(&s);
	result(refused(&s, "does not stand where it must"),
	       "an end before its time is refused");
}

static void test_anew(void)
{
	struct sample s = { 0 };
	struct failure f = { 0 };
	struct stream d = { 0 };
	bool good;

	header(&s);
	inventory(&s, 1);
	rings(&s);
	whole(&s);
	good = decodes(s.data, s.length, &d, &f);
	result(good && d.headers == 2 && d.complete && d.nr_luns == 2,
	       "a header begins the stream anew");
	stream_free(&d);
	whole(&s);
	good = decodes(s.data, s.length, &d, &f);
	result(good && d.headers == 3 && d.complete,
	       "a header may stand behind the end");
	stream_free(&d);
	memset(&s, 0, sizeof(s));
	header(&s);
	inventory(&s, 1);
	inventory(&s, 3);
	good = decodes(s.data, s.length, &d, &f);
	result(good && d.nr_luns == 3 && d.inventories == 2 && !d.complete,
	       "a later inventory replaces the first");
	stream_free(&d);
}

static void test_unknown(void)
{
	struct sample s = { 0 };
	struct failure f = { 0 };
	struct stream d = { 0 };
	bool good;

	header(&s);
	section(&s, 99, 4, VHOST_SCSI_MIG_SKIPPABLE, "anything", 8);
	inventory(&s, 1);
	good = decodes(s.data, s.length, &d, &f);
	result(good && d.nr_skipped == 1 && d.skipped[0].type == 99 &&
	       d.skipped[0].length == 8 && d.nr_luns == 1,
	       "an unknown section that may be skipped is");
	stream_free(&d);
	section(&s, 99, 4, 0, "anything", 8);
	result(refused(&s, "must not be skipped"),
	       "an unknown section that may not be skipped is refused");
	memset(&s, 0, sizeof(s));
	header(&s);
	section(&s, VHOST_SCSI_MIG_INVENTORY, 2, 0, "newer", 5);
	result(refused(&s, "must not be skipped"),
	       "a newer version of a section is refused");
	memset(&s, 0, sizeof(s));
	header(&s);
	section(&s, 99, 1, 2, "", 0);
	result(refused(&s, "flag that is not known"),
	       "an unknown flag is refused");
}

static void test_sizes(void)
{
	struct vhost_scsi_mig_events many = { .count = htole32(0x20000000) };
	struct vhost_scsi_mig_reservation liar = { .count = htole32(0xffffffff) };
	struct sample s = { 0 };
	uint32_t size = htole32(VHOST_SCSI_MIG_MAX_SECTION + 1);
	size_t at;

	header(&s);
	at = section(&s, 99, 1, VHOST_SCSI_MIG_SKIPPABLE, "", 0);
	memcpy(s.data + at + 8, &size, sizeof(size));
	result(refused(&s, "larger than any can be"),
	       "a section beyond its limit is refused");
	memset(&s, 0, sizeof(s));
	header(&s);
	inventory(&s, 1);
	rings(&s);
	section(&s, VHOST_SCSI_MIG_EVENTS, 1, 0, &many, sizeof(many));
	result(refused(&s, "another number of events"),
	       "a count of events that overflows is refused");
	memset(&s, 0, sizeof(s));
	header(&s);
	inventory(&s, 1);
	rings(&s);
	events(&s);
	attentions(&s);
	section(&s, VHOST_SCSI_MIG_RESERVATIONS, 1, 0, &liar, sizeof(liar));
	result(refused(&s, "too short for the registrations"),
	       "a count of registrations that overflows is refused");
}

static void write_sample(const char *directory, const char *name,
			 const void *data, size_t size)
{
	char path[4096];
	FILE *out;

	snprintf(path, sizeof(path), "%s/%s", directory, name);
	out = fopen(path, "we");
	result(out && fwrite(data, 1, size, out) == size && !fclose(out), path);
}

/* For those who test what is made of them. */
static void write_samples(const char *directory)
{
	struct sample s = { 0 };

	whole(&s);
	write_sample(directory, "whole", s.data, s.length);
	write_sample(directory, "cut", s.data, s.length - 1);
	s.data[28] ^= 1;		/* a feature */
	write_sample(directory, "changed", s.data, s.length);
	memset(&s, 0, sizeof(s));
	header(&s);
	inventory(&s, 2);
	write_sample(directory, "inventory", s.data, s.length);
}

int main(int argc, char **argv)
{
	if (argc > 1) {
		write_samples(argv[1]);
		return failed ? 1 : 0;
	}
	/* The check value of the polynomial's definition. */
	result(crc32c("123456789", 9) == 0xe3069283, "CRC32C");
	test_whole();
	test_truncated();
	test_flipped();
	test_flipped_and_sealed();
	test_order();
	test_anew();
	test_unknown();
	test_sizes();
	printf("1..%u\n", number);
	return failed ? 1 : 0;
}
