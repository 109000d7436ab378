// SPDX-License-Identifier: GPL-2.0
/* G12: the owner dies with requests in flight; and G7, a stop that is killed. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "rig.h"

#define BATCH 32

FIXTURE(owner)
{
	struct rig rig;		/* its device is the heir's */
};

FIXTURE_SETUP(owner)
{
	RIG_UP(&self->rig, .kind = RIG_GATE, .stopped = true);
}

FIXTURE_TEARDOWN(owner)
{
	undo_all();
}

/* The child owns a device of its own; it says when it has requests in flight. */
struct owner {
	struct rig *rig;
	int ready[2];
	int dup_fd;		/* a duplicate that outlives it, or -1 */
	bool stops;		/* is inside CLEAR_ENDPOINT */
};

static int owner_main(void *arg)
{
	struct owner *o = arg;
	struct rig *rig = o->rig;

	if (o->dup_fd >= 0) {
		/* The parent opened it; the child becomes the owner. */
		close(rig->d.fd);
		rig->d.fd = o->dup_fd;
		device_ioctl(&rig->d, VHOST_SET_OWNER, NULL);
		device_set_features(&rig->d, rig->d.features);
		device_set_mem(&rig->d);
		for (unsigned int q = 0; q < rig->d.nq; q++)
			device_set_ring(&rig->d, q);
	} else {
		device_open(&rig->d, &(struct device_opts){ 0 });
	}
	if (device_start(&rig->d, rig->t->wwpn) || scsi_clear_ua(&rig->d, Q_IO, 0))
		return 1;
	rig_mark(rig);
	disk_hold(rig->top);
	rig_reads(rig, Q_IO, BATCH);
	if (!rig_submitted(rig, BATCH))
		return 2;
	if (write(o->ready[1], "r", 1) != 1)
		return 3;
	if (o->stops)
		device_stop(&rig->d);
	for (;;)
		pause();
}

static pid_t owner_start(struct owner *o, struct rig *rig)
{
	char c;
	pid_t pid;

	o->rig = rig;
	if (pipe(o->ready))
		vt_fatal("pipe");
	pid = child_start(owner_main, o);
	close(o->ready[1]);
	if (read(o->ready[0], &c, 1) != 1)
		vt_fatal("the owner did not come up");
	close(o->ready[0]);
	/* The child held the gate; whoever is left opens it. */
	rig->top->held = true;
	undo_push((undo_fn)disk_let_go, rig->top);
	if (o->stops)
		vt_sleep_ms(200);
	return pid;
}

static bool heir_starts(struct rig *rig)
{
	int ret = -ENODEV;

	return vt_until(!(ret = device_start(&rig->d, rig->t->wwpn)), 2000);
}

TEST_F(owner, killed_with_requests_in_flight_goes_away_promptly)
{
	struct owner o = { .dup_fd = -1 };
	pid_t pid = owner_start(&o, &self->rig);

	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(pid, 3000));
}

TEST_F(owner, killed_inside_clear_endpoint_goes_away_promptly)
{
	struct owner o = { .dup_fd = -1, .stops = true };
	pid_t pid = owner_start(&o, &self->rig);

	EXPECT_EQ(-ETIMEDOUT, child_wait(pid, 100));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(pid, 3000));
}

/* A new owner on the same WWPN, while the backend still has the old requests. */
TEST_F(owner, heir_starts_on_the_same_wwpn_at_once)
{
	struct owner o = { .dup_fd = -1 };
	pid_t pid = owner_start(&o, &self->rig);

	kill(pid, SIGKILL);
	child_wait(pid, 3000);
	EXPECT_TRUE(heir_starts(&self->rig));
	disk_let_go(self->rig.top);
	EXPECT_TRUE(scsi_alive(&self->rig.d, Q_IO));
}

TEST_F(owner, heir_starts_once_the_backend_has_answered)
{
	struct owner o = { .dup_fd = -1 };
	pid_t pid = owner_start(&o, &self->rig);

	kill(pid, SIGKILL);
	vt_sleep_ms(100);
	disk_let_go(self->rig.top);
	EXPECT_EQ(-SIGKILL, child_wait(pid, 3000));
	EXPECT_TRUE(heir_starts(&self->rig));
	EXPECT_TRUE(scsi_alive(&self->rig.d, Q_IO));
}

/* The descriptor lives on in another process: the TPG must not. */
TEST_F(owner, killed_while_a_duplicate_lives_on_frees_the_wwpn)
{
	int fd = open("/dev/vhost-scsi", O_RDWR);
	struct owner o = { .dup_fd = fd };
	pid_t pid = owner_start(&o, &self->rig);

	kill(pid, SIGKILL);
	vt_sleep_ms(100);
	disk_let_go(self->rig.top);
	EXPECT_EQ(-SIGKILL, child_wait(pid, 3000));
	EXPECT_TRUE(heir_starts(&self->rig));
	EXPECT_TRUE(scsi_alive(&self->rig.d, Q_IO));
	close(fd);
	EXPECT_TRUE(scsi_alive(&self->rig.d, Q_IO));
}

TEST_F(owner, nothing_stays_pinned_after_it_was_killed)
{
	long pins = pins_held();
	struct owner o = { .dup_fd = -1 };
	pid_t pid = owner_start(&o, &self->rig);

	kill(pid, SIGKILL);
	disk_let_go(self->rig.top);
	EXPECT_EQ(-SIGKILL, child_wait(pid, 3000));
	EXPECT_TRUE(vt_until(pins_held() == pins, 3000));
}

TEST_F(owner, tpg_can_be_removed_after_it_was_killed)
{
	struct owner o = { .dup_fd = -1 };
	pid_t pid = owner_start(&o, &self->rig);

	kill(pid, SIGKILL);
	disk_let_go(self->rig.top);
	EXPECT_EQ(-SIGKILL, child_wait(pid, 3000));
	EXPECT_EQ(0, target_lun_unlink(self->rig.t, 0));
	EXPECT_TRUE(vt_until(!target_nexus(self->rig.t, "NULL"), 3000));
	EXPECT_EQ(0, rmdir(self->rig.t->tpg));
}

static long close_device(void *arg)
{
	struct device *d = arg;
	int fd = d->fd;

	d->fd = -1;
	return close(fd);
}

TEST_F(owner, close_with_requests_in_flight_drains_them)
{
	struct rig *rig = &self->rig;
	long pins = pins_held();
	struct vt_thread *t;

	ASSERT_EQ(0, device_start(&rig->d, rig->t->wwpn));
	ASSERT_EQ(0, scsi_clear_ua(&rig->d, Q_IO, 0));
	rig_mark(rig);
	disk_hold(rig->top);
	rig_reads(rig, Q_IO, BATCH);
	ASSERT_TRUE(rig_submitted(rig, BATCH));
	t = thread_start(close_device, &rig->d);
	/* Closing may or may not wait; draining goes on behind it. */
	vt_sleep_ms(100);
	disk_let_go(rig->top);
	EXPECT_EQ(0, thread_join(t, WAIT_MS));
	EXPECT_TRUE(vt_until(pins_held() == pins, 3000));
}

TEST_HARNESS_MAIN
