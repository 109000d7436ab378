// SPDX-License-Identifier: GPL-2.0
/*
 * Reservations: moved to another nexus, and put back (M4, M5)
 *
 * What is to be changed, is changed by commands through the guest's nexus, and
 * then looked at again: a command can fail after it has done what it was to do
 * (a REGISTER whose metadata cannot be written), and the caller can be killed
 * while it waits.  So every step here begins with what is there, and can be
 * repeated.
 *
 * The destination's nexus is another one than the source's.
 *
 * On one host, over one backstore, both are registrants of the same logical
 * unit.  A reservation that the source's nexus holds is taken from it with
 * PREEMPT, in one step: at no moment is the unit unreserved.  If the load is
 * dropped, it goes back in the same way, by commands through the source's nexus.
 * If the source goes on before that, it does so itself; the two wait for each
 * other (vhost_scsi_tpg_borrow() and vhost_scsi_mig_hold()).  PREEMPT names the
 * reservation by its key, so nobody else may have registered that.  (REGISTER
 * AND MOVE would not: but LIO finds its destination by relative target port, of
 * which our targets have none, and drops one reference too many of it.)
 *
 * Fencing wins.  What the guest had is what the source's nexus has at this
 * moment: if somebody has preempted it meanwhile, nothing brings it back.
 *
 * On another host, the target core there knows nothing of this one's
 * registrants.  The guest's registration and reservation are made anew, if all
 * others that the source knows are known there, too.
 *
 * A reservation for all registrants is held by every registrant: there is
 * nothing to take, only to register.
 *
 * SPC-2 reservations cannot be taken.  The source releases the guest's when it
 * captures its state, and the destination reserves.  In between, and that is
 * while the guest is stopped, anybody can reserve the unit: then the load is
 * refused, or the source does not go on.
 */
#include <linux/slab.h>
#include <scsi/scsi_proto.h>

#include "migration.h"

/**
 * vhost_scsi_reservations_capture - read the reservations of all units
 * @vs: device that is stopped
 * @buf: where to append them
 *
 * SPC-2 reservations of the guest are released.
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 * Return: 0 or negative; -EINTR and -ETIMEDOUT leave a reservation that was to
 * be released, and is in @buf, in doubt.
 */
int vhost_scsi_reservations_capture(struct vhost_scsi *vs,
				    struct vhost_scsi_buf *buf)
{
	struct vhost_scsi_place p = { .vs = vs };
	int r;

	while (vhost_scsi_unit_next(vs, &p.unit)) {
		u32 flags = 0;

		p.now = NULL;
		r = vhost_scsi_place_look(&p);
		if (!r) {
			flags = le32_to_cpu(p.now->flags);
			if (p.now->count ||
			    flags & (VHOST_SCSI_MIG_RES_SPC2_GUEST |
				     VHOST_SCSI_MIG_RES_SPC2_OTHER))
				vhost_scsi_buf_add(buf, p.now,
						   vhost_scsi_reservation_size(p.now));
			r = buf->error;
		}
		if (!r && flags & VHOST_SCSI_MIG_RES_SPC2_GUEST)
			r = vhost_scsi_place_spc2(&p, VHOST_SCSI_RELEASE);
		vhost_scsi_place_leave(&p);
		if (r)
			return r;
	}
	return 0;
}

/* The source's nexus is on the same unit: is all there still as it was? */
static enum vhost_scsi_mig_reason
vhost_scsi_apply_check_shared(const struct vhost_scsi_place *p,
			      const struct vhost_scsi_mig_reservation *res)
{
	const struct vhost_scsi_mig_registration *want =
		vhost_scsi_reservation_guest(res);
	const struct vhost_scsi_mig_registration *was =
		vhost_scsi_reservation_holder(res);
	const struct vhost_scsi_mig_registration *own =
		vhost_scsi_reservation_guest(p->now);
	const struct vhost_scsi_mig_registration *is =
		vhost_scsi_reservation_holder(p->now);
	const struct vhost_scsi_mig_registration *peer;
	bool holds;

	if (!want)
		return VHOST_SCSI_MIG_OK;
	holds = want == was && !vhost_scsi_all_registrants(was->type);
	/* The two could not be told apart. */
	if ((holds || vhost_scsi_place_all_tg_pt(want)) &&
	    !strcmp(want->initiator,
		    p->unit.nexus->session->se_node_acl->initiatorname))
		return VHOST_SCSI_MIG_PR_CONFLICT;

	peer = vhost_scsi_reservation_other(p->now, want->initiator, want->key);
	if (!own && !peer)
		return VHOST_SCSI_MIG_PR_CONFLICT;
	if (vhost_scsi_reservation_others(p->now, want->key) > 1)
		return VHOST_SCSI_MIG_PR_KEY_SHARED;
	if (holds && (!is || is->type != was->type ||
		      (is != own && is != peer)))
		return VHOST_SCSI_MIG_PR_CONFLICT;
	return VHOST_SCSI_MIG_OK;
}

