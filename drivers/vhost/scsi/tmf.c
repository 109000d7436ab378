// SPDX-License-Identifier: GPL-2.0
/*
 * Control queue: task management, asynchronous notifications
 *
 * vhost_scsi_ctl_handle() is the boundary for what the guest supplies on the
 * control queue (N2).
 *
 * LIO knows how to abort one command by its tag and how to reset a logical
 * unit.  Functions that end several commands abort them one by one.  As tags
 * that guests choose need not be unique, LIO is told the commands' serials.
 *
 * A function is answered when none of the commands that it was to end is under
 * way any more, and the guest has been told of their end.  LIO's answer is not
 * enough for that: a command that it does not know any more, or that had just
 * completed, may still be on its way to us.
 *
 * All of this is done by one work item for each device, which waits for
 * nothing: it is run again when LIO is done with a step, and when commands are
 * over.
 */
#include <linux/ratelimit.h>
#include <linux/slab.h>
#include <linux/vhost.h>

#include "scsi.h"

/* Aborts that a guest may ask LIO for in five seconds. */
#define VHOST_SCSI_MAX_ABORTS 64

struct vhost_scsi_victim {
	struct vhost_scsi_cmd *cmd;
	u64 serial;
};

/**
 * struct vhost_scsi_tmf - a task management function that takes time
 * @op: LIO's part, used anew for each step
 * @entry: of vhost_scsi.tmfs or tmf_waits; while LIO is busy, of none
 * @session: the guest
 * @subtype: virtio's name of the function
 * @lun: logical unit
 * @head: the chain to return
 * @response: virtio's answer so far
 * @step_response: LIO's to the last step
 * @steps: LIO has done
 * @resp: where the answer goes
 * @log: what it may write
 * @count: commands that the function ends
 * @victim: these
 */
struct vhost_scsi_tmf {
	struct vhost_scsi_op op;
	struct list_head entry;
	struct se_session *session;
	u32 subtype;
	u16 lun;
	u16 head;
	u8 response;
	u8 step_response;
	unsigned int steps;
	struct vhost_scsi_segs resp;
	struct vhost_scsi_log log;
	unsigned int count;
	struct vhost_scsi_victim victim[] __counted_by(count);
};

/* Which commands a function is about. */
struct vhost_scsi_scope {
	u8 target;
	bool any_lun;
	u16 lun;
	bool any_tag;
	u64 tag;
};

/*
 * Is the command under way and in scope?  It may end and be used anew at any
 * time; the serial, read before and after, tells.
 */
static u64 vhost_scsi_tmf_match(struct vhost_scsi_cmd *cmd,
				const struct vhost_scsi_scope *scope)
{
	/* Pairs with vhost_scsi_cmd_handle(). */
	u64 serial = smp_load_acquire(&cmd->serial);

	if (!serial || READ_ONCE(cmd->target) != scope->target ||
	    (!scope->any_lun && READ_ONCE(cmd->lun) != scope->lun) ||
	    (!scope->any_tag && READ_ONCE(cmd->tag) != scope->tag))
		return 0;
	/*
	 * The fields before the second look at the serial.  It is cleared before
	 * the command is put on the free list, which is a full barrier, and so
	 * before the fields are written anew.
	 */
	smp_rmb();
	return READ_ONCE(cmd->serial) == serial ? serial : 0;
}

/*
 * Find commands in scope.  The pools stand, because the function itself is in
 * flight.  Return: how many there are; at most @max are put into @victim.
 */
static unsigned int vhost_scsi_tmf_find(struct vhost_scsi *vs,
					const struct vhost_scsi_scope *scope,
					struct vhost_scsi_victim *victim,
					unsigned int max)
{
	unsigned int n = 0, j;
	int i;

	for (i = VHOST_SCSI_VQ_IO; i < vs->dev.nvqs; i++) {
		struct vhost_scsi_queue *q = &vs->queues[i];

		for (j = 0; j < q->ncmds; j++) {
			u64 serial = vhost_scsi_tmf_match(&q->cmds[j], scope);

			if (!serial)
				continue;
			if (n < max) {
				victim[n].cmd = &q->cmds[j];
				victim[n].serial = serial;
			}
			n++;
		}
	}
	return n;
}

