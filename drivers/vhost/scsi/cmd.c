// SPDX-License-Identifier: GPL-2.0
/*
 * SCSI commands: checking, submission, answers
 *
 * vhost_scsi_cmd_handle() is the boundary for what the guest supplies on an
 * I/O queue (N2): the request header is copied once and checked there, and not
 * looked at in guest memory again.
 */
#include <linux/slab.h>
#include <linux/vhost.h>
#include <scsi/scsi_common.h>
#include <scsi/scsi_proto.h>
#include <target/target_core_backend.h>

#include "scsi.h"
#include "trace.h"
#include "compat_target.h"

#define VHOST_SCSI_FIXED_SENSE_LEN 18

/**
 * vhost_scsi_cmds_alloc - allocate a command for each head of a ring
 * @q: I/O queue, inactive
 *
 * At most VHOST_SCSI_MAX_COMMANDS.
 *
 * Context: vhost_dev.mutex held.
 * Return: 0 or -ENOMEM.
 */
int vhost_scsi_cmds_alloc(struct vhost_scsi_queue *q)
{
	unsigned int i, n = min(q->vq.num, VHOST_SCSI_MAX_COMMANDS);

	q->cmds = kvcalloc(n, sizeof(*q->cmds), GFP_KERNEL_ACCOUNT);
	if (!q->cmds)
		return -ENOMEM;
	q->ncmds = n;
	init_llist_head(&q->free);
	for (i = 0; i < n; i++) {
		q->cmds[i].op.kind = VHOST_SCSI_OP_CMD;
		q->cmds[i].op.queue = q;
		llist_add(&q->cmds[i].free, &q->free);
	}
	return 0;
}

/**
 * vhost_scsi_cmds_free - free the commands of a queue
 * @q: queue, nothing in flight
 *
 * Context: vhost_dev.mutex held.
 */
void vhost_scsi_cmds_free(struct vhost_scsi_queue *q)
{
	kvfree(q->cmds);
	q->cmds = NULL;
	q->ncmds = 0;
	init_llist_head(&q->free);
}

/**
 * vhost_scsi_lun_decode - logical unit of a virtio-scsi address
 * @lun: the address: 1, target, single level LUN structure
 * @out: logical unit
 *
 * Return: false if it is not of that form.
 */
bool vhost_scsi_lun_decode(const u8 lun[8], u16 *out)
{
	/* Peripheral device addressing on bus 0, or flat space addressing. */
	if (lun[0] != 1 || (lun[2] && (lun[2] & 0xc0) != 0x40))
		return false;
	*out = (lun[2] & 0x3f) << 8 | lun[3];
	return true;
}

/*
 * What there is to know of a logical unit before LIO is asked.  LIO reports
 * commands to units that do not exist or are read-only to the kernel log each
 * time, without a limit.
 * Return: 0, or ASC and ASCQ, with the sense key on top.
 */
static u32 vhost_scsi_lun_check(struct se_session *session, u16 lun, bool out,
				struct se_device **dev)
{
	struct se_dev_entry *deve;
	/* LUN 0 always answers, if only to REPORT LUNS. */
	u32 sense = lun ? ILLEGAL_REQUEST << 16 | 0x2500 : 0;

	*dev = NULL;
	hlist_for_each_entry_rcu(deve, &session->se_node_acl->lun_entry_hlist,
				 link) {
		if (deve->mapped_lun == lun) {
			sense = out && deve->lun_access_ro ?
				DATA_PROTECT << 16 | 0x2700 : 0;
			*dev = rcu_dereference_raw(deve->se_lun->lun_se_dev);
			break;
		}
	}
	return sense;
}

/*
 * Protection information comes with the data of READ and WRITE, eight bytes a
 * block: backends and hardware take what the command says for granted.
 */
static bool vhost_scsi_prot_valid(const struct se_device *dev, const u8 *cdb,
				  u32 prot_len, size_t len)
{
	u32 block;

	if (!prot_len)
		return true;
	if (!dev || prot_len >= len || !vhost_scsi_cdb_is_rw(cdb))
		return false;
	block = READ_ONCE(dev->dev_attrib.block_size);
	return block && prot_len / 8 == (len - prot_len) / block &&
	       !(prot_len % 8) && !((len - prot_len) % block);
}

static void vhost_scsi_reply(struct vhost_scsi_queue *q,
			     const struct vhost_scsi_chain *chain, u8 response,
			     u8 status)
{
	struct virtio_scsi_cmd_resp resp = {
		.response = response,
		.status = status,
	};

	vhost_scsi_ring_reply(q, chain, &resp, sizeof(resp));
}

