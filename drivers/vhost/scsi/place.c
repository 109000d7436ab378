// SPDX-License-Identifier: GPL-2.0
/*
 * A logical unit and the guest's nexus to it, as the place of reservations
 *
 * A command can fail after it has done what it was to do (a REGISTER whose
 * metadata cannot be written), and the caller can be killed while it waits.  So
 * nothing here is told by a status: after each command one looks again.
 *
 * Context of all of it: vhost_dev.mutex held, the device's claim on its targets
 * stands.  Sleeps, killably.
 */
#include <linux/slab.h>
#include <linux/unaligned.h>
#include <scsi/scsi_proto.h>

#include "migration.h"

#define PRO_LEN			24

/**
 * vhost_scsi_place_exec - send a command
 * @p: place
 * @cdb: command
 * @data: data-out, NULL for none
 * @len: bytes of it
 *
 * Return: 0 whatever its status; negative if it was not waited for.
 */
int vhost_scsi_place_exec(struct vhost_scsi_place *p, const u8 *cdb,
			  const void *data, u32 len)
{
	struct vhost_scsi_exec_batch *batch = vhost_scsi_exec_batch_alloc();
	int r = -ENOMEM;

	if (!batch)
		return r;
	if (vhost_scsi_exec_add(batch, &p->unit, cdb, data, len))
		r = vhost_scsi_exec_run(p->vs, batch, p->vs->mig.end);
	vhost_scsi_exec_batch_put(batch);
	return r;
}

/**
 * vhost_scsi_place_look - look what reservations there are
 * @p: place
 *
 * Return: 0, -ENOMEM.
 */
int vhost_scsi_place_look(struct vhost_scsi_place *p)
{
	kvfree(p->now);
	p->now = vhost_scsi_reservation_read(&p->unit);
	return p->now ? 0 : -ENOMEM;
}

/**
 * vhost_scsi_place_pr_out - send a PERSISTENT RESERVE OUT, and look again
 * @p: place
 * @action: service action
 * @type: type of the reservation
 * @key: the guest's key
 * @new_key: service action reservation key
 * @flags: VHOST_SCSI_PRO_APTPL, VHOST_SCSI_PRO_ALL_TG_PT
 *
 * Return: as vhost_scsi_place_exec().
 */
int vhost_scsi_place_pr_out(struct vhost_scsi_place *p, u8 action, u8 type,
			    u64 key, u64 new_key, u8 flags)
{
	u8 cdb[VHOST_SCSI_EXEC_CDB] = {
		PERSISTENT_RESERVE_OUT, action, type,
	};
	u8 param[PRO_LEN] = {};
	int r;

	put_unaligned_be32(sizeof(param), &cdb[5]);
	put_unaligned_be64(key, &param[0]);
	put_unaligned_be64(new_key, &param[8]);
	param[20] = flags;
	r = vhost_scsi_place_exec(p, cdb, param, sizeof(param));
	return r ?: vhost_scsi_place_look(p);
}

/**
 * vhost_scsi_place_spc2 - reserve or release with SPC-2, and look again
 * @p: place
 * @opcode: VHOST_SCSI_RESERVE or VHOST_SCSI_RELEASE
 *
 * Return: as vhost_scsi_place_exec().
 */
int vhost_scsi_place_spc2(struct vhost_scsi_place *p, u8 opcode)
{
	u8 cdb[VHOST_SCSI_EXEC_CDB] = { opcode };
	int r = vhost_scsi_place_exec(p, cdb, NULL, 0);

	return r ?: vhost_scsi_place_look(p);
}

/**
 * vhost_scsi_place_aptpl - flags that leave the unit's APTPL as it is
 * @p: place
 *
 * Return: VHOST_SCSI_PRO_APTPL or 0.
 */
u8 vhost_scsi_place_aptpl(const struct vhost_scsi_place *p)
{
	return le32_to_cpu(p->now->flags) & VHOST_SCSI_MIG_RES_APTPL ?
	       VHOST_SCSI_PRO_APTPL : 0;
}

/**
 * vhost_scsi_place_all_tg_pt - flags for a registration like another
 * @reg: registration
 *
 * Return: VHOST_SCSI_PRO_ALL_TG_PT or 0.
 */
u8 vhost_scsi_place_all_tg_pt(const struct vhost_scsi_mig_registration *reg)
{
	return le32_to_cpu(reg->flags) & VHOST_SCSI_MIG_REG_ALL_TG_PT ?
	       VHOST_SCSI_PRO_ALL_TG_PT : 0;
}

/**
 * vhost_scsi_place_register - register the guest, if it is not
 * @p: place
 * @reg: like this registration
 * @aptpl: VHOST_SCSI_PRO_APTPL or 0, for the unit
 *
 * Return: as vhost_scsi_place_exec().
 */
int vhost_scsi_place_register(struct vhost_scsi_place *p,
			      const struct vhost_scsi_mig_registration *reg,
			      u8 aptpl)
{
	if (vhost_scsi_reservation_guest(p->now))
		return 0;
	return vhost_scsi_place_pr_out(p, VHOST_SCSI_PRO_REGISTER_IGNORE, 0, 0,
				       le64_to_cpu(reg->key),
				       aptpl | vhost_scsi_place_all_tg_pt(reg));
}

/**
 * vhost_scsi_place_unregister - remove the guest's registration, if there is one
 * @p: place
 * @aptpl: VHOST_SCSI_PRO_APTPL or 0, for what remains
 *
 * Return: as vhost_scsi_place_exec().
 */
int vhost_scsi_place_unregister(struct vhost_scsi_place *p, u8 aptpl)
{
	const struct vhost_scsi_mig_registration *own =
		vhost_scsi_reservation_guest(p->now);

	if (!own)
		return 0;
	return vhost_scsi_place_pr_out(p, VHOST_SCSI_PRO_REGISTER, 0,
				       le64_to_cpu(own->key), 0,
				       aptpl | vhost_scsi_place_all_tg_pt(own));
}

/**
 * vhost_scsi_place_enter - look at a logical unit
 * @p: out
 * @vs: device with a claim
 * @target: target
 * @lun: logical unit number
 *
 * Return: 0, and vhost_scsi_place_leave() has to follow; -ENODEV, -ENOMEM.
 */
int vhost_scsi_place_enter(struct vhost_scsi_place *p, struct vhost_scsi *vs,
			   u32 target, u64 lun)
{
	int r;

	memset(p, 0, sizeof(*p));
	if (!vhost_scsi_unit_find(vhost_scsi_nexus_of(vs, target), target, lun,
				  &p->unit))
		return -ENODEV;
	p->vs = vs;
	r = vhost_scsi_place_look(p);
	if (r)
		vhost_scsi_unit_put(&p->unit);
	return r;
}

/**
 * vhost_scsi_place_leave - be done with a logical unit
 * @p: place
 */
void vhost_scsi_place_leave(struct vhost_scsi_place *p)
{
	kvfree(p->now);
	vhost_scsi_unit_put(&p->unit);
}
