// SPDX-License-Identifier: GPL-2.0
/* G12: the owner dies with requests in flight; and G7, a stop that is killed. */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>

#include "kselftest_harness.h"
#include "rig.h"

#define BATCH 32
/*
 * Well below what the slow backend takes, well above what dying takes.  With
 * the stock driver, most of these waits are in vain.
 */
#define PROMPT_MS (driver_is_stock() ? 1000u : 5000u)
#define DEBUG_DIR "/sys/kernel/debug/vhost_scsi"

enum owner_act {
	WAITS,		/* to be killed */
	STOPS,		/* is inside CLEAR_ENDPOINT */
	EXECS,		/* another program, which does not get the descriptor */
	EXECS_KEEPING,	/* another program, which does */
};

/* The child owns a device of its own; it says when it has requests in flight. */
struct owner {
	struct rig *rig;
	enum owner_act act;
	bool given;		/* the descriptor fd, opened by the parent */
	int fd;
	bool shares;		/* sends its descriptor to the parent, who gets it as fd */
	int talk[2];
};

/* One byte and, if not -1, a descriptor. */
static bool say(int sock, int fd)
{
	char byte = 'r', control[CMSG_SPACE(sizeof(fd))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		struct cmsghdr *c;

		msg.msg_control = control;
		msg.msg_controllen = sizeof(control);
		c = CMSG_FIRSTHDR(&msg);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof(fd));
		memcpy(CMSG_DATA(c), &fd, sizeof(fd));
	}
	return sendmsg(sock, &msg, 0) == 1;
}

static bool hear(int sock, int *fd)
{
	char byte, control[CMSG_SPACE(sizeof(*fd))] = { 0 };
	struct iovec iov = { &byte, 1 };
	struct msghdr msg = {
		.msg_iov = &iov, .msg_iovlen = 1,
		.msg_control = control, .msg_controllen = sizeof(control),
	};
	struct cmsghdr *c;

	if (recvmsg(sock, &msg, MSG_CMSG_CLOEXEC) != 1)
		return false;
	c = CMSG_FIRSTHDR(&msg);
	if (c)
		memcpy(fd, CMSG_DATA(c), sizeof(*fd));
	return true;
}

static int owner_main(void *arg)
{
	struct owner *o = arg;
	struct rig *rig = o->rig;

	close(o->talk[0]);
	close(rig->d.fd);
	device_open(&rig->d, &(struct device_opts){ .opened = o->given, .fd = o->fd });
	if (device_start(&rig->d, rig->t->wwpn) || scsi_clear_ua(&rig->d, Q_IO, 0))
		return 1;
	rig_mark(rig);
	if (rig->top->held)
		disk_hold(rig->top);
	rig_reads(rig, Q_IO, BATCH);
	if (!rig_submitted(rig, BATCH))
		return 2;
	if (!say(o->talk[1], o->shares ? rig->d.fd : -1))
		return 3;
	if (o->act == STOPS)
		device_stop(&rig->d);
	if (o->act == EXECS || o->act == EXECS_KEEPING) {
		fcntl(rig->d.fd, F_SETFD, o->act == EXECS ? FD_CLOEXEC : 0);
		execl("/bin/sleep", "sleep", "60", NULL);
	}
	for (;;)
		pause();
}

static void owner_reap(void *arg)
{
	pid_t pid = (intptr_t)arg;

	kill(pid, SIGKILL);
	child_wait(pid, PROMPT_MS);
}

static bool is_sleep(pid_t pid)
{
	char comm[32];

	return file_get(vt_str("/proc/%d/comm", pid), comm, sizeof(comm)) > 0 &&
	       !strcmp(comm, "sleep");
}

