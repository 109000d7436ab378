// SPDX-License-Identifier: GPL-2.0
/*
 * M9: guest memory behind userfaultfd, as after a postcopy migration. The
 * device waits for a page that is not there yet without holding what anybody
 * else needs; and a page that never comes hangs no one but this guest.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>

#include "kselftest_harness.h"
#include "rig.h"

/* One page of guest memory that is not here yet. */
struct absent {
	int uffd;
	uint8_t *page;
	uint8_t content[PAGE];		/* what will arrive in it */
};

FIXTURE(postcopy)
{
	struct rig rig;
	struct device *d;
	struct absent away;
};

static void uffd_undo(void *arg)
{
	close(*(int *)arg);
}

FIXTURE_SETUP(postcopy)
{
	struct uffdio_api api = { .api = UFFD_API };

	RIG_UP(&self->rig, .kind = RIG_DISK, .dev.io_queues = 2,
	       .dev.features = F_DEFAULT | F_HOTPLUG);
	self->d = &self->rig.d;
	self->away.uffd = syscall(SYS_userfaultfd, O_CLOEXEC | O_NONBLOCK);
	if (self->away.uffd < 0 || ioctl(self->away.uffd, UFFDIO_API, &api))
		SKIP({ undo_all(); return; }, "the kernel has no userfaultfd");
	/* Closed before the device: that lets waiting faults go on. */
	undo_push(uffd_undo, &self->away.uffd);
}

FIXTURE_TEARDOWN(postcopy)
{
	undo_all();
}

/* The page around p is not here yet; nobody here may touch it from now on. */
static void page_away(struct absent *a, struct guest *g, void *p)
{
	struct uffdio_register reg = { .mode = UFFDIO_REGISTER_MODE_MISSING };

	a->page = (uint8_t *)((uintptr_t)p & ~(PAGE - 1));
	memcpy(a->content, a->page, PAGE);
	reg.range.start = (uintptr_t)a->page;
	reg.range.len = PAGE;
	if (ioctl(a->uffd, UFFDIO_REGISTER, &reg))
		vt_skip("userfaultfd does not do shared memory");
	if (fallocate(g->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
		      a->page - g->mem, PAGE))
		vt_fatal("cannot punch a hole");
}

static bool page_wanted(struct absent *a, unsigned int ms)
{
	struct pollfd p = { .fd = a->uffd, .events = POLLIN };
	struct uffd_msg msg;

	return poll(&p, 1, ms) == 1 && read(a->uffd, &msg, sizeof(msg)) == sizeof(msg);
}

static void page_arrives(struct absent *a)
{
	struct uffdio_copy copy = {
		.dst = (uintptr_t)a->page,
		.src = (uintptr_t)a->content,
		.len = PAGE,
	};

	if (ioctl(a->uffd, UFFDIO_COPY, &copy))
		vt_fatal("UFFDIO_COPY: %s", strerror(errno));
}

#define EXPECT_SERVED_ON_ARRIVAL(r) do {					\
	EXPECT_TRUE(page_wanted(&self->away, WAIT_MS));			\
	vt_sleep_ms(50);							\
	page_arrives(&self->away);						\
	EXPECT_TRUE(req_wait(r, WAIT_MS));					\
	EXPECT_GOOD(r);								\
} while (0)

TEST_F(postcopy, header_that_arrives_later)
{
	struct req *r = req_read(self->d, 8, 8);

	page_away(&self->away, &self->d->guest, r->hdr);
	req_send(r, Q_IO);
	EXPECT_SERVED_ON_ARRIVAL(r);
}

TEST_F(postcopy, data_in_page_that_arrives_later)
{
	struct req *r = req_read(self->d, 8, 8);

	page_away(&self->away, &self->d->guest, r->data_in);
	req_send(r, Q_IO);
	EXPECT_SERVED_ON_ARRIVAL(r);
	EXPECT_EQ(0, pattern_diff(r->data_in, 8, 8, 0));
}

TEST_F(postcopy, data_out_page_that_arrives_later)
{
	struct req *r = req_write(self->d, 8, 8, 6);
	uint8_t disk[4096];

	page_away(&self->away, &self->d->guest, r->data_out);
	req_send(r, Q_IO);
	EXPECT_SERVED_ON_ARRIVAL(r);
	disk_read(self->rig.ram, 8, disk, sizeof(disk));
	EXPECT_EQ(0, pattern_diff(disk, 8, 8, 6));
}

TEST_F(postcopy, response_page_that_arrives_later)
{
	struct req *r = req_read(self->d, 8, 8);

	page_away(&self->away, &self->d->guest, r->resp);
	req_send(r, Q_IO);
	EXPECT_SERVED_ON_ARRIVAL(r);
}

