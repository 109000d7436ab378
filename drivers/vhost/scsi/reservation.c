// SPDX-License-Identifier: GPL-2.0
/*
 * Reservations of a logical unit: read, described, a description checked (M4)
 *
 * What there is, is read from the target core's own lists, under its locks: no
 * command tells all of it.  PERSISTENT RESERVE IN conflicts with an SPC-2
 * reservation, and does not tell whether registrations persist; and nothing
 * tells of SPC-2 reservations at all.
 */
#include <linux/slab.h>

#include "migration.h"

static bool vhost_scsi_is_type(u8 type)
{
	return type == 1 || type == 3 || (type >= 5 && type <= 8);
}

static void vhost_scsi_registration_name(const struct t10_pr_registration *reg,
					 char *out, size_t size)
{
	if (reg->isid_present_at_reg)
		snprintf(out, size, "%s,i,0x%s",
			 reg->pr_reg_nacl->initiatorname, reg->pr_reg_isid);
	else
		strscpy(out, reg->pr_reg_nacl->initiatorname, size);
}

/* With the locks held.  Return: registrations that there are. */
static u32 vhost_scsi_reservation_fill(struct vhost_scsi_nexus *nexus,
				       struct se_device *dev,
				       struct vhost_scsi_mig_reservation *res,
				       u32 room)
{
	struct t10_pr_registration *reg;
	u32 n = 0;

	list_for_each_entry(reg, &dev->t10_pr.registration_list, pr_reg_list) {
		struct vhost_scsi_mig_registration *out;
		u32 flags = 0;

		if (n++ >= room)
			continue;
		out = &res->registration[n - 1];
		if (reg->pr_reg_nacl == nexus->session->se_node_acl)
			flags |= VHOST_SCSI_MIG_REG_GUEST;
		if (reg->pr_reg_all_tg_pt)
			flags |= VHOST_SCSI_MIG_REG_ALL_TG_PT;
		if (reg == dev->dev_pr_res_holder) {
			flags |= VHOST_SCSI_MIG_REG_HOLDER;
			out->type = reg->pr_res_type;
		}
		out->key = cpu_to_le64(reg->pr_res_key);
		out->flags = cpu_to_le32(flags);
		out->rel_port = cpu_to_le16(reg->tg_pt_sep_rtpi);
		vhost_scsi_registration_name(reg, out->initiator,
					     sizeof(out->initiator));
	}
	return n;
}

/**
 * vhost_scsi_reservation_read - read the reservations of a logical unit
 * @unit: logical unit, found
 *
 * Context: process.
 * Return: what there is, to be freed with kvfree(), or NULL without memory.
 */
struct vhost_scsi_mig_reservation *
vhost_scsi_reservation_read(const struct vhost_scsi_unit *unit)
{
	struct vhost_scsi_mig_reservation *res;
	struct vhost_scsi_nexus *nexus = unit->nexus;
	struct se_device *dev = unit->dev;
	u32 n, flags, room = 2;

	for (;;) {
		res = kvzalloc(struct_size(res, registration, room),
			       GFP_KERNEL_ACCOUNT);
		if (!res)
			return NULL;

		flags = 0;
		spin_lock(&dev->dev_reservation_lock);
		if (dev->reservation_holder)
			flags = dev->reservation_holder == nexus->session ?
				VHOST_SCSI_MIG_RES_SPC2_GUEST :
				VHOST_SCSI_MIG_RES_SPC2_OTHER;
		if (dev->t10_pr.pr_aptpl_active)
			flags |= VHOST_SCSI_MIG_RES_APTPL;
		spin_lock(&dev->t10_pr.registration_lock);
		n = vhost_scsi_reservation_fill(nexus, dev, res, room);
		spin_unlock(&dev->t10_pr.registration_lock);
		spin_unlock(&dev->dev_reservation_lock);
		if (n <= room)
			break;
		kvfree(res);
		room = n;
	}

	res->lun = cpu_to_le64(unit->lun);
	res->target = cpu_to_le32(unit->target);
	res->flags = cpu_to_le32(flags);
	res->count = cpu_to_le32(n);
	return res;
}

/* The first registration that has all of @flags. */
static const struct vhost_scsi_mig_registration *
vhost_scsi_reservation_first(const struct vhost_scsi_mig_reservation *res,
			     u32 flags)
{
	u32 i;

	for (i = 0; i < le32_to_cpu(res->count); i++)
		if ((le32_to_cpu(res->registration[i].flags) & flags) == flags)
			return &res->registration[i];
	return NULL;
}

/**
 * vhost_scsi_reservation_guest - the guest's own registration
 * @res: reservations of a logical unit
 *
 * Return: it, or NULL.
 */
const struct vhost_scsi_mig_registration *
vhost_scsi_reservation_guest(const struct vhost_scsi_mig_reservation *res)
{
	return vhost_scsi_reservation_first(res, VHOST_SCSI_MIG_REG_GUEST);
}

/**
 * vhost_scsi_reservation_holder - the registration that holds the reservation
 * @res: reservations of a logical unit
 *
 * Return: it, or NULL.
 */