static bool vhost_scsi_victim_lives(const struct vhost_scsi_victim *victim)
{
	return READ_ONCE(victim->cmd->serial) == victim->serial;
}

static void vhost_scsi_tmf_reply(struct vhost_scsi_queue *q,
				 const struct vhost_scsi_chain *chain,
				 u8 response)
{
	struct virtio_scsi_ctrl_tmf_resp resp = { .response = response };

	vhost_scsi_ring_reply(q, chain, &resp, sizeof(resp));
}

static bool vhost_scsi_tmf_is_lun_reset(const struct vhost_scsi_tmf *tmf)
{
	return tmf->subtype == VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET;
}

/* What LIO said of the last step. */
static void vhost_scsi_tmf_judge(struct vhost_scsi_tmf *tmf)
{
	switch (tmf->step_response) {
	case TMR_FUNCTION_COMPLETE:
	case TMR_TASK_DOES_NOT_EXIST:
		/* The latter has ended by itself, or will. */
		break;
	case TMR_LUN_DOES_NOT_EXIST:
		tmf->response = VIRTIO_SCSI_S_INCORRECT_LUN;
		break;
	default:
		tmf->response = VIRTIO_SCSI_S_FUNCTION_REJECTED;
		break;
	}
}

/* Ask LIO for one thing.  Return: false if there is nothing more to ask for. */
static bool vhost_scsi_tmf_step(struct vhost_scsi_tmf *tmf)
{
	struct vhost_scsi_op *op = &tmf->op;
	u8 function = TMR_LUN_RESET;
	u16 lun = tmf->lun;
	u64 tag = 0;

	if (vhost_scsi_tmf_is_lun_reset(tmf)) {
		if (tmf->steps++)
			return false;
	} else {
		struct vhost_scsi_victim *victim;

		do {
			if (tmf->steps == tmf->count)
				return false;
			victim = &tmf->victim[tmf->steps++];
		} while (!vhost_scsi_victim_lives(victim));

		/* A guest that wants more than that may reset the unit. */
		if (!__ratelimit(&op->queue->vs->tmf_limit)) {
			tmf->response = VIRTIO_SCSI_S_FUNCTION_REJECTED;
			return false;
		}
		function = TMR_ABORT_TASK;
		lun = victim->cmd->lun;
		tag = victim->serial;
	}

	tmf->step_response = TMR_FUNCTION_REJECTED;
	memset(&op->se_cmd, 0, sizeof(op->se_cmd));
	if (!target_submit_tmr(&op->se_cmd, tmf->session, NULL, lun, NULL,
			       function, GFP_KERNEL, tag, 0))
		return true;
	tmf->response = VIRTIO_SCSI_S_FUNCTION_REJECTED;
	return false;
}

/* Does a command that the function was to end go on?  No matter if it failed. */
static bool vhost_scsi_tmf_waits(const struct vhost_scsi_tmf *tmf)
{
	unsigned int i;

	if (tmf->response != VIRTIO_SCSI_S_OK)
		return false;
	for (i = 0; i < tmf->count; i++)
		if (vhost_scsi_victim_lives(&tmf->victim[i]))
			return true;
	return false;
}