/* It is not: are all that the source knows known here, and nobody else? */
static enum vhost_scsi_mig_reason
vhost_scsi_apply_check_apart(const struct vhost_scsi_place *p,
			     const struct vhost_scsi_mig_reservation *res)
{
	const struct vhost_scsi_mig_registration *want =
		vhost_scsi_reservation_guest(res);
	const struct vhost_scsi_mig_registration *was =
		vhost_scsi_reservation_holder(res);
	const struct vhost_scsi_mig_registration *own =
		vhost_scsi_reservation_guest(p->now);
	const struct vhost_scsi_mig_registration *is =
		vhost_scsi_reservation_holder(p->now);
	bool all = was && vhost_scsi_all_registrants(was->type);
	u32 i;

	if ((res->flags ^ p->now->flags) &
	    cpu_to_le32(VHOST_SCSI_MIG_RES_SPC2_OTHER))
		return VHOST_SCSI_MIG_SPC2_CONFLICT;
	for (i = 0; i < le32_to_cpu(res->count); i++) {
		const struct vhost_scsi_mig_registration *reg =
			&res->registration[i];

		if (reg == want)
			continue;
		if (!vhost_scsi_reservation_other(p->now, reg->initiator, reg->key))
			return VHOST_SCSI_MIG_PR_REGISTRANTS;
		if (reg == was && !all &&
		    (!is || is == own || is->type != was->type ||
		     is->key != was->key ||
		     strcmp(is->initiator, was->initiator)))
			return VHOST_SCSI_MIG_PR_REGISTRANTS;
	}
	/* Somebody who holds it here and not there. */
	if (is && is != own &&
	    (!was || was->type != is->type || (was == want && !all)))
		return VHOST_SCSI_MIG_PR_CONFLICT;
	return VHOST_SCSI_MIG_OK;
}

static enum vhost_scsi_mig_reason
vhost_scsi_apply_check(const struct vhost_scsi_place *p,
		       const struct vhost_scsi_mig_reservation *res,
		       bool shared)
{
	const struct vhost_scsi_mig_registration *want =
		vhost_scsi_reservation_guest(res);
	const struct vhost_scsi_mig_registration *own =
		vhost_scsi_reservation_guest(p->now);

	if (vhost_scsi_reservation_shared_key(res))
		return VHOST_SCSI_MIG_PR_KEY_SHARED;
	if (own && (!want || own->key != want->key))
		return VHOST_SCSI_MIG_PR_CONFLICT;
	if (le32_to_cpu(res->flags) & VHOST_SCSI_MIG_RES_SPC2_GUEST &&
	    le32_to_cpu(p->now->flags) & VHOST_SCSI_MIG_RES_SPC2_OTHER)
		return VHOST_SCSI_MIG_SPC2_CONFLICT;
	return shared ? vhost_scsi_apply_check_shared(p, res) :
			vhost_scsi_apply_check_apart(p, res);
}

/* Does the guest's nexus have what it had at the source? */
static bool vhost_scsi_applied(const struct vhost_scsi_place *p,
			       const struct vhost_scsi_mig_reservation *res)
{
	const struct vhost_scsi_mig_registration *want =
		vhost_scsi_reservation_guest(res);
	const struct vhost_scsi_mig_registration *was =
		vhost_scsi_reservation_holder(res);
	const struct vhost_scsi_mig_registration *own =
		vhost_scsi_reservation_guest(p->now);
	const struct vhost_scsi_mig_registration *is =
		vhost_scsi_reservation_holder(p->now);

	if (!want)
		return true;
	if (!own || own->key != want->key)
		return false;
	if (was && vhost_scsi_all_registrants(was->type))
		return is && is->type == was->type;
	return want != was || (is == own && is->type == was->type);
}

