// SPDX-License-Identifier: GPL-2.0
/*
 * G10: guest memory may be a file. A page that was written back while a READ
 * was still filling it has to be dirty again when it is let go, or reclaim
 * throws the data away.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>

#include "kselftest_harness.h"
#include "rig.h"

#define MEM_SIZE (24ul << 20)

FIXTURE(pages)
{
	struct rig rig;
	struct device *d;
	char *dir;
	int fd;
};

/* How the data buffer lies, which decides how it is filled. */
FIXTURE_VARIANT(pages)
{
	unsigned int blocks;
	unsigned int offset;
};

FIXTURE_VARIANT_ADD(pages, aligned)
{
	.blocks = 8,
};

FIXTURE_VARIANT_ADD(pages, large)
{
	.blocks = 2000,
};

FIXTURE_VARIANT_ADD(pages, misaligned)
{
	.blocks = 16, .offset = 3,
};

static void fs_undo(void *arg)
{
	umount2(arg, MNT_DETACH);
	rmdir(arg);
}

static char *fs_make(void)
{
	struct disk *d = disk_ram(&(struct disk_ram_opts){ .mib = 64 });
	char *dir = vt_str("/tmp/%s", d->name);

	module_need("ext4", NULL);
	if (system(vt_str("mkfs.ext4 -q -F -O ^has_journal %s", d->path)))
		vt_skip("mkfs.ext4 is not there or fails");
	mkdir(dir, 0755);
	if (mount(d->path, dir, "ext4", 0, NULL))
		vt_skip("cannot mount ext4: %s", strerror(errno));
	undo_push(fs_undo, dir);
	return dir;
}

FIXTURE_SETUP(pages)
{
	self->dir = fs_make();
	self->fd = open(vt_str("%s/memory", self->dir), O_RDWR | O_CREAT, 0600);
	ASSERT_LE(0, self->fd);
	ASSERT_EQ(0, posix_fallocate(self->fd, 0, MEM_SIZE));
	RIG_UP(&self->rig, .kind = RIG_GATE,
	       .dev = { .mem = MEM_SIZE, .mem_file = true, .mem_fd = self->fd });
	self->d = &self->rig.d;
	close(self->fd);
}

FIXTURE_TEARDOWN(pages)
{
	undo_all();
}

/* Unmaps guest memory, drops it from the page cache, maps what the file has. */
static void memory_from_disk(struct guest *g)
{
	msync(g->mem, g->size, MS_SYNC);
	munmap(g->mem, g->size);
	fsync(g->fd);
	file_set("/proc/sys/vm/drop_caches", "3");
	posix_fadvise(g->fd, 0, 0, POSIX_FADV_DONTNEED);
	if (mmap(g->mem, g->size, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_FIXED,
		 g->fd, 0) == MAP_FAILED)
		vt_fatal("mmap: %s", strerror(errno));
}

TEST_F(pages, data_survives_writeback_during_the_read)
{
	struct req *r = req_read(self->d, 8, variant->blocks);
	struct guest *g = &self->d->guest;

	if (variant->offset)
		req_misalign(r, variant->offset);
	req_poison(r);
	disk_hold(self->rig.top);
	req_send(r, Q_IO);
	ASSERT_TRUE(rig_submitted(&self->rig, 1));
	ASSERT_EQ(0, msync(g->mem, g->size, MS_SYNC));
	ASSERT_EQ(0, sync_file_range(g->fd, 0, 0, SYNC_FILE_RANGE_WAIT_BEFORE |
				     SYNC_FILE_RANGE_WRITE | SYNC_FILE_RANGE_WAIT_AFTER));
	disk_let_go(self->rig.top);
	ASSERT_TRUE(req_wait(r, WAIT_MS));
	ASSERT_EQ(0, device_stop(self->d));
	memory_from_disk(g);
	EXPECT_EQ(0, pattern_diff(r->data_in, 8, variant->blocks, 0));
	EXPECT_EQ(0, r->resp->response);
	EXPECT_EQ(0, r->resp->status);
}

TEST_F(pages, used_len_is_what_was_written)
{
	struct req *r = req_read(self->d, 8, variant->blocks);

	if (variant->offset)
		req_misalign(r, variant->offset);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_EQ(RESP_LEN + variant->blocks * 512, r->out_come.len);
}

/* Data out is only read: its pages are not made dirty by the device. */
TEST_F(pages, write_reads_memory_that_is_on_disk_only)
{
	struct req *r = req_write(self->d, 8, variant->blocks, 4);
	uint8_t *disk = vt_zalloc(variant->blocks * 512);

	if (variant->offset)
		req_misalign(r, variant->offset);
	memory_from_disk(&self->d->guest);
	ASSERT_RUNS(r, Q_IO);
	EXPECT_GOOD(r);
	disk_read(self->rig.ram, 8, disk, variant->blocks * 512);
	EXPECT_EQ(0, pattern_diff(disk, 8, variant->blocks, 4));
}

TEST_HARNESS_MAIN
