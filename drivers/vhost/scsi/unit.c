// SPDX-License-Identifier: GPL-2.0
/*
 * The logical units of a nexus, one after the other
 *
 * LIO keeps them on a list in no order, and takes one off it while somebody
 * looks.  A unit that was found here stays until it is put back: removing it
 * from the target waits, for that moment.
 */
#include <linux/percpu-refcount.h>
#include <linux/rculist.h>

#include "scsi.h"

/* The unit with the lowest number from @lun on. */
static bool vhost_scsi_unit_of(struct vhost_scsi_nexus *nexus, u64 lun,
			       struct vhost_scsi_unit *unit)
{
	struct hlist_head *units = &nexus->session->se_node_acl->lun_entry_hlist;
	struct se_dev_entry *deve, *next;
	bool found = false;

	rcu_read_lock();
	do {
		next = NULL;
		hlist_for_each_entry_rcu(deve, units, link)
			if (deve->mapped_lun >= lun &&
			    (!next || deve->mapped_lun < next->mapped_lun))
				next = deve;
		if (!next)
			break;
		/* One that is on its way out is not there. */
		if (percpu_ref_tryget_live(&next->se_lun->lun_ref)) {
			unit->nexus = nexus;
			unit->lun = next->mapped_lun;
			unit->ro = next->lun_access_ro;
			unit->se_lun = next->se_lun;
			unit->dev = rcu_dereference_raw(next->se_lun->lun_se_dev);
			found = true;
		}
		lun = next->mapped_lun + 1;
	} while (!found && lun);
	rcu_read_unlock();
	return found;
}

/**
 * vhost_scsi_unit_next - go through all logical units that a device has claimed
 * @vs: device
 * @unit: all zero for the first; else the last one, put back
 *
 * In the order of target and LUN.
 *
 * Context: any, while the claim stands.
 * Return: true with a unit that has to be put back; false if there is no more.
 */
bool vhost_scsi_unit_next(struct vhost_scsi *vs, struct vhost_scsi_unit *unit)
{
	u64 lun = unit->begun ? unit->lun + 1 : 0;

	/* There is no number after the last. */
	if (unit->begun && !lun)
		unit->target++;
	unit->begun = true;
	for (; unit->target < VHOST_SCSI_MAX_TARGETS; unit->target++, lun = 0) {
		struct vhost_scsi_nexus *nexus =
			vhost_scsi_nexus_of(vs, unit->target);

		if (nexus && vhost_scsi_unit_of(nexus, lun, unit))
			return true;
	}
	return false;
}

/**
 * vhost_scsi_unit_find - find one logical unit
 * @nexus: the guest, or NULL for one that has no such target
 * @target: its target number
 * @lun: logical unit number
 * @unit: out
 *
 * Context: any, while something keeps the nexus.
 * Return: true with a unit that has to be put back; false if it is not there.
 */
bool vhost_scsi_unit_find(struct vhost_scsi_nexus *nexus, u32 target, u64 lun,
			  struct vhost_scsi_unit *unit)
{
	unit->target = target;
	if (!nexus || !vhost_scsi_unit_of(nexus, lun, unit))
		return false;
	if (unit->lun == lun)
		return true;
	vhost_scsi_unit_put(unit);
	return false;
}

/**
 * vhost_scsi_unit_put - be done with a logical unit
 * @unit: one that was found
 *
 * Context: any.
 */
void vhost_scsi_unit_put(const struct vhost_scsi_unit *unit)
{
	percpu_ref_put(&unit->se_lun->lun_ref);
}
