// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/dm-ioctl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "disk.h"
#include "util.h"

#define NULLB_DIR "/sys/kernel/config/nullb"
#define DM_CONTROL "/dev/mapper/control"
#define NAME_PREFIX "vt"

/* Made by a test: the suite's programs run one at a time. */
static bool is_ours(const char *name)
{
	unsigned int serial;
	int pid;

	return sscanf(name, NAME_PREFIX "%d_%u", &pid, &serial) == 2;
}

static struct disk *disk_alloc(uint64_t sectors)
{
	struct disk *d = vt_zalloc(sizeof(*d));

	snprintf(d->name, sizeof(d->name), NAME_PREFIX "%d_%u", getpid(), vt_serial());
	d->sectors = sectors;
	return d;
}

/* There is no udev: make the node where devtmpfs has none. */
static void disk_node(struct disk *d, const char *kname)
{
	unsigned int major, minor;
	char path[96], dev[32];

	snprintf(d->sys, sizeof(d->sys), "/sys/block/%.40s", kname);
	snprintf(d->path, sizeof(d->path), "/dev/%.40s", kname);
	if (file_exists(d->path))
		return;
	snprintf(path, sizeof(path), "%s/dev", d->sys);
	if (file_get(path, dev, sizeof(dev)) < 0 ||
	    sscanf(dev, "%u:%u", &major, &minor) != 2 ||
	    mknod(d->path, S_IFBLK | 0600, makedev(major, minor)))
		vt_fatal("no device node for %s", kname);
}

static void nullb_undo(void *arg)
{
	struct disk *d = arg;
	char dir[128];

	snprintf(dir, sizeof(dir), NULLB_DIR "/%s", d->name);
	if (rmdir(dir))
		vt_note("cannot remove %s: %s", dir, strerror(errno));
}

static void nullb_set(struct disk *d, const char *attr, unsigned long value)
{
	char path[128];

	snprintf(path, sizeof(path), NULLB_DIR "/%s/%s", d->name, attr);
	file_set(path, "%lu", value);
}

struct disk *disk_ram(const struct disk_ram_opts *opts)
{
	unsigned int mib = opts && opts->mib ? opts->mib : 16;
	struct disk *d = disk_alloc(mib * 2048ull);
	char dir[128];

	module_need("null_blk", "nr_devices=0");
	snprintf(dir, sizeof(dir), NULLB_DIR "/%s", d->name);
	if (mkdir(dir, 0755))
		vt_fatal("%s: %s", dir, strerror(errno));
	undo_push(nullb_undo, d);
	nullb_set(d, "size", mib);
	nullb_set(d, "memory_backed", 1);
	nullb_set(d, "queue_mode", 2);
	nullb_set(d, "submit_queues", 1);
	nullb_set(d, "hw_queue_depth", 1024);
	nullb_set(d, "irqmode", 0);
	if (opts && opts->completion_ms) {
		nullb_set(d, "irqmode", 2);
		nullb_set(d, "completion_nsec", opts->completion_ms * 1000000ul);
	}
	if (opts && opts->cache)
		nullb_set(d, "cache_size", 1);
	nullb_set(d, "power", 1);
	disk_node(d, d->name);
	return d;
}

