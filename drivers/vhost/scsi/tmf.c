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
 * A function is answered after the commands that it ended: the workers are
 * flushed in between.
 */
#include <linux/slab.h>
#include <linux/vhost.h>

#include "scsi.h"

struct vhost_scsi_victim {
	u64 serial;
	u16 lun;
};

/**
 * struct vhost_scsi_tmf - a task management function that takes time
 * @op: LIO's part, used anew for each step
 * @work: the next step
 * @session: the guest
 * @subtype: virtio's name of the function
 * @lun: logical unit
 * @head: the chain to return
 * @response: virtio's answer so far
 * @step_response: LIO's to the last step
 * @resp: where the answer goes
 * @log: what it may write
 * @next: of @victim to abort
 * @count: how many there are
 * @victim: commands to abort
 */
struct vhost_scsi_tmf {
	struct vhost_scsi_op op;
	struct work_struct work;
	struct se_session *session;
	u32 subtype;
	u16 lun;
	u16 head;
	u8 response;
	u8 step_response;
	struct vhost_scsi_segs resp;
	struct vhost_scsi_log log;
	unsigned int next;
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
				const struct vhost_scsi_scope *scope, u16 *lun)
{
	/* Pairs with vhost_scsi_cmd_handle(). */
	u64 serial = smp_load_acquire(&cmd->serial);

	*lun = READ_ONCE(cmd->lun);
	if (!serial || READ_ONCE(cmd->target) != scope->target ||
	    (!scope->any_lun && *lun != scope->lun) ||
	    (!scope->any_tag && READ_ONCE(cmd->tag) != scope->tag))
		return 0;
	/* The fields before the second look at the serial. */
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
					unsigned int max, bool reset)
{
	unsigned int n = 0, j;
	int i;

	for (i = VHOST_SCSI_VQ_IO; i < vs->dev.nvqs; i++) {
		struct vhost_scsi_queue *q = &vs->queues[i];

		for (j = 0; j < q->ncmds; j++) {
			struct vhost_scsi_cmd *cmd = &q->cmds[j];
			u16 lun;
			u64 serial = vhost_scsi_tmf_match(cmd, scope, &lun);

			if (!serial)
				continue;
			if (reset)
				WRITE_ONCE(cmd->reset, serial);
			if (n < max) {
				victim[n].serial = serial;
				victim[n].lun = lun;
			}
			n++;
		}
	}
	return n;
}

static void vhost_scsi_tmf_reply(struct vhost_scsi_queue *q,
				 const struct vhost_scsi_chain *chain,
				 u8 response)
{
	struct virtio_scsi_ctrl_tmf_resp resp = { .response = response };

	vhost_scsi_ring_reply(q, chain, &resp, sizeof(resp));
}

/* Do one step, or tell the guest that all are done. */
static void vhost_scsi_tmf_step(struct vhost_scsi_tmf *tmf)
{
	struct vhost_scsi_op *op = &tmf->op;
	u8 function = TMR_LUN_RESET;
	u16 lun = tmf->lun;
	u64 tag = 0;

	if (tmf->next < tmf->count) {
		if (tmf->subtype != VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET) {
			function = TMR_ABORT_TASK;
			lun = tmf->victim[tmf->next].lun;
			tag = tmf->victim[tmf->next].serial;
		}
		tmf->next++;
		tmf->step_response = TMR_FUNCTION_REJECTED;
		memset(&op->se_cmd, 0, sizeof(op->se_cmd));
		if (!target_submit_tmr(&op->se_cmd, tmf->session, NULL, lun,
				       NULL, function, GFP_KERNEL, tag, 0))
			return;
		tmf->response = VIRTIO_SCSI_S_FUNCTION_REJECTED;
	}

	if (tmf->subtype == VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET)
		core_allocate_nexus_loss_ua(tmf->session->se_node_acl);

	/* The commands that were ended are answered first. */
	vhost_dev_flush(&op->queue->vs->dev);
	vhost_scsi_ring_done(op);
}

