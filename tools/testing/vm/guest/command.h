/* SPDX-License-Identifier: GPL-2.0 */
/* Other programs that the guest runs while its own works the disk. */
#ifndef GUEST_COMMAND_H
#define GUEST_COMMAND_H

/* Starts what a line of words says; one at a time. */
void command_start(char *line);
/* Passes on what it has said meanwhile, and its end. Waits for nothing. */
void command_poll(void);

#endif