/* Context: workqueue. */
static void vhost_scsi_tmf_work(struct work_struct *work)
{
	struct vhost_scsi *vs = container_of(work, struct vhost_scsi, tmf_work);
	struct vhost_scsi_tmf *tmf, *next;
	unsigned long flags;
	LIST_HEAD(ready);

	/*
	 * Commands that are over from now on run this again; those that were
	 * before are seen below.
	 */
	WRITE_ONCE(vs->tmf_waiting, true);
	/* Pairs with vhost_scsi_tmf_wake(). */
	smp_mb();

	spin_lock_irqsave(&vs->tmf_lock, flags);
	list_splice_init(&vs->tmfs, &ready);
	spin_unlock_irqrestore(&vs->tmf_lock, flags);

	list_for_each_entry_safe(tmf, next, &ready, entry) {
		list_del(&tmf->entry);
		vhost_scsi_tmf_judge(tmf);
		if (!vhost_scsi_tmf_step(tmf))
			list_add_tail(&tmf->entry, &vs->tmf_waits);
	}

	list_for_each_entry_safe(tmf, next, &vs->tmf_waits, entry) {
		if (vhost_scsi_tmf_waits(tmf))
			continue;
		list_del(&tmf->entry);
		if (tmf->subtype == VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET)
			core_allocate_nexus_loss_ua(tmf->session->se_node_acl);
		vhost_scsi_ring_done(&tmf->op);
	}
	WRITE_ONCE(vs->tmf_waiting, !list_empty(&vs->tmf_waits));
}

/**
 * vhost_scsi_tmf_wake - some commands are over
 * @vs: device
 *
 * Context: any.
 */
void vhost_scsi_tmf_wake(struct vhost_scsi *vs)
{
	/* The serials before the flag; pairs with vhost_scsi_tmf_work(). */
	smp_mb();
	if (unlikely(READ_ONCE(vs->tmf_waiting)))
		queue_work(vhost_scsi_wq, &vs->tmf_work);
}

static void vhost_scsi_tmf_ready(struct vhost_scsi_tmf *tmf)
{
	struct vhost_scsi *vs = tmf->op.queue->vs;
	unsigned long flags;

	spin_lock_irqsave(&vs->tmf_lock, flags);
	list_add_tail(&tmf->entry, &vs->tmfs);
	spin_unlock_irqrestore(&vs->tmf_lock, flags);
	queue_work(vhost_scsi_wq, &vs->tmf_work);
}

/**
 * vhost_scsi_tmf_step_answer - LIO has the answer to a step
 * @op: function
 *
 * Context: process.
 */
void vhost_scsi_tmf_step_answer(struct vhost_scsi_op *op)
{
	container_of(op, struct vhost_scsi_tmf, op)->step_response =
		op->se_cmd.se_tmr_req->response;
}

/**
 * vhost_scsi_tmf_step_done - LIO is done with a step
 * @op: function
 *
 * Context: any.
 */
void vhost_scsi_tmf_step_done(struct vhost_scsi_op *op)
{
	vhost_scsi_tmf_ready(container_of(op, struct vhost_scsi_tmf, op));
}

/**
 * vhost_scsi_tmf_finish - answer a task management function
 * @q: control queue
 * @op: function
 * @answer: false if nobody is there any more
 *
 * Context: process, vq->mutex held; in the owner's address space if @answer.
 */
void vhost_scsi_tmf_finish(struct vhost_scsi_queue *q,
			   struct vhost_scsi_op *op, bool answer)
{
	struct vhost_scsi_tmf *tmf = container_of(op, struct vhost_scsi_tmf,
						  op);
	struct virtio_scsi_ctrl_tmf_resp resp = { .response = tmf->response };

	if (answer) {
		u32 len = sizeof(resp);

		if (!vhost_scsi_segs_write(&tmf->resp, &resp, sizeof(resp))) {
			q->stats.unanswered++;
			len = 0;
		}
		vhost_scsi_log_write(q, tmf->log.entry, tmf->log.count,
				     sizeof(resp));
		vhost_scsi_ring_return(q, tmf->head, len);
	}
}

static void vhost_scsi_tmf_free(struct vhost_scsi_tmf *tmf)
{
	vhost_scsi_segs_free(&tmf->resp);
	vhost_scsi_log_free(&tmf->log);
	kvfree(tmf);
}

/**
 * vhost_scsi_tmf_release - a task management function is over
 * @q: control queue
 * @op: function that was answered
 *
 * Context: process.
 */
