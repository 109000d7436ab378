/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Trace events: states and sections.  "dev" is the name of the parent device, a
 * UUID for a mediated one; states are those of enum vfio_device_mig_state.
 */
#undef TRACE_SYSTEM
#define TRACE_SYSTEM vfio_migration

#if !defined(VFIO_MIGRATION_TRACE_H) || defined(TRACE_HEADER_MULTI_READ)
#define VFIO_MIGRATION_TRACE_H

#include <linux/tracepoint.h>

#include "migration.h"

TRACE_EVENT(vfio_migration_arc,
	TP_PROTO(struct vfio_migration *mig, unsigned int to, int ret),
	TP_ARGS(mig, to, ret),
	TP_STRUCT__entry(
		__string(dev, dev_name(mig->vdev->dev))
		__field(unsigned int, from)
		__field(unsigned int, to)
		__field(int, ret)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->from = mig->state;
		__entry->to = to;
		__entry->ret = ret;
	),
	TP_printk("dev=%s from=%u to=%u ret=%d", __get_str(dev),
		  __entry->from, __entry->to, __entry->ret)
);

TRACE_EVENT(vfio_migration_section,
	TP_PROTO(struct vfio_migration *mig,
		 const struct vfio_migration_section *section, bool saved,
		 int ret),
	TP_ARGS(mig, section, saved, ret),
	TP_STRUCT__entry(
		__string(dev, dev_name(mig->vdev->dev))
		__field(bool, saved)
		__field(unsigned int, sequence)
		__field(unsigned int, type)
		__field(unsigned int, kind)
		__field(u64, arg)
		__field(unsigned int, length)
		__field(int, ret)
	),
	TP_fast_assign(
		__assign_str(dev);
		__entry->saved = saved;
		__entry->sequence = le32_to_cpu(section->sequence);
		__entry->type = le16_to_cpu(section->type);
		__entry->kind = le16_to_cpu(section->kind);
		__entry->arg = le64_to_cpu(section->arg);
		__entry->length = le32_to_cpu(section->length);
		__entry->ret = ret;
	),
	TP_printk("dev=%s %s sequence=%u type=%u kind=%u arg=%#llx length=%u ret=%d",
		  __get_str(dev), __entry->saved ? "save" : "load",
		  __entry->sequence, __entry->type, __entry->kind,
		  __entry->arg, __entry->length, __entry->ret)
);

#endif

#undef TRACE_INCLUDE_PATH
#define TRACE_INCLUDE_PATH .
#undef TRACE_INCLUDE_FILE
#define TRACE_INCLUDE_FILE trace
#include <trace/define_trace.h>
