// SPDX-License-Identifier: GPL-2.0
/* Opening, closing, resetting, removing, unloading, in every state. */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine.h"
#include "graph.h"
#include "kselftest_harness.h"

FIXTURE(life)
{
	struct space *space;
	struct device *d;
};

FIXTURE_VARIANT(life)
{
	enum space_kind kind;
};

FIXTURE_VARIANT_ADD(life, group)
{
	.kind = BY_GROUP,
};

FIXTURE_VARIANT_ADD(life, cdev)
{
	.kind = BY_CDEV,
};

FIXTURE_SETUP(life)
{
	self->space = space_new(variant->kind);
	self->d = device_up(self->space, MCOPY);
}

FIXTURE_TEARDOWN(life)
{
	undo_all();
}

static const uint32_t states[] = {
	STOP, RUNNING, STOP_COPY, RESUMING, RUNNING_P2P, PRE_COPY, PRE_COPY_P2P,
};

/* In some state, and in the middle of it. */
static void enter(struct __test_metadata *_metadata, struct device *d,
		  enum version abi, uint32_t state, int *fd)
{
	struct stream *s = stream_new(64 << 10);
	struct stream *whole = abi_save(d, V2);

	*fd = -1;
	fill(d->mem, 2 * PAGE, 1);
	device_put(d, BAR0, MCOPY_REG_SCRATCH, 77, 8);
	if (state != RUNNING)
		ASSERT_EQ(0, abi_set(d, abi, state, fd));
	if (graph_saves(state))
		ASSERT_LT(0, stream_some(d, *fd, abi == V1 ? stream_new(2 * MIB) : s,
					 5000));
	if (state == RESUMING)
		ASSERT_EQ(0, stream_load(d, *fd, whole->data, 100));
}

/* As after power on. */
static void expect_fresh(struct __test_metadata *_metadata, struct device *d)
{
	uint64_t i, sum = 0;

	EXPECT_EQ(RUNNING, v2_state(d));
	EXPECT_EQ(1, v1_state(d));
	EXPECT_EQ(0, v1_pending(d));
	EXPECT_EQ(0, device_get(d, BAR0, MCOPY_REG_SCRATCH, 8));
	EXPECT_EQ(0, device_get(d, BAR0, MCOPY_REG_CTRL, 4));
	for (i = 0; i < 16 * PAGE; i++)
		sum += d->mem[i];
	EXPECT_EQ(0, sum);
}

static bool known(enum version abi, uint32_t state)
{
	return abi == V2 || (state != RUNNING_P2P && state != PRE_COPY_P2P);
}

TEST_F(life, reset_in_every_state_is_a_fresh_device)
{
	int fd;

	for (enum version abi = V1; abi <= V2; abi++)
		for (unsigned int i = 0; i < ARRAY_SIZE(states); i++) {
			if (!known(abi, states[i]))
				continue;
			enter(_metadata, self->d, abi, states[i], &fd);
			EXPECT_EQ(0, device_reset(self->d));
			expect_fresh(_metadata, self->d);
			/* And both ABIs work. */
			EXPECT_EQ(0, v1_set(self->d, 3));
			EXPECT_EQ(self->d->size, v1_pending(self->d));
			EXPECT_EQ(0, device_reset(self->d));
			if (fd >= 0)
				close(fd);
		}
}

TEST_F(life, closed_in_every_state_it_opens_fresh)
{
	int fd;

	for (enum version abi = V1; abi <= V2; abi++)
		for (unsigned int i = 0; i < ARRAY_SIZE(states); i++) {
			if (!known(abi, states[i]))
				continue;
			enter(_metadata, self->d, abi, states[i], &fd);
			device_close(self->d);
			close(self->space->fd);
			self->space = space_new(variant->kind);
			ASSERT_EQ(0, device_open(self->d, self->space));
			expect_fresh(_metadata, self->d);
			if (fd >= 0)
				close(fd);
		}
}

TEST_F(life, second_opener_is_refused)
{
	struct device copy = *self->d;

	copy.mem = NULL;
	copy.fd = -1;
	copy.group = -1;
	if (variant->kind == BY_GROUP) {
		/* The group itself has one opener. */
		EXPECT_EQ(-EBUSY, device_open(&copy, self->space));
	} else {
		EXPECT_EQ(-EINVAL, device_open(&copy, self->space));
	}
	/* Nothing has happened to the first one. */
	EXPECT_EQ(RUNNING, v2_state(self->d));
	EXPECT_EQ(0, v1_set(self->d, 3));
}

/* Two descriptors of one device: one state, and it ends with the last. */
TEST_F(life, two_descriptors_share_one_session)
{
	struct device copy = *self->d;
	int fd;

	if (variant->kind == BY_CDEV)
		SKIP(return, "a device node has one opener");
	copy.fd = ioctl(self->d->group, VFIO_GROUP_GET_DEVICE_FD, copy.uuid);
	ASSERT_LE(0, copy.fd);
	ASSERT_EQ(0, v2_set(self->d, PRE_COPY, &fd));
	EXPECT_EQ(PRE_COPY, v2_state(&copy));
	EXPECT_EQ(-EBUSY, v1_set(&copy, 0));
	close(copy.fd);
	EXPECT_EQ(PRE_COPY, v2_state(self->d));
	EXPECT_LT(0, stream_some(self->d, fd, stream_new(64 << 10), 100));
}

static long remove_in_thread(void *arg)
{
	return device_remove(arg);
}