static void vhost_scsi_tmf_work(struct work_struct *work)
{
	struct vhost_scsi_tmf *tmf = container_of(work, struct vhost_scsi_tmf,
						  work);

	switch (tmf->step_response) {
	case TMR_FUNCTION_COMPLETE:
		break;
	case TMR_TASK_DOES_NOT_EXIST:
		/* It has ended by itself. */
		break;
	case TMR_LUN_DOES_NOT_EXIST:
		tmf->response = VIRTIO_SCSI_S_INCORRECT_LUN;
		break;
	default:
		tmf->response = VIRTIO_SCSI_S_FUNCTION_REJECTED;
		break;
	}
	vhost_scsi_tmf_step(tmf);
}

/**
 * vhost_scsi_tmf_response - LIO has the answer to a step
 * @op: function
 *
 * Context: process.
 */
void vhost_scsi_tmf_response(struct vhost_scsi_op *op)
{
	container_of(op, struct vhost_scsi_tmf, op)->step_response =
		op->se_cmd.se_tmr_req->response;
}

/**
 * vhost_scsi_tmf_released - LIO is done with a step
 * @op: function
 *
 * Context: any.
 */
void vhost_scsi_tmf_released(struct vhost_scsi_op *op)
{
	queue_work(vhost_scsi_wq,
		   &container_of(op, struct vhost_scsi_tmf, op)->work);
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
	vhost_scsi_segs_free(&tmf->resp);
	vhost_scsi_log_free(&tmf->log);
	kvfree(tmf);
}

/* Functions that LIO has to do.  Return: false if there is no memory for it. */
static bool vhost_scsi_tmf_begin(struct vhost_scsi_queue *q,
				 const struct vhost_scsi_chain *chain,
				 const struct vhost_scsi_scope *scope,
				 struct se_session *session, u32 subtype)
{
	bool lun_reset = subtype == VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET;
	bool reset = lun_reset || subtype == VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET;
	struct vhost_scsi_tmf *tmf;
	unsigned int count = 1;

	if (!lun_reset)
		count = vhost_scsi_tmf_find(q->vs, scope, NULL, 0, false);
	tmf = kvzalloc(struct_size(tmf, victim, count), GFP_KERNEL_ACCOUNT);
	if (!tmf)
		return false;
	tmf->count = count;
	INIT_WORK(&tmf->work, vhost_scsi_tmf_work);
	tmf->op.kind = VHOST_SCSI_OP_TMF;
	tmf->op.queue = q;
	tmf->session = session;
	tmf->subtype = subtype;
	tmf->lun = scope->lun;
	tmf->head = chain->head;
	tmf->response = VIRTIO_SCSI_S_OK;
	if (vhost_scsi_segs_copy(&tmf->resp, q->vq.iov + chain->out, chain->in,
				 0, sizeof(struct virtio_scsi_ctrl_tmf_resp)) ||
	    vhost_scsi_log_keep(&tmf->log, q->vq.log, chain->nlog)) {
		vhost_scsi_segs_free(&tmf->resp);
		vhost_scsi_log_free(&tmf->log);
		kvfree(tmf);
		return false;
	}

	/*
	 * Some may have ended meanwhile.  More than before there cannot be that
	 * the guest could mean: it sent those after the function.
	 */
	count = vhost_scsi_tmf_find(q->vs, scope, tmf->victim, count, reset);
	if (!lun_reset)
		tmf->count = min(count, tmf->count);

	/* The next step flushes the workers, so it cannot be done in one. */
	tmf->step_response = TMR_FUNCTION_COMPLETE;
	queue_work(vhost_scsi_wq, &tmf->work);
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
		if (vhost_scsi_tmf_begin(q, chain, &scope, session, subtype))
			return;
		break;
	case VIRTIO_SCSI_T_TMF_QUERY_TASK:
	case VIRTIO_SCSI_T_TMF_QUERY_TASK_SET:
		response = vhost_scsi_tmf_find(q->vs, &scope, NULL, 0, false) ?
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
