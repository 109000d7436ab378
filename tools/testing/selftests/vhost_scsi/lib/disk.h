/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Block devices to put under a backstore: RAM disks that can be looked at
 * from outside, and device-mapper layers that delay, hold or fail requests.
 */
#ifndef VT_DISK_H
#define VT_DISK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct disk {
	char name[32];
	char path[64];		/* device node */
	char sys[64];		/* directory under /sys/block */
	uint64_t sectors;
	struct disk *below;
	bool held;
};

struct disk_ram_opts {
	unsigned int mib;		/* default 16 */
	unsigned int completion_ms;	/* 0: completes at once */
	bool cache;			/* reports a volatile write cache */
};

/* null_blk that keeps what is written. With completion_ms it answers late. */
struct disk *disk_ram(const struct disk_ram_opts *opts);

/*
 * A linear mapping that can be shut: while it is held nothing reaches the disk
 * below and nothing completes; when it is let go, everything goes on.
 */
struct disk *disk_gate(struct disk *below);
void disk_hold(struct disk *d);
void disk_let_go(struct disk *d);

/* dm-delay: reaches the disk below this late. */
struct disk *disk_delay(struct disk *below, unsigned int read_ms, unsigned int write_ms);
/* Sends what dm-delay keeps on its way at once. */
void disk_hurry(struct disk *d);

/* Every request fails: dm-error. */
struct disk *disk_error(struct disk *below);

/* scsi_debug; loads the module anew with these parameters: one at a time. */
struct disk *disk_scsi_debug(const char *params);

/* Bypassing the page cache. */
void disk_read(struct disk *d, uint64_t lba, void *buf, size_t len);
void disk_write(struct disk *d, uint64_t lba, const void *buf, size_t len);
/* Every sector holds pattern_fill() of its number and this seed. */
void disk_fill(struct disk *d, uint64_t lba, unsigned int blocks, unsigned int seed);

/* Flush requests completed so far (/sys/block/X/stat). */
unsigned long disk_flushes(struct disk *d);

void pattern_fill(void *buf, uint64_t lba, unsigned int blocks, unsigned int seed);
/* Bytes that differ from pattern_fill(). */
size_t pattern_diff(const void *buf, uint64_t lba, unsigned int blocks, unsigned int seed);

/* Removes what tests that were killed left behind. */
void disk_sweep(void);

#endif