static pid_t owner_start(struct owner *o, struct rig *rig)
{
	pid_t pid;

	o->rig = rig;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, o->talk))
		vt_fatal("socketpair: %s", strerror(errno));
	pid = child_start(owner_main, o);
	close(o->talk[1]);
	undo_push(owner_reap, (void *)(intptr_t)pid);
	/* The child holds the gate; whoever is left opens it. */
	undo_push((undo_fn)disk_let_go, rig->top);
	if (!hear(o->talk[0], &o->fd))
		vt_fatal("the owner did not come up");
	close(o->talk[0]);
	if (o->act == STOPS)
		vt_sleep_ms(200);
	if (o->act == EXECS || o->act == EXECS_KEEPING)
		if (!vt_until(is_sleep(pid), PROMPT_MS))
			vt_fatal("the owner did not exec");
	return pid;
}

#define EXPECT_DIES_PROMPTLY(pid) do {						\
	kill(pid, SIGKILL);							\
	EXPECT_EQ(-SIGKILL, child_wait(pid, PROMPT_MS));			\
} while (0)

static bool heir_starts(struct rig *rig)
{
	int ret = -ENODEV;

	return vt_until(!(ret = device_start(&rig->d, rig->t->wwpn)), PROMPT_MS);
}

/* First line of the file of the device that the process opened, or "". */
static const char *shown(pid_t opener, const char *file)
{
	static char line[128];
	DIR *dir = opendir(DEBUG_DIR);
	struct dirent *e;
	int pid, id;

	line[0] = '\0';
	while (dir && (e = readdir(dir))) {
		char text[128];

		if (sscanf(e->d_name, "%d-%d", &pid, &id) != 2 || pid != opener)
			continue;
		if (file_get(vt_str(DEBUG_DIR "/%s/%s", e->d_name, file), text,
			     sizeof(text)) <= 0)
			continue;
		snprintf(line, sizeof(line), "%.*s", (int)strcspn(text, "\n"), text);
		/* The parent may have opened several: the dead one is meant. */
		if (strstr(line, "dead"))
			break;
	}
	if (dir)
		closedir(dir);
	return line;
}

FIXTURE(owner)
{
	struct rig rig;		/* its device is the heir's */
	long pins;
};

FIXTURE_SETUP(owner)
{
	RIG_UP(&self->rig, .kind = RIG_GATE, .stopped = true);
	/* For the owner; nobody holds it here yet. */
	self->rig.top->held = true;
	self->pins = pins_held();
}

FIXTURE_TEARDOWN(owner)
{
	undo_all();
}

TEST_F(owner, killed_with_requests_in_flight_goes_away_promptly)
{
	struct owner o = { 0 };
	pid_t pid = owner_start(&o, &self->rig);

	EXPECT_DIES_PROMPTLY(pid);
}

TEST_F(owner, killed_inside_clear_endpoint_goes_away_promptly)
{
	struct owner o = { .act = STOPS };
	pid_t pid = owner_start(&o, &self->rig);

	EXPECT_EQ(-ETIMEDOUT, child_wait(pid, 100));
	EXPECT_DIES_PROMPTLY(pid);
	EXPECT_TRUE(heir_starts(&self->rig));
}

/* A new owner on the same WWPN, while the backend still has the old requests. */
TEST_F(owner, heir_starts_on_the_same_wwpn_at_once)
{
	struct owner o = { 0 };
	pid_t pid = owner_start(&o, &self->rig);

	EXPECT_DIES_PROMPTLY(pid);
	EXPECT_TRUE(heir_starts(&self->rig));
	disk_let_go(self->rig.top);
	EXPECT_TRUE(scsi_alive(&self->rig.d, Q_IO));
}

TEST_F(owner, heir_starts_once_the_backend_has_answered)
{
	struct owner o = { 0 };
	pid_t pid = owner_start(&o, &self->rig);

	kill(pid, SIGKILL);
	vt_sleep_ms(100);
	disk_let_go(self->rig.top);
	EXPECT_EQ(-SIGKILL, child_wait(pid, PROMPT_MS));
	EXPECT_TRUE(heir_starts(&self->rig));
	EXPECT_TRUE(scsi_alive(&self->rig.d, Q_IO));
}

