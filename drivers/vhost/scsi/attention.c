// SPDX-License-Identifier: GPL-2.0
/*
 * Unit attentions that the driver owes the guest
 *
 * A command that meets a unit attention consumes it.  Where the command was the
 * driver's own, the attention was meant for the guest all the same: it is kept
 * here, and presented to the guest's next command.  So are those that a
 * migration has brought along.
 */
#include <linux/slab.h>
#include <scsi/scsi_proto.h>

#include "scsi.h"

struct vhost_scsi_ua {
	struct list_head entry;
	u64 lun;
	u8 asc;
	u8 ascq;
};

/**
 * vhost_scsi_ua_keep - owe the guest a unit attention
 * @nexus: the guest
 * @lun: logical unit
 * @asc: additional sense code
 * @ascq: its qualifier
 *
 * Without memory it is lost.
 *
 * Context: process.
 */
void vhost_scsi_ua_keep(struct vhost_scsi_nexus *nexus, u64 lun, u8 asc,
			u8 ascq)
{
	struct vhost_scsi_ua *ua, *new = kmalloc_obj(*new, GFP_KERNEL);
	unsigned int count = 0;

	if (!new)
		return;
	new->lun = lun;
	new->asc = asc;
	new->ascq = ascq;

	spin_lock(&nexus->ua_lock);
	list_for_each_entry(ua, &nexus->uas, entry) {
		if ((ua->lun == lun && ua->asc == asc && ua->ascq == ascq) ||
		    ++count == VHOST_SCSI_MAX_ATTENTIONS) {
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
 * vhost_scsi_ua_drop - a unit attention is not owed after all
 * @nexus: the guest
 * @lun: logical unit
 * @asc: additional sense code
 * @ascq: its qualifier
 *
 * Context: process.
 */
void vhost_scsi_ua_drop(struct vhost_scsi_nexus *nexus, u64 lun, u8 asc,
			u8 ascq)
{
	struct vhost_scsi_ua *ua, *next;

	spin_lock(&nexus->ua_lock);
	list_for_each_entry_safe(ua, next, &nexus->uas, entry) {
		if (ua->lun != lun || ua->asc != asc || ua->ascq != ascq)
			continue;
		list_del(&ua->entry);
		kfree(ua);
	}
	spin_unlock(&nexus->ua_lock);
}

/**
 * vhost_scsi_ua_forget - owe the guest nothing any more
 * @nexus: nexus that nobody sends commands on
 *
 * Context: process.
 */
void vhost_scsi_ua_forget(struct vhost_scsi_nexus *nexus)
{
	struct vhost_scsi_ua *ua, *next;
	LIST_HEAD(uas);

	spin_lock(&nexus->ua_lock);
	list_splice_init(&nexus->uas, &uas);
	spin_unlock(&nexus->ua_lock);

	list_for_each_entry_safe(ua, next, &uas, entry)
		kfree(ua);
}

/**
 * vhost_scsi_ua_list - what is the guest owed by one logical unit?
 * @unit: logical unit, found
 * @out: where to write, NULL to count only
 * @max: room there
 *
 * Those that are kept here first, as they are presented first, then those that
 * LIO keeps.  Nothing is consumed.
 *
 * Context: process.
 * Return: how many there are, which may be more than @max.
 */
unsigned int vhost_scsi_ua_list(const struct vhost_scsi_unit *unit,
				struct vhost_scsi_sense_code *out,
				unsigned int max)
{
	struct vhost_scsi_nexus *nexus = unit->nexus;
	struct vhost_scsi_ua *ua;
	struct se_dev_entry *deve;
	struct se_ua *lio;
	unsigned int n = 0;

	spin_lock(&nexus->ua_lock);
	list_for_each_entry(ua, &nexus->uas, entry) {
		if (ua->lun != unit->lun)
			continue;
		if (n < max)
			out[n] = (struct vhost_scsi_sense_code){ ua->asc, ua->ascq };
		n++;
	}
	spin_unlock(&nexus->ua_lock);

	rcu_read_lock();
	hlist_for_each_entry_rcu(deve,
				 &nexus->session->se_node_acl->lun_entry_hlist,
				 link) {
		if (deve->mapped_lun != unit->lun)
			continue;
		spin_lock(&deve->ua_lock);
		list_for_each_entry(lio, &deve->ua_list, ua_nacl_list) {
			if (n < max)
				out[n] = (struct vhost_scsi_sense_code){
					lio->ua_asc, lio->ua_ascq };
			n++;
		}
		spin_unlock(&deve->ua_lock);
		break;
	}
	rcu_read_unlock();
	return n;
}
