// SPDX-License-Identifier: GPL-2.0
/* The arguments of the migration ioctls, the event and the descriptors (M2, M7). */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "kselftest_harness.h"
#include "mig.h"

FIXTURE(call)
{
	struct rig rig;
	struct device *d;
};

FIXTURE_SETUP(call)
{
	mig_need();
	RIG_UP(&self->rig, .kind = RIG_RAM);
	self->d = &self->rig.d;
}

FIXTURE_TEARDOWN(call)
{
	undo_all();
}

TEST_F(call, get_info_tells_what_there_is)
{
	struct vhost_scsi_mig_info info = { .argsz = sizeof(info) };

	ASSERT_EQ(0, mig_info(self->d, &info));
	EXPECT_EQ(sizeof(info), info.argsz);
	EXPECT_EQ(0, info.flags);
	EXPECT_EQ(1, info.abi_version);
	EXPECT_EQ(S_RUN | S_LOG | S_RESUME, info.states);
	EXPECT_EQ(VHOST_SCSI_MIG_NO_FLUSH | VHOST_SCSI_MIG_DROP, info.set_state_flags);
	EXPECT_EQ(VHOST_SCSI_MIG_DATA_SAVE | VHOST_SCSI_MIG_DATA_LOAD |
		  VHOST_SCSI_MIG_DATA_CACHE_DROPPED, info.data_flags);
	EXPECT_EQ(0, info.nr_blockers);
	EXPECT_EQ(0, info.reserved);
}

TEST_F(call, get_info_refuses_what_it_does_not_know)
{
	struct vhost_scsi_mig_info info = { .argsz = sizeof(info) - 1 };

	EXPECT_EQ(-EINVAL, mig_info(self->d, &info));
	info = (struct vhost_scsi_mig_info){ .argsz = sizeof(info), .flags = 1 };
	EXPECT_EQ(-EINVAL, mig_info(self->d, &info));
	EXPECT_EQ(-EFAULT, mig_info(self->d, NULL));
	/* A caller of tomorrow has room for more. */
	{
		struct {
			struct vhost_scsi_mig_info info;
			struct vhost_scsi_mig_blocker room[8];
		} big = { .info.argsz = sizeof(big) };

		EXPECT_EQ(0, mig_info(self->d, &big.info));
		EXPECT_EQ(sizeof(info), big.info.argsz);
	}
}

TEST_F(call, get_state_writes_no_more_than_it_is_given)
{
	union {
		struct vhost_scsi_mig_status st;
		uint8_t b[96];
	} u;

	for (unsigned int size = 16; size <= sizeof(u.st); size += 8) {
		memset(&u, 0xa5, sizeof(u));
		u.st.argsz = size;
		u.st.flags = 0;
		EXPECT_EQ(0, device_ioctl(self->d, VHOST_SCSI_MIG_GET_STATE, &u));
		EXPECT_EQ(VHOST_SCSI_MIG_ENDPOINT, u.st.flags);
		EXPECT_EQ(S_RUN, u.st.state);
		EXPECT_EQ(0xa5, u.b[size]);
	}
	/* A caller of tomorrow: what this driver does not have, it leaves. */
	memset(&u, 0xa5, sizeof(u));
	u.st.argsz = sizeof(u);
	u.st.flags = 0;
	EXPECT_EQ(0, device_ioctl(self->d, VHOST_SCSI_MIG_GET_STATE, &u));
	EXPECT_EQ(sizeof(u.st), u.st.argsz);
	EXPECT_EQ(0xa5, u.b[sizeof(u.st)]);
}

TEST_F(call, get_state_refuses_what_it_does_not_know)
{
	struct vhost_scsi_mig_status st = { .argsz = sizeof(st), .flags = 1 };

	EXPECT_EQ(-EINVAL, device_ioctl(self->d, VHOST_SCSI_MIG_GET_STATE, &st));
	st = (struct vhost_scsi_mig_status){ .argsz = 4 };
	EXPECT_EQ(-EINVAL, device_ioctl(self->d, VHOST_SCSI_MIG_GET_STATE, &st));
	EXPECT_EQ(-EFAULT, device_ioctl(self->d, VHOST_SCSI_MIG_GET_STATE, NULL));
}