/* Register the guest's nexus, and have it hold what @res says it held. */
static int vhost_scsi_place_take(struct vhost_scsi_place *p,
				 const struct vhost_scsi_mig_reservation *res,
				 bool shared,
				 enum vhost_scsi_mig_reason *reason)
{
	const struct vhost_scsi_mig_registration *want =
		vhost_scsi_reservation_guest(res);
	const struct vhost_scsi_mig_registration *was =
		vhost_scsi_reservation_holder(res);
	u64 key = le64_to_cpu(want->key);
	u8 aptpl = vhost_scsi_place_aptpl(p);
	bool fresh;
	int r;

	if (le32_to_cpu(res->flags) & VHOST_SCSI_MIG_RES_APTPL)
		aptpl = VHOST_SCSI_PRO_APTPL;
	fresh = !vhost_scsi_reservation_guest(p->now);
	r = vhost_scsi_place_register(p, want, aptpl);
	if (r || !vhost_scsi_reservation_guest(p->now))
		return r;

	/* The source may have been preempted while we registered. */
	if (shared)
		*reason = vhost_scsi_apply_check_shared(p, res);
	if (shared && fresh && !*reason &&
	    !vhost_scsi_reservation_other(p->now, want->initiator, want->key))
		*reason = VHOST_SCSI_MIG_PR_CONFLICT;
	if (*reason || !was || vhost_scsi_applied(p, res))
		return 0;

	/*
	 * Only from the source, as was checked: LIO frees the registration of
	 * whoever preempts its own key where nobody holds the reservation with
	 * that, and uses it afterwards.
	 */
	if (shared && want == was && !vhost_scsi_all_registrants(was->type))
		return vhost_scsi_place_pr_out(p, VHOST_SCSI_PRO_PREEMPT,
					       was->type, key, key, 0);
	if (!shared && !vhost_scsi_reservation_holder(p->now))
		return vhost_scsi_place_pr_out(p, VHOST_SCSI_PRO_RESERVE,
					       was->type, key, 0, 0);
	return 0;
}

static enum vhost_scsi_mig_reason
vhost_scsi_apply_result(const struct vhost_scsi_place *p,
			const struct vhost_scsi_mig_reservation *res)
{
	u32 flags = le32_to_cpu(res->flags), now = le32_to_cpu(p->now->flags);
	const struct vhost_scsi_mig_registration *want =
		vhost_scsi_reservation_guest(res);

	if (want && !vhost_scsi_reservation_guest(p->now))
		return VHOST_SCSI_MIG_BACKEND;
	if (want && flags & VHOST_SCSI_MIG_RES_APTPL &&
	    !(now & VHOST_SCSI_MIG_RES_APTPL))
		return VHOST_SCSI_MIG_PR_APTPL;
	if (!vhost_scsi_applied(p, res))
		return VHOST_SCSI_MIG_PR_CONFLICT;
	if (flags & VHOST_SCSI_MIG_RES_SPC2_GUEST &&
	    !(now & VHOST_SCSI_MIG_RES_SPC2_GUEST))
		return VHOST_SCSI_MIG_SPC2_CONFLICT;
	return VHOST_SCSI_MIG_OK;
}

static int vhost_scsi_apply_one(struct vhost_scsi_place *p,
				const struct vhost_scsi_mig_reservation *res,
				const char *wwpn, bool shared,
				struct list_head *list,
				enum vhost_scsi_mig_reason *reason)
{
	const struct vhost_scsi_mig_registration *want =
		vhost_scsi_reservation_guest(res);
	const struct vhost_scsi_mig_registration *own =
		vhost_scsi_reservation_guest(p->now);
	bool spc2 = le32_to_cpu(res->flags) & VHOST_SCSI_MIG_RES_SPC2_GUEST;
	struct vhost_scsi_undo *undo;
	int r = 0;

	*reason = vhost_scsi_apply_check(p, res, shared);
	if (*reason || (!want && !spc2))
		return 0;

	undo = kzalloc_obj(*undo, GFP_KERNEL_ACCOUNT);
	if (!undo)
		return -ENOMEM;
	undo->target = p->unit.target;
	undo->lun = p->unit.lun;
	undo->registered = want && !own;
	undo->taken = want && vhost_scsi_reservation_holder(p->now) != own;
	undo->reserved = spc2;
	undo->aptpl = vhost_scsi_place_aptpl(p);
	if (want) {
		undo->shared = shared;
		undo->key = want->key;
		undo->all_tg_pt = vhost_scsi_place_all_tg_pt(want);
		strscpy(undo->wwpn, wwpn, sizeof(undo->wwpn));
		strscpy(undo->initiator, want->initiator,
			sizeof(undo->initiator));
	}
	/* Before the first command: it may be done although we were killed. */
	list_add(&undo->entry, list);