static void vhost_scsi_reply_sense(struct vhost_scsi_queue *q,
				   const struct vhost_scsi_chain *chain, u8 key,
				   u8 asc, u8 ascq)
{
	struct virtio_scsi_cmd_resp resp = {
		.sense_len = cpu_to_vhost32(&q->vq, VHOST_SCSI_FIXED_SENSE_LEN),
		.status = SAM_STAT_CHECK_CONDITION,
	};

	scsi_build_sense_buffer(0, resp.sense, key, asc, ascq);
	vhost_scsi_ring_reply(q, chain, &resp, sizeof(resp));
}

/* A backend that keeps reservations itself does not tell of them (M11). */
static void vhost_scsi_cmd_note(struct vhost_scsi_nexus *nexus, u8 opcode)
{
	switch (opcode) {
	case 0x16: /* RESERVE(6) */
	case 0x56: /* RESERVE(10) */
	case PERSISTENT_RESERVE_OUT:
		WRITE_ONCE(nexus->reserves, true);
	}
}

static void vhost_scsi_cmd_free(struct vhost_scsi_queue *q,
				struct vhost_scsi_cmd *cmd)
{
	vhost_scsi_segs_free(&cmd->resp);
	vhost_scsi_log_free(&cmd->log);
	llist_add(&cmd->free, &q->free);
}

static struct vhost_scsi_cmd *vhost_scsi_cmd_get(struct vhost_scsi_queue *q)
{
	struct llist_node *node = llist_del_first(&q->free);
	struct vhost_scsi_cmd *cmd;

	if (!node)
		return NULL;
	cmd = llist_entry(node, struct vhost_scsi_cmd, free);
	memset(&cmd->op.se_cmd, 0, sizeof(cmd->op.se_cmd));
	cmd->op.crowds = false;
	/* LIO sets but a few bytes of it, and says that all are valid. */
	memset(cmd->sense, 0, sizeof(cmd->sense));
	cmd->data_in_valid = false;
	cmd->aborted = false;
	cmd->reset = 0;
	cmd->data.in = false;
	return cmd;
}

static int vhost_scsi_task_attr(u8 attr)
{
	static const int lio[] = {
		[VIRTIO_SCSI_S_SIMPLE] = TCM_SIMPLE_TAG,
		[VIRTIO_SCSI_S_ORDERED] = TCM_ORDERED_TAG,
		[VIRTIO_SCSI_S_HEAD] = TCM_HEAD_TAG,
		[VIRTIO_SCSI_S_ACA] = TCM_ACA_TAG,
	};

	return attr < ARRAY_SIZE(lio) ? lio[attr] : TCM_SIMPLE_TAG;
}

/* What the two forms of the request header have in common, and where. */
struct vhost_scsi_req {
	union {
		struct virtio_scsi_cmd_req plain;
		struct virtio_scsi_cmd_req_pi pi;
	};
	size_t size;
	const u8 *cdb;
	u32 pi_out;
	u32 pi_in;
};

static bool vhost_scsi_req_read(struct vhost_scsi_queue *q,
				const struct vhost_scsi_chain *chain,
				struct vhost_scsi_req *req)
{
	bool pi = vhost_has_feature(&q->vq, VIRTIO_SCSI_F_T10_PI);

	req->size = pi ? sizeof(req->pi) : sizeof(req->plain);
	if (!vhost_scsi_ring_read(q, chain, 0, req, req->size))
		return false;
	req->cdb = pi ? req->pi.cdb : req->plain.cdb;
	req->pi_out = pi ? vhost32_to_cpu(&q->vq, req->pi.pi_bytesout) : 0;
	req->pi_in = pi ? vhost32_to_cpu(&q->vq, req->pi.pi_bytesin) : 0;
	return true;
}

