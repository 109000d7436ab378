// SPDX-License-Identifier: GPL-2.0
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "target.h"
#include "util.h"

#define CORE_DIR TARGET_DIR "/core"
#define WWPN_PREFIX "naa.5001405"
#define HBA_PER_PID 1000u

static void backstore_undo(void *arg)
{
	struct backstore *b = arg;

	if (rmdir(b->dir))
		vt_note("cannot remove %s: %s", b->dir, strerror(errno));
	rmdir(b->hba);
}

static struct backstore *backstore_open(const char *type, const char *control,
					uint64_t blocks)
{
	struct backstore *b = vt_zalloc(sizeof(*b));
	unsigned int serial = vt_serial();
	char path[256];

	b->blocks = blocks;
	snprintf(b->hba, sizeof(b->hba), CORE_DIR "/%s_%u", type,
		 getpid() * HBA_PER_PID + serial % HBA_PER_PID);
	snprintf(b->dir, sizeof(b->dir), "%s/vt%d_%u", b->hba, getpid(), serial);
	if (mkdir(b->hba, 0755))
		vt_fatal("%s: %s", b->hba, strerror(errno));
	if (mkdir(b->dir, 0755)) {
		rmdir(b->hba);
		vt_fatal("%s: %s", b->dir, strerror(errno));
	}
	undo_push(backstore_undo, b);
	snprintf(path, sizeof(path), "%s/control", b->dir);
	file_set(path, "%s", control);
	snprintf(path, sizeof(path), "%s/enable", b->dir);
	file_set(path, "1");
	snprintf(path, sizeof(path), "%s/wwn/vpd_unit_serial", b->dir);
	file_put(path, "vt-%d-%u", getpid(), serial);
	return b;
}

struct backstore *backstore_ram(unsigned int mib, bool nullio)
{
	return backstore_open("rd_mcp", vt_str("rd_pages=%u%s", mib * 256,
					       nullio ? ",rd_nullio=1" : ""),
			      mib * 2048ull);
}

struct backstore *backstore_file(const char *path, unsigned int mib)
{
	module_need("target_core_file", NULL);
	return backstore_open("fileio",
			      vt_str("fd_dev_name=%s,fd_dev_size=%u", path, mib << 20),
			      mib * 2048ull);
}

struct backstore *backstore_block(struct disk *d)
{
	module_need("target_core_iblock", NULL);
	return backstore_open("iblock", vt_str("udev_path=%s", d->path), d->sectors);
}

int backstore_attr(struct backstore *b, const char *name, unsigned int value)
{
	char path[256];

	snprintf(path, sizeof(path), "%s/attrib/%s", b->dir, name);
	return file_put(path, "%u", value);
}

unsigned long backstore_commands(struct backstore *b)
{
	char path[256], value[32];

	snprintf(path, sizeof(path), "%s/statistics/scsi_lu/num_cmds", b->dir);
	if (file_get(path, value, sizeof(value)) <= 0)
		vt_fatal("no %s", path);
	return strtoul(value, NULL, 10);
}

const char *target_path(struct target *t, const char *name)
{
	static char path[400];

	snprintf(path, sizeof(path), "%s/%s", t->tpg, name);
	return path;
}

static void tpg_remove(const char *tpg)
{
	char dir[512], path[1024];
	struct dirent *e, *l;
	DIR *luns, *lun;

	snprintf(dir, sizeof(dir), "%s/lun", tpg);
	luns = opendir(dir);
	while (luns && (e = readdir(luns))) {
		if (strncmp(e->d_name, "lun_", 4))
			continue;
		snprintf(dir, sizeof(dir), "%s/lun/%.40s", tpg, e->d_name);
		lun = opendir(dir);
		while (lun && (l = readdir(lun))) {
			if (l->d_type != DT_LNK)
				continue;
			snprintf(path, sizeof(path), "%s/%.200s", dir, l->d_name);
			unlink(path);
		}
		if (lun)
			closedir(lun);
		rmdir(dir);
	}
	if (luns)
		closedir(luns);
	snprintf(path, sizeof(path), "%s/nexus", tpg);
	file_put(path, "NULL");
	/* A device that is being closed lets go of it a moment later. */
	if (!vt_until(!rmdir(tpg) || errno == ENOENT, 5000))
		vt_note("cannot remove %s: %s", tpg, strerror(errno));
}

static void target_undo(void *arg)
{
	target_close(arg);
}

void target_close(struct target *t)
{
	if (!t->dir[0])
		return;
	tpg_remove(t->tpg);
	/* Fails while another TPG of it is there, whose turn comes. */
	rmdir(t->dir);
	t->dir[0] = '\0';
}

static void tpg_make(struct target *t)
{
	snprintf(t->tpg, sizeof(t->tpg), "%s/tpgt_%u", t->dir, t->tpgt);
	undo_push(target_undo, t);
	if (mkdir(t->tpg, 0755))
		vt_fatal("%s: %s", t->tpg, strerror(errno));
}

struct target *target_open_bare(unsigned int tpgt)
{
	struct target *t = vt_zalloc(sizeof(*t));

