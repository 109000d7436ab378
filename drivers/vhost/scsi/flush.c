// SPDX-License-Identifier: GPL-2.0
/*
 * Write-back of volatile caches when the device stops (G5)
 *
 * A SYNCHRONIZE CACHE goes to every LUN that has a volatile cache, through the
 * guest's own nexus, because only that one passes the guest's reservations.
 *
 * A command that meets a unit attention consumes it.  It was meant for the
 * guest, so it is kept here and presented to the guest's next command.
 */
#include <linux/completion.h>
#include <linux/moduleparam.h>
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <scsi/scsi_proto.h>
#include <target/target_core_backend.h>

#include "scsi.h"

static bool vhost_scsi_flush_on_stop = true;
module_param_named(flush_on_stop, vhost_scsi_flush_on_stop, bool, 0644);
MODULE_PARM_DESC(flush_on_stop,
		 "Write back volatile caches of LUNs before the device is reported stopped (default: Y)");

/* A unit attention can hide another one, or be raised again meanwhile. */
#define VHOST_SCSI_FLUSH_TRIES 4

struct vhost_scsi_ua {
	struct list_head entry;
	u64 lun;
	u8 asc;
	u8 ascq;
};

/*
 * One round of flushes.  The caller may be killed while it waits, so the last
 * command frees this, too.
 */
struct vhost_scsi_flush {
	struct kref ref;
	atomic_t pending;
	struct completion done;
	struct list_head ops;
};

struct vhost_scsi_flush_op {
	struct vhost_scsi_op op;
	struct vhost_scsi_flush *flush;
	struct vhost_scsi_nexus *nexus;
	struct list_head entry;
	bool aborted;
	u8 target;
	u64 lun;
	u8 sense[TRANSPORT_SENSE_BUFFER];
};

static void vhost_scsi_ua_keep(struct vhost_scsi_nexus *nexus, u64 lun, u8 asc,
			       u8 ascq)
{
	struct vhost_scsi_ua *ua, *new = kmalloc_obj(*new, GFP_KERNEL);

	if (!new)
		return;
	new->lun = lun;
	new->asc = asc;
	new->ascq = ascq;

	spin_lock(&nexus->ua_lock);
	list_for_each_entry(ua, &nexus->uas, entry) {
		if (ua->lun == lun && ua->asc == asc && ua->ascq == ascq) {
			spin_unlock(&nexus->ua_lock);
			kfree(new);
			return;
		}
	}
	list_add_tail(&new->entry, &nexus->uas);
	spin_unlock(&nexus->ua_lock);
}

/**
 * vhost_scsi_ua_take - is the guest owed a unit attention?
 * @nexus: the guest
 * @lun: logical unit
 * @opcode: the command that it would be presented to
 * @asc: additional sense code
 * @ascq: its qualifier
 *
 * Context: process.
 * Return: true, once for each, except to commands that do not report it.
 */
bool vhost_scsi_ua_take(struct vhost_scsi_nexus *nexus, u64 lun, u8 opcode,
			u8 *asc, u8 *ascq)
{
	struct vhost_scsi_ua *ua, *found = NULL;

	if (likely(list_empty_careful(&nexus->uas)))
		return false;
	if (opcode == INQUIRY || opcode == REPORT_LUNS ||
	    opcode == REQUEST_SENSE)
		return false;

	spin_lock(&nexus->ua_lock);
	list_for_each_entry(ua, &nexus->uas, entry) {
		if (ua->lun == lun) {
			list_del(&ua->entry);
			found = ua;
			break;
		}
	}
	spin_unlock(&nexus->ua_lock);

	if (!found)
		return false;
	*asc = found->asc;
	*ascq = found->ascq;
	kfree(found);
	return true;
}

/**
 * vhost_scsi_ua_free - forget what a guest is owed
 * @nexus: nexus that is removed
 */
void vhost_scsi_ua_free(struct vhost_scsi_nexus *nexus)
{
	struct vhost_scsi_ua *ua, *next;

	list_for_each_entry_safe(ua, next, &nexus->uas, entry)
		kfree(ua);
}

static void vhost_scsi_flush_free(struct kref *ref)
{
	struct vhost_scsi_flush *flush = container_of(ref,
						      struct vhost_scsi_flush,
						      ref);
	struct vhost_scsi_flush_op *fop, *next;

	list_for_each_entry_safe(fop, next, &flush->ops, entry)
		kfree(fop);
	kfree(flush);
}

/**
 * vhost_scsi_flush_done - the target core is done with a flush
 * @op: flush
 *
 * Context: any.
 */
