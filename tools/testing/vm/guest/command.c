// SPDX-License-Identifier: GPL-2.0
/*
 * What a program says comes out as lines "SAID text", its end as a line
 * "RAN status=N". It is spawned without a copy of the address space: pages that
 * the device writes are in flight, and must not be shared.
 */
#include <errno.h>
#include <fcntl.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>
#include "command.h"

#define MAX_WORDS	16

static struct {
	pid_t pid;		/* 0 if none runs */
	int out;		/* what it says */
	char line[256];
	size_t used;
} command;

static bool spawn(char **words, int out)
{
	posix_spawn_file_actions_t actions;
	int error;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, out, STDOUT_FILENO);
	posix_spawn_file_actions_adddup2(&actions, out, STDERR_FILENO);
	error = posix_spawn(&command.pid, words[0], &actions, NULL, words,
			    environ);
	posix_spawn_file_actions_destroy(&actions);
	if (error) {
		command.pid = 0;
		printf("SAID %s: %s\nRAN status=127\n", words[0],
		       strerror(error));
	}
	return !error;
}

void command_start(char *line)
{
	char *words[MAX_WORDS + 1] = { NULL }, *rest;
	int fds[2], count = 0;

	if (command.pid) {
		printf("RAN status=126\n");
		return;
	}
	for (words[0] = strtok_r(line, " ", &rest);
	     words[count] && count < MAX_WORDS - 1;
	     words[count] = strtok_r(NULL, " ", &rest))
		count++;
	if (!count || pipe2(fds, O_CLOEXEC | O_NONBLOCK)) {
		printf("RAN status=125\n");
		return;
	}
	command.out = fds[0];
	command.used = 0;
	if (!spawn(words, fds[1]))
		close(fds[0]);
	close(fds[1]);
}

static void say(void)
{
	command.line[command.used] = 0;
	if (command.used)
		printf("SAID %s\n", command.line);
	command.used = 0;
}

void command_poll(void)
{
	int status;
	ssize_t got;
	char c;

	if (!command.pid)
		return;
	while ((got = read(command.out, &c, 1)) == 1) {
		if (c == '\n' || command.used == sizeof(command.line) - 1)
			say();
		if (c != '\n')
			command.line[command.used++] = c;
	}
	if (got < 0 && errno == EAGAIN)
		return;
	say();
	close(command.out);
	waitpid(command.pid, &status, 0);
	command.pid = 0;
	printf("RAN status=%d\n", WIFEXITED(status) ? WEXITSTATUS(status) :
						      128 + WTERMSIG(status));
}