static int dm_ioctl(unsigned long nr, const char *name, struct dm_ioctl *io, size_t size)
{
	int fd, ret = 0;

	io->version[0] = DM_VERSION_MAJOR;
	io->data_size = size;
	io->data_start = sizeof(*io);
	if (name)
		snprintf(io->name, sizeof(io->name), "%s", name);
	fd = open(DM_CONTROL, O_RDWR | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (ioctl(fd, nr, io))
		ret = -errno;
	close(fd);
	return ret;
}

static int dm_simple(unsigned long nr, const char *name, uint32_t flags)
{
	struct dm_ioctl io = { .flags = flags };

	return dm_ioctl(nr, name, &io, sizeof(io));
}

static void dm_undo(void *arg)
{
	struct disk *d = arg;
	int ret = -EBUSY;

	disk_let_go(d);
	vt_until((ret = dm_simple(DM_DEV_REMOVE, d->name, 0)) != -EBUSY, 5000);
	if (ret)
		vt_note("cannot remove dm device %s: %s", d->name, strerror(-ret));
}

static void dm_need(void)
{
	module_need("dm_mod", NULL);
	if (!file_exists(DM_CONTROL)) {
		char dev[32];
		unsigned int major, minor;

		mkdir("/dev/mapper", 0755);
		if (file_get("/sys/class/misc/device-mapper/dev", dev, sizeof(dev)) < 0 ||
		    sscanf(dev, "%u:%u", &major, &minor) != 2 ||
		    mknod(DM_CONTROL, S_IFCHR | 0600, makedev(major, minor)))
			vt_skip("no device-mapper control node");
	}
}

static struct disk *disk_dm(struct disk *below, const char *type, const char *args)
{
	struct disk *d = disk_alloc(below->sectors);
	struct {
		struct dm_ioctl io;
		struct dm_target_spec spec;
		char args[256];
	} load = { .io.target_count = 1, .spec.length = below->sectors };
	struct dm_ioctl io = { 0 };
	char kname[32];
	int ret;

	dm_need();
	d->below = below;
	ret = dm_ioctl(DM_DEV_CREATE, d->name, &io, sizeof(io));
	if (ret)
		vt_fatal("dm create %s: %s", d->name, strerror(-ret));
	undo_push(dm_undo, d);
	snprintf(kname, sizeof(kname), "dm-%u", minor(io.dev));

	snprintf(load.spec.target_type, sizeof(load.spec.target_type), "%s", type);
	snprintf(load.args, sizeof(load.args), "%s", args);
	ret = dm_ioctl(DM_TABLE_LOAD, d->name, &load.io, sizeof(load));
	if (!ret)
		ret = dm_simple(DM_DEV_SUSPEND, d->name, 0);
	if (ret == -EINVAL)
		vt_skip("the kernel lacks the device-mapper target %s", type);
	if (ret)
		vt_fatal("dm table %s: %s", type, strerror(-ret));
	disk_node(d, kname);
	return d;
}

struct disk *disk_gate(struct disk *below)
{
	return disk_dm(below, "linear", vt_str("%s 0", below->path));
}

struct disk *disk_delay(struct disk *below, unsigned int read_ms, unsigned int write_ms)
{
	module_need("dm_delay", NULL);
	return disk_dm(below, "delay",
		       vt_str("%s 0 %u %s 0 %u", below->path, read_ms,
			      below->path, write_ms));
}

struct disk *disk_error(struct disk *below)
{
	return disk_dm(below, "error", "");
}

void disk_hold(struct disk *d)
{
	int ret = dm_simple(DM_DEV_SUSPEND, d->name,
			    DM_SUSPEND_FLAG | DM_NOFLUSH_FLAG | DM_SKIP_LOCKFS_FLAG);

	if (ret)
		vt_fatal("dm suspend: %s", strerror(-ret));
	d->held = true;
	/* Whatever else happens, it is let go before anything waits for it. */
	undo_push((undo_fn)disk_let_go, d);
}

void disk_let_go(struct disk *d)
{
	if (!d->held)
		return;
	d->held = false;
	dm_simple(DM_DEV_SUSPEND, d->name, 0);
}

void disk_hurry(struct disk *d)
{
	/* dm-delay sends everything down before it suspends. */
	dm_simple(DM_DEV_SUSPEND, d->name, DM_SUSPEND_FLAG | DM_SKIP_LOCKFS_FLAG);
	dm_simple(DM_DEV_SUSPEND, d->name, 0);
}

static void scsi_debug_undo(void *arg)
{
	(void)arg;
	if (!vt_until(!system("rmmod scsi_debug 2>/dev/null"), 5000))
		vt_note("cannot unload scsi_debug");
}

struct disk *disk_scsi_debug(const char *params)
{
	const char *dir = "/sys/bus/pseudo/drivers/scsi_debug/adapter0";
	char cmd[256], name[64] = "", path[128], value[32];
	struct disk *d = disk_alloc(0);
	FILE *f;

	module_need("sd_mod", NULL);
	if (module_loaded("scsi_debug"))
		scsi_debug_undo(NULL);
	module_need("scsi_debug", params);
	undo_push(scsi_debug_undo, NULL);
	snprintf(cmd, sizeof(cmd),
		 "ls %s/host*/target*/*:0:0:0/block 2>/dev/null", dir);
	for (int i = 0; i < 50 && !name[0]; i++, vt_sleep_ms(100)) {
		f = popen(cmd, "r");
		if (f && fscanf(f, "%63s", name) != 1)
			name[0] = '\0';
		if (f)
			pclose(f);
	}
	if (!name[0])
		vt_skip("scsi_debug made no disk (is sd_mod there?)");
	disk_node(d, name);
	snprintf(path, sizeof(path), "%s/size", d->sys);
	file_get(path, value, sizeof(value));
	d->sectors = strtoull(value, NULL, 10);
	return d;
}

static void disk_io(struct disk *d, uint64_t lba, void *buf, size_t len, bool write)
{
	int fd = open(d->path, (write ? O_WRONLY : O_RDONLY) | O_DIRECT | O_CLOEXEC);
	void *bounce = NULL;
	ssize_t n = -1;

	if (posix_memalign(&bounce, 4096, len))
		vt_fatal("out of memory");
	if (write)
		memcpy(bounce, buf, len);
	if (fd >= 0)
		n = write ? pwrite(fd, bounce, len, lba * 512) :
			    pread(fd, bounce, len, lba * 512);
	if (n != (ssize_t)len)
		vt_fatal("%s %s: %s", write ? "write to" : "read of", d->path,
			 strerror(errno));
	if (!write)
		memcpy(buf, bounce, len);
	close(fd);
	free(bounce);
}

void disk_read(struct disk *d, uint64_t lba, void *buf, size_t len)
{
	disk_io(d, lba, buf, len, false);
}

void disk_write(struct disk *d, uint64_t lba, const void *buf, size_t len)
{
	disk_io(d, lba, (void *)buf, len, true);
}

void disk_fill(struct disk *d, uint64_t lba, unsigned int blocks, unsigned int seed)
{
	void *buf = malloc(blocks * 512ul);

	if (!buf)
		vt_fatal("out of memory");
	pattern_fill(buf, lba, blocks, seed);
	disk_write(d, lba, buf, blocks * 512ul);
	free(buf);
}

unsigned long disk_flushes(struct disk *d)
{
	unsigned long v[17] = { 0 };
	char path[128], buf[512], *p = buf;
	int i;

	snprintf(path, sizeof(path), "%s/stat", d->sys);
	if (file_get(path, buf, sizeof(buf)) < 0)
		vt_fatal("no %s", path);
	for (i = 0; i < 17; i++)
		v[i] = strtoul(p, &p, 10);
	return v[15];
}

void pattern_fill(void *buf, uint64_t lba, unsigned int blocks, unsigned int seed)
{
	uint64_t *w = buf;
	unsigned int i, k;

	for (i = 0; i < blocks; i++)
		for (k = 0; k < 64; k++)
			*w++ = ((lba + i) << 32) + ((uint64_t)seed << 8) + k + 1;
}

size_t pattern_diff(const void *buf, uint64_t lba, unsigned int blocks, unsigned int seed)
{
	const uint8_t *b = buf;
	size_t diff = 0, i;
	uint8_t want[512];
	unsigned int k;

	for (k = 0; k < blocks; k++, b += 512) {
		pattern_fill(want, lba + k, 1, seed);
		for (i = 0; i < 512; i++)
			diff += b[i] != want[i];
	}
	return diff;
}

static void dm_sweep(void)
{
	struct {
		struct dm_ioctl io;
		char data[16384];
	} list = { 0 };
	struct dm_name_list *n = (void *)list.data;

	if (dm_ioctl(DM_LIST_DEVICES, NULL, &list.io, sizeof(list)) || !n->dev)
		return;
	for (;;) {
		if (is_ours(n->name)) {
			dm_simple(DM_DEV_SUSPEND, n->name, 0);
			vt_until(dm_simple(DM_DEV_REMOVE, n->name, 0) != -EBUSY, 2000);
		}
		if (!n->next)
			break;
		n = (void *)((char *)n + n->next);
	}
}

static void nullb_sweep(void)
{
	DIR *dir = opendir(NULLB_DIR);
	struct dirent *e;
	char path[300];

	while (dir && (e = readdir(dir))) {
		if (!is_ours(e->d_name))
			continue;
		snprintf(path, sizeof(path), NULLB_DIR "/%s", e->d_name);
		rmdir(path);
	}
	if (dir)
		closedir(dir);
}

void disk_sweep(void)
{
	dm_sweep();
	nullb_sweep();
}