/* Its user is asked to let go; nobody is hurt if that takes a while. */
TEST_F(life, removed_while_in_use_it_goes_when_it_is_closed)
{
	int request = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	struct stream *s = stream_new(64 << 10);
	struct vt_thread *thread;
	uint64_t count;
	int fd;

	for (unsigned int i = 0; i < ARRAY_SIZE(states); i++) {
		struct space *space = space_new(variant->kind);
		struct device *d = device_up(space, MCOPY);

		enter(_metadata, d, V2, states[i], &fd);
		ASSERT_EQ(0, device_irq(d, VFIO_PCI_REQ_IRQ_INDEX, request));
		thread = thread_start(remove_in_thread, d);
		EXPECT_TRUE(vt_until(read(request, &count, 8) == 8, WAIT_MS));
		EXPECT_FALSE(thread_done(thread));
		EXPECT_EQ(states[i], v2_state(d));
		if (graph_saves(states[i]))
			EXPECT_LT(0, stream_some(d, fd, s, 50));
		device_close(d);
		EXPECT_EQ(0, thread_join(thread, WAIT_MS));
		EXPECT_FALSE(device_exists(d));
		if (graph_saves(states[i]))
			EXPECT_EQ(-ENODEV, stream_some(d, fd, s, 50));
		if (fd >= 0)
			close(fd);
	}
}

static int unload(const char *name)
{
	return syscall(SYS_delete_module, name, O_NONBLOCK) ? -errno : 0;
}

TEST_F(life, module_in_use_does_not_unload)
{
	int fd;

	for (unsigned int i = 0; i < ARRAY_SIZE(states); i++) {
		enter(_metadata, self->d, V2, states[i], &fd);
		EXPECT_EQ(-EWOULDBLOCK, unload("mcopy"));
		EXPECT_EQ(-EWOULDBLOCK, unload("vfio_migration"));
		EXPECT_EQ(states[i], v2_state(self->d));
		ASSERT_EQ(0, device_reset(self->d));
		if (fd >= 0)
			close(fd);
	}
}

static int load(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), ret;

	if (fd < 0)
		return -errno;
	ret = syscall(SYS_finit_module, fd, "", 0) ? -errno : 0;
	close(fd);
	return ret;
}

/* A device that nobody has open goes with it, and comes with it again. */
TEST_F(life, module_unloads_with_a_closed_device_and_loads_again)
{
	const char *kernel = getenv("LAB_KERNEL");
	const char *path;

	if (!kernel)
		vt_skip("not in the lab: no module to load again");
	path = vt_str("/project/build/%s/samples/vfio-mdev/mcopy.ko", kernel);
	device_close(self->d);
	EXPECT_TRUE(device_exists(self->d));
	ASSERT_EQ(0, unload("mcopy"));
	EXPECT_FALSE(device_exists(self->d));
	EXPECT_FALSE(file_exists("/sys/class/mdev_bus/mcopy"));
	ASSERT_EQ(0, load(path));
	self->d = device_up(space_new(variant->kind), MCOPY);
	expect_fresh(_metadata, self->d);
}

/* The data descriptor's code is in vfio_migration, and keeps it. */
TEST_F(life, descriptor_left_over_keeps_the_helper)
{
	int fd;

	ASSERT_EQ(0, v2_set(self->d, PRE_COPY, &fd));
	device_close(self->d);
	ASSERT_EQ(0, device_remove(self->d));
	EXPECT_EQ(-ENODEV, stream_some(self->d, fd, stream_new(PAGE), 10));
	EXPECT_EQ(-EWOULDBLOCK, unload("vfio_migration"));
}

/* Descriptors, eventfds and a mapping that the kernel lets go at exit. */
static int leave_behind(void *arg)
{
	struct space *space = space_new(BY_GROUP);
	struct device *d = device_new(MCOPY);
	struct guest *g;
	int fd;

	if (device_open(d, space))
		return 1;
	g = guest_new(space);
	device_irq(d, VFIO_PCI_MSI_IRQ_INDEX, eventfd(0, 0));
	if (v2_set(d, PRE_COPY, &fd))
		return 2;
	engine_start(d);
	for (unsigned int i = 0; i < RING_SIZE; i++)
		engine_fill(g, i, DMA(MIB), 0, 2 * MIB, TO_DEVICE);
	engine_kick(d, RING_SIZE);
	return 0;
}

TEST_F(life, owner_that_exits_at_work_leaves_nothing)
{
	for (int i = 0; i < 4; i++)
		EXPECT_EQ(0, child_wait(child_start(leave_behind, NULL), WAIT_MS));
}

TEST_F(life, as_many_devices_as_are_said_and_no_more)
{
	const char *type = "/sys/class/mdev_bus/mcopy/mdev_supported_types/mcopy-16M";
	struct device *d[MCOPY_MAX_DEVICES];
	char text[16];
	int n = 0, left;

	ASSERT_LT(0, file_get(vt_str("%s/available_instances", type), text,
			      sizeof(text)));
	left = atoi(text);
	EXPECT_GT(MCOPY_MAX_DEVICES, left);
	while (n < left)
		d[n++] = device_new(MCOPY);
	ASSERT_LT(0, file_get(vt_str("%s/available_instances", type), text,
			      sizeof(text)));
	EXPECT_EQ(0, atoi(text));
	EXPECT_EQ(-EUSERS, file_put(vt_str("%s/create", type),
				    "c0ffee01-0000-4000-8000-%012x", getpid()));
	while (n--)
		EXPECT_EQ(0, device_remove(d[n]));
}

TEST_HARNESS_MAIN
