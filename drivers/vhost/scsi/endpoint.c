// SPDX-License-Identifier: GPL-2.0
/*
 * Endpoint: a device's claim on the TPGs of one WWPN
 *
 * It is made when the endpoint is set, or before, when a session needs it.
 *
 * A claim has two halves.  vhost_scsi_tpg.vs says which device serves the
 * TPG; it goes away at once when the owner of that device dies.
 * vhost_scsi_tpg.users, with a configfs dependency, keeps the TPG and its
 * nexus in place for commands that the backend still works on; it goes away
 * when they are back.
 */
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "scsi.h"

/* See struct vhost_scsi_tpg for what it protects, scsi.h for its place. */
DEFINE_MUTEX(vhost_scsi_tpg_lock);
LIST_HEAD(vhost_scsi_tpgs);

static bool vhost_scsi_tpg_matches(const struct vhost_scsi_tpg *tpg,
				   const char *wwpn)
{
	return tpg->nexus && !strcmp(tpg->wwn->name, wwpn);
}

static struct config_item *vhost_scsi_item(struct vhost_scsi_tpg *tpg)
{
	return &tpg->se_tpg.tpg_group.cg_item;
}

static struct config_item *vhost_scsi_wwn_item(struct vhost_scsi_tpg *tpg)
{
	return &tpg->wwn->wwn.wwn_group.cg_item;
}

/* Mark the TPGs of @wwpn as ours, or none of them. */
static int vhost_scsi_endpoint_mark(struct vhost_scsi *vs,
				    struct vhost_scsi_endpoint *ep,
				    const char *wwpn)
{
	struct vhost_scsi_tpg *tpg;
	bool claimed = false;
	int r = -ENODEV;

	mutex_lock(&vhost_scsi_tpg_lock);
	list_for_each_entry(tpg, &vhost_scsi_tpgs, entry) {
		if (!vhost_scsi_tpg_matches(tpg, wwpn))
			continue;
		if (tpg->vs)
			vhost_scsi_owner_check_locked(tpg->vs);
		if (tpg->vs || tpg->borrowed) {
			r = -EBUSY;
			break;
		}
		r = 0;
	}
	if (!r && vs->dead)
		r = -EOWNERDEAD;
	if (!r) {
		list_for_each_entry(tpg, &vhost_scsi_tpgs, entry) {
			if (!vhost_scsi_tpg_matches(tpg, wwpn))
				continue;
			/*
			 * Held until target_depend_item() has been called.  If
			 * they are on their way out, they are not there.
			 */
			if (!config_item_get_unless_zero(vhost_scsi_item(tpg)))
				continue;
			if (!config_item_get_unless_zero(vhost_scsi_wwn_item(tpg))) {
				config_item_put(vhost_scsi_item(tpg));
				continue;
			}
			tpg->vs = vs;
			tpg->users++;
			ep->tpg[tpg->tag] = tpg;
			claimed = true;
		}
		if (claimed)
			vs->ep = ep;
		else
			r = -ENODEV;
	}
	mutex_unlock(&vhost_scsi_tpg_lock);
	return r;
}

/**
 * vhost_scsi_endpoint_claim - claim the TPGs of a target port
 * @vs: device without an endpoint
 * @wwpn: target port
 *
 * All TPGs of @wwpn that have a nexus, or none.
 *
 * Context: vhost_dev.mutex held.
 * Return: 0; -ENODEV if there is none; -EBUSY if another device has one;
 * -ENOENT if one is being removed; -EOWNERDEAD; -ENOMEM.
 */
int vhost_scsi_endpoint_claim(struct vhost_scsi *vs, const char *wwpn)
{
	struct vhost_scsi_endpoint *ep;
	int i, r, err = 0;

	lockdep_assert_held(&vs->dev.mutex);

	ep = kzalloc_obj(*ep, GFP_KERNEL_ACCOUNT);
	if (!ep)
		return -ENOMEM;
	strscpy(ep->wwpn, wwpn, sizeof(ep->wwpn));

	r = vhost_scsi_endpoint_mark(vs, ep, wwpn);
	if (r) {
		kfree(ep);
		return r;
	}

	/* configfs takes locks of its own, so not under ours. */
	for (i = 0; i < VHOST_SCSI_MAX_TARGETS; i++) {
		struct vhost_scsi_tpg *tpg = ep->tpg[i];
		struct config_item *wwn;

		if (!tpg)
			continue;
		wwn = vhost_scsi_wwn_item(tpg);
		r = target_depend_item(vhost_scsi_item(tpg));
		if (r) {
			err = r;
			mutex_lock(&vhost_scsi_tpg_lock);
			if (tpg->vs == vs)
				tpg->vs = NULL;
			tpg->users--;
			ep->tpg[i] = NULL;
			mutex_unlock(&vhost_scsi_tpg_lock);
		}
		config_item_put(vhost_scsi_item(tpg));
		config_item_put(wwn);
	}
	if (err)
		vhost_scsi_endpoint_release(vs);
	return err;
}

/**
 * vhost_scsi_endpoint_unclaim_locked - let others have the TPGs
 * @vs: device
 *
 * The first half of vhost_scsi_endpoint_release().
 */
void vhost_scsi_endpoint_unclaim_locked(struct vhost_scsi *vs)
{
	int i;

	lockdep_assert_held(&vhost_scsi_tpg_lock);

	if (!vs->ep)
		return;
	for (i = 0; i < VHOST_SCSI_MAX_TARGETS; i++)
		if (vs->ep->tpg[i] && vs->ep->tpg[i]->vs == vs)
			vs->ep->tpg[i]->vs = NULL;
}

