/* SPDX-License-Identifier: GPL-2.0 */
/* What the program does when it is the guest's first process. */
#ifndef GUEST_BOOT_H
#define GUEST_BOOT_H

#include <stdbool.h>
#include <stddef.h>

void boot_mounts(void);
void boot_modules(const char *list);
int boot_serial(const char *path);
bool boot_line(char *line, size_t size);
int boot_disk(char *path, size_t size, unsigned int seconds);
_Noreturn void boot_power_off(void);

#endif
