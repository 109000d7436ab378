// SPDX-License-Identifier: GPL-2.0
/*
 * Inventory: the logical units that a guest sees, described, and compared with
 * a description from elsewhere (M4, M5)
 */
#include <linux/slab.h>
#include <target/target_core_backend.h>

#include "migration.h"

static const struct {
	const char *backend;
	u32 flags;
} vhost_scsi_backends[] = {
	{ "rd_mcp", VHOST_SCSI_MIG_LUN_MEMORY },
	/* Whatever mode it is in; which one, it tells nobody. */
	{ "fileio", VHOST_SCSI_MIG_LUN_PAGE_CACHE },
};

static u32 vhost_scsi_backend_flags(const struct se_device *dev)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(vhost_scsi_backends); i++)
		if (!strcmp(dev->transport->name,
			    vhost_scsi_backends[i].backend))
			return vhost_scsi_backends[i].flags;
	return 0;
}

/* Has the guest reservations that only the backend knows of? */
static bool vhost_scsi_reservations_hidden(const struct vhost_scsi_unit *unit)
{
	return unit->dev->transport_flags & TRANSPORT_FLAG_PASSTHROUGH_PGR &&
	       READ_ONCE(unit->nexus->reserves);
}

static void vhost_scsi_inventory_describe(const struct vhost_scsi_unit *unit,
					  struct vhost_scsi_mig_lun *out)
{
	struct se_device *dev = unit->dev;
	u32 flags = vhost_scsi_backend_flags(dev);

	if (unit->ro)
		flags |= VHOST_SCSI_MIG_LUN_RO;
	if (vhost_scsi_reservations_hidden(unit))
		flags |= VHOST_SCSI_MIG_LUN_PR_HIDDEN;

	memset(out, 0, sizeof(*out));
	out->lun = cpu_to_le64(unit->lun);
	out->blocks = cpu_to_le64(dev->transport->get_blocks(dev) + 1);
	out->target = cpu_to_le32(unit->target);
	out->block_size = cpu_to_le32(dev->dev_attrib.block_size);
	out->backstore = cpu_to_le32(dev->dev_index);
	out->flags = cpu_to_le32(flags);
	out->type = dev->transport->get_device_type(dev);
	out->protection = dev->dev_attrib.pi_prot_type;
	memcpy(out->vendor, dev->t10_wwn.vendor,
	       strnlen(dev->t10_wwn.vendor, sizeof(out->vendor)));
	memcpy(out->product, dev->t10_wwn.model,
	       strnlen(dev->t10_wwn.model, sizeof(out->product)));
	memcpy(out->backend, dev->transport->name,
	       strnlen(dev->transport->name, sizeof(out->backend)));
	strscpy(out->serial, dev->t10_wwn.unit_serial, sizeof(out->serial));
}

/**
 * vhost_scsi_inventory_make - describe the logical units of a device
 * @vs: device; one without a claim has none
 * @buf: where to append them; see there for errors
 *
 * Context: process; the claim stands.  Reads nothing from the units.
 */
void vhost_scsi_inventory_make(struct vhost_scsi *vs,
			       struct vhost_scsi_buf *buf)
{
	struct vhost_scsi_unit unit = {};
	struct vhost_scsi_mig_lun entry;

	while (vhost_scsi_unit_next(vs, &unit)) {
		vhost_scsi_inventory_describe(&unit, &entry);
		vhost_scsi_unit_put(&unit);
		if (!vhost_scsi_buf_add(buf, &entry, sizeof(entry)))
			return;
	}
}

static bool vhost_scsi_zero(const void *data, size_t len)
{
	return !memchr_inv(data, 0, len);
}

/**
 * vhost_scsi_inventory_valid - is this the payload of INVENTORY?
 * @buf: payload
 *
 * Return: true if it is.
 */
bool vhost_scsi_inventory_valid(const struct vhost_scsi_buf *buf)
{
	const struct vhost_scsi_mig_lun *lun = (const void *)buf->data;
	size_t i, n = buf->len / sizeof(*lun);

	if (buf->len % sizeof(*lun))
		return false;
	for (i = 0; i < n; i++) {
		u32 target = le32_to_cpu(lun[i].target);

		if (target >= VHOST_SCSI_MAX_TARGETS || !lun[i].block_size ||
		    le32_to_cpu(lun[i].flags) & ~VHOST_SCSI_MIG_LUN_FLAGS ||
		    !vhost_scsi_zero(lun[i].reserved, sizeof(lun[i].reserved)) ||
		    !memchr(lun[i].serial, 0, sizeof(lun[i].serial)))
			return false;
		if (i && (target < le32_to_cpu(lun[i - 1].target) ||
			  (target == le32_to_cpu(lun[i - 1].target) &&
			   le64_to_cpu(lun[i].lun) <=
			   le64_to_cpu(lun[i - 1].lun))))
			return false;
	}
	return true;
}

