// SPDX-License-Identifier: GPL-2.0
/*
 * SCSI commands of the driver's own
 *
 * They go through the guest's nexus, because only that one passes the guest's
 * reservations, and because the target core needs a nexus.  A batch of them is
 * sent together and waited for together.  Whoever waits may give up, killed or
 * out of time; the last command then frees the batch.  Each counts as in flight
 * on the control queue, so that a stop waits for it.
 */
#include <linux/completion.h>
#include <linux/scatterlist.h>
#include <linux/slab.h>
#include <scsi/scsi_common.h>
#include <scsi/scsi_proto.h>

#include "scsi.h"

/* Commands can hide unit attentions from each other, or be sent too early. */
#define VHOST_SCSI_EXEC_TRIES 4

/**
 * struct vhost_scsi_exec_batch - commands that are waited for together
 * @ref: whoever made it, and each command that is under way
 * @pending: commands under way, and one of the sender
 * @done: @pending is 0
 * @commands: the commands
 */
struct vhost_scsi_exec_batch {
	struct kref ref;
	atomic_t pending;
	struct completion done;
	struct list_head commands;
};

static void vhost_scsi_exec_free(struct kref *ref)
{
	struct vhost_scsi_exec_batch *batch =
		container_of(ref, struct vhost_scsi_exec_batch, ref);
	struct vhost_scsi_exec *exec, *next;

	list_for_each_entry_safe(exec, next, &batch->commands, entry)
		kfree(exec);
	kfree(batch);
}

/**
 * vhost_scsi_exec_batch_alloc - prepare to send commands
 *
 * Context: process.
 * Return: an empty batch, or NULL.
 */
struct vhost_scsi_exec_batch *vhost_scsi_exec_batch_alloc(void)
{
	struct vhost_scsi_exec_batch *batch = kzalloc_obj(*batch, GFP_KERNEL);

	if (!batch)
		return NULL;
	kref_init(&batch->ref);
	init_completion(&batch->done);
	INIT_LIST_HEAD(&batch->commands);
	return batch;
}

/**
 * vhost_scsi_exec_batch_put - be done with a batch
 * @batch: batch; freed with its commands when none is under way
 */
void vhost_scsi_exec_batch_put(struct vhost_scsi_exec_batch *batch)
{
	kref_put(&batch->ref, vhost_scsi_exec_free);
}

/**
 * vhost_scsi_exec_add - add a command to a batch
 * @batch: batch that is not under way
 * @unit: logical unit, found; it may be put back
 * @cdb: command, 16 bytes
 * @data: data-out, NULL for none
 * @len: bytes of it
 *
 * Context: process.
 * Return: the command, or NULL.
 */
struct vhost_scsi_exec *
vhost_scsi_exec_add(struct vhost_scsi_exec_batch *batch,
		    const struct vhost_scsi_unit *unit, const u8 *cdb,
		    const void *data, u32 len)
{
	struct vhost_scsi_exec *exec = kzalloc(struct_size(exec, data, len),
					       GFP_KERNEL);

	if (!exec)
		return NULL;
	exec->batch = batch;
	exec->nexus = unit->nexus;
	exec->target = unit->target;
	exec->lun = unit->lun;
	memcpy(exec->cdb, cdb, sizeof(exec->cdb));
	exec->len = len;
	if (len) {
		memcpy(exec->data, data, len);
		sg_init_one(&exec->sg, exec->data, len);
	}
	list_add_tail(&exec->entry, &batch->commands);
	return exec;
}

/**
 * vhost_scsi_exec_done - the target core is done with a command of the driver's
 * @op: command
 *
 * Context: any.
 */
void vhost_scsi_exec_done(struct vhost_scsi_op *op)
{
	struct vhost_scsi_exec_batch *batch =
		container_of(op, struct vhost_scsi_exec, op)->batch;
	struct vhost_scsi_queue *q = op->queue;

	rcu_read_lock();
	if (atomic_dec_and_test(&batch->pending))
		complete(&batch->done);
	vhost_scsi_exec_batch_put(batch);
	vhost_scsi_queue_leave(q, 1);
	rcu_read_unlock();
}

/**
 * vhost_scsi_exec_aborted - a command of the driver's ends without a status
 * @op: command
 *
 * Context: any.
 */
void vhost_scsi_exec_aborted(struct vhost_scsi_op *op)
{
	container_of(op, struct vhost_scsi_exec, op)->aborted = true;
}

static void vhost_scsi_exec_submit(struct vhost_scsi *vs,
				   struct vhost_scsi_exec *exec)
{
	struct se_cmd *se_cmd = &exec->op.se_cmd;