/**
 * vhost_scsi_endpoint_release - let go of the TPGs
 * @vs: device with nothing in flight
 *
 * Context: vhost_dev.mutex held.
 */
void vhost_scsi_endpoint_release(struct vhost_scsi *vs)
{
	struct vhost_scsi_endpoint *ep;
	int i;

	lockdep_assert_held(&vs->dev.mutex);

	mutex_lock(&vhost_scsi_tpg_lock);
	vhost_scsi_endpoint_unclaim_locked(vs);
	ep = vs->ep;
	vs->ep = NULL;
	for (i = 0; ep && i < VHOST_SCSI_MAX_TARGETS; i++)
		if (ep->tpg[i])
			ep->tpg[i]->users--;
	mutex_unlock(&vhost_scsi_tpg_lock);

	if (!ep)
		return;
	for (i = 0; i < VHOST_SCSI_MAX_TARGETS; i++)
		if (ep->tpg[i])
			target_undepend_item(vhost_scsi_item(ep->tpg[i]));
	kfree(ep);
}

/**
 * vhost_scsi_endpoint_named - is this the target port that is served?
 * @vs: device
 * @wwpn: target port
 *
 * Context: vhost_dev.mutex held.
 * Return: true if it is.
 */
bool vhost_scsi_endpoint_named(struct vhost_scsi *vs, const char *wwpn)
{
	return vs->ep && !strcmp(vs->ep->wwpn, wwpn);
}

/*
 * Is a target there to be borrowed?  Not while its device does the same itself,
 * and not if that runs, or has nothing to get back.
 */
static int vhost_scsi_tpg_borrow_locked(const char *wwpn, u32 tag,
					struct vhost_scsi_tpg **out)
{
	struct vhost_scsi_tpg *tpg;

	lockdep_assert_held(&vhost_scsi_tpg_lock);

	*out = NULL;
	list_for_each_entry(tpg, &vhost_scsi_tpgs, entry) {
		if (tpg->tag != tag || !vhost_scsi_tpg_matches(tpg, wwpn))
			continue;
		if (tpg->borrowed || (tpg->vs && tpg->vs->mig.held))
			return -EAGAIN;
		if (tpg->vs && (tpg->vs->running || !tpg->vs->mig.captured))
			return 0;
		if (!config_item_get_unless_zero(vhost_scsi_item(tpg)))
			return 0;
		if (!config_item_get_unless_zero(vhost_scsi_wwn_item(tpg))) {
			config_item_put(vhost_scsi_item(tpg));
			return 0;
		}
		tpg->borrowed = true;
		tpg->users++;
		*out = tpg;
		return 0;
	}
	return 0;
}

/**
 * vhost_scsi_tpg_borrow - use the nexus of a target that is not served
 * @wwpn: target port
 * @tag: its number
 * @end: jiffies when to give up waiting, 0 for never
 * @out: a target with a nexus, to be given to vhost_scsi_tpg_return(), or NULL
 *	if there is none whose reservations could be put back
 *
 * Meanwhile no device can claim the target, and the one that has waits in
 * vhost_scsi_mig_hold().
 *
 * Context: process; neither locks of configfs nor vhost_scsi_tpg_lock held.
 * Return: 0, -EINTR, -ETIMEDOUT.
 */
int vhost_scsi_tpg_borrow(const char *wwpn, u32 tag, unsigned long end,
			  struct vhost_scsi_tpg **out)
{
	struct config_item *wwn;
	int r;

	for (;;) {
		mutex_lock(&vhost_scsi_tpg_lock);
		r = vhost_scsi_tpg_borrow_locked(wwpn, tag, out);
		mutex_unlock(&vhost_scsi_tpg_lock);
		if (r != -EAGAIN)
			break;
		if (!vhost_scsi_time_left(end))
			return -ETIMEDOUT;
		schedule_timeout_killable(HZ / 50);
		if (fatal_signal_pending(current))
			return -EINTR;
	}
	if (r || !*out)
		return r;

	wwn = vhost_scsi_wwn_item(*out);
	r = target_depend_item(vhost_scsi_item(*out));
	if (r) {
		mutex_lock(&vhost_scsi_tpg_lock);
		(*out)->borrowed = false;
		(*out)->users--;
		mutex_unlock(&vhost_scsi_tpg_lock);
	}
	config_item_put(vhost_scsi_item(*out));
	config_item_put(wwn);
	if (r)
		*out = NULL;
	return 0;
}

/**
 * vhost_scsi_tpg_return - let go of a target
 * @tpg: target that was borrowed
 *
 * Context: as vhost_scsi_tpg_borrow().
 */
void vhost_scsi_tpg_return(struct vhost_scsi_tpg *tpg)
{
	mutex_lock(&vhost_scsi_tpg_lock);
	tpg->borrowed = false;
	tpg->users--;
	mutex_unlock(&vhost_scsi_tpg_lock);
	target_undepend_item(vhost_scsi_item(tpg));
}

/**
 * vhost_scsi_endpoint_borrowed_locked - does another device use a target of ours?
 * @vs: device
 *
 * Return: true if so.
 */
bool vhost_scsi_endpoint_borrowed_locked(struct vhost_scsi *vs)
{
	int i;

	lockdep_assert_held(&vhost_scsi_tpg_lock);

	for (i = 0; vs->ep && i < VHOST_SCSI_MAX_TARGETS; i++)
		if (vs->ep->tpg[i] && vs->ep->tpg[i]->borrowed)
			return true;
	return false;
}
