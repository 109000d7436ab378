// SPDX-License-Identifier: GPL-2.0
/*
 * Reservations: given back, put back, given up (M5); see takeover.c
 */
#include <linux/slab.h>
#include <scsi/scsi_proto.h>

#include "migration.h"

#define PR_ASC			0x2a
#define PR_ASCQ_PREEMPTED	0x05

/* Was there a registration of this initiator port? */
static bool vhost_scsi_knew(const struct vhost_scsi_mig_reservation *res,
			    const char *initiator)
{
	u32 i;

	for (i = 0; i < le32_to_cpu(res->count); i++)
		if (!strcmp(res->registration[i].initiator, initiator))
			return true;
	return false;
}

static int vhost_scsi_give_back_to(struct vhost_scsi_place *source,
				   const struct vhost_scsi_undo *undo, u8 type)
{
	const struct vhost_scsi_mig_registration *is;
	u64 key = le64_to_cpu(undo->key);
	int r;

	r = vhost_scsi_place_pr_out(source, VHOST_SCSI_PRO_REGISTER_IGNORE, 0,
				    0, key,
				    vhost_scsi_place_aptpl(source) |
				    undo->all_tg_pt);
	if (r || !vhost_scsi_reservation_guest(source->now))
		return r;
	is = vhost_scsi_reservation_holder(source->now);
	/* Somebody was faster, who may do so: see vhost_scsi_place_take(). */
	if (!is || vhost_scsi_is_guest(is) || is->key != undo->key ||
	    is->type != type)
		return vhost_scsi_place_unregister(source,
						   vhost_scsi_place_aptpl(source));
	return vhost_scsi_place_pr_out(source, VHOST_SCSI_PRO_PREEMPT, type,
				       key, key, 0);
}

/*
 * Have the source's nexus take the reservation back, in one step.  If it is
 * gone, or has a registration, there is nobody to give it to.
 */
static int vhost_scsi_give_back(struct vhost_scsi_place *p,
				const struct vhost_scsi_undo *undo, u8 type)
{
	struct vhost_scsi_place source = { .vs = p->vs };
	struct vhost_scsi_tpg *tpg;
	int r;

	r = vhost_scsi_tpg_borrow(undo->wwpn, undo->target, p->vs->mig.end,
				  &tpg);
	if (r || !tpg)
		return r;
	if (!strcmp(tpg->nexus->session->se_node_acl->initiatorname,
		    undo->initiator) &&
	    vhost_scsi_unit_find(tpg->nexus, undo->target, undo->lun,
				 &source.unit)) {
		r = source.unit.dev == p->unit.dev ?
		    vhost_scsi_place_look(&source) : -ENODEV;
		if (!r && !vhost_scsi_reservation_guest(source.now))
			r = vhost_scsi_give_back_to(&source, undo, type);
		if (r == -ENODEV)
			r = 0;
		vhost_scsi_place_leave(&source);
	}
	vhost_scsi_tpg_return(tpg);
	return r ?: vhost_scsi_place_look(p);
}

static int vhost_scsi_undo_one(struct vhost_scsi_place *p,
			       const struct vhost_scsi_undo *undo)
{
	const struct vhost_scsi_mig_registration *own, *is;
	int r = 0;

	if (undo->reserved &&
	    le32_to_cpu(p->now->flags) & VHOST_SCSI_MIG_RES_SPC2_GUEST)
		r = vhost_scsi_place_spc2(p, VHOST_SCSI_RELEASE);
	if (r)
		return r;

	own = vhost_scsi_reservation_guest(p->now);
	is = vhost_scsi_reservation_holder(p->now);
	if (!own)
		return 0;
	if (undo->taken && is == own && !vhost_scsi_all_registrants(is->type)) {
		if (undo->shared)
			r = vhost_scsi_give_back(p, undo, is->type);
		else if (!undo->registered)
			r = vhost_scsi_place_pr_out(p, VHOST_SCSI_PRO_RELEASE,
						    is->type,
						    le64_to_cpu(own->key), 0,
						    0);
	}
	if (r || !undo->registered)
		return r;
	/* The flag is the unit's: it goes with the last registration. */
	return vhost_scsi_place_unregister(p, le32_to_cpu(p->now->count) > 1 ?
					      vhost_scsi_place_aptpl(p) :
					      undo->aptpl);
}

/**
 * vhost_scsi_reservations_undo - take back what a load has changed
 * @vs: device, stopped, with nothing in flight
 * @list: what was done; what could be undone is taken off
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 * Return: 0 if the list is empty; -EINTR, -ETIMEDOUT, -ENOMEM.
 */