const struct vhost_scsi_mig_registration *
vhost_scsi_reservation_holder(const struct vhost_scsi_mig_reservation *res)
{
	return vhost_scsi_reservation_first(res, VHOST_SCSI_MIG_REG_HOLDER);
}

/**
 * vhost_scsi_reservation_next - go through the payload of RESERVATIONS
 * @buf: payload, valid
 * @res: the last one, or NULL to begin
 *
 * Return: the next one, or NULL.
 */
const struct vhost_scsi_mig_reservation *
vhost_scsi_reservation_next(const struct vhost_scsi_buf *buf,
			    const struct vhost_scsi_mig_reservation *res)
{
	const u8 *next = res ? (const u8 *)res + vhost_scsi_reservation_size(res) :
			       buf->data;

	return next == buf->data + buf->len ? NULL : (const void *)next;
}

/**
 * vhost_scsi_reservation_other - somebody else's registration
 * @res: reservations of a logical unit
 * @initiator: name of the initiator port
 * @key: reservation key
 *
 * Return: the registration with both, or NULL.
 */
const struct vhost_scsi_mig_registration *
vhost_scsi_reservation_other(const struct vhost_scsi_mig_reservation *res,
			     const char *initiator, __le64 key)
{
	u32 i;

	for (i = 0; i < le32_to_cpu(res->count); i++) {
		const struct vhost_scsi_mig_registration *reg =
			&res->registration[i];

		if (!vhost_scsi_is_guest(reg) && reg->key == key &&
		    !strcmp(reg->initiator, initiator))
			return reg;
	}
	return NULL;
}

/**
 * vhost_scsi_reservation_others - how many others have a key?
 * @res: reservations of a logical unit
 * @key: reservation key
 *
 * Return: their number.
 */
u32 vhost_scsi_reservation_others(const struct vhost_scsi_mig_reservation *res,
				  __le64 key)
{
	u32 i, n = 0;

	for (i = 0; i < le32_to_cpu(res->count); i++)
		n += !vhost_scsi_is_guest(&res->registration[i]) &&
		     res->registration[i].key == key;
	return n;
}

/**
 * vhost_scsi_reservation_shared_key - has somebody else the guest's key?
 * @res: reservations of a logical unit
 *
 * Return: true if so.
 */
bool vhost_scsi_reservation_shared_key(const struct vhost_scsi_mig_reservation *res)
{
	const struct vhost_scsi_mig_registration *own =
		vhost_scsi_reservation_guest(res);

	return own && vhost_scsi_reservation_others(res, own->key);
}

static bool vhost_scsi_registration_valid(const struct vhost_scsi_mig_registration *reg)
{
	u32 flags = le32_to_cpu(reg->flags);
	bool holder = flags & VHOST_SCSI_MIG_REG_HOLDER;

	return !(flags & ~(VHOST_SCSI_MIG_REG_GUEST | VHOST_SCSI_MIG_REG_HOLDER |
			   VHOST_SCSI_MIG_REG_ALL_TG_PT)) &&
	       reg->key && !reg->reserved &&
	       (holder ? vhost_scsi_is_type(reg->type) : !reg->type) &&
	       memchr(reg->initiator, 0, sizeof(reg->initiator)) &&
	       reg->initiator[0];
}

/**
 * vhost_scsi_reservations_valid - is this the payload of RESERVATIONS?
 * @buf: payload
 *
 * Return: true if it can be gone through without looking at lengths again.
 */
bool vhost_scsi_reservations_valid(const struct vhost_scsi_buf *buf)
{
	const struct vhost_scsi_mig_reservation *res;
	u64 lun, last_lun = 0;
	u32 i, last_target = 0;
	size_t at = 0;

	while (at < buf->len) {
		u32 target, guests = 0, holders = 0;

		res = (const void *)(buf->data + at);
		if (buf->len - at < sizeof(*res) ||
		    (buf->len - at - sizeof(*res)) / sizeof(res->registration[0]) <
		    le32_to_cpu(res->count))
			return false;
		target = le32_to_cpu(res->target);
		lun = le64_to_cpu(res->lun);
		if (target >= VHOST_SCSI_MAX_TARGETS || res->reserved ||
		    le32_to_cpu(res->flags) & ~(VHOST_SCSI_MIG_RES_APTPL |
						VHOST_SCSI_MIG_RES_SPC2_GUEST |
						VHOST_SCSI_MIG_RES_SPC2_OTHER))
			return false;
		if (at && (target < last_target ||
			   (target == last_target && lun <= last_lun)))
			return false;
		for (i = 0; i < le32_to_cpu(res->count); i++) {
			u32 flags = le32_to_cpu(res->registration[i].flags);

			if (!vhost_scsi_registration_valid(&res->registration[i]))
				return false;
			guests += !!(flags & VHOST_SCSI_MIG_REG_GUEST);
			holders += !!(flags & VHOST_SCSI_MIG_REG_HOLDER);
		}
		if (guests > 1 || holders > 1)
			return false;
		last_target = target;
		last_lun = lun;
		at += vhost_scsi_reservation_size(res);
	}
	return true;
}
