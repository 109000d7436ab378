// SPDX-License-Identifier: GPL-2.0
/*
 * Interrupts
 *
 * The device's side (INT_STATUS, INT_ENABLE) is migrated.  The user's side, who
 * is signalled and whether INTx is masked, is not: the user sets it up again at
 * the destination, before or after the state arrives there, and gets whatever is
 * pending when the device starts.
 *
 * Eventfds are signalled under mcopy->lock.  That is why the unmasking eventfd
 * is served by a work item: its user could name the same eventfd for both.
 */
#include <linux/file.h>
#include <linux/pci_regs.h>
#include <linux/slab.h>
#include <linux/uaccess.h>

#include "mcopy.h"

/* Signals what is pending.  @message: an event that MSI sends a message for. */
void mcopy_irq_update_locked(struct mcopy *m, bool message)
{
	struct mcopy_irq *irq = &m->irq;
	bool pending = m->regs.int_status & m->regs.int_enable;

	lockdep_assert_held(&m->lock);
	if (!pending || irq->silent)
		return;
	if (irq->trigger[MCOPY_IRQ_MSI]) {
		if (message)
			eventfd_signal(irq->trigger[MCOPY_IRQ_MSI]);
		return;
	}
	if (!irq->trigger[MCOPY_IRQ_INTX] || irq->masked || irq->automasked ||
	    (mcopy_config_command_locked(m) & PCI_COMMAND_INTX_DISABLE))
		return;
	irq->automasked = true;
	eventfd_signal(irq->trigger[MCOPY_IRQ_INTX]);
}

void mcopy_irq_raise_locked(struct mcopy *m, u32 bits)
{
	m->regs.int_status |= bits;
	mcopy_irq_update_locked(m, bits & m->regs.int_enable);
}

static void unmask(void *opaque, void *data)
{
	struct mcopy *m = opaque;

	spin_lock(&m->lock);
	m->irq.masked = false;
	m->irq.automasked = false;
	mcopy_irq_update_locked(m, false);
	spin_unlock(&m->lock);
}

static void mask(struct mcopy *m)
{
	spin_lock(&m->lock);
	m->irq.masked = true;
	spin_unlock(&m->lock);
}

long mcopy_irq_info(struct vfio_irq_info __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_irq_info, count);
	struct vfio_irq_info info;

	if (copy_from_user(&info, arg, minsz))
		return -EFAULT;
	if (info.argsz < minsz)
		return -EINVAL;
	info.flags = VFIO_IRQ_INFO_EVENTFD;
	info.count = 1;
	switch (info.index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		info.flags |= VFIO_IRQ_INFO_MASKABLE | VFIO_IRQ_INFO_AUTOMASKED;
		break;
	case VFIO_PCI_MSI_IRQ_INDEX:
	case VFIO_PCI_REQ_IRQ_INDEX:
		info.flags |= VFIO_IRQ_INFO_NORESIZE;
		break;
	default:
		return -EINVAL;
	}
	return copy_to_user(arg, &info, minsz) ? -EFAULT : 0;
}

/* @fd: an eventfd, or a negative number for none. */
static int set_trigger(struct mcopy *m, enum mcopy_irq_index index, int fd)
{
	struct eventfd_ctx *new = NULL, *old;

	if (fd >= 0) {
		new = eventfd_ctx_fdget(fd);
		if (IS_ERR(new))
			return PTR_ERR(new);
	}
	spin_lock(&m->lock);
	old = m->irq.trigger[index];
	m->irq.trigger[index] = new;
	if (index == MCOPY_IRQ_INTX && !new) {
		m->irq.masked = false;
		m->irq.automasked = false;
	}
	/* What is pending already would otherwise never be signalled. */
	if (new && index != MCOPY_IRQ_REQ)
		mcopy_irq_update_locked(m, true);
	spin_unlock(&m->lock);
	if (old)
		eventfd_ctx_put(old);
	return 0;
}

/* The user's test of an interrupt: as if the device had raised it. */
static void test_trigger(struct mcopy *m, enum mcopy_irq_index index)
{
	spin_lock(&m->lock);
	if (m->irq.trigger[index])
		eventfd_signal(m->irq.trigger[index]);
	spin_unlock(&m->lock);
}

