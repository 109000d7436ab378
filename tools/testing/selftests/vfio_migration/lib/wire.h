/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The stream from outside, written from its description: taken apart, checked,
 * forged.  What it carries of mcopy's memory is put into an image.
 */
#ifndef WIRE_H
#define WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device.h"

#define WIRE_MAGIC	0x434d4656
#define WIRE_PIECE_MAX	65536

enum {
	WIRE_HEADER = 1,
	WIRE_PIECE = 2,
	WIRE_END = 3,
};

/* Of mcopy. */
enum {
	WIRE_PAGES = 1,
	WIRE_ZERO = 2,
	WIRE_DEVICE = 3,
};

struct wire {
	uint32_t magic;
	uint16_t type;
	uint16_t kind;
	uint32_t length;
	uint32_t sequence;
	uint64_t arg;
	uint32_t payload_crc;
	uint32_t header_crc;
	uint8_t payload[];
};

struct wire_header {
	uint32_t format;
	uint32_t version;
	uint64_t size;
	uint64_t final_size;
	char name[32];
};

/* The section at the beginning of @len bytes; NULL if it is not whole. */
struct wire *wire_at(void *data, size_t len);
size_t wire_length(const struct wire *w);
/* Sections of a stream of whole sections; ends the test if one is wrong. */
unsigned int wire_sections(struct stream *s, struct wire **w, unsigned int max);
/* After a change: makes the checksums right again. */
void wire_seal(struct wire *w);
/* That of the header alone. */
void wire_seal_header(struct wire *w);
/* Appends a section to @s. */
struct wire *wire_add(struct stream *s, uint16_t type, uint16_t kind,
		      uint32_t sequence, uint64_t arg, const void *payload,
		      uint32_t length);

/**
 * struct image - what a stream has brought
 * @mem: device memory.
 * @times: how often each page came.
 * @bytes: of memory, a page as often as it came.
 * @device: how often the rest of the state came.
 * @sections: how many were looked at.
 * @ended: the last one was END.
 */
struct image {
	uint8_t *mem;
	size_t size;
	uint16_t *times;
	uint64_t bytes;
	unsigned int device;
	unsigned int sections;
	bool ended;
};

struct image *image_new(size_t size);
void image_clear(struct image *image);
/*
 * Takes the whole sections of @len bytes, in their order, and returns how long
 * they are together; ends the test if one is wrong.
 */
size_t image_take(struct image *image, void *data, size_t len);
/* Pages that came exactly @n times. */
unsigned long image_pages(const struct image *image, unsigned int n);

#endif