TEST_F(call, get_state_of_a_running_device)
{
	struct vhost_scsi_mig_status st = mig_status(self->d);

	EXPECT_EQ(sizeof(st), st.argsz);
	EXPECT_EQ(VHOST_SCSI_MIG_ENDPOINT, st.flags);
	EXPECT_EQ(S_RUN, st.state);
	EXPECT_EQ(0, st.pending);
	EXPECT_EQ(0, st.write_errors);
	EXPECT_EQ(0, st.error);
	EXPECT_EQ(VHOST_SCSI_MIG_OK, st.reason);
	EXPECT_EQ(0, st.target);
	EXPECT_EQ(0, st.lun);
	EXPECT_EQ(VHOST_SCSI_MIG_FLUSH_NONE, st.flush);
}

TEST_F(call, get_state_tells_what_became_of_the_flush)
{
	ASSERT_EQ(0, mig_set(self->d, S_STOP));
	EXPECT_EQ(VHOST_SCSI_MIG_FLUSH_OK, mig_status(self->d).flush);
	ASSERT_EQ(0, mig_set(self->d, S_RUN));
	ASSERT_EQ(0, mig_set_flags(self->d, S_STOP, VHOST_SCSI_MIG_NO_FLUSH, 0));
	EXPECT_EQ(VHOST_SCSI_MIG_FLUSH_OFF, mig_status(self->d).flush);
}

TEST_F(call, set_state_refuses_what_it_does_not_know)
{
	struct vhost_scsi_mig_set_state set = { .argsz = sizeof(set) - 1 };

	EXPECT_EQ(-EINVAL, device_ioctl(self->d, VHOST_SCSI_MIG_SET_STATE, &set));
	EXPECT_EQ(-EINVAL, mig_set_flags(self->d, S_STOP, 1u << 2, 0));
	EXPECT_EQ(-EINVAL, mig_set_flags(self->d, S_STOP, 1u << 31, 0));
	EXPECT_EQ(-EFAULT, device_ioctl(self->d, VHOST_SCSI_MIG_SET_STATE, NULL));
	/* DROP goes with STOP. */
	EXPECT_EQ(-EINVAL, mig_set_flags(self->d, S_RUNLOG, VHOST_SCSI_MIG_DROP, 0));
	EXPECT_EQ(-EINVAL, mig_set_flags(self->d, S_RUN, VHOST_SCSI_MIG_DROP, 0));
	EXPECT_STATE(self->d, S_RUN);
	EXPECT_TRUE(scsi_alive(self->d, Q_IO));
}

TEST_F(call, data_fd_takes_exactly_one_direction)
{
	const uint32_t save = VHOST_SCSI_MIG_DATA_SAVE, load = VHOST_SCSI_MIG_DATA_LOAD;
	const uint32_t dropped = VHOST_SCSI_MIG_DATA_CACHE_DROPPED;

	ASSERT_EQ(0, mig_set(self->d, S_RUNLOG));
	EXPECT_EQ(-EINVAL, mig_data(self->d, 0, NULL));
	EXPECT_EQ(-EINVAL, mig_data(self->d, save | load, NULL));
	EXPECT_EQ(-EINVAL, mig_data(self->d, dropped, NULL));
	EXPECT_EQ(-EINVAL, mig_data(self->d, save | dropped, NULL));
	EXPECT_EQ(-EINVAL, mig_data(self->d, save | 1u << 3, NULL));
	EXPECT_EQ(-EINVAL, mig_data(self->d, save, self->rig.t->wwpn));
	EXPECT_EQ(-ENODATA, mig_data(self->d, load, self->rig.t->wwpn));
	EXPECT_EQ(-EFAULT, device_ioctl(self->d, VHOST_SCSI_MIG_DATA_FD, NULL));
}