static int set_unmask(struct mcopy *m, int fd)
{
	if (fd < 0) {
		vfio_virqfd_disable(&m->irq.unmask);
		return 0;
	}
	return vfio_virqfd_enable(m, NULL, unmask, NULL, &m->irq.unmask, fd);
}

/**
 * set_one() - carry out VFIO_DEVICE_SET_IRQS
 * @m: the device.
 * @index: which interrupt.
 * @flags: of struct vfio_irq_set.
 * @count: 0 or 1.
 * @yes: data type BOOL: the value.  NONE: true.
 * @fd: data type EVENTFD: the value.
 *
 * Context: holds irq_mutex.
 * Return: 0, -EINVAL for what this interrupt does not have, -ENOTTY for masking
 * by eventfd, or why the eventfd could not be taken.
 */
static int set_one(struct mcopy *m, enum mcopy_irq_index index, u32 flags,
		   u32 count, bool yes, int fd)
{
	const bool eventfd = flags & VFIO_IRQ_SET_DATA_EVENTFD;
	const u32 action = flags & VFIO_IRQ_SET_ACTION_TYPE_MASK;

	lockdep_assert_held(&m->irq_mutex);
	if (action == VFIO_IRQ_SET_ACTION_TRIGGER) {
		if (eventfd)
			return count ? set_trigger(m, index, fd) : -EINVAL;
		if (!count && !(flags & VFIO_IRQ_SET_DATA_NONE))
			return -EINVAL;
		if (!count) {
			if (index == MCOPY_IRQ_INTX)
				vfio_virqfd_disable(&m->irq.unmask);
			return set_trigger(m, index, -1);
		}
		if (yes)
			test_trigger(m, index);
		return 0;
	}
	if (index != MCOPY_IRQ_INTX || !count)
		return -EINVAL;
	if (action == VFIO_IRQ_SET_ACTION_UNMASK) {
		if (eventfd)
			return set_unmask(m, fd);
		if (yes)
			unmask(m, NULL);
		return 0;
	}
	if (action != VFIO_IRQ_SET_ACTION_MASK)
		return -EINVAL;
	if (eventfd)
		return -ENOTTY;
	if (yes)
		mask(m);
	return 0;
}

long mcopy_irq_set(struct mcopy *m, struct vfio_irq_set __user *arg)
{
	const size_t minsz = offsetofend(struct vfio_irq_set, count);
	enum mcopy_irq_index index;
	struct vfio_irq_set set;
	bool yes = true;
	int fd = -1;
	size_t size;
	u8 value;
	int ret;

	if (copy_from_user(&set, arg, minsz))
		return -EFAULT;
	ret = vfio_set_irqs_validate_and_prepare(&set, 1, VFIO_PCI_NUM_IRQS,
						 &size);
	if (ret)
		return ret;
	switch (set.index) {
	case VFIO_PCI_INTX_IRQ_INDEX:
		index = MCOPY_IRQ_INTX;
		break;
	case VFIO_PCI_MSI_IRQ_INDEX:
		index = MCOPY_IRQ_MSI;
		break;
	case VFIO_PCI_REQ_IRQ_INDEX:
		index = MCOPY_IRQ_REQ;
		break;
	default:
		return -EINVAL;
	}
	/* At most one interrupt of each kind, so at most one value. */
	if (size == sizeof(fd)) {
		if (copy_from_user(&fd, arg->data, sizeof(fd)))
			return -EFAULT;
	} else if (size == sizeof(value)) {
		if (copy_from_user(&value, arg->data, sizeof(value)))
			return -EFAULT;
		yes = value;
	}
	guard(mutex)(&m->irq_mutex);
	return set_one(m, index, set.flags, set.count, yes, fd);
}

/* Somebody wants to remove the device: ask the user to let go of it. */
void mcopy_irq_request(struct mcopy *m)
{
	test_trigger(m, MCOPY_IRQ_REQ);
}

void mcopy_irq_close(struct mcopy *m)
{
	unsigned int index;

	guard(mutex)(&m->irq_mutex);
	vfio_virqfd_disable(&m->irq.unmask);
	for (index = 0; index < MCOPY_IRQ_NR; index++)
		set_trigger(m, index, -1);
	m->irq.silent = false;
}