TEST_F(postcopy, descriptor_table_that_arrives_later)
{
	struct req *r = req_read(self->d, 8, 8);

	req_post(r, Q_IO);
	page_away(&self->away, &self->d->guest, self->d->q[Q_IO].desc);
	vring_kick_always(&self->d->q[Q_IO]);
	EXPECT_SERVED_ON_ARRIVAL(r);
}

/* Never to arrive: the request waits, nothing and nobody else does. */
#define STUCK_REQUEST() ({							\
	struct req *__r = req_read(self->d, 8, 8);				\
	page_away(&self->away, &self->d->guest, __r->hdr);			\
	req_send(__r, Q_IO);							\
	ASSERT_TRUE(page_wanted(&self->away, WAIT_MS));				\
	__r;									\
})

static long start_device(void *arg)
{
	struct device *d = arg;

	return device_start(d, NULL);
}

/* Another device on the same backstore starts and serves its guest. */
#define EXPECT_OTHERS_START() do {						\
	struct target *__t = target_open();					\
	struct device __other;							\
	target_lun(__t, 0, self->rig.bs);					\
	device_open(&__other, &(struct device_opts){ 0 });			\
	strcpy(__other.wwpn, __t->wwpn);					\
	EXPECT_EQ(0, thread_join(thread_start(start_device, &__other), 3000));	\
	EXPECT_EQ(0, scsi_clear_ua(&__other, Q_IO, 0));				\
} while (0)

TEST_F(postcopy, missing_page_does_not_keep_another_device_from_starting)
{
	STUCK_REQUEST();
	EXPECT_OTHERS_START();
	page_arrives(&self->away);
}

static long plug_and_unplug(void *arg)
{
	struct rig *rig = arg;
	int ret = target_lun_link(rig->t, 5, rig->bs);

	return ret ? ret : target_lun_unlink(rig->t, 5);
}

TEST_F(postcopy, missing_page_does_not_hold_up_configfs)
{
	STUCK_REQUEST();
	EXPECT_EQ(0, thread_join(thread_start(plug_and_unplug, &self->rig), 3000));
	page_arrives(&self->away);
}

/* The event is being written to a page that is away; more events follow. */
TEST_F(postcopy, missing_event_buffer_holds_up_neither_configfs_nor_other_devices)
{
	struct event *e = event_post(self->d);

	vt_sleep_ms(50);
	page_away(&self->away, &self->d->guest, e->ev);
	target_lun(self->rig.t, 4, self->rig.bs);
	ASSERT_TRUE(page_wanted(&self->away, WAIT_MS));
	EXPECT_EQ(0, thread_join(thread_start(plug_and_unplug, &self->rig), 3000));
	EXPECT_OTHERS_START();
	page_arrives(&self->away);
	EXPECT_TRUE(vring_wait(&self->d->q[Q_EVT], &e->out_come, WAIT_MS));
}

static long stop_device(void *arg)
{
	return device_stop(arg);
}

TEST_F(postcopy, stop_waits_for_the_page_and_returns_the_request)
{
	struct req *r = STUCK_REQUEST();
	struct vt_thread *th;

	th = thread_start(stop_device, self->d);
	vt_sleep_ms(200);
	page_arrives(&self->away);
	EXPECT_EQ(0, thread_join(th, WAIT_MS));
	EXPECT_RING_SETTLED(self->d, Q_IO);
	EXPECT_LE(r->out_come.returned, 1);
}

TEST_F(postcopy, stop_that_waits_for_a_page_does_not_keep_another_device_from_starting)
{
	struct vt_thread *th;

	STUCK_REQUEST();
	th = thread_start(stop_device, self->d);
	vt_sleep_ms(200);
	EXPECT_OTHERS_START();
	EXPECT_EQ(0, thread_join(thread_start(plug_and_unplug, &self->rig), 3000));
	page_arrives(&self->away);
	EXPECT_EQ(0, thread_join(th, WAIT_MS));
}

/* Both the request's page and the process that wants to stop can be given up. */
static int stuck_owner(void *arg)
{
	struct rig *rig = arg;

	device_stop(&rig->d);
	return 0;
}

TEST_F(postcopy, stop_that_waits_for_a_page_can_be_killed)
{
	pid_t pid;

	STUCK_REQUEST();
	pid = child_start(stuck_owner, &self->rig);
	EXPECT_EQ(-ETIMEDOUT, child_wait(pid, 300));
	kill(pid, SIGKILL);
	EXPECT_EQ(-SIGKILL, child_wait(pid, 3000));
	page_arrives(&self->away);
}

TEST_HARNESS_MAIN