	if (want)
		r = vhost_scsi_place_take(p, res, shared, reason);
	if (!r && !*reason && spc2)
		r = vhost_scsi_place_spc2(p, VHOST_SCSI_RESERVE);
	if (!r && !*reason)
		*reason = vhost_scsi_apply_result(p, res);
	return r;
}

/**
 * vhost_scsi_reservations_apply - give the guest what it had at the source
 * @vs: device, stopped, that the load is for
 * @load: complete and valid
 * @undo: what was done is put there, also on an error
 * @blocker: out: what is in the way
 *
 * All units are looked at, those without a reservation at the source, too.
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 * Return: 0; the error of the reason in @blocker; -EINTR, -ETIMEDOUT, -ENOMEM.
 */
int vhost_scsi_reservations_apply(struct vhost_scsi *vs,
				  const struct vhost_scsi_load *load,
				  struct list_head *undo,
				  struct vhost_scsi_mig_blocker *blocker)
{
	static const struct vhost_scsi_mig_reservation none;
	const struct vhost_scsi_mig_header *header =
		(const void *)load->section[VHOST_SCSI_MIG_HEADER].data;
	const struct vhost_scsi_buf *buf =
		&load->section[VHOST_SCSI_MIG_RESERVATIONS];
	const struct vhost_scsi_buf *luns =
		&load->section[VHOST_SCSI_MIG_INVENTORY];
	const struct vhost_scsi_mig_lun *lun = (const void *)luns->data;
	const struct vhost_scsi_mig_reservation *res =
		vhost_scsi_reservation_next(buf, NULL);
	size_t i, n = luns->len / sizeof(*lun);

	/* Both are in the order of target and LUN. */
	for (i = 0; i < n; i++) {
		bool mentioned = res && res->target == lun[i].target &&
				 res->lun == lun[i].lun;
		enum vhost_scsi_mig_reason reason = VHOST_SCSI_MIG_OK;
		struct vhost_scsi_place p;
		int r;

		r = vhost_scsi_place_enter(&p, vs, le32_to_cpu(lun[i].target),
					   le64_to_cpu(lun[i].lun));
		if (!r) {
			r = vhost_scsi_apply_one(&p, mentioned ? res : &none,
						 header->wwpn,
						 vhost_scsi_inventory_shared(load, &p.unit),
						 undo, &reason);
			vhost_scsi_place_leave(&p);
		} else if (r == -ENODEV) {
			reason = VHOST_SCSI_MIG_LUN_MISSING;
			r = 0;
		}
		if (!r && reason) {
			*blocker = (struct vhost_scsi_mig_blocker){
				reason, le32_to_cpu(lun[i].target),
				le64_to_cpu(lun[i].lun) };
			r = vhost_scsi_mig_errno(reason);
		}
		if (r)
			return r;
		if (mentioned)
			res = vhost_scsi_reservation_next(buf, res);
	}
	/* One of a unit that is not in the inventory. */
	if (res) {
		*blocker = (struct vhost_scsi_mig_blocker){
			VHOST_SCSI_MIG_BAD_STREAM, le32_to_cpu(res->target),
			le64_to_cpu(res->lun) };
		return vhost_scsi_mig_errno(blocker->reason);
	}
	return 0;
}

/**
 * vhost_scsi_reservations_verify - is what was applied still there?
 * @vs: device about to start
 * @list: what was done
 *
 * If the guest's registration is gone because somebody has preempted it, the
 * guest starts, and is told.  If the source has it back, the guest runs there.
 *
 * Context: vhost_dev.mutex held.
 * Return: 0, -ESTALE, -ENOMEM.
 */
int vhost_scsi_reservations_verify(struct vhost_scsi *vs,
				   const struct list_head *list)
{
	struct vhost_scsi_undo *undo;
	struct vhost_scsi_place p;
	int r;

	list_for_each_entry(undo, list, entry) {
		if (!undo->registered || !undo->shared)
			continue;
		r = vhost_scsi_place_enter(&p, vs, undo->target, undo->lun);
		if (r == -ENODEV)
			continue;
		if (r)
			return r;
		if (!vhost_scsi_reservation_guest(p.now) &&
		    vhost_scsi_reservation_other(p.now, undo->initiator, undo->key))
			r = -ESTALE;
		vhost_scsi_place_leave(&p);
		if (r)
			return r;
	}
	return 0;
}