void vhost_scsi_tmf_release(struct vhost_scsi_queue *q,
			    struct vhost_scsi_op *op)
{
	vhost_scsi_tmf_free(container_of(op, struct vhost_scsi_tmf, op));
}

/* Functions that take time.  Return: false if there is no memory for it. */
static bool vhost_scsi_tmf_begin(struct vhost_scsi_queue *q,
				 const struct vhost_scsi_chain *chain,
				 const struct vhost_scsi_scope *scope,
				 struct se_session *session, u32 subtype)
{
	unsigned int i, n = vhost_scsi_tmf_find(q->vs, scope, NULL, 0);
	struct vhost_scsi_tmf *tmf;

	tmf = kvzalloc(struct_size(tmf, victim, n), GFP_KERNEL_ACCOUNT);
	if (!tmf)
		return false;
	tmf->count = n;
	tmf->op.kind = VHOST_SCSI_OP_TMF;
	tmf->op.queue = q;
	tmf->session = session;
	tmf->subtype = subtype;
	tmf->lun = scope->lun;
	tmf->head = chain->head;
	tmf->response = VIRTIO_SCSI_S_OK;
	tmf->step_response = TMR_FUNCTION_COMPLETE;
	if (vhost_scsi_segs_copy(&tmf->resp, q->vq.iov + chain->out, chain->in,
				 0, sizeof(struct virtio_scsi_ctrl_tmf_resp)) ||
	    vhost_scsi_log_keep(&tmf->log, q->vq.log, chain->nlog)) {
		vhost_scsi_tmf_free(tmf);
		return false;
	}

	/*
	 * Some may have ended meanwhile.  More than before there cannot be that
	 * the guest could mean: it sent those after the function.
	 */
	tmf->count = min(n, vhost_scsi_tmf_find(q->vs, scope, tmf->victim, n));
	if (subtype == VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET ||
	    subtype == VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET)
		for (i = 0; i < tmf->count; i++)
			WRITE_ONCE(tmf->victim[i].cmd->reset,
				   tmf->victim[i].serial);

	vhost_scsi_tmf_ready(tmf);
	return true;
}

static bool vhost_scsi_tmf_lun_exists(struct se_session *session, u16 lun)
{
	struct se_dev_entry *deve;
	bool exists = false;

	rcu_read_lock();
	hlist_for_each_entry_rcu(deve, &session->se_node_acl->lun_entry_hlist,
				 link)
		exists |= deve->mapped_lun == lun;
	rcu_read_unlock();
	return exists;
}