/* Three owners in a row, none of which waits for what the one before left. */
TEST_F(owner, each_of_three_can_be_followed_at_once)
{
	for (int i = 0; i < 3; i++) {
		struct owner o = { 0 };
		pid_t pid = owner_start(&o, &self->rig);

		EXPECT_DIES_PROMPTLY(pid);
		disk_let_go(self->rig.top);
		self->rig.top->held = true;
	}
	disk_let_go(self->rig.top);
	EXPECT_TRUE(heir_starts(&self->rig));
	EXPECT_TRUE(scsi_alive(&self->rig.d, Q_IO));
	ASSERT_EQ(0, device_stop(&self->rig.d));
	EXPECT_TRUE(vt_until(pins_held() == self->pins, WAIT_MS));
}

/* The descriptor lives on in another process: the TPG must not. */
TEST_F(owner, killed_while_a_duplicate_lives_on_frees_the_wwpn)
{
	struct owner o = { .given = true, .fd = open("/dev/vhost-scsi", O_RDWR) };
	pid_t pid = owner_start(&o, &self->rig);

	EXPECT_DIES_PROMPTLY(pid);
	EXPECT_TRUE(heir_starts(&self->rig));
	disk_let_go(self->rig.top);
	EXPECT_TRUE(scsi_alive(&self->rig.d, Q_IO));
	close(o.fd);
	EXPECT_TRUE(scsi_alive(&self->rig.d, Q_IO));
}

/* The same with one that was passed on, as to an orchestrator. */
TEST_F(owner, killed_after_it_passed_its_descriptor_on_leaves_a_dead_device)
{
	struct owner o = { .shares = true, .fd = -1 };
	struct device left = { 0 };
	pid_t pid = owner_start(&o, &self->rig);
	uint64_t features = F_DEFAULT;

	ASSERT_LE(0, o.fd);
	left.fd = o.fd;
	EXPECT_STREQ("state running", shown(pid, "state"));
	EXPECT_DIES_PROMPTLY(pid);
	EXPECT_STREQ("state dead", shown(pid, "state"));
	EXPECT_EQ(BATCH, atoi(shown(pid, "inflight")));
	EXPECT_EQ(-EOWNERDEAD, device_start(&left, self->rig.t->wwpn));
	EXPECT_EQ(-EOWNERDEAD, device_ioctl(&left, VHOST_SET_OWNER, NULL));
	EXPECT_EQ(-EOWNERDEAD, device_ioctl(&left, VHOST_SET_FEATURES, &features));
	EXPECT_EQ(-EOWNERDEAD, device_get_ring_base(&left, Q_IO));
	EXPECT_EQ(-EOWNERDEAD, device_worker_new(&left));
	EXPECT_TRUE(heir_starts(&self->rig));

	disk_let_go(self->rig.top);
	EXPECT_TRUE(scsi_alive(&self->rig.d, Q_IO));
	EXPECT_TRUE(vt_until(!atoi(shown(pid, "inflight")), PROMPT_MS));
	EXPECT_STREQ("state dead", shown(pid, "state"));
	EXPECT_EQ(-EOWNERDEAD, device_start(&left, self->rig.t->wwpn));
	close(o.fd);
	EXPECT_TRUE(vt_until(!shown(pid, "state")[0], PROMPT_MS));
}

/* It has no backend's answer to wait for: dead, and nothing else. */
TEST_F(owner, killed_while_idle_leaves_a_dead_device)
{
	struct owner o = { .shares = true, .fd = -1 };
	struct device left = { 0 };
	pid_t pid;

	self->rig.top->held = false;
	pid = owner_start(&o, &self->rig);
	ASSERT_LE(0, o.fd);
	left.fd = o.fd;
	vt_sleep_ms(200);
	EXPECT_DIES_PROMPTLY(pid);
	EXPECT_EQ(-EOWNERDEAD, device_start(&left, self->rig.t->wwpn));
	EXPECT_TRUE(heir_starts(&self->rig));
	EXPECT_TRUE(scsi_alive(&self->rig.d, Q_IO));
	close(o.fd);
}

