// SPDX-License-Identifier: GPL-2.0
/* G12 and M1: the owner dies, and the orchestrator keeps a duplicate. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mig.h"
#include "pr.h"

#define PROMPT_MS 5000u
#define KEY 0x1111

FIXTURE(dead)
{
	struct backstore *bs;
	struct target *t, *tw;
	struct device d;	/* the orchestrator's duplicate */
	struct device w;	/* a third initiator */
	struct device heir;
	pid_t pid;
	int efd;
	int talk[2];
};

struct guest_of {
	struct target *t;
	int fd, talk;
	bool starts;
};

/* The machine monitor: owns the device, and waits to be killed. */
static int monitor(void *arg)
{
	struct guest_of *g = arg;
	struct device d;

	device_open(&d, &(struct device_opts){ .opened = true, .fd = g->fd });
	if (g->starts && (device_start(&d, g->t->wwpn) || scsi_clear_ua(&d, Q_IO, 0) ||
			  pr_register(&d, 0, KEY) || pr_reserve(&d, 0, KEY, PR_EA)))
		return 1;
	if (write(g->talk, "r", 1) != 1)
		return 2;
	for (;;)
		pause();
}

static void reap(void *arg)
{
	kill((intptr_t)arg, SIGKILL);
	child_wait((intptr_t)arg, PROMPT_MS);
}

/* Only what ioctls need: the rings are the monitor's. */
static pid_t monitor_start(struct target *t, int fd, const int *talk, bool starts)
{
	struct guest_of g = { .t = t, .fd = fd, .talk = talk[1], .starts = starts };
	pid_t pid = child_start(monitor, &g);
	char byte;

	undo_push(reap, (void *)(intptr_t)pid);
	close(talk[1]);
	if (read(talk[0], &byte, 1) != 1)
		vt_fatal("the owner did not come up");
	return pid;
}

#define OWNER(starts)								\
	(self->pid = monitor_start(self->t, self->d.fd, self->talk, starts))

FIXTURE_SETUP(dead)
{
	mig_need();
	self->bs = backstore_ram(1, false);
	self->t = target_open();
	self->tw = target_open();
	target_lun(self->t, 0, self->bs);
	target_lun(self->tw, 0, self->bs);
	device_open(&self->w, &(struct device_opts){ .mem = 8 << 20 });
	ASSERT_EQ(0, device_start(&self->w, self->tw->wwpn));
	ASSERT_EQ(0, scsi_clear_ua(&self->w, Q_IO, 0));
	device_open(&self->heir, &(struct device_opts){ .mem = 8 << 20 });
	self->d.fd = open("/dev/vhost-scsi", O_RDWR | O_CLOEXEC);
	ASSERT_LE(0, self->d.fd);
	ASSERT_EQ(0, pipe2(self->talk, O_CLOEXEC));
	self->efd = eventfd(0, EFD_NONBLOCK);
	ASSERT_EQ(0, mig_eventfd(&self->d, self->efd));
}

FIXTURE_TEARDOWN(dead)
{
	close(self->d.fd);
	undo_all();
}

#define KILL() do {								\
	mig_status(&self->d);							\
	eventfd_take(self->efd);						\
	kill(self->pid, SIGKILL);						\
	EXPECT_EQ(-SIGKILL, child_wait(self->pid, PROMPT_MS));			\
	EXPECT_TRUE(vt_until(mig_state(&self->d) == S_ERROR, PROMPT_MS));	\
} while (0)

static short polled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

