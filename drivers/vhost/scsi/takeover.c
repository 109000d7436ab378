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
 * If the source goes on before that, it does so itself.  All of this names the
 * reservation by its key, so nobody else may have registered that.  (REGISTER
 * AND MOVE does not: but LIO finds its destination by relative target port, of
 * which our targets have none, and drops one reference too many of it.)
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

#define PR_ASC			0x2a
#define PR_ASCQ_PREEMPTED	0x05

/**
 * struct vhost_scsi_undo - what was done to one logical unit
 * @entry: of the list of all that was done
 * @lun: logical unit number
 * @target: target
 * @registered: the guest's nexus was not registered before
 * @reserved: it reserved, with SPC-2
 * @shared: the source's nexus is on the same unit
 * @wwpn: the source's target port
 * @initiator: name of the source's nexus
 */
struct vhost_scsi_undo {
	struct list_head entry;
	u64 lun;
	u32 target;
	bool registered;
	bool reserved;
	bool shared;
	char wwpn[TRANSPORT_IQN_LEN];
	char initiator[TRANSPORT_IQN_LEN];
};

static bool vhost_scsi_all_registrants(u8 type)
{
	return type == 7 || type == 8;
}

/* A registration of the same initiator port. */
static const struct vhost_scsi_mig_registration *
vhost_scsi_reservation_same(const struct vhost_scsi_mig_reservation *res,
			    const struct vhost_scsi_mig_registration *reg)
{
	u32 i;

	for (i = 0; i < le32_to_cpu(res->count); i++) {
		const struct vhost_scsi_mig_registration *other =
			&res->registration[i];

		if (!strcmp(other->initiator, reg->initiator))
			return other;
	}
	return NULL;
}

/**
 * vhost_scsi_reservations_capture - read the reservations of all units
 * @vs: device that is stopped
 * @buf: where to append them
 *
 * SPC-2 reservations of the guest are released.
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 * Return: 0 or negative; -EINTR leaves a reservation that was to be released in
 * doubt.
 */
int vhost_scsi_reservations_capture(struct vhost_scsi *vs,
				    struct vhost_scsi_buf *buf)
{
	struct vhost_scsi_place p = { .vs = vs };
	int r;

	while (vhost_scsi_unit_next(vs, &p.unit)) {
		p.now = NULL;
		r = vhost_scsi_place_look(&p);
		if (!r && (p.now->count ||
			   le32_to_cpu(p.now->flags) &
			   (VHOST_SCSI_MIG_RES_SPC2_GUEST |
			    VHOST_SCSI_MIG_RES_SPC2_OTHER)))
			vhost_scsi_buf_add(buf, p.now,
					   vhost_scsi_reservation_size(p.now));
		if (!r && le32_to_cpu(p.now->flags) &
		    VHOST_SCSI_MIG_RES_SPC2_GUEST)
			r = vhost_scsi_place_spc2(&p, VHOST_SCSI_RELEASE);
		vhost_scsi_place_leave(&p);
		if (r)
			return r;
	}
	return buf->error;
}

