// SPDX-License-Identifier: GPL-2.0
/*
 * debugfs: vhost_scsi/PID-ID/
 *
 *	state		what the device does, and what became of the last flush
 *	inflight	requests and workers in flight
 *	queues		counters of each queue that was used, struct
 *			vhost_scsi_stats
 *
 * PID is that of the process that opened the device, ID the name of the device
 * in trace events and in the kernel log.  Reading takes no lock, so the
 * figures are of slightly different moments.
 */
#include <linux/debugfs.h>
#include <linux/sched.h>
#include <linux/seq_file.h>

#include "scsi.h"

static struct dentry *vhost_scsi_debugfs_root;

static const char * const vhost_scsi_flush_names[] = {
	[VHOST_SCSI_MIG_FLUSH_NONE] = "none",
	[VHOST_SCSI_MIG_FLUSH_OFF] = "off",
	[VHOST_SCSI_MIG_FLUSH_OK] = "ok",
	[VHOST_SCSI_MIG_FLUSH_RESERVED] = "reserved",
	[VHOST_SCSI_MIG_FLUSH_FAILED] = "failed",
};

static int state_show(struct seq_file *m, void *unused)
{
	struct vhost_scsi *vs = m->private;
	const char *state = "stopped";

	if (READ_ONCE(vs->dead))
		state = "dead";
	else if (READ_ONCE(vs->running))
		state = "running";
	else if (READ_ONCE(vs->mig.draining))
		state = "stopping";
	seq_printf(m, "state %s\n", state);
	seq_printf(m, "flush %s\n",
		   vhost_scsi_flush_names[READ_ONCE(vs->flush_result)]);
	seq_printf(m, "bounce_pages %d\n", atomic_read(&vs->bounce_pages));
	seq_printf(m, "events_missed %d\n", READ_ONCE(vs->events_missed));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(state);

static int inflight_show(struct seq_file *m, void *unused)
{
	seq_printf(m, "%u\n", vhost_scsi_inflight(m->private));
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(inflight);

static int queues_show(struct seq_file *m, void *unused)
{
	struct vhost_scsi *vs = m->private;
	int i;

	seq_puts(m, "queue inflight fetched returned submitted refused unanswered task_set_full bounced log_failed broken write_errors\n");
	for (i = 0; i < vs->dev.nvqs; i++) {
		struct vhost_scsi_queue *q = &vs->queues[i];
		const struct vhost_scsi_stats *s = &q->stats;

		if (!s->fetched && !s->broken)
			continue;
		seq_printf(m, "%d %d %llu %llu %llu %llu %llu %llu %llu %llu %llu %llu\n",
			   i, atomic_read(&q->inflight), s->fetched,
			   s->returned, s->submitted, s->refused,
			   s->unanswered, s->task_set_full, s->bounced,
			   s->log_failed, s->broken, s->write_errors);
	}
	return 0;
}
DEFINE_SHOW_ATTRIBUTE(queues);

/**
 * vhost_scsi_debugfs_add - show a device
 * @vs: device
 */
void vhost_scsi_debugfs_add(struct vhost_scsi *vs)
{
	char name[32];

	snprintf(name, sizeof(name), "%d-%u", task_tgid_nr(current), vs->id);
	vs->debugfs = debugfs_create_dir(name, vhost_scsi_debugfs_root);
	debugfs_create_file("state", 0400, vs->debugfs, vs, &state_fops);
	debugfs_create_file("inflight", 0400, vs->debugfs, vs, &inflight_fops);
	debugfs_create_file("queues", 0400, vs->debugfs, vs, &queues_fops);
}

/**
 * vhost_scsi_debugfs_remove - stop showing a device
 * @vs: device
 */
void vhost_scsi_debugfs_remove(struct vhost_scsi *vs)
{
	debugfs_remove_recursive(vs->debugfs);
}

/**
 * vhost_scsi_debugfs_init - create the directory
 */
void vhost_scsi_debugfs_init(void)
{
	vhost_scsi_debugfs_root = debugfs_create_dir("vhost_scsi", NULL);
}

/**
 * vhost_scsi_debugfs_exit - remove the directory
 */
void vhost_scsi_debugfs_exit(void)
{
	debugfs_remove_recursive(vhost_scsi_debugfs_root);
}
