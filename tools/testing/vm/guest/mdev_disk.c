// SPDX-License-Identifier: GPL-2.0
/* Both write whole lines, so their reports do not mix. */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>
#include "mdev_disk.h"

#define PROGRAM	"/bin/verify"

static pid_t pid;
static int commands;

int disk_start(void)
{
	static char *const words[] = { (char *)PROGRAM, NULL };
	posix_spawn_file_actions_t actions;
	int fds[2];

	if (pipe2(fds, O_CLOEXEC))
		return -1;
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, fds[0], STDIN_FILENO);
	errno = posix_spawn(&pid, PROGRAM, &actions, NULL, words, environ);
	posix_spawn_file_actions_destroy(&actions);
	close(fds[0]);
	commands = fds[1];
	return errno ? -1 : 0;
}

void disk_command(const char *line)
{
	if (pid)
		dprintf(commands, "%s\n", line);
}

void disk_wait(void)
{
	if (pid)
		waitpid(pid, NULL, 0);
}