/* May the guest's place be taken, with all others that the source knows? */
static enum vhost_scsi_mig_reason
vhost_scsi_apply_check(const struct vhost_scsi_place *p,
		       const struct vhost_scsi_mig_reservation *res,
		       bool shared)
{
	const struct vhost_scsi_mig_registration *want =
		vhost_scsi_reservation_guest(res);
	const struct vhost_scsi_mig_registration *own =
		vhost_scsi_reservation_guest(p->now);
	const struct vhost_scsi_mig_registration *was =
		vhost_scsi_reservation_holder(res);
	const struct vhost_scsi_mig_registration *is =
		vhost_scsi_reservation_holder(p->now);
	const struct vhost_scsi_mig_registration *other;
	u32 spc2 = le32_to_cpu(res->flags);
	u32 i;

	if (vhost_scsi_reservation_shared_key(res))
		return VHOST_SCSI_MIG_PR_KEY_SHARED;
	if (own && (!want || own->key != want->key))
		return VHOST_SCSI_MIG_PR_CONFLICT;
	if (spc2 & VHOST_SCSI_MIG_RES_SPC2_GUEST &&
	    le32_to_cpu(p->now->flags) & VHOST_SCSI_MIG_RES_SPC2_OTHER)
		return VHOST_SCSI_MIG_SPC2_CONFLICT;
	if (shared) {
		/* The two could not be told apart. */
		if (want && want == was &&
		    !vhost_scsi_all_registrants(was->type) &&
		    !strcmp(want->initiator,
			    p->unit.nexus->session->se_node_acl->initiatorname))
			return VHOST_SCSI_MIG_PR_CONFLICT;
		return VHOST_SCSI_MIG_OK;
	}

	if (spc2 & VHOST_SCSI_MIG_RES_SPC2_OTHER &&
	    !(le32_to_cpu(p->now->flags) & VHOST_SCSI_MIG_RES_SPC2_OTHER))
		return VHOST_SCSI_MIG_SPC2_CONFLICT;
	for (i = 0; i < le32_to_cpu(res->count); i++) {
		const struct vhost_scsi_mig_registration *reg =
			&res->registration[i];

		if (reg == want)
			continue;
		other = vhost_scsi_reservation_same(p->now, reg);
		if (!other || other == own || other->key != reg->key)
			return VHOST_SCSI_MIG_PR_REGISTRANTS;
		if (reg == was && (other != is || is->type != was->type) &&
		    !vhost_scsi_all_registrants(was->type))
			return VHOST_SCSI_MIG_PR_REGISTRANTS;
	}
	/* Somebody who holds it here and not there. */
	if (is && is != own && (!was || was->type != is->type ||
				(was == want &&
				 !vhost_scsi_all_registrants(is->type))))
		return VHOST_SCSI_MIG_PR_CONFLICT;
	return VHOST_SCSI_MIG_OK;
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
				 bool from_peer)
{
	const struct vhost_scsi_mig_registration *want =
		vhost_scsi_reservation_guest(res);
	const struct vhost_scsi_mig_registration *was =
		vhost_scsi_reservation_holder(res);
	const struct vhost_scsi_mig_registration *is;
	u64 key = le64_to_cpu(want->key);
	u8 aptpl = vhost_scsi_place_aptpl(p);
	int r = 0;

	if (le32_to_cpu(res->flags) & VHOST_SCSI_MIG_RES_APTPL)
		aptpl = VHOST_SCSI_PRO_APTPL;
	if (!vhost_scsi_reservation_guest(p->now))
		r = vhost_scsi_place_pr_out(p, VHOST_SCSI_PRO_REGISTER_IGNORE, 0, 0, key,
					    aptpl | vhost_scsi_place_all_tg_pt(want));
	if (r || !vhost_scsi_reservation_guest(p->now) ||
	    vhost_scsi_applied(p, res))
		return r;

	is = vhost_scsi_reservation_holder(p->now);
	if (!is)
		return vhost_scsi_place_pr_out(p, VHOST_SCSI_PRO_RESERVE, was->type, key,
					       0, 0);
	if (from_peer && is->key == want->key && is->type == was->type)
		return vhost_scsi_place_pr_out(p, VHOST_SCSI_PRO_PREEMPT, was->type, key,
					       key, 0);
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
	undo->registered = want && !vhost_scsi_reservation_guest(p->now);
	undo->reserved = spc2;
	if (want) {
		undo->shared = shared;
		strscpy(undo->wwpn, wwpn, sizeof(undo->wwpn));
		strscpy(undo->initiator, want->initiator,
			sizeof(undo->initiator));
	}
	/* Before the first command: it may be done although we were killed. */
	list_add(&undo->entry, list);

	if (want)
		r = vhost_scsi_place_take(p, res, shared);
	if (!r && spc2)
		r = vhost_scsi_place_spc2(p, VHOST_SCSI_RESERVE);
	if (!r)
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
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 * Return: 0; the error of the reason in @blocker; -EINTR, -ENOMEM.
 */
int vhost_scsi_reservations_apply(struct vhost_scsi *vs,
				  const struct vhost_scsi_load *load,
				  struct list_head *undo,
				  struct vhost_scsi_mig_blocker *blocker)
{
	const struct vhost_scsi_buf *buf =
		&load->section[VHOST_SCSI_MIG_RESERVATIONS];
	const struct vhost_scsi_mig_header *header =
		(const void *)load->section[VHOST_SCSI_MIG_HEADER].data;
	const struct vhost_scsi_mig_reservation *res;
	enum vhost_scsi_mig_reason reason;
	struct vhost_scsi_place p;
	int r;

	for (res = vhost_scsi_reservation_next(buf, NULL); res;
	     res = vhost_scsi_reservation_next(buf, res)) {
		u32 target = le32_to_cpu(res->target);
		u64 lun = le64_to_cpu(res->lun);

		reason = VHOST_SCSI_MIG_LUN_MISSING;
		r = vhost_scsi_place_enter(&p, vs, target, lun);
		if (!r) {
			r = vhost_scsi_apply_one(&p, res, header->wwpn,
						 vhost_scsi_inventory_shared(load, &p.unit),
						 undo, &reason);
			vhost_scsi_place_leave(&p);
		} else if (r == -ENODEV) {
			r = 0;
		}
		if (!r && reason) {
			*blocker = (struct vhost_scsi_mig_blocker){
				reason, target, lun };
			r = vhost_scsi_mig_errno(reason);
		}
		if (r)
			return r;
	}
	return 0;
}

/*
 * Have the source's nexus take the reservation back, in one step.  If it is
 * gone, there is nobody to give it to.
 */
static int vhost_scsi_give_back(struct vhost_scsi_place *p,
				const struct vhost_scsi_undo *undo, u8 type,
				u64 key)
{
	struct vhost_scsi_tpg *tpg = vhost_scsi_tpg_get(undo->wwpn,
							undo->target);
	struct vhost_scsi_place source = { .vs = p->vs };
	int r = 0;

	if (!tpg)
		return 0;
	if (vhost_scsi_unit_find(tpg->nexus, undo->target, undo->lun,
				 &source.unit)) {
		if (source.unit.dev == p->unit.dev &&
		    !strcmp(tpg->nexus->session->se_node_acl->initiatorname,
			    undo->initiator)) {
			r = vhost_scsi_place_look(&source);
			if (!r)
				r = vhost_scsi_place_pr_out(&source, VHOST_SCSI_PRO_REGISTER_IGNORE,
							    0, 0, key,
							    vhost_scsi_place_aptpl(&source));
			if (!r)
				r = vhost_scsi_place_pr_out(&source, VHOST_SCSI_PRO_PREEMPT,
							    type, key, key, 0);
		}
		vhost_scsi_place_leave(&source);
	}
	vhost_scsi_tpg_put(tpg);
	return r ?: vhost_scsi_place_look(p);
}

static void vhost_scsi_undo_one(struct vhost_scsi_place *p,
				const struct vhost_scsi_undo *undo)
{
	const struct vhost_scsi_mig_registration *own =
		vhost_scsi_reservation_guest(p->now);
	const struct vhost_scsi_mig_registration *is =
		vhost_scsi_reservation_holder(p->now);

	if (undo->reserved &&
	    le32_to_cpu(p->now->flags) & VHOST_SCSI_MIG_RES_SPC2_GUEST &&
	    vhost_scsi_place_spc2(p, VHOST_SCSI_RELEASE))
		return;
	if (!undo->registered || !own)
		return;
	if (undo->shared && is == own &&
	    !vhost_scsi_all_registrants(is->type) &&
	    vhost_scsi_give_back(p, undo, is->type, le64_to_cpu(own->key)))
		return;
	vhost_scsi_place_unregister(p);
}

/**
 * vhost_scsi_reservations_undo - take back what a load has changed
 * @vs: device, stopped, with nothing in flight
 * @list: what was done; empty afterwards
 *
 * Context: vhost_dev.mutex held.  Sleeps; only a kill ends it early.
 */
void vhost_scsi_reservations_undo(struct vhost_scsi *vs, struct list_head *list)
{
	struct vhost_scsi_undo *undo;
	struct vhost_scsi_place p;

	list_for_each_entry(undo, list, entry) {
		if (vhost_scsi_place_enter(&p, vs, undo->target, undo->lun))
			continue;
		vhost_scsi_undo_one(&p, undo);
		vhost_scsi_place_leave(&p);
	}
	vhost_scsi_reservations_forget(list);
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

static int vhost_scsi_restore_one(struct vhost_scsi_place *p,
				  const struct vhost_scsi_mig_reservation *res,
				  const struct vhost_scsi_buf *attentions,
				  enum vhost_scsi_mig_reason *reason)
{
	const struct vhost_scsi_mig_registration *want =
		vhost_scsi_reservation_guest(res);
	u32 i, now = le32_to_cpu(p->now->flags);
	bool peer = false;
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

	/* The guest on the other side: our key, and not there before. */
	for (i = 0; i < le32_to_cpu(p->now->count); i++) {
		const struct vhost_scsi_mig_registration *reg =
			&p->now->registration[i];

		peer |= reg->key == want->key &&
			!(le32_to_cpu(reg->flags) & VHOST_SCSI_MIG_REG_GUEST) &&
			!vhost_scsi_reservation_same(res, reg);
	}
	if (peer) {
		r = vhost_scsi_place_take(p, res, true);
		if (!r && !vhost_scsi_applied(p, res))
			*reason = VHOST_SCSI_MIG_PR_CONFLICT;
	}
	/*
	 * Where it is gone and nobody has its key, somebody who may do so has
	 * preempted the guest meanwhile.  That stands, and the guest is told.
	 */
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
 *
 * Its registrations are removed.  Where one cannot be, the target is left with
 * a registrant that nobody uses, and the kernel log with a line.
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 */
void vhost_scsi_reservations_leave(struct vhost_scsi *vs,
				   const struct vhost_scsi_buf *captured)
{
	const struct vhost_scsi_mig_reservation *res;
	struct vhost_scsi_place p;

	for (res = vhost_scsi_reservation_next(captured, NULL); res;
	     res = vhost_scsi_reservation_next(captured, res)) {
		u32 target = le32_to_cpu(res->target);
		u64 lun = le64_to_cpu(res->lun);

		if (vhost_scsi_place_enter(&p, vs, target, lun))
			continue;
		vhost_scsi_place_unregister(&p);
		if (!p.now || vhost_scsi_reservation_guest(p.now))
			pr_warn_ratelimited("vhost_scsi: device %u target %u LUN %llu: registration of a guest that has left remains\n",
					    vs->id, target, lun);
		vhost_scsi_place_leave(&p);
	}
}
