// SPDX-License-Identifier: GPL-2.0
/*
 * Write-back of volatile caches when the device stops (G5)
 *
 * A SYNCHRONIZE CACHE goes to every LUN that has a volatile cache.
 */
#include <linux/moduleparam.h>
#include <linux/ratelimit.h>
#include <scsi/scsi_proto.h>
#include <target/target_core_backend.h>

#include "scsi.h"

static bool vhost_scsi_flush_on_stop = true;
module_param_named(flush_on_stop, vhost_scsi_flush_on_stop, bool, 0644);
MODULE_PARM_DESC(flush_on_stop,
		 "Write back volatile caches of LUNs before the device is reported stopped (default: Y)");

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

static int vhost_scsi_flush_collect(struct vhost_scsi *vs,
				    struct vhost_scsi_exec_batch *batch)
{
	static const u8 cdb[VHOST_SCSI_EXEC_CDB] = { SYNCHRONIZE_CACHE };
	struct vhost_scsi_unit unit = {};
	bool wanted;

	while (vhost_scsi_unit_next(vs, &unit)) {
		wanted = vhost_scsi_flush_wanted(unit.dev);
		vhost_scsi_unit_put(&unit);
		if (wanted && !vhost_scsi_exec_add(batch, &unit, cdb, NULL, 0))
			return -ENOMEM;
	}
	return 0;
}

/* What became of one flush? */
static enum vhost_scsi_mig_flush
vhost_scsi_flush_result(const struct vhost_scsi_exec *exec)
{
	if (!exec->over)
		return VHOST_SCSI_MIG_FLUSH_FAILED;
	switch (exec->status) {
	case SAM_STAT_GOOD:
		return VHOST_SCSI_MIG_FLUSH_OK;
	case SAM_STAT_RESERVATION_CONFLICT:
		return VHOST_SCSI_MIG_FLUSH_RESERVED;
	case SAM_STAT_CHECK_CONDITION:
		/* No such command, so no cache; or the LUN is gone by now. */
		if (exec->key == ILLEGAL_REQUEST &&
		    (exec->code.asc == 0x20 || exec->code.asc == 0x25))
			return VHOST_SCSI_MIG_FLUSH_OK;
		return VHOST_SCSI_MIG_FLUSH_FAILED;
	default:
		return VHOST_SCSI_MIG_FLUSH_FAILED;
	}
}

struct vhost_scsi_flush_sum {
	struct vhost_scsi *vs;
	enum vhost_scsi_mig_flush worst;
};

static void vhost_scsi_flush_judge(struct vhost_scsi_exec *exec, void *arg)
{
	struct vhost_scsi_flush_sum *sum = arg;
	enum vhost_scsi_mig_flush result = vhost_scsi_flush_result(exec);

	if (result != VHOST_SCSI_MIG_FLUSH_OK)
		pr_warn_ratelimited("vhost_scsi: device %u target %u LUN %llu: cache not written back: %s\n",
				    sum->vs->id, exec->target, exec->lun,
				    result == VHOST_SCSI_MIG_FLUSH_RESERVED ?
				    "reserved by another initiator" :
				    "command failed");
	sum->worst = max(sum->worst, result);
}

/**
 * vhost_scsi_flush_caches - write back the caches of all LUNs
 * @vs: device with nothing in flight
 * @wanted: the caller wants it; the administrator may not
 * @end: jiffies when to give up, 0 for never
 *
 * What became of it is in @vs->flush_result, and in the kernel log if it was
 * not complete.
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 * Return: 0; -EINTR if the caller was killed, -ETIMEDOUT if time is up.  The
 * commands under way then count as in flight on the control queue.
 */
int vhost_scsi_flush_caches(struct vhost_scsi *vs, bool wanted,
			    unsigned long end)
{
	struct vhost_scsi_flush_sum sum = { vs, VHOST_SCSI_MIG_FLUSH_OK };
	struct vhost_scsi_exec_batch *batch;
	int r = 0;

	lockdep_assert_held(&vs->dev.mutex);

	if (!vs->ep)
		return 0;
	if (!wanted || !READ_ONCE(vhost_scsi_flush_on_stop)) {
		WRITE_ONCE(vs->flush_result, VHOST_SCSI_MIG_FLUSH_OFF);
		return 0;
	}

	WRITE_ONCE(vs->flush_result, VHOST_SCSI_MIG_FLUSH_FAILED);
	batch = vhost_scsi_exec_batch_alloc();
	if (!batch)
		goto out;
	if (vhost_scsi_flush_collect(vs, batch))
		sum.worst = VHOST_SCSI_MIG_FLUSH_FAILED;
	r = vhost_scsi_exec_run(vs, batch, end);
	if (!r) {
		vhost_scsi_exec_each(batch, vhost_scsi_flush_judge, &sum);
		WRITE_ONCE(vs->flush_result, sum.worst);
	}
	vhost_scsi_exec_batch_put(batch);
out:
	if (!r && vs->flush_result == VHOST_SCSI_MIG_FLUSH_FAILED)
		pr_warn_ratelimited("vhost_scsi: device %u: stopped without a complete cache flush\n",
				    vs->id);
	return r;
}
