// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>
#include "address.h"

bool address_is_tcp(const char *address)
{
	return !strncmp(address, "tcp:", 4);
}

const char *address_path(const char *address)
{
	return strncmp(address, "unix:", 5) ? address : address + 5;
}

int address_host(const char *address, char *host, size_t size,
		 struct failure *f)
{
	const char *port = strrchr(address + 4, ':');
	size_t length;

	if (!port || port == address + 4 || !port[1])
		return fail(f, CTL_USAGE, "%s: not tcp:HOST:PORT", address);
	length = port - (address + 4);
	if (length >= size)
		return fail(f, CTL_USAGE, "%s: too long", address);
	memcpy(host, address + 4, length);
	host[length] = 0;
	return 0;
}

static int tcp_resolve(const char *address, int flags, struct addrinfo **list,
		       struct failure *f)
{
	struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM, .ai_flags = flags,
	};
	char host[256], *name = host;
	size_t length;
	int error;

	if (address_host(address, host, sizeof(host), f))
		return -1;
	length = strlen(host);
	if (host[0] == '[' && host[length - 1] == ']') {
		host[length - 1] = 0;
		name++;
	}
	error = getaddrinfo(name, strrchr(address, ':') + 1, &hints, list);
	if (error)
		return fail(f, CTL_FAILED, "%s: %s", address,
			    gai_strerror(error));
	return 0;
}

static int tcp_connect(const char *address, struct failure *f)
{
	struct addrinfo *list, *one;
	int fd = -1;

	if (tcp_resolve(address, 0, &list, f))
		return -1;
	for (one = list; one; one = one->ai_next) {
		fd = socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
		if (fd >= 0 && !connect(fd, one->ai_addr, one->ai_addrlen))
			break;
		fail_errno(f, "%s", address);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(list);
	return fd;
}

static int tcp_listen(const char *address, struct failure *f)
{
	struct addrinfo *list;
	int fd, on = 1;

	if (tcp_resolve(address, AI_PASSIVE, &list, f))
		return -1;
	fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0)
		setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
	if (fd < 0 || bind(fd, list->ai_addr, list->ai_addrlen) ||
	    listen(fd, 8)) {
		fail_errno(f, "%s", address);
		if (fd >= 0)
			close(fd);
		fd = -1;
	}
	freeaddrinfo(list);
	return fd;
}

static int unix_socket(const char *path, struct sockaddr_un *name,
		       struct failure *f)
{
	int fd;

	*name = (struct sockaddr_un) { .sun_family = AF_UNIX };
	if (strlen(path) >= sizeof(name->sun_path))
		return fail(f, CTL_USAGE, "%s: the path of a socket has at most %zu characters",
			    path, sizeof(name->sun_path) - 1);
	strcpy(name->sun_path, path);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	return fd < 0 ? fail_errno(f, "socket") : fd;
}

int address_connect(const char *address, struct failure *f)
{
	struct sockaddr_un name;
	int fd;

	if (address_is_tcp(address))
		return tcp_connect(address, f);
	fd = unix_socket(address_path(address), &name, f);
	if (fd < 0)
		return -1;
	if (!connect(fd, (struct sockaddr *)&name, sizeof(name)))
		return fd;
	fail_errno(f, "%s (is `vhost-scsi-ctl run` there?)", name.sun_path);
	close(fd);
	return -1;
}

static int unix_listen(const char *path, struct failure *f)
{
	struct sockaddr_un name;
	struct failure ignored;
	int fd = unix_socket(path, &name, f);
	mode_t mask;
	int other, status;

	if (fd < 0)
		return -1;
	/* One that nobody listens to is left from a process that was killed. */
	other = address_connect(path, &ignored);
	if (other >= 0) {
		close(other);
		close(fd);
		return fail(f, CTL_FAILED, "%s: in use by another `run`", path);
	}
	if (ignored.error == ECONNREFUSED)
		unlink(path);
	/* Whoever may connect may stop the guest. */
	mask = umask(0077);
	status = bind(fd, (struct sockaddr *)&name, sizeof(name));
	umask(mask);
	if (!status && !listen(fd, 8))
		return fd;
	fail_errno(f, "%s", path);
	close(fd);
	return -1;
}

int address_listen(const char *address, struct failure *f)
{
	return address_is_tcp(address) ? tcp_listen(address, f) :
					 unix_listen(address_path(address), f);
}

int address_local(int fd, char *host, size_t size, struct failure *f)
{
	struct sockaddr_storage name;
	socklen_t length = sizeof(name);
	char number[128];

	if (getsockname(fd, (struct sockaddr *)&name, &length) ||
	    getnameinfo((struct sockaddr *)&name, length, number, sizeof(number),
			NULL, 0, NI_NUMERICHOST))
		return fail(f, CTL_FAILED, "cannot tell the address of this host");
	snprintf(host, size, name.ss_family == AF_INET6 ? "[%s]" : "%s", number);
	return 0;
}
