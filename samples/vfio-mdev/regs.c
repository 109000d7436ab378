// SPDX-License-Identifier: GPL-2.0
/* Registers in BAR 0.  mcopy_regs.h is the specification. */
#include <linux/log2.h>
#include <linux/overflow.h>
#include <linux/unaligned.h>

#include "mcopy.h"

void mcopy_regs_reset_locked(struct mcopy *m)
{
	lockdep_assert_held(&m->lock);
	memset(&m->regs, 0, sizeof(m->regs));
	mcopy_engine_drop_locked(m);
}

/* The boundary for what the guest, or a stream, says of the ring. */
bool mcopy_ring_legal(u64 base, u32 size)
{
	u64 end;

	return is_power_of_2(size) && size <= MCOPY_RING_MAX &&
	       IS_ALIGNED(base, sizeof(struct mcopy_desc)) &&
	       !check_add_overflow(base, size * sizeof(struct mcopy_desc), &end);
}

static u32 read_locked(struct mcopy *m, unsigned int offset)
{
	const struct mcopy_regs *regs = &m->regs;
	u32 status = 0;

	switch (offset) {
	case MCOPY_REG_ID:
		return MCOPY_ID;
	case MCOPY_REG_VERSION:
		return MCOPY_VERSION;
	case MCOPY_REG_MEM_SIZE:
		return lower_32_bits(mcopy_memory_size(m));
	case MCOPY_REG_MEM_SIZE + 4:
		return upper_32_bits(mcopy_memory_size(m));
	case MCOPY_REG_CTRL:
		return regs->ctrl;
	case MCOPY_REG_STATUS:
		if (mcopy_engine_has_work_locked(m))
			status |= MCOPY_STATUS_BUSY;
		if (regs->halted)
			status |= MCOPY_STATUS_HALTED;
		return status;
	case MCOPY_REG_INT_STATUS:
		return regs->int_status;
	case MCOPY_REG_INT_ENABLE:
		return regs->int_enable;
	case MCOPY_REG_RING_BASE:
		return lower_32_bits(regs->ring_base);
	case MCOPY_REG_RING_BASE + 4:
		return upper_32_bits(regs->ring_base);
	case MCOPY_REG_RING_SIZE:
		return regs->ring_size;
	case MCOPY_REG_RING_HEAD:
		return regs->head;
	case MCOPY_REG_RING_TAIL:
		return regs->tail;
	case MCOPY_REG_BYTES:
		return lower_32_bits(regs->bytes);
	case MCOPY_REG_BYTES + 4:
		return upper_32_bits(regs->bytes);
	case MCOPY_REG_SCRATCH:
		return lower_32_bits(regs->scratch);
	case MCOPY_REG_SCRATCH + 4:
		return upper_32_bits(regs->scratch);
	default:
		return 0;
	}
}

static void halt_locked(struct mcopy *m)
{
	m->regs.halted = true;
	mcopy_engine_drop_locked(m);
	mcopy_irq_raise_locked(m, MCOPY_INT_HALTED);
}

static void write_ctrl_locked(struct mcopy *m, u32 value)
{
	struct mcopy_regs *regs = &m->regs;
	u32 ctrl = value & MCOPY_CTRL_ENABLE;

	if (ctrl == regs->ctrl)
		return;
	regs->ctrl = ctrl;
	if (!ctrl) {
		regs->halted = false;
		mcopy_engine_drop_locked(m);
		return;
	}
	regs->head = 0;
	regs->tail = 0;
	if (!mcopy_ring_legal(regs->ring_base, regs->ring_size))
		halt_locked(m);
}

static void write_tail_locked(struct mcopy *m, u32 value)
{
	struct mcopy_regs *regs = &m->regs;

	regs->tail = value;
	if ((regs->ctrl & MCOPY_CTRL_ENABLE) && !regs->halted &&
	    value - regs->head > regs->ring_size)
		halt_locked(m);
	mcopy_engine_kick_locked(m);
}

static void set_half(u64 *reg, bool high, u32 value)
{
	if (high)
		*reg = (u64)value << 32 | lower_32_bits(*reg);
	else
		*reg = (*reg & ~(u64)U32_MAX) | value;
}

static void write_locked(struct mcopy *m, unsigned int offset, u32 value)
{
	struct mcopy_regs *regs = &m->regs;
	u32 enabled;

	switch (offset) {
	case MCOPY_REG_CTRL:
		write_ctrl_locked(m, value);
		break;
	case MCOPY_REG_INT_STATUS:
		regs->int_status &= ~value;
		mcopy_irq_update_locked(m, false);
		break;
	case MCOPY_REG_INT_ENABLE:
		value &= MCOPY_INT_ALL;
		enabled = value & ~regs->int_enable;
		regs->int_enable = value;
		mcopy_irq_update_locked(m, enabled & regs->int_status);
		break;
	case MCOPY_REG_RING_BASE:
	case MCOPY_REG_RING_BASE + 4:
		if (!(regs->ctrl & MCOPY_CTRL_ENABLE))
			set_half(&regs->ring_base, offset & 4, value);
		break;
	case MCOPY_REG_RING_SIZE:
		if (!(regs->ctrl & MCOPY_CTRL_ENABLE))
			regs->ring_size = value;
		break;
	case MCOPY_REG_RING_TAIL:
		write_tail_locked(m, value);
		break;
	case MCOPY_REG_SCRATCH:
	case MCOPY_REG_SCRATCH + 4:
		set_half(&regs->scratch, offset & 4, value);
		break;
	}
}

/* Aligned, of 1, 2, 4 or 8 bytes: mcopy_region_rw() takes care of that. */
void mcopy_regs_read(struct mcopy *m, unsigned int offset, u8 *buf, size_t len)
{
	u32 value;

	spin_lock(&m->lock);
	if (len == 8) {
		put_unaligned_le32(read_locked(m, offset), buf);
		put_unaligned_le32(read_locked(m, offset + 4), buf + 4);
	} else {
		value = read_locked(m, offset & ~3) >> 8 * (offset & 3);
		for (; len--; value >>= 8)
			*buf++ = value;
	}
	spin_unlock(&m->lock);
}

int mcopy_regs_write(struct mcopy *m, unsigned int offset, const u8 *buf,
		     size_t len)
{
	if (len < 4)
		return 0;
	if (offset == MCOPY_REG_CTRL &&
	    (get_unaligned_le32(buf) & MCOPY_CTRL_RESET))
		return mcopy_soft_reset(m);
	spin_lock(&m->lock);
	write_locked(m, offset, get_unaligned_le32(buf));
	if (len == 8)
		write_locked(m, offset + 4, get_unaligned_le32(buf + 4));
	spin_unlock(&m->lock);
	mcopy_memory_device_dirtied(m);
	return 0;
}
