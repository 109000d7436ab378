/* SPDX-License-Identifier: GPL-2.0 */
#ifndef COMPAT_CRC32C_H
#define COMPAT_CRC32C_H

#include <linux/crc32.h>

#ifndef COMPAT_HAVE_CRC32C
/* 6.12 has crc32c() only with the crypto API; this is the same without it. */
#define crc32c(crc, data, len) __crc32c_le(crc, data, len)
#endif

#endif /* COMPAT_CRC32C_H */
