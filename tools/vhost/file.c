// SPDX-License-Identifier: GPL-2.0
#include <fcntl.h>
#include <linux/vhost_scsi_migration.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "file.h"

#define CHUNK		65536
#define MAX_SIZE	(2u * VHOST_SCSI_MIG_MAX_STREAM)

static int read_all(int fd, const char *name, uint8_t **data, size_t *size,
		    struct failure *f)
{
	for (;;) {
		uint8_t *more = realloc(*data, *size + CHUNK);
		ssize_t got;

		if (!more)
			return fail(f, CTL_FAILED, "out of memory");
		*data = more;
		got = read(fd, more + *size, CHUNK);
		if (got < 0)
			return fail_errno(f, "%s", name);
		if (!got)
			return 0;
		*size += got;
		if (*size > MAX_SIZE)
			return fail(f, CTL_FAILED, "%s: larger than any stream can be",
				    name);
	}
}

int file_read(const char *name, uint8_t **data, size_t *size, struct failure *f)
{
	int fd = strcmp(name, "-") ? open(name, O_RDONLY | O_CLOEXEC) :
				     STDIN_FILENO;
	int status;

	*data = NULL;
	*size = 0;
	if (fd < 0)
		return fail_errno(f, "%s", name);
	status = read_all(fd, name, data, size, f);
	if (fd != STDIN_FILENO)
		close(fd);
	if (status) {
		free(*data);
		*data = NULL;
	}
	return status;
}

/* Reservation keys are in it: for its owner alone. */
int file_write(const char *name, const void *data, size_t size,
	       struct failure *f)
{
	int fd = strcmp(name, "-") ?
		 open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) :
		 STDOUT_FILENO;
	const uint8_t *at = data;

	if (fd < 0)
		return fail_errno(f, "%s", name);
	while (size) {
		ssize_t put = write(fd, at, size);

		if (put < 0) {
			fail_errno(f, "%s", name);
			if (fd != STDOUT_FILENO)
				close(fd);
			return -1;
		}
		at += put;
		size -= put;
	}
	if (fd != STDOUT_FILENO && close(fd))
		return fail_errno(f, "%s", name);
	return 0;
}
