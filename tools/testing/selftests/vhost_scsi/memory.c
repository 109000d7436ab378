// SPDX-License-Identifier: GPL-2.0
/* Kernel memory that an endpoint takes, and that it gives all of it back. */
#include <errno.h>
#include <unistd.h>

#include "kmem.h"
#include "kselftest_harness.h"
#include "rig.h"

#define KIB 1024l
#define CYCLES 5
/* Slabs that the rest of the system takes and returns meanwhile. */
#define NOISE (32 * KIB)

FIXTURE(memory)
{
	struct rig rig;
};

FIXTURE_SETUP(memory)
{
	/* Its structures are larger, and KASAN keeps what was freed. */
	if (file_exists("/sys/kernel/debug/kmemleak"))
		vt_skip("not on a debug kernel");
	RIG_UP(&self->rig, .kind = RIG_NULL, .stopped = true);
}

FIXTURE_TEARDOWN(memory)
{
	undo_all();
}

static int by_value(const void *a, const void *b)
{
	const long *x = a, *y = b;

	return *x < *y ? -1 : *x > *y;
}

/* Median of what SET_ENDPOINT takes with these rings. */
static long taken(struct rig *rig, unsigned int io_queues, unsigned int num)
{
	struct device d;
	long v[CYCLES];

	device_open(&d, &(struct device_opts){ .io_queues = io_queues, .num = num });
	/* The first start fills caches that stay. */
	if (device_start(&d, rig->t->wwpn) || device_stop(&d))
		vt_fatal("start and stop do not work");
	for (unsigned int i = 0; i < CYCLES; i++) {
		long before = kmem_used();

		if (device_start(&d, NULL))
			vt_fatal("SET_ENDPOINT failed");
		v[i] = kmem_used() - before;
		device_stop(&d);
	}
	device_close(&d);
	qsort(v, CYCLES, sizeof(v[0]), by_value);
	vt_note("%u I/O queues of %u: %ld KiB", io_queues, num, v[CYCLES / 2] / KIB);
	return v[CYCLES / 2];
}

TEST_F(memory, of_one_queue_of_128_is_at_most_256_kib)
{
	long n = taken(&self->rig, 1, 128);

	EXPECT_LT(0, n);
	EXPECT_GE(256 * KIB, n);
}

TEST_F(memory, of_each_further_queue_of_128_is_at_most_256_kib)
{
	EXPECT_GE(7 * 256 * KIB, taken(&self->rig, 8, 128) - taken(&self->rig, 1, 128));
}

/* By what is in the ring, not by a worst case: 4 times the ring, 4 times that. */
TEST_F(memory, grows_with_the_ring)
{
	long small = taken(&self->rig, 4, 64), large = taken(&self->rig, 4, 256);

	EXPECT_LT(2 * small, large);
	EXPECT_GT(4 * small + 4 * NOISE, large);
}

/* Twenty times it takes; what is left is less than once. */
#define TIMES 20
#define EXPECT_RETURNED(before) EXPECT_GT(128 * KIB, kmem_kept(before))

/* What others hold for a moment goes; what was lost stays. */
static long kmem_kept(long before)
{
	long kept;

	for (int i = 0; i < 50; i++) {
		kept = kmem_used() - before;
		if (kept < 128 * KIB)
			break;
		vt_sleep_ms(100);
	}
	return kept;
}

TEST_F(memory, is_returned_by_clear_endpoint)
{
	struct device *d = &self->rig.d;
	struct req *r = req_read(d, 0, 8);
	long before;

	ASSERT_EQ(0, device_start(d, self->rig.t->wwpn));
	ASSERT_EQ(0, scsi_clear_ua(d, Q_IO, 0));
	ASSERT_RUNS(r, Q_IO);
	ASSERT_EQ(0, device_stop(d));
	before = kmem_used();
	for (int i = 0; i < TIMES; i++) {
		ASSERT_EQ(0, device_start(d, NULL));
		ASSERT_RUNS(r, Q_IO);
		EXPECT_GOOD(r);
		ASSERT_EQ(0, device_stop(d));
	}
	EXPECT_RETURNED(before);
}

/* The endpoint is given up behind a device that is only closed. */
TEST_F(memory, is_returned_by_close)
{
	long before = 0;

	for (int i = 0; i < TIMES + 3; i++) {
		struct device d;

		if (i == 3)
			before = kmem_used();
		device_open(&d, &(struct device_opts){ .io_queues = 2 });
		ASSERT_EQ(0, device_start(&d, self->rig.t->wwpn));
		ASSERT_EQ(0, scsi_clear_ua(&d, Q_IO, 0));
		device_close(&d);
	}
	EXPECT_RETURNED(before);
}

/* A start that fails half-way has taken some already. */
TEST_F(memory, is_returned_by_a_start_that_fails)
{
	struct device d, *other = &self->rig.d;
	long before = 0;

	ASSERT_EQ(0, device_start(other, self->rig.t->wwpn));
	device_open(&d, &(struct device_opts){ .io_queues = 2 });
	for (int i = 0; i < TIMES + 3; i++) {
		if (i == 3)
			before = kmem_used();
		ASSERT_EQ(-EBUSY, device_start(&d, self->rig.t->wwpn));
	}
	EXPECT_RETURNED(before);
	device_close(&d);
}

TEST_HARNESS_MAIN