void vhost_scsi_flush_done(struct vhost_scsi_op *op)
{
	struct vhost_scsi_flush *flush =
		container_of(op, struct vhost_scsi_flush_op, op)->flush;
	struct vhost_scsi_queue *q = op->queue;

	rcu_read_lock();
	if (atomic_dec_and_test(&flush->pending))
		complete(&flush->done);
	kref_put(&flush->ref, vhost_scsi_flush_free);
	vhost_scsi_queue_leave(q, 1);
	rcu_read_unlock();
}

/**
 * vhost_scsi_flush_aborted - a flush ends without a status
 * @op: flush
 *
 * Context: any.
 */
void vhost_scsi_flush_aborted(struct vhost_scsi_op *op)
{
	container_of(op, struct vhost_scsi_flush_op, op)->aborted = true;
}

static void vhost_scsi_flush_submit(struct vhost_scsi *vs,
				    struct vhost_scsi_flush_op *fop)
{
	unsigned char cdb[TCM_MAX_COMMAND_SIZE] = { SYNCHRONIZE_CACHE };
	struct se_cmd *se_cmd = &fop->op.se_cmd;

	memset(se_cmd, 0, sizeof(*se_cmd));
	fop->aborted = false;
	fop->op.kind = VHOST_SCSI_OP_FLUSH;
	fop->op.queue = &vs->queues[VHOST_SCSI_VQ_CTL];
	atomic_inc(&fop->op.queue->inflight);
	kref_get(&fop->flush->ref);

	target_init_cmd(se_cmd, fop->nexus->session, fop->sense, fop->lun, 0,
			TCM_SIMPLE_TAG, DMA_NONE, 0);
	if (!target_submit_prep(se_cmd, cdb, NULL, 0, NULL, 0, NULL, 0,
				GFP_KERNEL))
		target_submit(se_cmd);
}

/* Might a write that the guest was told is done be lost with the power? */
static bool vhost_scsi_flush_wanted(struct se_device *dev)
{
	/* A device behind pscsi or tcmu has a cache if it says nothing. */
	if (dev->transport_flags & TRANSPORT_FLAG_PASSTHROUGH)
		return dev->transport->get_device_type(dev) == TYPE_DISK;
	if (dev->transport->get_write_cache)
		return dev->transport->get_write_cache(dev);
	return dev->dev_attrib.emulate_write_cache;
}

/* The next LUN of a nexus from @lun on that wants a flush, or U64_MAX. */
static u64 vhost_scsi_flush_next(struct vhost_scsi_nexus *nexus, u64 lun)
{
	struct se_dev_entry *deve;
	u64 next = U64_MAX;

	rcu_read_lock();
	hlist_for_each_entry_rcu(deve,
				 &nexus->session->se_node_acl->lun_entry_hlist,
				 link) {
		struct se_device *dev;

		if (deve->mapped_lun < lun || deve->mapped_lun >= next)
			continue;
		dev = rcu_dereference_raw(deve->se_lun->lun_se_dev);
		if (dev && vhost_scsi_flush_wanted(dev))
			next = deve->mapped_lun;
	}
	rcu_read_unlock();
	return next;
}

static int vhost_scsi_flush_collect(struct vhost_scsi *vs,
				    struct vhost_scsi_flush *flush)
{
	struct vhost_scsi_flush_op *fop;
	unsigned int i;
	u64 lun;

	for (i = 0; i < VHOST_SCSI_MAX_TARGETS; i++) {
		struct vhost_scsi_tpg *tpg = vs->ep->tpg[i];

		if (!tpg)
			continue;
		for (lun = vhost_scsi_flush_next(tpg->nexus, 0);
		     lun != U64_MAX;
		     lun = vhost_scsi_flush_next(tpg->nexus, lun + 1)) {
			fop = kzalloc_obj(*fop, GFP_KERNEL);
			if (!fop)
				return -ENOMEM;
			fop->flush = flush;
			fop->nexus = tpg->nexus;
			fop->target = i;
			fop->lun = lun;
			list_add_tail(&fop->entry, &flush->ops);
		}
	}
	return 0;
}