TEST_F(call, data_fd_of_no_session)
{
	EXPECT_EQ(-ENODATA, mig_data(self->d, VHOST_SCSI_MIG_DATA_SAVE, NULL));
	EXPECT_EQ(-ENODATA, mig_data(self->d, VHOST_SCSI_MIG_DATA_LOAD, self->rig.t->wwpn));
	ASSERT_EQ(0, mig_set(self->d, S_STOP));
	EXPECT_EQ(-ENODATA, mig_data(self->d, VHOST_SCSI_MIG_DATA_SAVE, NULL));
	ASSERT_EQ(0, mig_set(self->d, S_RESUME));
	EXPECT_EQ(-ENODATA, mig_data(self->d, VHOST_SCSI_MIG_DATA_SAVE, NULL));
}

TEST_F(call, data_fd_is_one_to_a_session_and_closes_on_exec)
{
	int fd;

	ASSERT_EQ(0, mig_set(self->d, S_RUNLOG));
	fd = mig_data(self->d, VHOST_SCSI_MIG_DATA_SAVE, NULL);
	ASSERT_LE(0, fd);
	EXPECT_EQ(FD_CLOEXEC, fcntl(fd, F_GETFD));
	EXPECT_EQ(-EBUSY, mig_data(self->d, VHOST_SCSI_MIG_DATA_SAVE, NULL));
	EXPECT_EQ(-1, write(fd, "x", 1));
	EXPECT_EQ(-1, lseek(fd, 0, SEEK_SET));
	EXPECT_EQ(ESPIPE, errno);
	close(fd);
	EXPECT_EQ(-EBUSY, mig_data(self->d, VHOST_SCSI_MIG_DATA_SAVE, NULL));
}