/* In the order in which it is easiest to see what is wrong. */
static enum vhost_scsi_mig_reason
vhost_scsi_inventory_compare(const struct vhost_scsi_load *load,
			     const struct vhost_scsi_mig_lun *there,
			     const struct vhost_scsi_mig_lun *here)
{
	u32 flags = le32_to_cpu(there->flags) | le32_to_cpu(here->flags);
	bool same = load->host && there->backstore == here->backstore;

	if (there->type != here->type)
		return VHOST_SCSI_MIG_LUN_TYPE;
	if (memcmp(there->serial, here->serial, sizeof(here->serial)) ||
	    memcmp(there->vendor, here->vendor, sizeof(here->vendor)) ||
	    memcmp(there->product, here->product, sizeof(here->product)))
		return VHOST_SCSI_MIG_LUN_IDENTITY;
	if (there->block_size != here->block_size)
		return VHOST_SCSI_MIG_LUN_BLOCK_SIZE;
	if (there->blocks != here->blocks)
		return VHOST_SCSI_MIG_LUN_SIZE;
	if (there->protection != here->protection)
		return VHOST_SCSI_MIG_LUN_PROTECTION;
	if ((there->flags ^ here->flags) & cpu_to_le32(VHOST_SCSI_MIG_LUN_RO))
		return VHOST_SCSI_MIG_LUN_ACCESS;
	if (le32_to_cpu(there->flags) & VHOST_SCSI_MIG_LUN_PR_HIDDEN)
		return VHOST_SCSI_MIG_PR_PASSTHROUGH;
	if (flags & VHOST_SCSI_MIG_LUN_MEMORY && !same)
		return VHOST_SCSI_MIG_LUN_NOT_SHARED;
	/* One page cache for all backstores of a host. */
	if (le32_to_cpu(here->flags) & VHOST_SCSI_MIG_LUN_PAGE_CACHE &&
	    !load->host && !load->cache_dropped)
		return VHOST_SCSI_MIG_LUN_CACHED;
	return VHOST_SCSI_MIG_OK;
}

/**
 * vhost_scsi_inventory_check - is all that the guest had there, here?
 * @vs: device with a claim
 * @load: load with a valid inventory
 * @blocker: out: the first that is not
 *
 * Context: process; the claim stands.
 * Return: the reason, or VHOST_SCSI_MIG_OK.
 */
enum vhost_scsi_mig_reason
vhost_scsi_inventory_check(struct vhost_scsi *vs,
			   const struct vhost_scsi_load *load,
			   struct vhost_scsi_mig_blocker *blocker)
{
	const struct vhost_scsi_buf *buf =
		&load->section[VHOST_SCSI_MIG_INVENTORY];
	const struct vhost_scsi_mig_lun *there = (const void *)buf->data;
	size_t i, n = buf->len / sizeof(*there);

	for (i = 0; i < n; i++) {
		u32 target = le32_to_cpu(there[i].target);
		u64 lun = le64_to_cpu(there[i].lun);
		enum vhost_scsi_mig_reason reason = VHOST_SCSI_MIG_LUN_MISSING;
		struct vhost_scsi_mig_lun here;
		struct vhost_scsi_unit unit;

		if (vhost_scsi_unit_find(vhost_scsi_nexus_of(vs, target), target,
					 lun, &unit)) {
			vhost_scsi_inventory_describe(&unit, &here);
			vhost_scsi_unit_put(&unit);
			reason = vhost_scsi_inventory_compare(load, &there[i],
							      &here);
		}
		if (reason) {
			*blocker = (struct vhost_scsi_mig_blocker){
				reason, target, lun };
			return reason;
		}
	}
	return VHOST_SCSI_MIG_OK;
}

/**
 * vhost_scsi_inventory_shared - is the source's unit on the same backstore?
 * @load: load with a checked inventory
 * @unit: logical unit here
 *
 * Return: true if both are the same unit to the target core.
 */
bool vhost_scsi_inventory_shared(const struct vhost_scsi_load *load,
				 const struct vhost_scsi_unit *unit)
{
	const struct vhost_scsi_buf *buf =
		&load->section[VHOST_SCSI_MIG_INVENTORY];
	const struct vhost_scsi_mig_lun *there = (const void *)buf->data;
	size_t i, n = buf->len / sizeof(*there);

	for (i = 0; load->host && i < n; i++)
		if (le32_to_cpu(there[i].target) == unit->target &&
		    le64_to_cpu(there[i].lun) == unit->lun)
			return le32_to_cpu(there[i].backstore) ==
			       unit->dev->dev_index;
	return false;
}

/**
 * vhost_scsi_inventory_blockers - what cannot be migrated (M11)
 * @vs: device
 * @out: where to write
 * @max: room there
 * @count: out: how many there are, which may be more than @max
 *
 * Context: vhost_scsi_tpg_lock held.
 * Return: 0, -ENOMEM.
 */
int vhost_scsi_inventory_blockers(struct vhost_scsi *vs,
				  struct vhost_scsi_mig_blocker *out,
				  unsigned int max, unsigned int *count)
{
	struct vhost_scsi_mig_reservation *res;
	struct vhost_scsi_unit unit = {};
	unsigned int n = 0;

	while (vhost_scsi_unit_next(vs, &unit)) {
		enum vhost_scsi_mig_reason reason = VHOST_SCSI_MIG_OK;

		res = vhost_scsi_reservation_read(&unit);
		if (!res) {
			vhost_scsi_unit_put(&unit);
			return -ENOMEM;
		}
		if (vhost_scsi_reservation_shared_key(res))
			reason = VHOST_SCSI_MIG_PR_KEY_SHARED;
		else if (vhost_scsi_reservations_hidden(&unit))
			reason = VHOST_SCSI_MIG_PR_PASSTHROUGH;
		kvfree(res);
		vhost_scsi_unit_put(&unit);
		if (!reason)
			continue;
		if (n < max)
			out[n] = (struct vhost_scsi_mig_blocker){
				reason, unit.target, unit.lun };
		n++;
	}
	*count = n;
	return 0;
}
