// SPDX-License-Identifier: GPL-2.0
/* What a migration costs: 256 LUNs, 8 queues, nothing in flight. Figures only. */
#include <endian.h>
#include <time.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mig.h"

#define LUNS 256
#define QUEUES 8

FIXTURE(cost)
{
	struct target *t;
	struct device d;
};

FIXTURE_SETUP(cost)
{
	struct backstore *b;

	mig_need();
	b = backstore_ram(1, false);
	self->t = target_open();
	for (unsigned int i = 0; i < LUNS; i++)
		target_lun(self->t, i, b);
	device_open(&self->d, &(struct device_opts){ .io_queues = QUEUES });
	ASSERT_EQ(0, device_start(&self->d, self->t->wwpn));
	ASSERT_EQ(0, scsi_clear_ua(&self->d, Q_IO, 0));
}

FIXTURE_TEARDOWN(cost)
{
	undo_all();
}

static double now_us(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1e6 + ts.tv_nsec / 1e3;
}

#define TIMED(what) ({								\
	double __start = now_us();						\
	ASSERT_EQ(0, what);							\
	now_us() - __start;							\
})

TEST_F_TIMEOUT(cost, of_256_luns_and_8_queues, 300)
{
	struct device *d = &self->d;
	double stop, run, best_stop = 1e9, best_run = 1e9, open, capture, read;
	struct stream *s = stream_new();
	int fd;

	for (int i = 0; i < 5; i++) {
		stop = TIMED(mig_set(d, S_STOP));
		run = TIMED(mig_set(d, S_RUN));
		best_stop = stop < best_stop ? stop : best_stop;
		best_run = run < best_run ? run : best_run;
	}
	open = TIMED(mig_set(d, S_RUNLOG));
	capture = TIMED(mig_set(d, S_LOG));
	fd = mig_data(d, VHOST_SCSI_MIG_DATA_SAVE, NULL);
	read = TIMED(stream_read(s, fd));
	close(fd);
	vt_note("cost: %u LUNs, %u queues, idle: SET_STATE(STOP) %.0f us, RUNNING %.0f us",
		LUNS, QUEUES, best_stop, best_run);
	vt_note("cost: opening a session %.0f us, LOGGING %.0f us, reading %.0f us",
		open, capture, read);
	vt_note("cost: stream of %zu bytes", s->len);
	EXPECT_EQ(LUNS * sizeof(struct vhost_scsi_mig_lun),
		  le32toh(stream_find(s, VHOST_SCSI_MIG_INVENTORY)->length));
	EXPECT_EQ(0, mig_set(d, S_RUN));
	EXPECT_TRUE(scsi_alive(d, Q_IO));
}

TEST_HARNESS_MAIN
