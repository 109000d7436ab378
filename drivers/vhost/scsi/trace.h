/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events: the life of a request (fetch, submit, complete, return) and of
 * the device (start, stop).  "dev" is the ID in debugfs.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vhost_scsi

#if !defined(VHOST_SCSI_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VHOST_SCSI_TRACE_H

#include <linux/tracepoint.h>

#include "scsi.h"

TRACE_EVENT(vhost_scsi_fetch,
	TP_PROTO(unsigned int dev, unsigned int queue,
		 const struct vhost_scsi_chain *chain),
	TP_ARGS(dev, queue, chain),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned int, queue)
		__field(unsigned int, head)
		__field(size_t, out)
		__field(size_t, in)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->queue = queue;
		__entry->head = chain->head;
		__entry->out = chain->out_len;
		__entry->in = chain->in_len;
	),
	TP_printk("dev=%u queue=%u head=%u out=%zu in=%zu", __entry->dev,
		  __entry->queue, __entry->head, __entry->out, __entry->in)
);

TRACE_EVENT(vhost_scsi_submit,
	TP_PROTO(unsigned int dev, unsigned int queue,
		 const struct vhost_scsi_cmd *cmd, const u8 *cdb),
	TP_ARGS(dev, queue, cmd, cdb),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned int, queue)
		__field(unsigned int, head)
		__field(unsigned int, target)
		__field(unsigned int, lun)
		__field(u64, tag)
		__field(u64, serial)
		__field(unsigned int, opcode)
		__field(unsigned int, len)
		__field(bool, bounced)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->queue = queue;
		__entry->head = cmd->head;
		__entry->target = cmd->target;
		__entry->lun = cmd->lun;
		__entry->tag = cmd->tag;
		__entry->serial = cmd->serial;
		__entry->opcode = cdb[0];
		__entry->len = cmd->data_len;
		__entry->bounced = cmd->data.bounce.sgl;
	),
	TP_printk("dev=%u queue=%u head=%u target=%u lun=%u tag=%#llx serial=%#llx opcode=%#x len=%u%s",
		  __entry->dev, __entry->queue, __entry->head, __entry->target,
		  __entry->lun, __entry->tag, __entry->serial, __entry->opcode,
		  __entry->len, __entry->bounced ? " bounced" : "")
);

TRACE_EVENT(vhost_scsi_complete,
	TP_PROTO(unsigned int dev, unsigned int queue,
		 const struct vhost_scsi_cmd *cmd),
	TP_ARGS(dev, queue, cmd),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned int, queue)
		__field(unsigned int, head)
		__field(u64, serial)
		__field(unsigned int, status)
		__field(unsigned int, resid)
		__field(bool, aborted)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->queue = queue;
		__entry->head = cmd->head;
		__entry->serial = cmd->serial;
		__entry->status = cmd->op.se_cmd.scsi_status;
		__entry->resid = cmd->op.se_cmd.residual_count;
		__entry->aborted = cmd->aborted;
	),
	TP_printk("dev=%u queue=%u head=%u serial=%#llx status=%#x resid=%u%s",
		  __entry->dev, __entry->queue, __entry->head, __entry->serial,
		  __entry->status, __entry->resid,
		  __entry->aborted ? " aborted" : "")
);

TRACE_EVENT(vhost_scsi_return,
	TP_PROTO(unsigned int dev, unsigned int queue, unsigned int desc,
		 unsigned int len),
	TP_ARGS(dev, queue, desc, len),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__field(unsigned int, queue)
		__field(unsigned int, head)
		__field(unsigned int, len)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__entry->queue = queue;
		__entry->head = desc;
		__entry->len = len;
	),
	TP_printk("dev=%u queue=%u head=%u len=%u", __entry->dev,
		  __entry->queue, __entry->head, __entry->len)
);

TRACE_EVENT(vhost_scsi_start,
	TP_PROTO(unsigned int dev, const char *wwpn),
	TP_ARGS(dev, wwpn),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__string(wwpn, wwpn)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__assign_str(wwpn);
	),
	TP_printk("dev=%u wwpn=%s", __entry->dev, __get_str(wwpn))
);

TRACE_EVENT(vhost_scsi_stop,
	TP_PROTO(unsigned int dev, const char *step, unsigned int inflight),
	TP_ARGS(dev, step, inflight),
	TP_STRUCT__entry(
		__field(unsigned int, dev)
		__string(step, step)
		__field(unsigned int, inflight)
	),
	TP_fast_assign(
		__entry->dev = dev;
		__assign_str(step);
		__entry->inflight = inflight;
	),
	TP_printk("dev=%u step=%s inflight=%u", __entry->dev, __get_str(step),
		  __entry->inflight)
);

#endif /* VHOST_SCSI_TRACE_H */

#undef TRACE_INCLUDE_PATH
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_PATH .
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