TEST_F(owner, nothing_stays_pinned_after_it_was_killed)
{
	struct owner o = { 0 };
	pid_t pid = owner_start(&o, &self->rig);

	EXPECT_LT(self->pins, pins_held());
	EXPECT_DIES_PROMPTLY(pid);
	disk_let_go(self->rig.top);
	EXPECT_TRUE(vt_until(pins_held() == self->pins, WAIT_MS));
}

TEST_F(owner, tpg_can_be_removed_once_the_backend_has_answered)
{
	struct owner o = { .given = true, .fd = open("/dev/vhost-scsi", O_RDWR) };
	pid_t pid = owner_start(&o, &self->rig);

	EXPECT_DIES_PROMPTLY(pid);
	/* Its nexus has commands in flight. */
	EXPECT_EQ(-1, rmdir(self->rig.t->tpg));
	EXPECT_EQ(EBUSY, errno);
	disk_let_go(self->rig.top);
	EXPECT_EQ(0, target_lun_unlink(self->rig.t, 0));
	EXPECT_TRUE(vt_until(!target_nexus(self->rig.t, "NULL"), WAIT_MS));
	EXPECT_EQ(0, rmdir(self->rig.t->tpg));
	close(o.fd);
}

/* The last descriptor goes with the exec. */
TEST_F(owner, that_executes_a_program_has_left)
{
	struct owner o = { .act = EXECS };

	owner_start(&o, &self->rig);
	EXPECT_TRUE(heir_starts(&self->rig));
	disk_let_go(self->rig.top);
	EXPECT_TRUE(scsi_alive(&self->rig.d, Q_IO));
}

TEST_F(owner, that_executes_a_program_while_a_duplicate_lives_on_has_left)
{
	struct owner o = { .act = EXECS, .shares = true, .fd = -1 };
	struct device left = { 0 };

	owner_start(&o, &self->rig);
	left.fd = o.fd;
	EXPECT_TRUE(heir_starts(&self->rig));
	EXPECT_EQ(-EOWNERDEAD, device_start(&left, self->rig.t->wwpn));
	disk_let_go(self->rig.top);
	EXPECT_TRUE(scsi_alive(&self->rig.d, Q_IO));
	close(o.fd);
}

/* Nothing is closed; it shows when the first answer cannot be given. */
TEST_F(owner, that_executes_a_program_with_the_descriptor_has_left)
{
	struct owner o = { .act = EXECS_KEEPING };

	owner_start(&o, &self->rig);
	disk_let_go(self->rig.top);
	EXPECT_TRUE(heir_starts(&self->rig));
	EXPECT_TRUE(scsi_alive(&self->rig.d, Q_IO));
	EXPECT_TRUE(vt_until(pins_held() == self->pins, WAIT_MS));
}

static int wait_to_be_killed(void *unused)
{
	vt_sleep_ms(60000);
	return 0;
}

static int exec_true(void *unused)
{
	execl("/bin/true", "true", NULL);
	return 1;
}

/* Who merely has a descriptor may come and go. */
TEST_F(owner, is_not_mistaken_for_a_child_that_dies_or_execs)
{
	struct rig *rig = &self->rig;
	pid_t pid;

	rig->top->held = false;
	ASSERT_EQ(0, device_start(&rig->d, rig->t->wwpn));
	pid = child_start(wait_to_be_killed, NULL);
	vt_sleep_ms(50);
	EXPECT_DIES_PROMPTLY(pid);
	EXPECT_TRUE(scsi_alive(&rig->d, Q_IO));
	EXPECT_EQ(0, child_wait(child_start(exec_true, NULL), PROMPT_MS));
	EXPECT_TRUE(scsi_alive(&rig->d, Q_IO));
	close(dup(rig->d.fd));
	EXPECT_TRUE(scsi_alive(&rig->d, Q_IO));
}

static long close_device(void *arg)
{
	struct device *d = arg;
	int fd = d->fd;

	d->fd = -1;
	return close(fd);
}