int vhost_scsi_reservations_undo(struct vhost_scsi *vs, struct list_head *list)
{
	struct vhost_scsi_undo *undo, *next;
	struct vhost_scsi_place p;
	int r;

	list_for_each_entry_safe(undo, next, list, entry) {
		r = vhost_scsi_place_enter(&p, vs, undo->target, undo->lun);
		if (!r) {
			r = vhost_scsi_undo_one(&p, undo);
			vhost_scsi_place_leave(&p);
		}
		/* What was done to it went with the unit. */
		if (r && r != -ENODEV)
			return r;
		list_del(&undo->entry);
		kfree(undo);
	}
	return 0;
}

/**
 * vhost_scsi_reservations_forget - what a load has changed is there to stay
 * @list: what was done; empty afterwards
 */
void vhost_scsi_reservations_forget(struct list_head *list)
{
	struct vhost_scsi_undo *undo, *next;

	list_for_each_entry_safe(undo, next, list, entry)
		kfree(undo);
	INIT_LIST_HEAD(list);
}

static bool vhost_scsi_attention_captured(const struct vhost_scsi_buf *buf,
					  u32 target, u64 lun, u8 asc, u8 ascq)
{
	const struct vhost_scsi_mig_attention *at = (const void *)buf->data;
	size_t i;

	for (i = 0; i < buf->len / sizeof(*at); i++)
		if (le32_to_cpu(at[i].target) == target &&
		    le64_to_cpu(at[i].lun) == lun && at[i].asc == asc &&
		    at[i].ascq == ascq)
			return true;
	return false;
}

/*
 * The destination's PREEMPT has left the guest a unit attention for something
 * that has not happened, as far as the guest can see.  LIO forgets all that it
 * keeps when it reports one, so the others have to be kept here.
 */
static int vhost_scsi_restore_attentions(struct vhost_scsi_place *p,
					 const struct vhost_scsi_buf *captured)
{
	static const u8 cdb[VHOST_SCSI_EXEC_CDB] = { TEST_UNIT_READY };
	struct vhost_scsi_sense_code codes[32];
	unsigned int i, n;
	bool found = false;
	int r;

	if (vhost_scsi_attention_captured(captured, p->unit.target, p->unit.lun,
					  PR_ASC, PR_ASCQ_PREEMPTED))
		return 0;
	n = min_t(unsigned int, ARRAY_SIZE(codes),
		  vhost_scsi_ua_list(&p->unit, codes,
				     ARRAY_SIZE(codes)));
	for (i = 0; i < n; i++)
		found |= codes[i].asc == PR_ASC &&
			 codes[i].ascq == PR_ASCQ_PREEMPTED;
	if (!found)
		return 0;

	r = vhost_scsi_place_exec(p, cdb, NULL, 0);
	for (i = 0; i < n; i++)
		vhost_scsi_ua_keep(p->unit.nexus, p->unit.lun, codes[i].asc,
				   codes[i].ascq);
	vhost_scsi_ua_drop(p->unit.nexus, p->unit.lun, PR_ASC, PR_ASCQ_PREEMPTED);
	return r;
}

/* Is this the guest on the other side?  Our key, and not there before. */
static bool vhost_scsi_is_peer(const struct vhost_scsi_mig_registration *reg,
			       const struct vhost_scsi_mig_reservation *res)
{
	const struct vhost_scsi_mig_registration *want =
		vhost_scsi_reservation_guest(res);

	return reg && reg->key == want->key && !vhost_scsi_is_guest(reg) &&
	       !vhost_scsi_knew(res, reg->initiator);
}

static int vhost_scsi_restore_one(struct vhost_scsi_place *p,
				  const struct vhost_scsi_mig_reservation *res,
				  const struct vhost_scsi_buf *attentions,
				  enum vhost_scsi_mig_reason *reason)
{
	const struct vhost_scsi_mig_registration *want =
		vhost_scsi_reservation_guest(res);
	const struct vhost_scsi_mig_registration *was =
		vhost_scsi_reservation_holder(res);
	const struct vhost_scsi_mig_registration *is;
	u32 now = le32_to_cpu(p->now->flags);
	int r = 0;

	if (le32_to_cpu(res->flags) & VHOST_SCSI_MIG_RES_SPC2_GUEST &&
	    !(now & VHOST_SCSI_MIG_RES_SPC2_GUEST)) {
		if (!(now & VHOST_SCSI_MIG_RES_SPC2_OTHER))
			r = vhost_scsi_place_spc2(p, VHOST_SCSI_RESERVE);
		if (!r && !(le32_to_cpu(p->now->flags) &
			    VHOST_SCSI_MIG_RES_SPC2_GUEST))
			*reason = VHOST_SCSI_MIG_SPC2_CONFLICT;
	}
	if (r || *reason || !want)
		return r;