	t->tpgt = tpgt;
	snprintf(t->wwpn, sizeof(t->wwpn), WWPN_PREFIX "%06x%03x",
		 getpid() & 0xffffff, vt_serial() & 0xfff);
	snprintf(t->dir, sizeof(t->dir), VHOST_DIR "/%s", t->wwpn);
	if (!file_exists(VHOST_DIR) && mkdir(VHOST_DIR, 0755))
		vt_fatal("%s: %s (is vhost_scsi loaded?)", VHOST_DIR, strerror(errno));
	if (mkdir(t->dir, 0755))
		vt_fatal("%s: %s", t->dir, strerror(errno));
	tpg_make(t);
	return t;
}

static void target_default_nexus(struct target *t)
{
	char *initiator = vt_str("%s", t->wwpn);

	/* naa.5001405... is the port, naa.6001405... the guest behind it. */
	initiator[4] = '6';
	if (target_nexus(t, initiator))
		vt_fatal("cannot make the nexus of %s", t->wwpn);
}

struct target *target_open(void)
{
	struct target *t = target_open_bare(1);

	target_default_nexus(t);
	return t;
}

struct target *target_add_tpg(struct target *t, unsigned int tpgt)
{
	struct target *n = vt_zalloc(sizeof(*n));

	*n = *t;
	n->tpgt = tpgt;
	tpg_make(n);
	target_default_nexus(n);
	return n;
}

int target_nexus(struct target *t, const char *initiator)
{
	return file_put(target_path(t, "nexus"), "%s", initiator);
}

int target_lun_link(struct target *t, unsigned int lun, struct backstore *b)
{
	char dir[256], path[300];

	snprintf(dir, sizeof(dir), "%s/lun/lun_%u", t->tpg, lun);
	if (mkdir(dir, 0755))
		return -errno;
	snprintf(path, sizeof(path), "%s/disk", dir);
	if (symlink(b->dir, path)) {
		int ret = -errno;

		rmdir(dir);
		return ret;
	}
	return 0;
}

int target_lun_unlink(struct target *t, unsigned int lun)
{
	char path[300];

	snprintf(path, sizeof(path), "%s/lun/lun_%u/disk", t->tpg, lun);
	if (unlink(path))
		return -errno;
	snprintf(path, sizeof(path), "%s/lun/lun_%u", t->tpg, lun);
	return rmdir(path) ? -errno : 0;
}

struct lun_link {
	struct target *t;
	unsigned int lun;
};

static void lun_undo(void *arg)
{
	struct lun_link *l = arg;

	/* The test, or the target's end, may have been quicker. */
	target_lun_unlink(l->t, l->lun);
}

void target_lun(struct target *t, unsigned int lun, struct backstore *b)
{
	struct lun_link *l = vt_zalloc(sizeof(*l));
	int ret = target_lun_link(t, lun, b);

	if (ret)
		vt_fatal("LUN %u of %s: %s", lun, t->wwpn, strerror(-ret));
	*l = (struct lun_link){ t, lun };
	undo_push(lun_undo, l);
}

static void target_sweep_wwns(void)
{
	char dir[400], tpg[800];
	struct dirent *e, *p;
	DIR *wwns, *tpgs;

	wwns = opendir(VHOST_DIR);
	while (wwns && (e = readdir(wwns))) {
		if (strncmp(e->d_name, WWPN_PREFIX, strlen(WWPN_PREFIX)))
			continue;
		snprintf(dir, sizeof(dir), VHOST_DIR "/%.200s", e->d_name);
		tpgs = opendir(dir);
		while (tpgs && (p = readdir(tpgs))) {
			if (strncmp(p->d_name, "tpgt_", 5))
				continue;
			snprintf(tpg, sizeof(tpg), "%s/%.40s", dir, p->d_name);
			tpg_remove(tpg);
		}
		if (tpgs)
			closedir(tpgs);
		rmdir(dir);
	}
	if (wwns)
		closedir(wwns);
}

static void target_sweep_backstores(void)
{
	DIR *core = opendir(CORE_DIR), *hba;
	char dir[400], dev[800];
	struct dirent *e, *d;
	int pid, serial;

	while (core && (e = readdir(core))) {
		snprintf(dir, sizeof(dir), CORE_DIR "/%.200s", e->d_name);
		hba = opendir(dir);
		while (hba && (d = readdir(hba))) {
			if (sscanf(d->d_name, "vt%d_%d", &pid, &serial) != 2)
				continue;
			snprintf(dev, sizeof(dev), "%s/%.200s", dir, d->d_name);
			rmdir(dev);
			rmdir(dir);
		}
		if (hba)
			closedir(hba);
	}
	if (core)
		closedir(core);
}

void target_sweep(void)
{
	/*
	 * Disks first, so that what hangs on a held one ends; then what uses
	 * them; then the disks that were in use.
	 */
	disk_sweep();
	target_sweep_wwns();
	target_sweep_backstores();
	disk_sweep();
	/* The fabric's own directory keeps the module loaded. */
	if (rmdir(VHOST_DIR) && errno != ENOENT)
		vt_note("cannot remove %s: %s", VHOST_DIR, strerror(errno));
}
