/* SPDX-License-Identifier: GPL-2.0 */
/* The program that verifies a disk (verify.c), beside this one. */
#ifndef GUEST_MDEV_DISK_H
#define GUEST_MDEV_DISK_H

/* Starts it; what it reports goes to the serial line as ever. */
int disk_start(void);
/* Passes a command on to it, if it was started. */
void disk_command(const char *line);
/* Waits for its end, if it was started. */
void disk_wait(void);

#endif
