/* SPDX-License-Identifier: GPL-2.0 */
/* Names and sentences for the numbers of the ABI. */
#ifndef CTL_NAMES_H
#define CTL_NAMES_H

#include <stddef.h>
#include <stdint.h>

const char *name_reason(uint32_t reason);
const char *name_state(uint32_t state);
int name_state_find(const char *name, uint32_t *state);
const char *name_flush(uint32_t flush);
const char *name_verdict(uint32_t verdict);
const char *name_reservation(uint8_t type);

/* "target 1 LUN 2: it has another size; ...": what, where and what to do. */
void name_blocker(char *text, size_t size, uint32_t reason, uint32_t target,
		  uint64_t lun);

#endif