/* Buffers, answer and log of a command.  On an error, nothing is left. */
static int vhost_scsi_cmd_map(struct vhost_scsi_queue *q,
			      const struct vhost_scsi_chain *chain,
			      struct vhost_scsi_cmd *cmd, const u8 *cdb,
			      size_t skip, u32 prot_len, bool in)
{
	const struct iovec *in_iov = q->vq.iov + chain->out;
	const struct iovec *iov = in ? in_iov : q->vq.iov;
	unsigned int count = in ? chain->in : chain->out;
	int r;

	r = vhost_scsi_segs_copy(&cmd->resp, in_iov, chain->in, 0,
				 sizeof(struct virtio_scsi_cmd_resp));
	if (r)
		return r;
	r = vhost_scsi_log_keep(&cmd->log, q->vq.log, chain->nlog);
	if (r)
		return r;
	if (prot_len)
		r = vhost_scsi_bounce_map(q->vs, &cmd->prot, iov, count, skip,
					  prot_len, in);
	if (!r && cmd->data_len)
		r = vhost_scsi_data_map(q, &cmd->data, iov, count,
					skip + prot_len, cmd->data_len, in,
					cdb);
	if (r)
		vhost_scsi_bounce_finish(q->vs, &cmd->prot, 0);
	return r;
}

/* May submission to this backend take as long as the I/O itself? */
static bool vhost_scsi_backend_blocks(const struct target_backend_ops *backend)
{
	static const char * const nonblocking[] = {
		"iblock", "rd_mcp", "pscsi",
	};

	return match_string(nonblocking, ARRAY_SIZE(nonblocking),
			    backend->name) < 0;
}

/*
 * May this worker submit a command, or does a workqueue?
 *
 * A worker that waits for a backend serves no other queue meanwhile, and the
 * process that it is a thread of cannot die (G12).  So it submits what cannot
 * wait.  That is no command that LIO executes by more than handing it over, as
 * UNMAP and all that writes a file.  And a block device with as many commands
 * as it can take has the next one wait, for ever if it hangs; one at a time
 * does not fill it.  No command is overtaken that way either.
 */
static bool vhost_scsi_cmd_submits_here(struct vhost_scsi_queue *q,
					struct vhost_scsi_cmd *cmd,
					const u8 *cdb)
{
	const struct se_device *dev = cmd->op.se_cmd.se_dev;

	if (unlikely(dev->transport != q->backend)) {
		q->backend = dev->transport;
		q->blocks = vhost_scsi_backend_blocks(q->backend);
	}
	if (q->blocks)
		return false;
	cmd->op.crowds = true;
	return atomic_inc_return(&q->vs->crowd) == 1 &&
	       (vhost_scsi_cdb_is_rw(cdb) || cdb[0] == TEST_UNIT_READY);
}

/**
 * vhost_scsi_cmd_submit_work - submit what was handed over
 * @work: vhost_scsi_queue.submit_work
 */
void vhost_scsi_cmd_submit_work(struct work_struct *work)
{
	struct vhost_scsi_queue *q = container_of(work, struct vhost_scsi_queue,
						  submit_work);
	struct llist_node *list = llist_del_all(&q->submits);
	struct vhost_scsi_op *op, *next;

	llist_for_each_entry_safe(op, next, llist_reverse_order(list), done)
		target_submit(&op->se_cmd);
}

/**
 * vhost_scsi_cmd_submit_rest - submit what is left of one look at a ring
 * @q: queue
 *
 * From a workqueue, but for a command that is all there is in flight: this
 * worker submits that one, and LIO completes it here too if the backend is done
 * with it at once.  That saves two switches of tasks; with several commands, a
 * thread of LIO's would be woken for each.  As no other is in flight, none is
 * overtaken.
 *
 * Context: worker, vq->mutex held, vhost_scsi_queue.serving set.
 */
void vhost_scsi_cmd_submit_rest(struct vhost_scsi_queue *q)
{
	struct vhost_scsi_op *op;
	struct llist_node *node;

	lockdep_assert_held(&q->vq.mutex);

	if (llist_empty(&q->submits))
		return;
	/* The worker and the command. */
	if (!q->submits_here || atomic_read(&q->inflight) != 2) {
		queue_work(vhost_scsi_submit_wq, &q->submit_work);
		return;
	}
	/* Work that was queued before may have taken it. */
	node = llist_del_all(&q->submits);
	if (node) {
		op = llist_entry(node, struct vhost_scsi_op, done);
		target_submit(&op->se_cmd);
		/* Nobody gives it a new use while we hold the mutex. */
		compat_target_complete(&op->se_cmd);
	}
}