TEST_F(dead, device_says_so_and_refuses_everything)
{
	struct vhost_scsi_mig_info info = { .argsz = sizeof(info) };

	OWNER(true);
	EXPECT_STATE(&self->d, S_RUN);
	KILL();
	EXPECT_LE(1, eventfd_take(self->efd));
	EXPECT_EQ(POLLERR, polled(self->d.fd) & POLLERR);
	EXPECT_TRUE(vt_until(!mig_status(&self->d).flags, PROMPT_MS));
	EXPECT_EQ(0, mig_info(&self->d, &info));
	for (uint32_t state = 0; state < 8; state++)
		if (state != S_ERROR)
			EXPECT_EQ(-EOWNERDEAD, mig_set(&self->d, state));
	EXPECT_EQ(-EOWNERDEAD, mig_set_flags(&self->d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	EXPECT_EQ(-EOWNERDEAD, mig_data(&self->d, VHOST_SCSI_MIG_DATA_SAVE, NULL));
	EXPECT_EQ(-EOWNERDEAD, device_start(&self->d, self->t->wwpn));
	EXPECT_STATE(&self->d, S_ERROR);
	/* Another owner can start on the same WWPN at once. */
	EXPECT_TRUE(vt_until(!device_start(&self->heir, self->t->wwpn), PROMPT_MS));
	EXPECT_EQ(0, scsi_clear_ua(&self->heir, Q_IO, 0));
}

TEST_F(dead, owner_of_a_save_session)
{
	struct stream *s = stream_new();
	int fd;

	OWNER(true);
	ASSERT_EQ(0, mig_set(&self->d, S_RUNLOG));
	fd = mig_data(&self->d, VHOST_SCSI_MIG_DATA_SAVE, NULL);
	ASSERT_LE(0, fd);
	KILL();
	EXPECT_EQ(-ENODEV, stream_read(s, fd));
	EXPECT_EQ(POLLERR, polled(fd) & POLLERR);
	EXPECT_TRUE(vt_until(!mig_status(&self->d).pending, PROMPT_MS));
	close(fd);
	EXPECT_TRUE(vt_until(!device_start(&self->heir, self->t->wwpn), PROMPT_MS));
}

/* Its nexus is still there, and so is what it has reserved: for the heir. */
TEST_F(dead, owner_of_a_save_session_that_was_stopped)
{
	const char *mine;

	OWNER(true);
	mine = vt_str("%x@%s* type 3", KEY, pr_name(self->t));
	ASSERT_EQ(0, mig_set(&self->d, S_RUNLOG));
	ASSERT_EQ(0, mig_set(&self->d, S_LOG));
	mig_save(&self->d);
	KILL();
	EXPECT_TRUE(vt_until(!device_start(&self->heir, self->t->wwpn), PROMPT_MS));
	EXPECT_STREQ(mine, pr_shown(&self->w, 0));
	EXPECT_EQ(SAM_GOOD, scsi_write(&self->heir, 0));
}

TEST_F(dead, owner_of_a_load_session)
{
	char byte = 0;
	int fd;

	OWNER(false);
	ASSERT_EQ(0, mig_set(&self->d, S_RESUME));
	fd = mig_data(&self->d, VHOST_SCSI_MIG_DATA_LOAD, self->t->wwpn);
	ASSERT_LE(0, fd);
	EXPECT_EQ(-EBUSY, device_start(&self->heir, self->t->wwpn));
	KILL();
	EXPECT_EQ(-1, write(fd, &byte, 1));
	EXPECT_EQ(ENODEV, errno);
	close(fd);
	EXPECT_TRUE(vt_until(!device_start(&self->heir, self->t->wwpn), PROMPT_MS));
}

/* The destination's machine monitor dies before its guest has begun. */
TEST_F(dead, owner_of_a_load_that_was_applied_leaves_nothing_of_it)
{
	struct target *ts = target_open();
	const char *before;
	struct device src;
	struct stream *s;

	target_lun(ts, 0, self->bs);
	device_open(&src, &(struct device_opts){ .mem = 8 << 20 });
	ASSERT_EQ(0, device_start(&src, ts->wwpn));
	ASSERT_EQ(SAM_GOOD, pr_register(&src, 0, KEY));
	ASSERT_EQ(SAM_GOOD, pr_reserve(&src, 0, KEY, PR_WE));
	before = pr_shown(&self->w, 0);
	ASSERT_EQ(0, mig_set(&src, S_RUNLOG));
	ASSERT_EQ(0, mig_set(&src, S_LOG));
	s = mig_save(&src);
	OWNER(false);
	ASSERT_EQ(0, mig_load(&self->d, self->t->wwpn, s, 0));
	ASSERT_EQ(0, mig_set(&self->d, S_STOP));
	KILL();
	EXPECT_TRUE(vt_until(!device_start(&self->heir, self->t->wwpn), PROMPT_MS));
	ASSERT_EQ(0, mig_set(&src, S_RUN));
	EXPECT_STREQ(before, pr_shown(&self->w, 0));
	EXPECT_EQ(SAM_GOOD, scsi_write(&src, 0));
	EXPECT_EQ(SAM_RESERVATION_CONFLICT, scsi_write(&self->heir, 0));
}

/* The orchestrator dies instead: its duplicate is just one more. */
static int open_a_session(void *arg)
{
	int fd;

	if (mig_set(arg, S_RUNLOG))
		return 1;
	fd = mig_data(arg, VHOST_SCSI_MIG_DATA_SAVE, NULL);
	return fd < 0 ? 2 : 0;
}

TEST_F(dead, orchestrator_leaves_the_guest_alone)
{
	struct device *d = &self->heir;

	ASSERT_EQ(0, device_start(d, self->t->wwpn));
	ASSERT_EQ(0, scsi_clear_ua(d, Q_IO, 0));
	EXPECT_EQ(0, child_wait(child_start(open_a_session, d), PROMPT_MS));
	EXPECT_STATE(d, S_RUNLOG);
	EXPECT_TRUE(scsi_alive(d, Q_IO));
	EXPECT_EQ(0, mig_set(d, S_RUN));
	EXPECT_TRUE(scsi_alive(d, Q_IO));
}

TEST_HARNESS_MAIN
