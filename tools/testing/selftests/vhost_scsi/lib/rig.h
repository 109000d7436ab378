/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What most tests begin with: a disk, a backstore, a target with LUN 0, and a
 * device that is started on it; and the macros that a test's last lines use.
 */
#ifndef VT_RIG_H
#define VT_RIG_H

#include "device.h"
#include "disk.h"
#include "scsi.h"
#include "target.h"
#include "util.h"

/*
 * An emulated machine with a debug kernel needs a while to load the modules of
 * the first test; whatever hangs is bounded all the same.
 */
#ifdef TEST_TIMEOUT_DEFAULT
#undef TEST_TIMEOUT_DEFAULT
#define TEST_TIMEOUT_DEFAULT 90
#endif

enum rig_kind {
	RIG_RAM,	/* rd_mcp */
	RIG_NULL,	/* rd_mcp that moves no data */
	RIG_DISK,	/* iblock over a RAM disk, filled with seed 0 */
	RIG_GATE,	/* the same behind a gate */
	RIG_SLOW,	/* a RAM disk that completes after slow_ms */
	RIG_DELAY,	/* a RAM disk behind dm-delay of slow_ms */
};

struct rig_opts {
	enum rig_kind kind;
	struct device_opts dev;
	unsigned int slow_ms;		/* default 1000 */
	unsigned int mib;		/* of the disk, default 16 */
	bool cache;			/* of the RAM disk */
	bool stopped;			/* leave the endpoint to the test */
};

struct rig {
	struct disk *ram;	/* NULL with rd_mcp */
	struct disk *top;	/* what the backstore uses */
	struct backstore *bs;
	struct target *t;
	struct device d;
	unsigned long commands;	/* that LIO had seen at the last rig_mark() */
};

void rig_up(struct rig *rig, const struct rig_opts *opts);
/* Calls rig_up() with these fields set, the rest at their defaults. */
#define RIG_UP(rig, ...) rig_up(rig, &(struct rig_opts){ __VA_ARGS__ })

/* n READs of 8 blocks each at LBA 0, 8, 16 ...; available, kicked once. */
struct req **rig_reads(struct rig *rig, unsigned int q, unsigned int n);
struct req **rig_writes(struct rig *rig, unsigned int q, unsigned int n, unsigned int seed);
/* How many of them are not back exactly once and GOOD. */
unsigned int reqs_not_good(struct req **r, unsigned int n);
unsigned int reqs_returned(struct req **r, unsigned int n);
/* Waits until LIO has been given n commands since rig_mark() or rig_up(). */
bool rig_submitted(struct rig *rig, unsigned int n);
void rig_mark(struct rig *rig);

/* A stopped ring has used all that it fetched (G1). */
#define EXPECT_RING_SETTLED(d, nr) do {						\
	vring_reap(&(d)->q[nr]);						\
	EXPECT_EQ(device_get_ring_base(d, nr), (d)->q[nr].used_seen);		\
	EXPECT_EQ(0, (d)->q[nr].strangers);					\
} while (0)

#define EXPECT_GOOD(r) EXPECT_EQ(0, req_not_good(r))
#define ASSERT_RUNS(r, q) ASSERT_TRUE(req_run(r, q))

#define EXPECT_SENSE(r, key, asc) do {						\
	EXPECT_EQ(VIRTIO_SCSI_S_OK, (r)->resp->response);			\
	EXPECT_EQ(SAM_CHECK_CONDITION, (r)->resp->status);			\
	EXPECT_EQ(key, req_sense_key(r));					\
	EXPECT_EQ(asc, req_sense_asc(r));					\
} while (0)

#endif