	memset(se_cmd, 0, sizeof(*se_cmd));
	memset(exec->sense, 0, sizeof(exec->sense));
	exec->aborted = false;
	exec->op.kind = VHOST_SCSI_OP_EXEC;
	exec->op.queue = &vs->queues[VHOST_SCSI_VQ_CTL];
	atomic_inc(&exec->op.queue->inflight);
	kref_get(&exec->batch->ref);

	target_init_cmd(se_cmd, exec->nexus->session, exec->sense, exec->lun,
			exec->len, TCM_SIMPLE_TAG,
			exec->len ? DMA_TO_DEVICE : DMA_NONE, 0);
	if (!target_submit_prep(se_cmd, exec->cdb, exec->len ? &exec->sg : NULL,
				exec->len ? 1 : 0, NULL, 0, NULL, 0,
				GFP_KERNEL))
		target_submit(se_cmd);
}

/* Sense data in either format. */
static void vhost_scsi_exec_sense(struct vhost_scsi_exec *exec)
{
	const u8 *sense = exec->sense;
	bool descriptor = (sense[0] & 0x7f) >= 0x72;

	exec->key = (descriptor ? sense[1] : sense[2]) & 0xf;
	exec->code.asc = sense[descriptor ? 2 : 12];
	exec->code.ascq = sense[descriptor ? 3 : 13];
}

/* Is it over, or does it want another try? */
static bool vhost_scsi_exec_over(struct vhost_scsi_exec *exec)
{
	exec->status = exec->op.se_cmd.scsi_status;
	if (exec->aborted)
		return false;

	switch (exec->status) {
	case SAM_STAT_BUSY:
	case SAM_STAT_TASK_SET_FULL:
	case SAM_STAT_TASK_ABORTED:
		return false;
	case SAM_STAT_CHECK_CONDITION:
		vhost_scsi_exec_sense(exec);
		if (exec->key != UNIT_ATTENTION)
			return true;
		vhost_scsi_ua_keep(exec->nexus, exec->lun, exec->code.asc,
				   exec->code.ascq);
		return false;
	default:
		return true;
	}
}

/* Send those that are not over, and wait. */
static int vhost_scsi_exec_round(struct vhost_scsi *vs,
				 struct vhost_scsi_exec_batch *batch,
				 unsigned long end)
{
	struct vhost_scsi_exec *exec;
	long left;

	reinit_completion(&batch->done);
	atomic_set(&batch->pending, 1);
	list_for_each_entry(exec, &batch->commands, entry) {
		if (exec->over)
			continue;
		atomic_inc(&batch->pending);
		vhost_scsi_exec_submit(vs, exec);
	}
	if (atomic_dec_and_test(&batch->pending))
		return 0;
	left = wait_for_completion_killable_timeout(&batch->done,
						    vhost_scsi_time_left(end));
	if (left < 0)
		return -EINTR;
	return left ? 0 : -ETIMEDOUT;
}

/**
 * vhost_scsi_exec_run - send the commands of a batch and wait for them
 * @vs: device with a claim on the targets of the commands
 * @batch: commands
 * @end: jiffies when to give up, 0 for never
 *
 * Unit attentions that are met are kept for the guest.  What became of each
 * command is in it afterwards: @over, @status and, with CHECK CONDITION, @key
 * and @code; one that could not be executed, after some tries, is not over.
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 * Return: 0; -EINTR or -ETIMEDOUT, and the commands under way count as in
 * flight.
 */
int vhost_scsi_exec_run(struct vhost_scsi *vs,
			struct vhost_scsi_exec_batch *batch, unsigned long end)
{
	struct vhost_scsi_exec *exec;
	int r, try;

	for (try = 0; try < VHOST_SCSI_EXEC_TRIES; try++) {
		bool all = true;

		r = vhost_scsi_exec_round(vs, batch, end);
		if (r)
			return r;
		list_for_each_entry(exec, &batch->commands, entry) {
			if (!exec->over)
				exec->over = vhost_scsi_exec_over(exec);
			all &= exec->over;
		}
		if (all)
			break;
	}
	return 0;
}

/**
 * vhost_scsi_exec_each - go through the commands of a batch
 * @batch: batch that is not under way
 * @judge: called for each
 * @arg: for it
 */
void vhost_scsi_exec_each(struct vhost_scsi_exec_batch *batch,
			  void (*judge)(struct vhost_scsi_exec *exec, void *arg),
			  void *arg)
{
	struct vhost_scsi_exec *exec;

	list_for_each_entry(exec, &batch->commands, entry)
		judge(exec, arg);
}
