// SPDX-License-Identifier: GPL-2.0
#include <linux/crc32.h>

u32 probe(const void *data, size_t len);
u32 probe(const void *data, size_t len)
{
	return crc32c(~0, data, len);
}