/* What became of one flush?  NONE asks for another try. */
static enum vhost_scsi_flush_result
vhost_scsi_flush_judge(struct vhost_scsi_flush_op *fop)
{
	struct se_cmd *se_cmd = &fop->op.se_cmd;
	u8 key = fop->sense[2] & 0xf, asc = fop->sense[12];

	if (fop->aborted)
		return VHOST_SCSI_FLUSH_NONE;

	switch (se_cmd->scsi_status) {
	case SAM_STAT_GOOD:
		return VHOST_SCSI_FLUSH_OK;
	case SAM_STAT_RESERVATION_CONFLICT:
		return VHOST_SCSI_FLUSH_RESERVED;
	case SAM_STAT_BUSY:
	case SAM_STAT_TASK_SET_FULL:
	case SAM_STAT_TASK_ABORTED:
		return VHOST_SCSI_FLUSH_NONE;
	case SAM_STAT_CHECK_CONDITION:
		break;
	default:
		return VHOST_SCSI_FLUSH_FAILED;
	}

	/* Descriptor format, for LUNs of more than 2^32 blocks. */
	if ((fop->sense[0] & 0x7f) >= 0x72) {
		key = fop->sense[1] & 0xf;
		asc = fop->sense[2];
	}
	if (key == UNIT_ATTENTION) {
		bool desc = (fop->sense[0] & 0x7f) >= 0x72;

		vhost_scsi_ua_keep(fop->nexus, fop->lun, asc,
				   fop->sense[desc ? 3 : 13]);
		return VHOST_SCSI_FLUSH_NONE;
	}
	/* No such command, so no cache; or the LUN is gone by now. */
	if (key == ILLEGAL_REQUEST && (asc == 0x20 || asc == 0x25))
		return VHOST_SCSI_FLUSH_OK;
	return VHOST_SCSI_FLUSH_FAILED;
}

/* One round.  Done ops are taken off the list; the rest want another. */
static int vhost_scsi_flush_round(struct vhost_scsi *vs,
				  struct vhost_scsi_flush *flush,
				  enum vhost_scsi_flush_result *worst)
{
	struct vhost_scsi_flush_op *fop, *next;

	reinit_completion(&flush->done);
	atomic_set(&flush->pending, 1);
	list_for_each_entry(fop, &flush->ops, entry) {
		atomic_inc(&flush->pending);
		vhost_scsi_flush_submit(vs, fop);
	}
	if (!atomic_dec_and_test(&flush->pending) &&
	    wait_for_completion_killable(&flush->done))
		return -EINTR;

	list_for_each_entry_safe(fop, next, &flush->ops, entry) {
		enum vhost_scsi_flush_result r = vhost_scsi_flush_judge(fop);

		if (r == VHOST_SCSI_FLUSH_NONE)
			continue;
		if (r != VHOST_SCSI_FLUSH_OK)
			pr_warn_ratelimited("vhost_scsi: device %u target %u LUN %llu: cache not written back: %s\n",
					    vs->id, fop->target, fop->lun,
					    r == VHOST_SCSI_FLUSH_RESERVED ?
					    "reserved by another initiator" :
					    "command failed");
		*worst = max(*worst, r);
		list_del(&fop->entry);
		kfree(fop);
	}
	return 0;
}

/**
 * vhost_scsi_flush_caches - write back the caches of all LUNs
 * @vs: device with nothing in flight
 *
 * What became of it is in @vs->flush_result, and in the kernel log if it was
 * not complete.
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 * Return: 0; -EINTR if the caller was killed.  The commands under way then
 * count as in flight on the control queue.
 */
int vhost_scsi_flush_caches(struct vhost_scsi *vs)
{
	enum vhost_scsi_flush_result worst = VHOST_SCSI_FLUSH_OK;
	struct vhost_scsi_flush *flush;
	int r = 0, try;

	lockdep_assert_held(&vs->dev.mutex);

	if (!vs->ep)
		return 0;
	if (!READ_ONCE(vhost_scsi_flush_on_stop)) {
		vs->flush_result = VHOST_SCSI_FLUSH_OFF;
		return 0;
	}

	vs->flush_result = VHOST_SCSI_FLUSH_FAILED;
	flush = kzalloc_obj(*flush, GFP_KERNEL);
	if (!flush)
		goto nomem;
	kref_init(&flush->ref);
	init_completion(&flush->done);
	INIT_LIST_HEAD(&flush->ops);

	if (vhost_scsi_flush_collect(vs, flush))
		worst = VHOST_SCSI_FLUSH_FAILED;
	for (try = 0; try < VHOST_SCSI_FLUSH_TRIES && !list_empty(&flush->ops);
	     try++) {
		r = vhost_scsi_flush_round(vs, flush, &worst);
		if (r)
			break;
	}
	if (!r && list_empty(&flush->ops))
		vs->flush_result = worst;
	kref_put(&flush->ref, vhost_scsi_flush_free);
nomem:
	if (!r && vs->flush_result == VHOST_SCSI_FLUSH_FAILED)
		pr_warn_ratelimited("vhost_scsi: device %u: stopped without a complete cache flush\n",
				    vs->id);
	return r;
}
