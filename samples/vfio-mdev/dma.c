// SPDX-License-Identifier: GPL-2.0
/*
 * The engine
 *
 * A worker that takes one step at a time: fetches a descriptor, copies at most a
 * page, or completes the descriptor.  Between two steps all there is to know is
 * in registers and struct mcopy_engine, under mcopy->lock, so between any two
 * steps the device can be stopped, and go on here or elsewhere without a byte
 * copied twice (V6).  In a step, no lock is held.
 *
 * Guest memory is reached by vfio_dma_rw() alone, never across a page: of a copy
 * that fails half way nothing is marked in the container's dirty bitmap.
 */
#include <linux/gfp.h>
#include <linux/mm.h>
#include <linux/overflow.h>
#include <linux/pci_regs.h>
#include <linux/sched.h>

#include "mcopy.h"

static struct workqueue_struct *workqueue;

/* The boundary for what the guest, or a stream, says in a descriptor. */
bool mcopy_desc_legal(const struct mcopy *m, const struct mcopy_desc *desc)
{
	const u32 flags = le32_to_cpu(desc->flags);
	const u32 length = le32_to_cpu(desc->length);
	const u64 src = le64_to_cpu(desc->src);
	const u64 dst = le64_to_cpu(desc->dst);
	const u64 size = mcopy_memory_size(m);
	u64 end;

	if (flags & ~(MCOPY_DESC_SRC_LOCAL | MCOPY_DESC_DST_LOCAL |
		      MCOPY_DESC_INT))
		return false;
	if (check_add_overflow(src, length, &end) ||
	    ((flags & MCOPY_DESC_SRC_LOCAL) && end > size))
		return false;
	if (check_add_overflow(dst, length, &end) ||
	    ((flags & MCOPY_DESC_DST_LOCAL) && end > size))
		return false;
	return true;
}

bool mcopy_engine_has_work_locked(const struct mcopy *m)
{
	const struct mcopy_regs *regs = &m->regs;

	lockdep_assert_held(&m->lock);
	return (regs->ctrl & MCOPY_CTRL_ENABLE) && !regs->halted &&
	       regs->head != regs->tail;
}

static bool may_run_locked(const struct mcopy *m)
{
	return !m->engine.hold && mcopy_engine_has_work_locked(m) &&
	       (mcopy_config_command_locked(m) & PCI_COMMAND_MASTER);
}

void mcopy_engine_kick_locked(struct mcopy *m)
{
	if (may_run_locked(m))
		queue_work(workqueue, &m->engine.work);
}

/* Forgets the descriptor in work; a step in progress has no result. */
void mcopy_engine_drop_locked(struct mcopy *m)
{
	struct mcopy_engine *engine = &m->engine;

	lockdep_assert_held(&m->lock);
	engine->generation++;
	engine->fetched = false;
	engine->done = 0;
	engine->status = 0;
	memset(&engine->desc, 0, sizeof(engine->desc));
}

static bool is_idle(struct mcopy *m)
{
	bool idle;

	spin_lock(&m->lock);
	idle = !m->engine.busy;
	spin_unlock(&m->lock);
	return idle;
}

/**
 * mcopy_engine_hold() - stop the engine, and wait until it has stopped
 * @m: the device.
 * @why: one of MCOPY_HOLD_*; the engine stands as long as one is set.
 *
 * The wait is for at most one step, which can take as long as userfaultfd likes.
 *
 * Return: 0, or -EINTR if killed: then the engine runs on.
 */
int mcopy_engine_hold(struct mcopy *m, unsigned long why)
{
	spin_lock(&m->lock);
	m->engine.hold |= why;
	spin_unlock(&m->lock);
	if (!wait_event_killable(m->engine.idle, is_idle(m)))
		return 0;
	mcopy_engine_release(m, why);
	return -EINTR;
}

void mcopy_engine_release(struct mcopy *m, unsigned long why)
{
	spin_lock(&m->lock);
	m->engine.hold &= ~why;
	mcopy_engine_kick_locked(m);
	spin_unlock(&m->lock);
}

/* Reads or writes guest memory, within a page; tells who tracks it. */
static int dma(struct mcopy *m, u64 iova, void *buf, size_t len, bool write)
{
	int ret = vfio_dma_rw(&m->vdev, iova, buf, len, write);

	/* What ended in a fault may have begun. */
	if (write && (!ret || ret == -EFAULT))
		vfio_migration_dma_written(&m->mig, iova, len);
	return ret;
}

static int copy(struct mcopy *m, u64 addr, size_t len, bool local, bool write)
{
	void *page = m->engine.page;

	if (local)
		return mcopy_memory_copy(m, addr, page, len, write);
	return dma(m, addr, page, len, write);
}

/* What a step finds, and what comes out of it. */
struct step {
	unsigned int generation;
	u64 slot;		/* where the descriptor is */
	bool fetched;
	struct mcopy_desc desc;
	u32 done;
	u32 status;
	bool completed;
	bool failed;		/* the ring cannot be accessed */
};

