/* SPDX-License-Identifier: GPL-2.0 */
/* LIO through configfs: backstores, and vhost targets over them. */
#ifndef VT_TARGET_H
#define VT_TARGET_H

#include <stdbool.h>
#include <stdint.h>

#include "disk.h"

#define TARGET_DIR "/sys/kernel/config/target"
#define VHOST_DIR TARGET_DIR "/vhost"

struct backstore {
	char hba[96];
	char dir[160];
	uint64_t blocks;	/* of 512 bytes */
};

/* Memory; with nullio it moves no data at all. */
struct backstore *backstore_ram(unsigned int mib, bool nullio);
/* A file of this size, made if it is not there. */
struct backstore *backstore_file(const char *path, unsigned int mib);
/* A block device. */
struct backstore *backstore_block(struct disk *d);
/* Commands that LIO has been given for it so far. */
unsigned long backstore_commands(struct backstore *b);
/* Sets attrib/NAME: 0 or -errno. */
int backstore_attr(struct backstore *b, const char *name, unsigned int value);

struct target {
	char wwpn[32];
	char dir[128];		/* of the WWN */
	char tpg[144];		/* of its one TPG */
	unsigned int tpgt;
};

/* WWN, TPG 1 and nexus under a name that nobody else has. */
struct target *target_open(void);
/* The same without a nexus, with this TPG number. */
struct target *target_open_bare(unsigned int tpgt);
/* One more TPG of the same WWN, with a nexus. */
struct target *target_add_tpg(struct target *t, unsigned int tpgt);
void target_close(struct target *t);
/* Path below the TPG; good until the next call. */
const char *target_path(struct target *t, const char *name);

int target_nexus(struct target *t, const char *initiator);
/* 0 or -errno. */
int target_lun_link(struct target *t, unsigned int lun, struct backstore *b);
int target_lun_unlink(struct target *t, unsigned int lun);
/* target_lun_link() that has to work. */
void target_lun(struct target *t, unsigned int lun, struct backstore *b);

/* Removes targets, backstores and disks of tests that were killed. */
void target_sweep(void);

#endif