static void vhost_scsi_cmd_submit(struct vhost_scsi_queue *q,
				  struct vhost_scsi_cmd *cmd,
				  struct se_session *session, const u8 *cdb,
				  int attr, enum dma_data_direction dir)
{
	struct vhost_scsi_data *data = &cmd->data;
	struct se_cmd *se_cmd = &cmd->op.se_cmd;
	struct scatterlist *sgl = data->bounce.sgl;
	u32 nents = data->bounce.nents;

	if (data->pinned.orig_nents) {
		sgl = data->pinned.sgl;
		nents = data->pinned.nents;
	}
	/* LIO must not make up protection data that the guest did not send. */
	se_cmd->prot_pto = !cmd->prot.sgl;
	se_cmd->tag = cmd->serial;
	target_init_cmd(se_cmd, session, cmd->sense, cmd->lun,
			cmd->data_len + (cmd->prot.sgl ? cmd->prot.len : 0),
			attr, dir, 0);
	/* If this fails, LIO has answered and released the command. */
	if (target_submit_prep(se_cmd, (unsigned char *)cdb, sgl, nents, NULL,
			       0, cmd->prot.sgl, cmd->prot.nents, GFP_KERNEL))
		return;

	/* The administrator's word; LIO sees to it. */
	if (se_cmd->se_dev->dev_attrib.submit_type !=
	    TARGET_FABRIC_DEFAULT_SUBMIT) {
		target_submit(se_cmd);
		return;
	}
	q->submits_here = vhost_scsi_cmd_submits_here(q, cmd, cdb);
	if (COMPAT_TARGET_COMPLETES_IN_PLACE && q->submits_here)
		target_submit(se_cmd);
	else
		llist_add(&cmd->op.done, &q->submits);
}

/**
 * vhost_scsi_cmd_handle - take a request from an I/O queue
 * @q: queue
 * @chain: the request; it will be returned, now or when the backend is done
 *
 * Context: worker, vq->mutex held.  May wait for guest memory.
 */
void vhost_scsi_cmd_handle(struct vhost_scsi_queue *q,
			   struct vhost_scsi_chain *chain)
{
	struct vhost_scsi_endpoint *ep = vhost_vq_get_backend(&q->vq);
	enum dma_data_direction dir = DMA_NONE;
	size_t skip = sizeof(struct virtio_scsi_cmd_resp);
	struct vhost_scsi_nexus *nexus;
	struct vhost_scsi_cmd *cmd;
	struct vhost_scsi_req req;
	struct se_device *dev;
	u32 prot_len, sense;
	bool valid;
	u64 serial;
	u8 asc, ascq;
	size_t len;
	u16 lun;
	int r;

	/* Everything below has room for an answer. */
	if (unlikely(chain->in_len < skip)) {
		vhost_scsi_ring_reply(q, chain, NULL, skip);
		return;
	}
	if (unlikely(!vhost_scsi_req_read(q, chain, &req) ||
		     !vhost_scsi_lun_decode(req.plain.lun, &lun) ||
		     !ep->tpg[req.plain.lun[1]])) {
		vhost_scsi_reply(q, chain, VIRTIO_SCSI_S_BAD_TARGET, 0);
		return;
	}
	nexus = ep->tpg[req.plain.lun[1]]->nexus;

	len = chain->in_len - skip;
	if (len)
		dir = DMA_FROM_DEVICE;
	if (chain->out_len > req.size) {
		/* Both at once needs VIRTIO_SCSI_F_INOUT. */
		if (unlikely(len)) {
			vhost_scsi_reply(q, chain, VIRTIO_SCSI_S_FAILURE, 0);
			return;
		}
		dir = DMA_TO_DEVICE;
		skip = req.size;
		len = chain->out_len - skip;
	}
	prot_len = dir == DMA_TO_DEVICE ? req.pi_out : req.pi_in;
	if (unlikely(scsi_command_size(req.cdb) > VIRTIO_SCSI_CDB_SIZE)) {
		vhost_scsi_reply_sense(q, chain, ILLEGAL_REQUEST, 0x24, 0);
		return;
	}
	rcu_read_lock();
	sense = vhost_scsi_lun_check(nexus->session, lun, dir == DMA_TO_DEVICE,
				     &dev);
	valid = vhost_scsi_prot_valid(dev, req.cdb, prot_len, len);
	rcu_read_unlock();
	if (unlikely(len > VHOST_SCSI_MAX_DATA || !valid ||
		     (dir != DMA_TO_DEVICE && req.pi_out) ||
		     (dir != DMA_FROM_DEVICE && req.pi_in))) {
		vhost_scsi_reply(q, chain, VIRTIO_SCSI_S_FAILURE, 0);
		return;
	}
	if (unlikely(sense)) {
		vhost_scsi_reply_sense(q, chain, sense >> 16, sense >> 8, 0);
		return;
	}
	if (unlikely(vhost_scsi_ua_take(nexus, lun, req.cdb[0], &asc, &ascq))) {
		vhost_scsi_reply_sense(q, chain, UNIT_ATTENTION, asc, ascq);
		return;
	}
	vhost_scsi_cmd_note(nexus, req.cdb[0]);

