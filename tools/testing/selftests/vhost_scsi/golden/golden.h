/* SPDX-License-Identifier: GPL-2.0 */
/* Each NAME.stream here, as a part of the program: golden_NAME[], to its _end. */
#ifndef GOLDEN_H
#define GOLDEN_H

#include <stdint.h>

#define GOLDEN(name)								\
	__asm__(".section .rodata\n"						\
		"golden_" #name ": .incbin \"" GOLDEN_DIR "/" #name ".stream\"\n" \
		"golden_" #name "_end: .byte 0\n"				\
		".previous\n")

extern const uint8_t golden_v1[], golden_v1_end[];

#endif