TEST_F(call, load_fd_names_a_target_port)
{
	struct vhost_scsi_mig_data data = { .argsz = sizeof(data),
					    .flags = VHOST_SCSI_MIG_DATA_LOAD };
	const uint32_t load = VHOST_SCSI_MIG_DATA_LOAD;
	struct target *other = target_open();
	struct device user;

	ASSERT_EQ(0, mig_set(self->d, S_STOP));
	ASSERT_EQ(0, mig_set(self->d, S_RESUME));
	memset(data.wwpn, 'a', sizeof(data.wwpn));
	EXPECT_EQ(-EINVAL, device_ioctl(self->d, VHOST_SCSI_MIG_DATA_FD, &data));
	/* An endpoint is set, and it is another one. */
	EXPECT_EQ(-EXDEV, mig_data(self->d, load, other->wwpn));
	ASSERT_EQ(0, mig_set_flags(self->d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	ASSERT_EQ(0, device_stop(self->d));
	ASSERT_EQ(0, mig_set(self->d, S_RESUME));
	EXPECT_EQ(-ENODEV, mig_data(self->d, load, "naa.0000000000000000"));
	EXPECT_EQ(-ENODEV, mig_data(self->d, load, ""));
	device_open(&user, &(struct device_opts){ 0 });
	ASSERT_EQ(0, device_start(&user, other->wwpn));
	EXPECT_EQ(-EBUSY, mig_data(self->d, load, other->wwpn));
	ASSERT_EQ(0, device_stop(&user));
	EXPECT_LE(0, mig_data(self->d, load, other->wwpn));
	/* It is claimed from then on. */
	EXPECT_EQ(-EBUSY, device_start(&user, NULL));
	device_close(self->d);
}

TEST_F(call, check_of_no_load)
{
	struct vhost_scsi_mig_check check;

	EXPECT_EQ(-ENODATA, mig_check_get(self->d, &check));
	ASSERT_EQ(0, mig_set(self->d, S_RUNLOG));
	EXPECT_EQ(-ENODATA, mig_check_get(self->d, &check));
	ASSERT_EQ(0, mig_set(self->d, S_RUN));
	ASSERT_EQ(0, mig_set(self->d, S_STOP));
	ASSERT_EQ(0, mig_set(self->d, S_RESUME));
	ASSERT_EQ(0, mig_check_get(self->d, &check));
	EXPECT_EQ(sizeof(check), check.argsz);
	EXPECT_EQ(VHOST_SCSI_MIG_INCOMPLETE, check.verdict);
	EXPECT_EQ(0, check.error);
	EXPECT_EQ(VHOST_SCSI_MIG_OK, check.blocker.reason);
	EXPECT_EQ(0, check.offset);
	check = (struct vhost_scsi_mig_check){ .argsz = sizeof(check), .flags = 1 };
	EXPECT_EQ(-EINVAL, device_ioctl(self->d, VHOST_SCSI_MIG_CHECK, &check));
	check = (struct vhost_scsi_mig_check){ .argsz = sizeof(check) - 1 };
	EXPECT_EQ(-EINVAL, device_ioctl(self->d, VHOST_SCSI_MIG_CHECK, &check));
	EXPECT_EQ(-EFAULT, device_ioctl(self->d, VHOST_SCSI_MIG_CHECK, NULL));
}

TEST_F(call, set_eventfd_refuses_what_is_none)
{
	struct vhost_scsi_mig_eventfd e = { .argsz = sizeof(e), .fd = -1, .reserved = 1 };
	int fd = open("/dev/null", O_RDWR);

	EXPECT_EQ(-EINVAL, device_ioctl(self->d, VHOST_SCSI_MIG_SET_EVENTFD, &e));
	e = (struct vhost_scsi_mig_eventfd){ .argsz = sizeof(e), .fd = -1, .flags = 1 };
	EXPECT_EQ(-EINVAL, device_ioctl(self->d, VHOST_SCSI_MIG_SET_EVENTFD, &e));
	e = (struct vhost_scsi_mig_eventfd){ .argsz = sizeof(e) - 1, .fd = -1 };
	EXPECT_EQ(-EINVAL, device_ioctl(self->d, VHOST_SCSI_MIG_SET_EVENTFD, &e));
	EXPECT_EQ(-EFAULT, device_ioctl(self->d, VHOST_SCSI_MIG_SET_EVENTFD, NULL));
	EXPECT_EQ(-EINVAL, mig_eventfd(self->d, fd));
	close(fd);
	EXPECT_EQ(-EBADF, mig_eventfd(self->d, fd));
	EXPECT_EQ(0, mig_eventfd(self->d, -1));
}

static short polled(int fd)
{
	struct pollfd p = { .fd = fd, .events = POLLIN | POLLOUT };

	return poll(&p, 1, 0) < 0 ? -1 : p.revents;
}

/* Each is a state reached: told by the eventfd, by poll() and by a count. */
#define EXPECT_EVENT(what) do {							\
	uint64_t __n = mig_status(d).events;					\
	eventfd_take(efd);							\
	EXPECT_EQ(0, polled(d->fd) & (POLLIN | POLLERR));			\
	EXPECT_EQ(0, what);							\
	EXPECT_LE(1, eventfd_take(efd));					\
	EXPECT_EQ(POLLIN, polled(d->fd) & (POLLIN | POLLERR));			\
	EXPECT_LT(__n, mig_status(d).events);					\
	EXPECT_EQ(0, polled(d->fd) & POLLIN);					\
} while (0)

TEST_F(call, each_state_reached_is_an_event)
{
	int efd = eventfd(0, EFD_NONBLOCK);
	struct device *d = self->d;

	ASSERT_EQ(0, mig_eventfd(d, efd));
	mig_status(d);
	EXPECT_EVENT(mig_set(d, S_RUNLOG));
	EXPECT_EVENT(mig_set(d, S_LOG));
	EXPECT_EVENT(mig_set(d, S_RUN));
	EXPECT_EVENT(mig_set(d, S_STOP));
	EXPECT_EVENT(mig_set(d, S_RESUME));
	EXPECT_EVENT(mig_set_flags(d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	EXPECT_EVENT(mig_set(d, S_RUN));
	EXPECT_EVENT(device_stop(d));
	EXPECT_EVENT(device_start(d, NULL));
}

TEST_F(call, what_changes_nothing_is_no_event)
{
	int efd = eventfd(0, EFD_NONBLOCK);
	uint64_t n;

	ASSERT_EQ(0, mig_eventfd(self->d, efd));
	n = mig_status(self->d).events;
	eventfd_take(efd);
	EXPECT_EQ(0, mig_set(self->d, S_RUN));
	EXPECT_EQ(-EINVAL, mig_set(self->d, S_LOG));
	EXPECT_EQ(0, eventfd_take(efd));
	EXPECT_EQ(n, mig_status(self->d).events);
	ASSERT_EQ(0, mig_eventfd(self->d, -1));
	EXPECT_EQ(0, mig_set(self->d, S_STOP));
	EXPECT_EQ(0, eventfd_take(efd));
}

/* Readable whenever read() would not fail. */
TEST_F(call, save_fd_polls_as_readable_when_there_is_something)
{
	struct stream *s = stream_new();
	int fd;

	ASSERT_EQ(0, mig_set(self->d, S_RUNLOG));
	fd = mig_data(self->d, VHOST_SCSI_MIG_DATA_SAVE, NULL);
	ASSERT_LE(0, fd);
	EXPECT_EQ(POLLIN, polled(fd) & (POLLIN | POLLERR));
	EXPECT_EQ(-ENOMSG, stream_read(s, fd));
	EXPECT_EQ(0, polled(fd) & (POLLIN | POLLERR));
	ASSERT_EQ(0, mig_set(self->d, S_LOG));
	EXPECT_EQ(POLLIN, polled(fd) & (POLLIN | POLLERR));
	EXPECT_EQ(0, stream_read(s, fd));
	EXPECT_EQ(POLLIN, polled(fd) & (POLLIN | POLLERR));
	ASSERT_EQ(0, mig_set(self->d, S_RUN));
	EXPECT_EQ(POLLERR, polled(fd) & POLLERR);
	EXPECT_EQ(-ENODEV, stream_read(s, fd));
	close(fd);
}

TEST_F(call, data_fds_of_a_session_that_is_over)
{
	struct stream *s = stream_new();
	char byte = 0;
	int fd;

	ASSERT_EQ(0, mig_set(self->d, S_RUNLOG));
	fd = mig_data(self->d, VHOST_SCSI_MIG_DATA_SAVE, NULL);
	ASSERT_EQ(0, mig_set(self->d, S_RUN));
	ASSERT_EQ(0, mig_set(self->d, S_RUNLOG));
	/* Another session is none of its business. */
	EXPECT_EQ(-ENODEV, stream_read(s, fd));
	close(fd);
	ASSERT_EQ(0, mig_set(self->d, S_RUN));
	ASSERT_EQ(0, mig_set(self->d, S_STOP));
	ASSERT_EQ(0, mig_set(self->d, S_RESUME));
	fd = mig_data(self->d, VHOST_SCSI_MIG_DATA_LOAD, self->rig.t->wwpn);
	ASSERT_LE(0, fd);
	EXPECT_EQ(POLLOUT, polled(fd) & (POLLOUT | POLLERR));
	ASSERT_EQ(0, mig_set_flags(self->d, S_STOP, VHOST_SCSI_MIG_DROP, 0));
	EXPECT_EQ(-1, write(fd, &byte, 1));
	EXPECT_EQ(ENODEV, errno);
	close(fd);
}

TEST_F(call, data_fd_outlives_the_device)
{
	struct stream *s = stream_new();
	int fd;

	ASSERT_EQ(0, mig_set(self->d, S_RUNLOG));
	fd = mig_data(self->d, VHOST_SCSI_MIG_DATA_SAVE, NULL);
	ASSERT_LE(0, fd);
	device_close(self->d);
	EXPECT_TRUE(vt_until(stream_read(s, fd) == -ENODEV, WAIT_MS));
	EXPECT_EQ(POLLERR, polled(fd) & POLLERR);
	close(fd);
}

TEST_HARNESS_MAIN
