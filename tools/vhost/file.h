/* SPDX-License-Identifier: GPL-2.0 */
/* A stream in a file; "-" is standard input or output. */
#ifndef CTL_FILE_H
#define CTL_FILE_H

#include <stddef.h>
#include <stdint.h>
#include "failure.h"

int file_read(const char *name, uint8_t **data, size_t *size, struct failure *f);
int file_write(const char *name, const void *data, size_t size,
	       struct failure *f);

#endif
