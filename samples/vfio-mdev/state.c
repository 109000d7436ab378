// SPDX-License-Identifier: GPL-2.0
/* What is migrated, and how: the operations for vfio_migration. */
#include "mcopy.h"

static struct mcopy *from_mig(struct vfio_migration *mig)
{
	return container_of(mig, struct mcopy, mig);
}

static u64 state_size(struct vfio_migration *mig)
{
	return mcopy_memory_size(from_mig(mig));
}

static u64 state_final_size(struct vfio_migration *mig)
{
	return sizeof(struct mcopy_state);
}

static int state_log_on(struct vfio_migration *mig)
{
	mcopy_memory_log(from_mig(mig), true);
	return 0;
}

static void state_log_off(struct vfio_migration *mig)
{
	mcopy_memory_log(from_mig(mig), false);
}

/* The engine cannot tell a peer from memory, so it stands altogether. */
static int state_quiesce(struct vfio_migration *mig)
{
	return mcopy_engine_hold(from_mig(mig), MCOPY_HOLD_P2P);
}

static void state_unquiesce(struct vfio_migration *mig)
{
	mcopy_engine_release(from_mig(mig), MCOPY_HOLD_P2P);
}

static int state_stop(struct vfio_migration *mig)
{
	struct mcopy *m = from_mig(mig);
	int ret = mcopy_engine_hold(m, MCOPY_HOLD_STOP);

	if (ret)
		return ret;
	spin_lock(&m->lock);
	m->irq.silent = true;
	spin_unlock(&m->lock);
	return 0;
}

static void state_start(struct vfio_migration *mig)
{
	struct mcopy *m = from_mig(mig);

	spin_lock(&m->lock);
	m->irq.silent = false;
	/*
	 * Whether the guest has seen its last interrupt is known at the source
	 * alone.  One too many is harmless, one too few is not.
	 */
	if (m->loaded)
		m->irq.automasked = false;
	mcopy_irq_update_locked(m, true);
	spin_unlock(&m->lock);
	m->loaded = false;
	mcopy_engine_release(m, MCOPY_HOLD_STOP);
}

static void pack(struct mcopy *m, struct mcopy_state *state)
{
	const struct mcopy_regs *regs = &m->regs;
	const struct mcopy_engine *engine = &m->engine;

	memset(state, 0, sizeof(*state));
	spin_lock(&m->lock);
	state->ring_base = cpu_to_le64(regs->ring_base);
	state->bytes = cpu_to_le64(regs->bytes);
	state->scratch = cpu_to_le64(regs->scratch);
	state->ctrl = cpu_to_le32(regs->ctrl);
	state->halted = cpu_to_le32(regs->halted);
	state->int_status = cpu_to_le32(regs->int_status);
	state->int_enable = cpu_to_le32(regs->int_enable);
	state->ring_size = cpu_to_le32(regs->ring_size);
	state->head = cpu_to_le32(regs->head);
	state->tail = cpu_to_le32(regs->tail);
	state->fetched = cpu_to_le32(engine->fetched);
	state->done = cpu_to_le32(engine->done);
	state->status = cpu_to_le32(engine->status);
	state->desc = engine->desc;
	memcpy(state->config, m->config, sizeof(state->config));
	spin_unlock(&m->lock);
}

static int state_save(struct vfio_migration *mig,
		      struct vfio_migration_piece *piece, void *buf,
		      size_t room, bool stopped)
{
	struct mcopy *m = from_mig(mig);
	int ret = mcopy_memory_save(m, piece, buf, room, stopped);

	if (ret || !stopped || !mcopy_memory_device_take(m))
		return ret;
	pack(m, buf);
	piece->kind = MCOPY_PIECE_DEVICE;
	piece->length = sizeof(struct mcopy_state);
	piece->covers = sizeof(struct mcopy_state);
	return 1;
}

static int state_load_begin(struct vfio_migration *mig)
{
	struct mcopy *m = from_mig(mig);

	m->loaded = false;
	mcopy_memory_load_begin(m);
	return 0;
}

/* The boundary for what the stream says of the device. */
static bool is_possible(const struct mcopy *m, const struct mcopy_state *state)
{
	const u32 ctrl = le32_to_cpu(state->ctrl);
	const u32 fetched = le32_to_cpu(state->fetched);
	const u32 status = le32_to_cpu(state->status);
	const u32 halted = le32_to_cpu(state->halted);
	const bool runs = ctrl && !halted;
	unsigned int i;

	if ((ctrl & ~MCOPY_CTRL_ENABLE) || halted > ctrl || fetched > 1 ||
	    (le32_to_cpu(state->int_status) & ~MCOPY_INT_ALL) ||
	    (le32_to_cpu(state->int_enable) & ~MCOPY_INT_ALL))
		return false;
	if (runs && (!mcopy_ring_legal(le64_to_cpu(state->ring_base),
				       le32_to_cpu(state->ring_size)) ||
		     le32_to_cpu(state->tail) - le32_to_cpu(state->head) >
		     le32_to_cpu(state->ring_size)))
		return false;
	if (!fetched) {
		if (state->done || status)
			return false;
	} else {
		if (!runs || status > MCOPY_DESC_FAULT ||
		    le32_to_cpu(state->done) > le32_to_cpu(state->desc.length))
			return false;
		/* A step copies from it only if it has no status yet. */
		if (!status && (!mcopy_desc_legal(m, &state->desc) ||
				state->done == state->desc.length))
			return false;
	}
	for (i = 0; i < MCOPY_CONFIG_SIZE; i++)
		if ((state->config[i] ^ m->config[i]) & ~m->config_mask[i])
			return false;
	return true;
}

