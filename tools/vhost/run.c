// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>
#include "address.h"
#include "run.h"
#include "server.h"

#define PLACE		"vhostfd=@"
#define MONITOR		"vhost-scsi-ctl"
#define LINGER_SECONDS	300

/* Finds the argument that is to carry the descriptor, and its target port. */
static int find_device(char **command, size_t *index, char *wwpn, size_t size,
		       struct failure *f)
{
	size_t i, length, found = 0;
	const char *name;

	for (i = 0; command[i]; i++) {
		if (!strstr(command[i], PLACE))
			continue;
		*index = i;
		found++;
	}
	if (!found)
		return fail(f, CTL_USAGE,
			    "the command has no -device vhost-scsi-pci,...,%s: the place where the descriptor goes",
			    PLACE);
	if (found > 1)
		return fail(f, CTL_USAGE,
			    "the command has " PLACE " more than once: one device can be carried");
	name = strstr(command[*index], "wwpn=");
	length = name ? strcspn(name + 5, ",") : 0;
	if (!length || length >= size)
		return fail(f, CTL_USAGE, "%s: no wwpn=, the name of the target port",
			    command[*index]);
	memcpy(wwpn, name + 5, length);
	wwpn[length] = 0;
	return 0;
}

/* The command with the descriptors in it. */
static char **make_arguments(char **command, size_t index, int device,
			     int monitor)
{
	size_t count = 0;
	char **arguments, *place;

	while (command[count])
		count++;
	arguments = calloc(count + 5, sizeof(*arguments));
	if (!arguments)
		return NULL;
	memcpy(arguments, command, count * sizeof(*arguments));
	place = strstr(command[index], PLACE);
	if (asprintf(&arguments[index], "%.*svhostfd=%d%s",
		     (int)(place - command[index]), command[index], device,
		     place + strlen(PLACE)) < 0)
		return NULL;
	arguments[count++] = "-chardev";
	if (asprintf(&arguments[count++], "socket,id=" MONITOR ",fd=%d",
		     monitor) < 0)
		return NULL;
	arguments[count++] = "-mon";
	arguments[count++] = "chardev=" MONITOR ",mode=control";
	return arguments;
}

/* Never returns in the child. -1 without one, or its process id. */
static pid_t start(char **command, size_t index, int device, int monitor,
		   struct failure *f)
{
	char **arguments;
	sigset_t none;
	pid_t pid = fork();

	if (pid < 0)
		return fail_errno(f, "fork");
	if (pid)
		return pid;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	device = dup(device);
	monitor = dup(monitor);
	arguments = make_arguments(command, index, device, monitor);
	if (arguments && device >= 0 && monitor >= 0)
		execvp(arguments[0], arguments);
	fprintf(stderr, "vhost-scsi-ctl: %s: %s\n", command[0], strerror(errno));
	_exit(127);
}

static void accept_one(struct server *server, int listener, bool remote)
{
	int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);

	if (fd >= 0)
		server_connection(server, fd, remote);
}

/* Signals for `run` are for QEMU; its end is ours. Returns its status. */
static int serve(struct server *server, int control, int remote, int signals,
		 pid_t child)
{
	struct pollfd fds[] = {
		{ .fd = signals, .events = POLLIN },
		{ .fd = control, .events = POLLIN },
		{ .fd = remote, .events = POLLIN },
	};
	struct signalfd_siginfo info;
	unsigned int i;
	int status;

	for (;;) {
		if (poll(fds, 3, -1) < 0 && errno != EINTR)
			return -1;
		if (fds[1].revents)
			accept_one(server, control, false);
		if (fds[2].revents)
			accept_one(server, remote, true);
		if (!fds[0].revents ||
		    read(signals, &info, sizeof(info)) != sizeof(info))
			continue;
		if (info.ssi_signo != SIGCHLD)
			kill(child, info.ssi_signo);
		else if (waitpid(child, &status, WNOHANG) == child)
			break;
	}
	/*
	 * A migration that goes on has to undo what it did elsewhere, and to
	 * tell. A request that waits for the storage does not keep us.
	 */
	for (i = 0; atomic_load(&server->busy) && i < LINGER_SECONDS * 100; i++)
		usleep(10000);
	return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

static int make_signals(struct failure *f)
{
	sigset_t set;
	int fd;

	sigemptyset(&set);
	sigaddset(&set, SIGCHLD);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigprocmask(SIG_BLOCK, &set, NULL);
	fd = signalfd(-1, &set, SFD_CLOEXEC);
	return fd < 0 ? fail_errno(f, "signalfd") : fd;
}

/* The boot of this host, and what tells this process from any other of it. */
static int make_id(struct server *server, struct failure *f)
{
	FILE *in = fopen("/proc/sys/kernel/random/boot_id", "re");

	if (!in || fscanf(in, "%36s", server->id) != 1) {
		if (in)
			fclose(in);
		return fail_errno(f, "/proc/sys/kernel/random/boot_id");
	}
	fclose(in);
	snprintf(server->id + strlen(server->id),
		 sizeof(server->id) - strlen(server->id), " %d", getpid());
	return 0;
}

/* QEMUs in other directories are told of paths beside it. */
static const char *absolute(const char *path, struct failure *f)
{
	char *directory, *joined = NULL;

	if (path[0] == '/')
		return path;
	directory = getcwd(NULL, 0);
	if (!directory || asprintf(&joined, "%s/%s", directory, path) < 0)
		fail(f, CTL_FAILED, "%s: cannot tell where this is", path);
	free(directory);
	return joined;
}

int run(const struct run_options *options, struct failure *f)
{
	static struct server server;	/* threads may outlive this function */
	int control, remote = -1, signals, monitor[2], status;
	char wwpn[224];
	size_t index;
	pid_t child;

	server.control = absolute(address_path(options->control), f);
	if (!server.control || find_device(options->command, &index, wwpn, sizeof(wwpn), f) ||
	    make_id(&server, f) || device_open(&server.dev, wwpn, f))
		return -1;
	control = address_listen(server.control, f);
	if (control < 0)
		return -1;
	if (options->listen) {
		remote = address_listen(options->listen, f);
		if (remote < 0)
			goto unlink;
	}
	signals = make_signals(f);
	if (signals < 0)
		goto unlink;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, monitor)) {
		fail_errno(f, "socketpair");
		goto unlink;
	}
	child = start(options->command, index, server.dev.fd, monitor[1], f);
	if (child < 0)
		goto unlink;
	close(monitor[1]);
	server.qmp = qmp_new(monitor[0], f);
	if (!server.qmp) {
		kill(child, SIGTERM);
		waitpid(child, NULL, 0);
		goto unlink;
	}
	status = serve(&server, control, remote, signals, child);
	unlink(server.control);
	return status;

unlink:
	unlink(server.control);
	return -1;
}