static void fetch(struct mcopy *m, struct step *step)
{
	if (dma(m, step->slot, &step->desc, sizeof(step->desc), false)) {
		step->failed = true;
		return;
	}
	step->fetched = true;
	if (!mcopy_desc_legal(m, &step->desc))
		step->status = MCOPY_DESC_BAD;
	else if (!step->desc.length)
		step->status = MCOPY_DESC_DONE;
}

static void copy_step(struct mcopy *m, struct step *step)
{
	const struct mcopy_desc *desc = &step->desc;
	const u32 flags = le32_to_cpu(desc->flags);
	const u64 src = le64_to_cpu(desc->src) + step->done;
	const u64 dst = le64_to_cpu(desc->dst) + step->done;
	const size_t len = min3((size_t)le32_to_cpu(desc->length) - step->done,
				PAGE_SIZE - offset_in_page(src),
				PAGE_SIZE - offset_in_page(dst));

	if (copy(m, src, len, flags & MCOPY_DESC_SRC_LOCAL, false) ||
	    copy(m, dst, len, flags & MCOPY_DESC_DST_LOCAL, true)) {
		step->status = MCOPY_DESC_FAULT;
		return;
	}
	step->done += len;
	if (step->done == le32_to_cpu(desc->length))
		step->status = MCOPY_DESC_DONE;
}

static void complete_desc(struct mcopy *m, struct step *step)
{
	__le32 status = cpu_to_le32(step->status);

	if (dma(m, step->slot + offsetof(struct mcopy_desc, status), &status,
		sizeof(status), true))
		step->failed = true;
	else
		step->completed = true;
}

/* False, and the engine is idle, if there is nothing to do. */
static bool begin_step(struct mcopy *m, struct step *step)
{
	const struct mcopy_regs *regs = &m->regs;
	struct mcopy_engine *engine = &m->engine;
	bool run;

	memset(step, 0, sizeof(*step));
	spin_lock(&m->lock);
	run = may_run_locked(m);
	engine->busy = run;
	if (run) {
		step->generation = engine->generation;
		step->slot = regs->ring_base + sizeof(struct mcopy_desc) *
			     (regs->head & (regs->ring_size - 1));
		step->fetched = engine->fetched;
		step->desc = engine->desc;
		step->done = engine->done;
		step->status = engine->status;
	}
	spin_unlock(&m->lock);
	if (!run)
		wake_up_all(&engine->idle);
	return run;
}

static void end_step(struct mcopy *m, const struct step *step)
{
	struct mcopy_regs *regs = &m->regs;
	struct mcopy_engine *engine = &m->engine;
	u32 bits = 0;

	spin_lock(&m->lock);
	if (step->generation != engine->generation)
		goto unlock;
	if (step->failed) {
		regs->halted = true;
		mcopy_engine_drop_locked(m);
		mcopy_irq_raise_locked(m, MCOPY_INT_HALTED);
		goto unlock;
	}
	regs->bytes += step->done - engine->done;
	engine->fetched = step->fetched;
	engine->desc = step->desc;
	engine->done = step->done;
	engine->status = step->status;
	if (step->completed) {
		if (step->status != MCOPY_DESC_DONE)
			bits |= MCOPY_INT_ERROR;
		if (le32_to_cpu(step->desc.flags) & MCOPY_DESC_INT)
			bits |= MCOPY_INT_DONE;
		mcopy_engine_drop_locked(m);
		regs->head++;
		if (bits)
			mcopy_irq_raise_locked(m, bits);
	}
unlock:
	spin_unlock(&m->lock);
}

static void engine_work(struct work_struct *work)
{
	struct mcopy *m = container_of(work, struct mcopy, engine.work);
	struct step step;

	while (begin_step(m, &step)) {
		if (!step.fetched)
			fetch(m, &step);
		else if (!step.status)
			copy_step(m, &step);
		else
			complete_desc(m, &step);
		end_step(m, &step);
		cond_resched();
	}
}

void mcopy_engine_init(struct mcopy *m)
{
	INIT_WORK(&m->engine.work, engine_work);
	init_waitqueue_head(&m->engine.idle);
}

int mcopy_engine_open(struct mcopy *m)
{
	m->engine.page = (void *)__get_free_page(GFP_KERNEL_ACCOUNT);
	m->engine.hold = 0;
	return m->engine.page ? 0 : -ENOMEM;
}

/*
 * The last descriptor of the device is being closed.  A step that waits for a
 * page ends when the page comes, or when whoever should bring it is gone too.
 */
void mcopy_engine_close(struct mcopy *m)
{
	spin_lock(&m->lock);
	m->engine.hold |= MCOPY_HOLD_RESET;
	mcopy_regs_reset_locked(m);
	spin_unlock(&m->lock);
	cancel_work_sync(&m->engine.work);
	m->engine.busy = false;
	free_page((unsigned long)m->engine.page);
	m->engine.page = NULL;
}

int mcopy_dma_setup(void)
{
	workqueue = alloc_workqueue("mcopy", WQ_UNBOUND, 0);
	return workqueue ? 0 : -ENOMEM;
}

void mcopy_dma_teardown(void)
{
	destroy_workqueue(workqueue);
}
