// SPDX-License-Identifier: GPL-2.0
/* Stopping while DMA runs: what "stopped" means, and a stop that is killed (V6). */
#include <errno.h>
#include <fcntl.h>
#include <linux/userfaultfd.h>
#include <signal.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "engine.h"
#include "kselftest_harness.h"

#define COPIES	48
#define LENGTH	60000
#define SOURCE	(1 * MIB)
#define TARGET	(2 * MIB)	/* in guest memory, 32 copies fit */
#define STRIDE	(64UL << 10)

FIXTURE(quiet)
{
	struct space *space;
	struct guest *guest;
	struct device *d;
	int msi;
};

FIXTURE_VARIANT(quiet)
{
	enum space_kind kind;
	enum version abi;
	uint32_t from, to;
};

FIXTURE_VARIANT_ADD(quiet, region_stop)
{
	.abi = V1, .from = RUNNING, .to = STOP,
};

FIXTURE_VARIANT_ADD(quiet, region_stop_and_save)
{
	.abi = V1, .from = RUNNING, .to = STOP_COPY,
};

FIXTURE_VARIANT_ADD(quiet, region_end_of_precopy)
{
	.abi = V1, .from = PRE_COPY, .to = STOP_COPY,
};

FIXTURE_VARIANT_ADD(quiet, region_load)
{
	.abi = V1, .from = RUNNING, .to = RESUMING,
};

FIXTURE_VARIANT_ADD(quiet, feature_p2p)
{
	.abi = V2, .from = RUNNING, .to = RUNNING_P2P,
};

FIXTURE_VARIANT_ADD(quiet, feature_stop)
{
	.abi = V2, .from = RUNNING, .to = STOP,
};

FIXTURE_VARIANT_ADD(quiet, feature_precopy_p2p)
{
	.abi = V2, .from = PRE_COPY, .to = PRE_COPY_P2P,
};

FIXTURE_VARIANT_ADD(quiet, feature_end_of_precopy)
{
	.abi = V2, .from = PRE_COPY, .to = STOP_COPY,
};

FIXTURE_VARIANT_ADD(quiet, feature_end_of_precopy_cdev)
{
	.kind = BY_CDEV, .abi = V2, .from = PRE_COPY, .to = STOP_COPY,
};

FIXTURE_SETUP(quiet)
{
	self->space = space_new(variant->kind);
	self->d = device_up(self->space, MCOPY);
	self->guest = guest_new(self->space);
	self->msi = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
	ASSERT_EQ(0, device_irq(self->d, VFIO_PCI_MSI_IRQ_INDEX, self->msi));
	fill(self->guest->mem + SOURCE, STRIDE, 1);
}

FIXTURE_TEARDOWN(quiet)
{
	undo_all();
}

/* Even ones go to the device, odd ones bring back what came before. */
static void begin_copies(struct _test_data_quiet *self)
{
	memset(self->d->mem, 0, COPIES * STRIDE);
	memset(self->guest->mem + TARGET, 0, GUEST_SIZE - TARGET);
	engine_start(self->d);
	device_put(self->d, BAR0, MCOPY_REG_INT_ENABLE, MCOPY_INT_ALL, 4);
	for (unsigned int i = 0; i < COPIES; i += 2) {
		engine_fill(self->guest, i, DMA(SOURCE + 8), i * STRIDE + 100,
			    LENGTH, TO_DEVICE | MCOPY_DESC_INT);
		engine_fill(self->guest, i + 1, i * STRIDE + 100,
			    DMA(TARGET + i / 2 * STRIDE + 9), LENGTH,
			    FROM_DEVICE | MCOPY_DESC_INT);
	}
	engine_kick(self->d, COPIES);
}

static void check_copies(struct __test_metadata *_metadata,
			 struct _test_data_quiet *self)
{
	const uint8_t *source = self->guest->mem + SOURCE + 8;

	ASSERT_TRUE(engine_done(self->d, COPIES, WAIT_MS));
	for (unsigned int i = 0; i < COPIES; i += 2) {
		ASSERT_EQ(MCOPY_DESC_DONE, self->guest->ring[i].status);
		ASSERT_EQ(MCOPY_DESC_DONE, self->guest->ring[i + 1].status);
		ASSERT_EQ(0, memcmp(source, self->d->mem + i * STRIDE + 100,
				    LENGTH));
		ASSERT_EQ(0, memcmp(source, self->guest->mem + TARGET +
				    i / 2 * STRIDE + 9, LENGTH));
	}
}

