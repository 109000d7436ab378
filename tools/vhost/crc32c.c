// SPDX-License-Identifier: GPL-2.0
#include "crc32c.h"

#define CASTAGNOLI_REFLECTED	0x82f63b78u

/* Four bits at a time: a table of 64 bytes, and fast enough for 64 MiB. */
uint32_t crc32c(const void *data, size_t length)
{
	const uint8_t *byte = data;
	uint32_t table[16], crc = ~0u;
	unsigned int i, bit;

	for (i = 0; i < 16; i++) {
		table[i] = i;
		for (bit = 0; bit < 4; bit++)
			table[i] = table[i] >> 1 ^
				   (table[i] & 1 ? CASTAGNOLI_REFLECTED : 0);
	}
	for (; length; length--, byte++) {
		crc ^= *byte;
		crc = crc >> 4 ^ table[crc & 15];
		crc = crc >> 4 ^ table[crc & 15];
	}
	return ~crc;
}
