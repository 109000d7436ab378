// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>
#include "cache.h"

#define CONFIGFS	"/sys/kernel/config/target"
/* Linux 6.5's; newer than the headers of a distribution may be. */
#ifndef SYS_cachestat
#define SYS_cachestat	451
#endif
/* Pages on their way to a list of the kernel's are passed over by a drop. */
#define TRIES		20
#define PAUSE_US	100000

struct cachestat_range {
	uint64_t offset, length;	/* 0: to the end */
};

struct cachestat {
	uint64_t cached, dirty, writeback, evicted, recently_evicted;
};

/* The one link in a LUN's directory leads to its backstore. */
static int find_backstore(const char *directory, char *path, size_t size,
			  struct failure *f)
{
	DIR *dir = opendir(directory);
	struct dirent *entry;
	int status = -1;

	if (!dir)
		return fail_errno(f, "%s", directory);
	while (status && (entry = readdir(dir))) {
		if (entry->d_type != DT_LNK)
			continue;
		snprintf(path, size, "%s/%s/info", directory, entry->d_name);
		status = 0;
	}
	closedir(dir);
	return status ? fail(f, CTL_FAILED, "%s: no backstore is linked here",
			     directory) : 0;
}

int cache_file(const char *wwpn, uint32_t target, uint64_t lun, char *path,
	       size_t size, struct failure *f)
{
	char directory[512], info[PATH_MAX], text[PATH_MAX + 1024];
	char *file, *end, *next;
	size_t got;
	FILE *in;

	snprintf(directory, sizeof(directory), CONFIGFS "/vhost/%s/tpgt_%" PRIu32
		 "/lun/lun_%" PRIu64, wwpn, target, lun);
	if (find_backstore(directory, info, sizeof(info), f))
		return -1;
	in = fopen(info, "re");
	if (!in)
		return fail_errno(f, "%s", info);
	got = fread(text, 1, sizeof(text) - 1, in);
	fclose(in);
	text[got] = 0;
	/* "... File: NAME  Size: ...", and a name may have anything in it. */
	file = strstr(text, " File: ");
	end = NULL;
	for (next = file; next && (next = strstr(next, "  Size: ")); next++)
		end = next;
	if (!end)
		return fail(f, CTL_FAILED, "target %" PRIu32 " LUN %" PRIu64
			    ": LIO names no file behind it, so its cache cannot be dropped",
			    target, lun);
	file += strlen(" File: ");
	if ((size_t)(end - file) >= size)
		return fail(f, CTL_FAILED, "the name of a file is too long");
	memcpy(path, file, end - file);
	path[end - file] = 0;
	return 0;
}

int cache_drop(const char *path, struct failure *f)
{
	struct cachestat_range all = { 0 };
	struct cachestat left = { 0 };
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	unsigned int i;

	if (fd < 0)
		return fail_errno(f, "%s", path);
	for (i = 0; i < TRIES; i++) {
		if (i)
			usleep(PAUSE_US);
		errno = posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
		if (errno || syscall(SYS_cachestat, fd, &all, &left, 0)) {
			fail_errno(f, "%s: dropping its page cache", path);
			close(fd);
			return -1;
		}
		if (!left.cached)
			break;
	}
	close(fd);
	if (left.cached)
		return fail(f, CTL_FAILED, "%s: %" PRIu64 " pages of it, %" PRIu64
			    " of them dirty, stay in the page cache: somebody uses it on this host",
			    path, left.cached, left.dirty + left.writeback);
	return 0;
}