struct trace {
	uint64_t guest;
	uint64_t memory;
	uint64_t bytes;
	uint32_t head;
	uint32_t interrupts;
};

static struct trace look(struct _test_data_quiet *self)
{
	return (struct trace) {
		.guest = hash(self->guest->mem, GUEST_SIZE),
		.memory = hash(self->d->mem, COPIES * STRIDE),
		.bytes = device_get(self->d, BAR0, MCOPY_REG_BYTES, 8),
		.head = engine_head(self->d),
		.interrupts = device_get(self->d, BAR0, MCOPY_REG_INT_STATUS, 4),
	};
}

static uint64_t signalled(int fd)
{
	uint64_t n;

	return read(fd, &n, 8) == 8 ? n : 0;
}

TEST_F(quiet, nothing_moves_after_the_state_change_returned)
{
	const unsigned int rounds = kernel_is_debug() ? 6 : 16;
	unsigned int halfway = 0, i;
	struct trace before, after;
	uint64_t done = 0;
	int fd;

	for (i = 0; i < rounds; i++) {
		ASSERT_EQ(0, abi_set(self->d, variant->abi, variant->from, &fd));
		begin_copies(self);
		usleep(i * 400);
		ASSERT_EQ(0, abi_set(self->d, variant->abi, variant->to, NULL));
		signalled(self->msi);
		before = look(self);
		halfway += before.head < COPIES;
		/* Kicked, and looked at. */
		engine_kick(self->d, COPIES);
		vt_sleep_ms(100);
		after = look(self);
		EXPECT_EQ(before.guest, after.guest);
		EXPECT_EQ(before.memory, after.memory);
		EXPECT_EQ(before.bytes, after.bytes);
		EXPECT_EQ(before.head, after.head);
		EXPECT_EQ(before.interrupts, after.interrupts);
		EXPECT_EQ(0, signalled(self->msi));
		if (fd >= 0)
			close(fd);
		if (variant->to == RESUMING) {
			ASSERT_EQ(0, device_reset(self->d));
			device_put(self->d, CONFIG, 4, 6, 2);
			continue;
		}
		ASSERT_EQ(0, abi_set(self->d, variant->abi, RUNNING, NULL));
		check_copies(_metadata, self);
		done += COPIES * LENGTH;
		EXPECT_EQ(done, device_get(self->d, BAR0, MCOPY_REG_BYTES, 8));
		/* The last completion is followed by an interrupt. */
		EXPECT_TRUE(before.head == COPIES ||
			    vt_until(signalled(self->msi), WAIT_MS));
	}
	EXPECT_LT(0, halfway) {
		TH_LOG("no stop came between the first copy and the last");
	}
	TH_LOG("%u of %u stops came halfway", halfway, rounds);
}

/* An interrupt that is unmasked, enabled, tested or newly wired is not raised. */
TEST_F(quiet, no_interrupt_is_raised_while_stopped)
{
	int other = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);

	if (variant->to == RUNNING_P2P || variant->to == PRE_COPY_P2P ||
	    variant->to == RESUMING)
		SKIP(return, "an interrupt is no DMA, and a load has none to raise");
	begin_copies(self);
	ASSERT_TRUE(engine_done(self->d, COPIES, WAIT_MS));
	device_put(self->d, BAR0, MCOPY_REG_INT_ENABLE, 0, 4);
	ASSERT_EQ(MCOPY_INT_DONE,
		  device_get(self->d, BAR0, MCOPY_REG_INT_STATUS, 4));
	ASSERT_EQ(0, abi_set(self->d, variant->abi, variant->to, NULL));
	signalled(self->msi);
	device_put(self->d, BAR0, MCOPY_REG_INT_ENABLE, MCOPY_INT_ALL, 4);
	EXPECT_EQ(0, signalled(self->msi));
	ASSERT_EQ(0, device_irq(self->d, VFIO_PCI_MSI_IRQ_INDEX, other));
	EXPECT_EQ(0, signalled(other));
	ASSERT_EQ(0, abi_set(self->d, variant->abi, RUNNING, NULL));
	EXPECT_LT(0, signalled(other));
	EXPECT_EQ(0, signalled(self->msi));
}

