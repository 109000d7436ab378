/* SPDX-License-Identifier: GPL-2.0 */
#ifndef CTL_CRC32C_H
#define CTL_CRC32C_H

#include <stddef.h>
#include <stdint.h>

/* As in iSCSI: initial value and final inversion included. */
uint32_t crc32c(const void *data, size_t length);

#endif