	cmd = vhost_scsi_cmd_get(q);
	if (unlikely(!cmd)) {
		r = -ENOMEM;
		goto full;
	}
	cmd->head = chain->head;
	cmd->tag = vhost64_to_cpu(&q->vq, req.plain.tag);
	cmd->lun = lun;
	cmd->target = req.plain.lun[1];
	cmd->data_len = len - prot_len;
	r = vhost_scsi_cmd_map(q, chain, cmd, req.cdb, skip, prot_len,
			       dir == DMA_FROM_DEVICE);
	if (unlikely(r)) {
		vhost_scsi_cmd_free(q, cmd);
		goto full;
	}

	/* A dead device may still have commands on the same nexus. */
	serial = (u64)q->vs->id << 48 | (u64)q->index << 36 |
		 (++q->last_serial & GENMASK_ULL(35, 0));
	/* Pairs with vhost_scsi_tmf_match(). */
	smp_store_release(&cmd->serial, serial);
	q->stats.submitted++;
	trace_vhost_scsi_submit(q->vs->id, q->index, cmd, req.cdb);
	vhost_scsi_cmd_submit(q, cmd, nexus->session, req.cdb,
			      vhost_scsi_task_attr(req.plain.task_attr), dir);
	return;

full:
	if (r == -ENOMEM) {
		q->stats.task_set_full++;
		vhost_scsi_reply(q, chain, VIRTIO_SCSI_S_OK,
				 SAM_STAT_TASK_SET_FULL);
	} else {
		vhost_scsi_reply(q, chain, VIRTIO_SCSI_S_FAILURE, 0);
	}
}

/**
 * vhost_scsi_cmd_data_in - the data of a command is there
 * @op: command
 *
 * Context: any.
 */
void vhost_scsi_cmd_data_in(struct vhost_scsi_op *op)
{
	container_of(op, struct vhost_scsi_cmd, op)->data_in_valid = true;
}

/**
 * vhost_scsi_cmd_aborted - a command ends without a status
 * @op: command
 *
 * Context: any.
 */
void vhost_scsi_cmd_aborted(struct vhost_scsi_op *op)
{
	container_of(op, struct vhost_scsi_cmd, op)->aborted = true;
}

/* Bytes of data-in that the backend has supplied. */
static u32 vhost_scsi_cmd_received(const struct vhost_scsi_cmd *cmd)
{
	const struct se_cmd *se_cmd = &cmd->op.se_cmd;
	u32 len = cmd->data_len + (cmd->prot.sgl ? cmd->prot.len : 0);

	if (!cmd->data.in || !cmd->data_in_valid)
		return 0;
	if (se_cmd->se_cmd_flags & SCF_UNDERFLOW_BIT)
		len -= min(len, se_cmd->residual_count);
	return min(len, cmd->data_len);
}

static void vhost_scsi_cmd_response(struct vhost_scsi_queue *q,
				    const struct vhost_scsi_cmd *cmd,
				    struct virtio_scsi_cmd_resp *resp)
{
	const struct se_cmd *se_cmd = &cmd->op.se_cmd;
	u32 resid = 0;

	memset(resp, 0, sizeof(*resp));
	if (cmd->aborted) {
		resp->response = READ_ONCE(cmd->reset) == cmd->serial ?
				 VIRTIO_SCSI_S_RESET : VIRTIO_SCSI_S_ABORTED;
		return;
	}

	resp->status = se_cmd->scsi_status;
	if (se_cmd->scsi_sense_length) {
		u32 n = min_t(u32, se_cmd->scsi_sense_length,
			      sizeof(resp->sense));

		resp->sense_len = cpu_to_vhost32(&q->vq, n);
		memcpy(resp->sense, cmd->sense, n);
	}
	if (cmd->data.in && !cmd->data_in_valid)
		resid = cmd->data_len;
	else if (!(se_cmd->se_cmd_flags & SCF_OVERFLOW_BIT))
		resid = se_cmd->residual_count;
	/*
	 * No VIRTIO_SCSI_S_OVERRUN: where LIO lets an overflow pass, as for a
	 * VERIFY that compares nothing, none of the data was wanted.
	 */
	resp->resid = cpu_to_vhost32(&q->vq, resid);
}