/* Starts its own device, and has requests in flight on it. */
static bool busy(struct rig *rig, struct device *d)
{
	struct rig mine = *rig;

	device_open(d, &(struct device_opts){ 0 });
	if (device_start(d, rig->t->wwpn) || scsi_clear_ua(d, Q_IO, 0))
		return false;
	mine.d = *d;
	rig_mark(&mine);
	if (rig->top->held)
		disk_hold(rig->top);
	rig_reads(&mine, Q_IO, BATCH);
	return rig_submitted(&mine, BATCH);
}

TEST_F(owner, that_closes_does_not_wait_for_its_requests)
{
	struct rig *rig = &self->rig;
	struct device *d = vt_zalloc(sizeof(*d));
	struct vt_thread *t;

	ASSERT_TRUE(busy(rig, d));
	t = thread_start(close_device, d);
	EXPECT_TRUE(vt_until(thread_done(t), PROMPT_MS));
	EXPECT_TRUE(heir_starts(rig));
	EXPECT_LT(self->pins, pins_held());
	disk_let_go(rig->top);
	EXPECT_EQ(0, thread_join(t, WAIT_MS));
	EXPECT_TRUE(vt_until(pins_held() == self->pins, WAIT_MS));
	EXPECT_TRUE(scsi_alive(&rig->d, Q_IO));
}

/* A backend that takes its time, rather than one that is held. */
FIXTURE(slow)
{
	struct rig rig;
	long pins;
};

FIXTURE_VARIANT(slow)
{
	unsigned int ms;
};

FIXTURE_VARIANT_ADD(slow, backend_of_1_s)
{
	.ms = 1000,
};

FIXTURE_VARIANT_ADD(slow, backend_of_20_s)
{
	.ms = 20000,
};

FIXTURE_SETUP(slow)
{
	RIG_UP(&self->rig, .kind = RIG_DELAY, .slow_ms = variant->ms, .stopped = true);
	self->pins = pins_held();
	undo_push((undo_fn)disk_hurry, self->rig.top);
}

FIXTURE_TEARDOWN(slow)
{
	undo_all();
}

/* What LIO has been given may reach the disk after the first hurry. */
static bool unpinned(struct rig *rig, long pins)
{
	disk_hurry(rig->top);
	return pins_held() == pins;
}

TEST_F(slow, owner_that_is_killed_makes_room_at_once)
{
	struct owner o = { 0 };
	pid_t pid = owner_start(&o, &self->rig);
	uint64_t start = vt_now_ms();

	EXPECT_DIES_PROMPTLY(pid);
	EXPECT_TRUE(heir_starts(&self->rig));
	EXPECT_GT(PROMPT_MS, vt_now_ms() - start);
	EXPECT_EQ(0, scsi_clear_ua(&self->rig.d, Q_IO, 0));
	if (variant->ms > PROMPT_MS)
		EXPECT_LT(self->pins, pins_held());
	EXPECT_TRUE(vt_until(unpinned(&self->rig, self->pins), WAIT_MS));
	EXPECT_EQ(0, device_stop(&self->rig.d));
}

TEST_F(slow, owner_that_is_killed_inside_clear_endpoint_makes_room_at_once)
{
	struct owner o = { .act = STOPS };
	pid_t pid = owner_start(&o, &self->rig);

	EXPECT_DIES_PROMPTLY(pid);
	EXPECT_TRUE(heir_starts(&self->rig));
	EXPECT_TRUE(vt_until(unpinned(&self->rig, self->pins), WAIT_MS));
}

TEST_F(slow, close_returns_at_once)
{
	struct device *d = vt_zalloc(sizeof(*d));
	uint64_t start;

	ASSERT_TRUE(busy(&self->rig, d));
	start = vt_now_ms();
	EXPECT_EQ(0, close_device(d));
	EXPECT_GT(PROMPT_MS, vt_now_ms() - start);
	EXPECT_TRUE(heir_starts(&self->rig));
	EXPECT_TRUE(vt_until(unpinned(&self->rig, self->pins), WAIT_MS));
}

TEST_HARNESS_MAIN