static void vhost_scsi_tmf_handle(struct vhost_scsi_queue *q,
				  const struct vhost_scsi_chain *chain)
{
	struct vhost_scsi_endpoint *ep = vhost_vq_get_backend(&q->vq);
	struct virtio_scsi_ctrl_tmf_req req;
	struct vhost_scsi_scope scope = {};
	struct se_session *session;
	u32 subtype;
	u8 response;

	if (!vhost_scsi_ring_read(q, chain, 0, &req, sizeof(req)) ||
	    req.lun[0] != 1 || !ep->tpg[req.lun[1]]) {
		vhost_scsi_tmf_reply(q, chain, VIRTIO_SCSI_S_BAD_TARGET);
		return;
	}
	session = ep->tpg[req.lun[1]]->nexus->session;
	subtype = vhost32_to_cpu(&q->vq, req.subtype);
	scope.target = req.lun[1];
	scope.tag = vhost64_to_cpu(&q->vq, req.tag);
	scope.any_tag = subtype != VIRTIO_SCSI_T_TMF_ABORT_TASK &&
			subtype != VIRTIO_SCSI_T_TMF_QUERY_TASK;
	scope.any_lun = subtype == VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET;

	if (!scope.any_lun && (!vhost_scsi_lun_decode(req.lun, &scope.lun) ||
			       !vhost_scsi_tmf_lun_exists(session,
							  scope.lun))) {
		vhost_scsi_tmf_reply(q, chain, VIRTIO_SCSI_S_INCORRECT_LUN);
		return;
	}

	switch (subtype) {
	case VIRTIO_SCSI_T_TMF_ABORT_TASK:
	case VIRTIO_SCSI_T_TMF_ABORT_TASK_SET:
	case VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET:
	case VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET:
		if (chain->in_len < sizeof(struct virtio_scsi_ctrl_tmf_resp))
			break;
		/* More heads than the ring has: used while in flight. */
		if (atomic_read(&q->inflight) > q->vq.num + 1)
			break;
		if (vhost_scsi_tmf_begin(q, chain, &scope, session, subtype))
			return;
		break;
	case VIRTIO_SCSI_T_TMF_QUERY_TASK:
	case VIRTIO_SCSI_T_TMF_QUERY_TASK_SET:
		response = vhost_scsi_tmf_find(q->vs, &scope, NULL, 0) ?
			   VIRTIO_SCSI_S_FUNCTION_SUCCEEDED : VIRTIO_SCSI_S_OK;
		vhost_scsi_tmf_reply(q, chain, response);
		return;
	case VIRTIO_SCSI_T_TMF_CLEAR_ACA:
		/* LIO has no ACA. */
	case VIRTIO_SCSI_T_TMF_CLEAR_TASK_SET:
		/* It would have to abort the commands of other nexuses. */
	default:
		break;
	}
	vhost_scsi_tmf_reply(q, chain, VIRTIO_SCSI_S_FUNCTION_REJECTED);
}

/* There are no asynchronous notifications to subscribe to. */
static void vhost_scsi_an_handle(struct vhost_scsi_queue *q,
				 const struct vhost_scsi_chain *chain)
{
	struct virtio_scsi_ctrl_an_resp resp = {};
	struct virtio_scsi_ctrl_an_req req;

	if (!vhost_scsi_ring_read(q, chain, 0, &req, sizeof(req)) ||
	    req.lun[0] != 1)
		resp.response = VIRTIO_SCSI_S_BAD_TARGET;
	vhost_scsi_ring_reply(q, chain, &resp, sizeof(resp));
}

/**
 * vhost_scsi_ctl_handle - take a request from the control queue
 * @q: control queue
 * @chain: the request; it will be returned, now or when it is done
 *
 * Context: worker, vq->mutex held.  May wait for guest memory.
 */
void vhost_scsi_ctl_handle(struct vhost_scsi_queue *q,
			   struct vhost_scsi_chain *chain)
{
	__virtio32 type;

	if (vhost_scsi_ring_read(q, chain, 0, &type, sizeof(type))) {
		switch (vhost32_to_cpu(&q->vq, type)) {
		case VIRTIO_SCSI_T_TMF:
			vhost_scsi_tmf_handle(q, chain);
			return;
		case VIRTIO_SCSI_T_AN_QUERY:
		case VIRTIO_SCSI_T_AN_SUBSCRIBE:
			vhost_scsi_an_handle(q, chain);
			return;
		}
	}
	/* Where an answer would stand depends on the type. */
	q->stats.unanswered++;
	vhost_scsi_ring_return(q, chain->head, 0);
}

/**
 * vhost_scsi_tmf_init - prepare a new device
 * @vs: device
 */
void vhost_scsi_tmf_init(struct vhost_scsi *vs)
{
	spin_lock_init(&vs->tmf_lock);
	INIT_LIST_HEAD(&vs->tmfs);
	INIT_LIST_HEAD(&vs->tmf_waits);
	INIT_WORK(&vs->tmf_work, vhost_scsi_tmf_work);
	ratelimit_state_init(&vs->tmf_limit, 5 * HZ, VHOST_SCSI_MAX_ABORTS);
	ratelimit_set_flags(&vs->tmf_limit, RATELIMIT_MSG_ON_RELEASE);
}