	/*
	 * Only a reservation that the destination has taken is taken back.
	 * Where the guest's registration is gone and nobody has its key,
	 * somebody who may do so has preempted it.  That stands, and the guest
	 * is told.
	 */
	is = vhost_scsi_reservation_holder(p->now);
	if (!vhost_scsi_reservation_guest(p->now) && want == was &&
	    vhost_scsi_is_peer(is, res) && is->type == was->type &&
	    vhost_scsi_reservation_others(p->now, want->key) == 1) {
		r = vhost_scsi_place_register(p, want,
					      vhost_scsi_place_aptpl(p));
		if (!r && vhost_scsi_reservation_guest(p->now) &&
		    vhost_scsi_is_peer(vhost_scsi_reservation_holder(p->now),
				       res))
			r = vhost_scsi_place_pr_out(p, VHOST_SCSI_PRO_PREEMPT,
						    was->type,
						    le64_to_cpu(want->key),
						    le64_to_cpu(want->key), 0);
	}
	if (!r && vhost_scsi_reservation_guest(p->now))
		r = vhost_scsi_restore_attentions(p, attentions);
	return r;
}

/**
 * vhost_scsi_reservations_restore - put back what the guest had
 * @vs: device, stopped, that goes on after all
 * @captured: payload of RESERVATIONS when it was captured
 * @attentions: payload of ATTENTIONS
 * @blocker: out: what is in the way
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 * Return: 0; -EIO with a reason; -EINTR, -ENOMEM.  It can be called again.
 */
int vhost_scsi_reservations_restore(struct vhost_scsi *vs,
				    const struct vhost_scsi_buf *captured,
				    const struct vhost_scsi_buf *attentions,
				    struct vhost_scsi_mig_blocker *blocker)
{
	const struct vhost_scsi_mig_reservation *res;
	struct vhost_scsi_place p;
	int r;

	for (res = vhost_scsi_reservation_next(captured, NULL); res;
	     res = vhost_scsi_reservation_next(captured, res)) {
		enum vhost_scsi_mig_reason reason = VHOST_SCSI_MIG_OK;
		u32 target = le32_to_cpu(res->target);
		u64 lun = le64_to_cpu(res->lun);

		r = vhost_scsi_place_enter(&p, vs, target, lun);
		/* Its reservations went with the unit. */
		if (r == -ENODEV)
			continue;
		if (r)
			return r;
		r = vhost_scsi_restore_one(&p, res, attentions, &reason);
		vhost_scsi_place_leave(&p);
		if (!r && reason) {
			*blocker = (struct vhost_scsi_mig_blocker){
				reason, target, lun };
			r = -EIO;
		}
		if (r)
			return r;
	}
	return 0;
}

/**
 * vhost_scsi_reservations_leave - the guest lives elsewhere now
 * @vs: device, stopped
 * @captured: payload of RESERVATIONS when it was captured
 * @sure: it does; else it may, and does where its key has come up elsewhere
 *
 * Its registrations are removed.  Where one cannot be, the target is left with
 * a registrant that nobody uses, and the kernel log with a line.
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 */
void vhost_scsi_reservations_leave(struct vhost_scsi *vs,
				   const struct vhost_scsi_buf *captured,
				   bool sure)
{
	const struct vhost_scsi_mig_reservation *res;
	struct vhost_scsi_place p;

	for (res = vhost_scsi_reservation_next(captured, NULL); res;
	     res = vhost_scsi_reservation_next(captured, res)) {
		u32 i, target = le32_to_cpu(res->target);
		u64 lun = le64_to_cpu(res->lun);
		bool gone = sure;
		int r = 0;

		if (!vhost_scsi_reservation_guest(res) ||
		    vhost_scsi_place_enter(&p, vs, target, lun))
			continue;
		for (i = 0; i < le32_to_cpu(p.now->count); i++)
			gone |= vhost_scsi_is_peer(&p.now->registration[i], res);
		if (gone)
			r = vhost_scsi_place_unregister(&p, vhost_scsi_place_aptpl(&p));
		if (gone && !r && vhost_scsi_reservation_guest(p.now))
			pr_warn_ratelimited("vhost_scsi: device %u target %u LUN %llu: registration of a guest that has left remains\n",
					    vs->id, target, lun);
		vhost_scsi_place_leave(&p);
	}
}