/* Registers, engine and config space; the device is stopped. */
static int unpack(struct mcopy *m, const struct mcopy_state *state)
{
	struct mcopy_regs *regs = &m->regs;
	struct mcopy_engine *engine = &m->engine;
	int ret = -EINVAL;

	spin_lock(&m->lock);
	if (!is_possible(m, state))
		goto unlock;
	mcopy_engine_drop_locked(m);
	regs->ring_base = le64_to_cpu(state->ring_base);
	regs->bytes = le64_to_cpu(state->bytes);
	regs->scratch = le64_to_cpu(state->scratch);
	regs->ctrl = le32_to_cpu(state->ctrl);
	regs->halted = le32_to_cpu(state->halted);
	regs->int_status = le32_to_cpu(state->int_status);
	regs->int_enable = le32_to_cpu(state->int_enable);
	regs->ring_size = le32_to_cpu(state->ring_size);
	regs->head = le32_to_cpu(state->head);
	regs->tail = le32_to_cpu(state->tail);
	engine->fetched = le32_to_cpu(state->fetched);
	engine->done = le32_to_cpu(state->done);
	engine->status = le32_to_cpu(state->status);
	engine->desc = state->desc;
	memcpy(m->config, state->config, sizeof(m->config));
	ret = 0;
unlock:
	spin_unlock(&m->lock);
	return ret;
}

static int state_load(struct vfio_migration *mig,
		      const struct vfio_migration_piece *piece, const void *buf)
{
	struct mcopy *m = from_mig(mig);
	int ret;

	switch (piece->kind) {
	case MCOPY_PIECE_PAGES:
	case MCOPY_PIECE_ZERO:
		return mcopy_memory_load(m, piece, buf);
	case MCOPY_PIECE_DEVICE:
		if (piece->length != sizeof(struct mcopy_state) || piece->arg)
			return -EINVAL;
		/*
		 * Applied now and not in load_complete: the user may write to
		 * config space afterwards, and that must last.
		 */
		ret = unpack(m, buf);
		if (!ret)
			mcopy_memory_device_take(m);
		return ret;
	default:
		return -EINVAL;
	}
}

static int state_load_complete(struct vfio_migration *mig)
{
	struct mcopy *m = from_mig(mig);

	if (!mcopy_memory_load_complete(m))
		return -EINVAL;
	m->loaded = true;
	return 0;
}

/* Registers, engine and memory; config space, too, if the user resets. */
static int reset(struct mcopy *m, bool all)
{
	int ret;

	if (mutex_lock_killable(&m->reset_mutex))
		return -EINTR;
	ret = mcopy_engine_hold(m, MCOPY_HOLD_RESET);
	if (!ret) {
		spin_lock(&m->lock);
		mcopy_regs_reset_locked(m);
		if (all) {
			mcopy_config_reset_locked(m);
			m->irq.silent = false;
			m->irq.automasked = false;
		}
		spin_unlock(&m->lock);
		mcopy_memory_clear(m);
		mcopy_memory_device_dirtied(m);
		mcopy_engine_release(m, all ? ~0UL : MCOPY_HOLD_RESET);
	}
	mutex_unlock(&m->reset_mutex);
	return ret;
}

/* The guest's reset.  In pre-copy, what was sent of the memory is now void. */
int mcopy_soft_reset(struct mcopy *m)
{
	int ret = reset(m, false);

	if (!ret)
		vfio_migration_reinit(&m->mig);
	return ret;
}

static int state_reset(struct vfio_migration *mig)
{
	struct mcopy *m = from_mig(mig);
	int ret = reset(m, true);

	if (!ret)
		m->loaded = false;
	return ret;
}

const struct vfio_migration_driver mcopy_migration_driver = {
	.name = "mcopy",
	.version = 1,
	.size = state_size,
	.final_size = state_final_size,
	.log_on = state_log_on,
	.log_off = state_log_off,
	.quiesce = state_quiesce,
	.unquiesce = state_unquiesce,
	.stop = state_stop,
	.start = state_start,
	.save = state_save,
	.load_begin = state_load_begin,
	.load = state_load,
	.load_complete = state_load_complete,
	.reset = state_reset,
};