/* Guest memory of which a page does not come until the test says so. */
struct late {
	int uffd;
	uint64_t page;
};

static void late_setup(struct _test_data_quiet *self, struct late *late)
{
	struct uffdio_api api = { .api = UFFD_API };
	struct uffdio_register range = {
		.range.len = PAGE,
		.mode = UFFDIO_REGISTER_MODE_MISSING,
	};

	late->page = (uintptr_t)self->guest->mem + 3 * MIB;
	range.range.start = late->page;
	late->uffd = syscall(SYS_userfaultfd, O_CLOEXEC);
	if (late->uffd < 0 || ioctl(late->uffd, UFFDIO_API, &api))
		vt_skip("the kernel has no userfaultfd");
	madvise((void *)late->page, PAGE, MADV_REMOVE);
	if (ioctl(late->uffd, UFFDIO_REGISTER, &range))
		vt_skip("no userfaultfd in shared memory");
	engine_start(self->d);
	engine_fill(self->guest, 0, DMA(3 * MIB), 0, PAGE, TO_DEVICE);
	engine_kick(self->d, 1);
}

/* Waits until the engine waits for it. */
static bool late_waited_for(struct late *late)
{
	struct uffd_msg msg;

	return read(late->uffd, &msg, sizeof(msg)) == sizeof(msg) &&
	       msg.event == UFFD_EVENT_PAGEFAULT;
}

static int late_bring(struct late *late, const void *data)
{
	struct uffdio_copy copy = {
		.dst = late->page,
		.src = (uintptr_t)data,
		.len = PAGE,
	};

	return ioctl(late->uffd, UFFDIO_COPY, &copy) ? -errno : 0;
}

struct change {
	struct device *d;
	enum version abi;
	uint32_t to;
};

static int change_in_child(void *arg)
{
	struct change *c = arg;

	return abi_set(c->d, c->abi, c->to, NULL) ? 1 : 0;
}

static long change_in_thread(void *arg)
{
	struct change *c = arg;

	return abi_set(c->d, c->abi, c->to, NULL);
}

TEST_F(quiet, killed_state_change_leaves_the_old_state)
{
	struct change c = { self->d, variant->abi, variant->to };
	uint8_t data[PAGE];
	struct late late;
	int status, fd;
	pid_t pid;

	ASSERT_EQ(0, abi_set(self->d, variant->abi, variant->from, &fd));
	fill(data, PAGE, 9);
	late_setup(self, &late);
	ASSERT_TRUE(late_waited_for(&late));
	pid = child_start(change_in_child, &c);
	EXPECT_EQ(-ETIMEDOUT, child_wait(pid, 300));
	kill(pid, SIGKILL);
	status = child_wait(pid, 5000);
	EXPECT_EQ(-SIGKILL, status);
	if (status == -ETIMEDOUT)
		late_bring(&late, data);
	EXPECT_EQ(variant->from, v2_state(self->d));
	EXPECT_EQ(0, engine_head(self->d));
	EXPECT_EQ(0, late_bring(&late, data));
	EXPECT_TRUE(engine_done(self->d, 1, WAIT_MS));
	EXPECT_EQ(0, memcmp(data, self->d->mem, PAGE));
	close(late.uffd);
}

TEST_F(quiet, state_change_waits_for_a_copy_in_progress)
{
	struct change c = { self->d, variant->abi, variant->to };
	struct vt_thread *thread;
	uint8_t data[PAGE];
	struct late late;
	int fd;

	ASSERT_EQ(0, abi_set(self->d, variant->abi, variant->from, &fd));
	fill(data, PAGE, 9);
	late_setup(self, &late);
	ASSERT_TRUE(late_waited_for(&late));
	thread = thread_start(change_in_thread, &c);
	vt_sleep_ms(200);
	EXPECT_FALSE(thread_done(thread));
	EXPECT_EQ(0, late_bring(&late, data));
	EXPECT_EQ(0, thread_join(thread, WAIT_MS));
	EXPECT_EQ(variant->to, v2_state(self->d));
	/* It had come so far, and no further. */
	EXPECT_EQ(0, memcmp(data, self->d->mem, PAGE));
	close(late.uffd);
}

TEST_HARNESS_MAIN
