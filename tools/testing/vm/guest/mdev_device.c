// SPDX-License-Identifier: GPL-2.0
/*
 * The guest has no driver for the device: uio_pci_generic of its kernel delivers
 * INTx, and masks it in PCI_COMMAND until device_unmask().
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/pci_regs.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include "mdev_device.h"

#define FUNCTIONS	"/sys/bus/pci/devices"
#define ISA_BRIDGE	"0000:00:01.0"	/* PIIX3 */
#define PIRQ_ROUTES	0x60
#define DRIVER		"/sys/bus/pci/drivers/uio_pci_generic"

static int open_in(const struct device *device, const char *file, int flags)
{
	char path[128];

	snprintf(path, sizeof(path), FUNCTIONS "/%s/%s", device->name, file);
	return open(path, flags | O_CLOEXEC);
}

static unsigned int read_id(const struct device *device, const char *file)
{
	int fd = open_in(device, file, O_RDONLY);
	char text[16] = "";
	unsigned int id = 0;

	if (fd < 0)
		return 0;
	if (read(fd, text, sizeof(text) - 1) > 0)
		sscanf(text, "%x", &id);
	close(fd);
	return id;
}

static void *map_bar(const struct device *device, const char *file,
		     uint64_t bytes)
{
	int fd = open_in(device, file, O_RDWR);
	void *at;

	if (fd < 0)
		return NULL;
	at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return at == MAP_FAILED ? NULL : at;
}

/* Where a BAR is, and its size; one line for each in the file "resource". */
static uint64_t find_bar(const struct device *device, unsigned int bar,
			 uint64_t *start)
{
	unsigned long long first = 0, last = 0;
	char path[128], line[128];
	unsigned int i;
	FILE *file;

	snprintf(path, sizeof(path), FUNCTIONS "/%s/resource", device->name);
	file = fopen(path, "re");
	if (!file)
		return 0;
	for (i = 0; i <= bar && fgets(line, sizeof(line), file); i++)
		if (i == bar && sscanf(line, "%llx %llx", &first, &last) != 2)
			last = 0;
	fclose(file);
	*start = first;
	return last ? last - first + 1 : 0;
}

static int open_uio(const struct device *device)
{
	char path[128];
	struct dirent *entry;
	int fd = -1;
	DIR *dir;

	snprintf(path, sizeof(path), FUNCTIONS "/%s/uio", device->name);
	dir = opendir(path);
	while (dir && (entry = readdir(dir))) {
		if (strncmp(entry->d_name, "uio", 3))
			continue;
		snprintf(path, sizeof(path), "/dev/%.32s", entry->d_name);
		fd = open(path, O_RDWR | O_CLOEXEC | O_NONBLOCK);
	}
	if (dir)
		closedir(dir);
	return fd;
}

static int set_command(const struct device *device, uint16_t set, uint16_t clear)
{
	uint16_t command;

	if (pread(device->config, &command, 2, PCI_COMMAND) != 2)
		return -1;
	command = (command | set) & ~clear;
	return pwrite(device->config, &command, 2, PCI_COMMAND) == 2 ? 0 : -1;
}

void device_unmask(const struct device *device)
{
	set_command(device, 0, PCI_COMMAND_INTX_DISABLE);
}

void device_reroute(void)
{
	int fd = open(FUNCTIONS "/" ISA_BRIDGE "/config", O_RDWR | O_CLOEXEC);
	uint32_t routes;

	if (fd < 0)
		return;
	if (pread(fd, &routes, sizeof(routes), PIRQ_ROUTES) == sizeof(routes) &&
	    pwrite(fd, &routes, sizeof(routes), PIRQ_ROUTES) < 0)
		perror("NOTE " ISA_BRIDGE);
	close(fd);
}

uint32_t device_take_interrupts(struct device *device)
{
	uint32_t count, taken;

	if (read(device->uio, &count, sizeof(count)) != sizeof(count))
		return 0;
	taken = count - device->interrupts;
	device->interrupts = count;
	return taken;
}

static int set_up(struct device *device)
{
	uint64_t regs_at, regs_bytes = find_bar(device, 0, &regs_at);

	device->memory_bytes = find_bar(device, 2, &device->memory_dma);
	device->config = open_in(device, "config", O_RDWR);
	device->uio = open_uio(device);
	if (!regs_bytes || !device->memory_bytes || device->config < 0 ||
	    device->uio < 0)
		return -1;
	device->regs = map_bar(device, "resource0", regs_bytes);
	device->memory = map_bar(device, "resource2", device->memory_bytes);
	if (!device->regs || !device->memory)
		return -1;
	return set_command(device, PCI_COMMAND_MEMORY | PCI_COMMAND_MASTER,
			   PCI_COMMAND_INTX_DISABLE);
}

static int bind_driver(uint16_t vendor, uint16_t id)
{
	int fd = open(DRIVER "/new_id", O_WRONLY | O_CLOEXEC);
	char text[16];
	int size = snprintf(text, sizeof(text), "%04x %04x", vendor, id);
	int ret;

	if (fd < 0)
		return -1;
	ret = write(fd, text, size) == size || errno == EEXIST ? 0 : -1;
	close(fd);
	return ret;
}

int device_find(uint16_t vendor, uint16_t id, struct device *devices,
		unsigned int most)
{
	unsigned int count = 0;
	struct dirent *entry;
	DIR *dir;

	if (bind_driver(vendor, id))
		return -1;
	dir = opendir(FUNCTIONS);
	if (!dir)
		return -1;
	while (count < most && (entry = readdir(dir))) {
		struct device *device = &devices[count];

		if (entry->d_name[0] == '.')
			continue;
		memset(device, 0, sizeof(*device));
		snprintf(device->name, sizeof(device->name), "%.31s",
			 entry->d_name);
		if (read_id(device, "vendor") != vendor ||
		    read_id(device, "device") != id)
			continue;
		if (set_up(device)) {
			closedir(dir);
			return -1;
		}
		count++;
	}
	closedir(dir);
	return count;
}
