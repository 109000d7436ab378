// SPDX-License-Identifier: GPL-2.0
/*
 * The guest has no other userland than this program: it mounts, loads the
 * modules that the initramfs brought, and waits for its disk by itself.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <termios.h>
#include <unistd.h>
#include "boot.h"

#define ARRAY_SIZE(array)	(sizeof(array) / sizeof((array)[0]))

void boot_mounts(void)
{
	static const struct {
		const char *type, *where;
	} mounts[] = {
		{ "devtmpfs", "/dev" },
		{ "proc", "/proc" },
		{ "sysfs", "/sys" },
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(mounts); i++) {
		mkdir(mounts[i].where, 0755);
		if (mount(mounts[i].type, mounts[i].where, mounts[i].type, 0, NULL))
			printf("ERROR mount %s: %s\n", mounts[i].where,
			       strerror(errno));
	}
}

/* One module per line, in the order in which they need each other. */
void boot_modules(const char *list)
{
	FILE *file = fopen(list, "re");
	char line[256];

	if (!file) {
		printf("ERROR %s: %s\n", list, strerror(errno));
		return;
	}
	while (fgets(line, sizeof(line), file)) {
		int fd;

		line[strcspn(line, "\n")] = 0;
		fd = open(line, O_RDONLY | O_CLOEXEC);
		if (fd < 0 || (syscall(SYS_finit_module, fd, "", 0) &&
			       errno != EEXIST))
			printf("ERROR module %s: %s\n", line, strerror(errno));
		if (fd >= 0)
			close(fd);
	}
	fclose(file);
}

/* The serial line both ways, raw and without echo; becomes stdin and stdout. */
int boot_serial(const char *path)
{
	struct termios mode;
	int fd = open(path, O_RDWR | O_NOCTTY | O_CLOEXEC);

	if (fd < 0)
		return -1;
	if (!tcgetattr(fd, &mode)) {
		cfmakeraw(&mode);
		mode.c_oflag |= OPOST | ONLCR;
		tcsetattr(fd, TCSANOW, &mode);
	}
	dup2(fd, STDIN_FILENO);
	dup2(fd, STDOUT_FILENO);
	dup2(fd, STDERR_FILENO);
	return fd;
}

/* A whole line from the serial line, or nothing yet. */
bool boot_line(char *line, size_t size)
{
	static char buffer[128];
	static size_t used;
	struct pollfd in = { .fd = STDIN_FILENO, .events = POLLIN };
	char c;

	while (poll(&in, 1, 0) == 1 && read(STDIN_FILENO, &c, 1) == 1) {
		if (c == '\n' || c == '\r') {
			buffer[used] = 0;
			snprintf(line, size, "%s", buffer);
			used = 0;
			if (*line)
				return true;
		} else if (used < sizeof(buffer) - 1) {
			buffer[used++] = c;
		}
	}
	return false;
}

/* The first SCSI disk that shows up. */
int boot_disk(char *path, size_t size, unsigned int seconds)
{
	unsigned int i;

	for (i = 0; i < seconds * 20; i++) {
		DIR *dir = opendir("/sys/block");
		struct dirent *entry;

		while (dir && (entry = readdir(dir))) {
			if (strncmp(entry->d_name, "sd", 2))
				continue;
			snprintf(path, size, "/dev/%s", entry->d_name);
			closedir(dir);
			return 0;
		}
		if (dir)
			closedir(dir);
		usleep(50000);
	}
	return -1;
}

void boot_power_off(void)
{
	fflush(NULL);
	tcdrain(STDOUT_FILENO);
	sync();
	reboot(RB_POWER_OFF);
	for (;;)
		pause();
}
