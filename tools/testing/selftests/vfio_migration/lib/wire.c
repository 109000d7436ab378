// SPDX-License-Identifier: GPL-2.0
#include <string.h>

#include "wire.h"

/* CRC32C, bit-reversed polynomial of Castagnoli. */
static uint32_t crc32c(const void *data, size_t len)
{
	static uint32_t table[256];
	const uint8_t *p = data;
	uint32_t crc = ~0U;

	if (!len)
		return 0;
	if (!table[1])
		for (uint32_t i = 0; i < 256; i++) {
			uint32_t value = i;

			for (int bit = 0; bit < 8; bit++)
				value = value & 1 ? value >> 1 ^ 0x82f63b78 :
						    value >> 1;
			table[i] = value;
		}
	while (len--)
		crc = crc >> 8 ^ table[(crc ^ *p++) & 0xff];
	return ~crc;
}

static uint32_t header_crc(const struct wire *w)
{
	return crc32c(w, offsetof(struct wire, header_crc));
}

size_t wire_length(const struct wire *w)
{
	return sizeof(*w) + w->length;
}

struct wire *wire_at(void *data, size_t len)
{
	struct wire *w = data;

	if (len < sizeof(*w) || len < wire_length(w))
		return NULL;
	return w;
}

static void check(const struct wire *w, unsigned int sequence)
{
	const char *what = NULL;

	if (w->magic != WIRE_MAGIC)
		what = "magic";
	else if (w->header_crc != header_crc(w))
		what = "checksum of the header";
	else if (w->sequence != sequence)
		what = "sequence";
	else if ((w->type == WIRE_HEADER) != !sequence)
		what = "type";
	else if (w->type < WIRE_HEADER || w->type > WIRE_END)
		what = "type";
	else if (w->length > WIRE_PIECE_MAX)
		what = "length";
	if (!what && w->payload_crc != crc32c(w->payload, w->length))
		what = "checksum of the payload";
	if (what)
		vt_fatal("section %u of the stream: wrong %s", sequence, what);
}

unsigned int wire_sections(struct stream *s, struct wire **w, unsigned int max)
{
	unsigned int n = 0;
	size_t at = 0;

	while (at < s->len) {
		if (n == max)
			vt_fatal("more than %u sections", max);
		w[n] = wire_at(s->data + at, s->len - at);
		if (!w[n])
			vt_fatal("section %u is cut off", n);
		check(w[n], n);
		at += wire_length(w[n++]);
	}
	return n;
}

void wire_seal_header(struct wire *w)
{
	w->header_crc = header_crc(w);
}

void wire_seal(struct wire *w)
{
	w->payload_crc = crc32c(w->payload, w->length);
	wire_seal_header(w);
}

struct wire *wire_add(struct stream *s, uint16_t type, uint16_t kind,
		      uint32_t sequence, uint64_t arg, const void *payload,
		      uint32_t length)
{
	struct wire *w = (void *)(s->data + s->len);

	if (sizeof(*w) + length > s->room - s->len)
		vt_fatal("no room for a section");
	memset(w, 0, sizeof(*w));
	w->magic = WIRE_MAGIC;
	w->type = type;
	w->kind = kind;
	w->length = length;
	w->sequence = sequence;
	w->arg = arg;
	if (length)
		memcpy(w->payload, payload, length);
	wire_seal(w);
	s->len += wire_length(w);
	return w;
}

struct image *image_new(size_t size)
{
	struct image *image = vt_zalloc(sizeof(*image));

	image->size = size;
	image->mem = vt_zalloc(size);
	image->times = vt_zalloc(size / PAGE * sizeof(*image->times));
	return image;
}

void image_clear(struct image *image)
{
	memset(image->mem, 0, image->size);
	memset(image->times, 0, image->size / PAGE * sizeof(*image->times));
	image->bytes = 0;
	image->device = 0;
	image->sections = 0;
	image->ended = false;
}

static void take_pages(struct image *image, const struct wire *w)
{
	uint64_t len = w->length, page;

	if (w->kind == WIRE_ZERO) {
		if (w->length != sizeof(len))
			vt_fatal("a run of zeroes of %u bytes", w->length);
		memcpy(&len, w->payload, sizeof(len));
	}
	if (!len || len % PAGE || w->arg % PAGE || w->arg >= image->size ||
	    len > image->size - w->arg)
		vt_fatal("%#lx bytes of memory at %#lx", len, w->arg);
	if (w->kind == WIRE_ZERO)
		memset(image->mem + w->arg, 0, len);
	else
		memcpy(image->mem + w->arg, w->payload, len);
	for (page = w->arg / PAGE; page < (w->arg + len) / PAGE; page++)
		image->times[page]++;
	image->bytes += len;
}

size_t image_take(struct image *image, void *data, size_t len)
{
	struct wire *w;
	size_t at = 0;

	while ((w = wire_at(data + at, len - at))) {
		check(w, image->sections);
		if (image->ended)
			vt_fatal("a section after the end");
		if (w->type == WIRE_END)
			image->ended = true;
		else if (w->type == WIRE_PIECE && w->kind == WIRE_DEVICE)
			image->device++;
		else if (w->type == WIRE_PIECE)
			take_pages(image, w);
		image->sections++;
		at += wire_length(w);
	}
	return at;
}

unsigned long image_pages(const struct image *image, unsigned int n)
{
	unsigned long page, count = 0;

	for (page = 0; page < image->size / PAGE; page++)
		count += image->times[page] == n;
	return count;
}