/*
 * Has the backend given up on a write?  A remote target may execute it still
 * (G9).  An error that says what is wrong with the command is none of these.
 */
static bool vhost_scsi_cmd_given_up(const struct vhost_scsi_cmd *cmd)
{
	const struct se_cmd *se_cmd = &cmd->op.se_cmd;
	bool descriptor = (cmd->sense[0] & 0x7f) >= 0x72;

	if (se_cmd->data_direction != DMA_TO_DEVICE)
		return false;
	if (cmd->aborted)
		return true;
	if (se_cmd->scsi_status != SAM_STAT_CHECK_CONDITION)
		return false;
	switch (cmd->sense[descriptor ? 1 : 2] & 0xf) {
	case MEDIUM_ERROR:
	case HARDWARE_ERROR:
	case ABORTED_COMMAND:
		return true;
	default:
		return false;
	}
}

/*
 * What has to be in the dirty log.  The data of a command that failed is not
 * valid, but the backend may have written some of it; and where the buffer is
 * longer than the transfer, backends use all of it.
 */
static u64 vhost_scsi_cmd_dirtied(const struct vhost_scsi_cmd *cmd, u32 written)
{
	if (cmd->data.in && cmd->data.pinned.orig_nents &&
	    (!cmd->data_in_valid ||
	     cmd->op.se_cmd.se_cmd_flags & SCF_UNDERFLOW_BIT))
		return U64_MAX;
	return written;
}

/**
 * vhost_scsi_cmd_finish - answer a command and return its head
 * @q: queue
 * @op: command that the target core has released
 * @answer: false to just release it, because nobody is there any more (G12)
 *
 * The order is that of G3, G4 and G10: data to the guest, pages dirtied and
 * unpinned, response, dirty log, used element.
 *
 * Context: process, vq->mutex held; in the owner's address space if @answer.
 */
void vhost_scsi_cmd_finish(struct vhost_scsi_queue *q,
			   struct vhost_scsi_op *op, bool answer)
{
	struct vhost_scsi_cmd *cmd = container_of(op, struct vhost_scsi_cmd,
						  op);
	u32 prot_len = cmd->prot.sgl && cmd->data.in && cmd->data_in_valid ?
		       cmd->prot.len : 0;
	u32 received = vhost_scsi_cmd_received(cmd);
	u32 written = sizeof(struct virtio_scsi_cmd_resp) + prot_len + received;
	u64 dirtied = vhost_scsi_cmd_dirtied(cmd, written);
	struct virtio_scsi_cmd_resp resp;
	int r;

	trace_vhost_scsi_complete(q->vs->id, q->index, cmd);
	vhost_scsi_cmd_response(q, cmd, &resp);

	if (!answer) {
		vhost_scsi_bounce_finish(q->vs, &cmd->prot, 0);
		vhost_scsi_data_finish(q->vs, &cmd->data, 0);
		return;
	}

	if (unlikely(resp.status || cmd->aborted) &&
	    vhost_scsi_cmd_given_up(cmd))
		q->stats.write_errors++;
	r = vhost_scsi_bounce_finish(q->vs, &cmd->prot, prot_len);
	if (vhost_scsi_data_finish(q->vs, &cmd->data, received) || r) {
		/* The guest took its buffer away. */
		memset(&resp, 0, sizeof(resp));
		resp.response = VIRTIO_SCSI_S_FAILURE;
		written = sizeof(resp);
	}
	if (unlikely(!vhost_scsi_segs_write(&cmd->resp, &resp, sizeof(resp)))) {
		q->stats.unanswered++;
		written = 0;
	}
	vhost_scsi_log_write(q, cmd->log.entry, cmd->log.count, dirtied);
	vhost_scsi_ring_return(q, cmd->head, written);
}

/**
 * vhost_scsi_cmd_release - a command is over
 * @q: queue
 * @op: command that was finished, and the guest told
 *
 * Context: process, vq->mutex held.
 */
void vhost_scsi_cmd_release(struct vhost_scsi_queue *q,
			    struct vhost_scsi_op *op)
{
	struct vhost_scsi_cmd *cmd = container_of(op, struct vhost_scsi_cmd,
						  op);

	WRITE_ONCE(cmd->serial, 0);
	vhost_scsi_cmd_free(q, cmd);
}
