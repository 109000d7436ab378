// SPDX-License-Identifier: GPL-2.0
/*
 * Migration state: the state machine (M1, M7, M8)
 *
 * The states, and which arc does what, are described where they are defined:
 * include/uapi/linux/vhost_scsi_migration.h.  A state is not stored.  It
 * follows from four facts, each of which changes under vhost_dev.mutex alone:
 *
 *	attached	an endpoint is set
 *	suspended	SET_STATE has suspended the device
 *	serving		started, and not stopped to the end since
 *	session		a save session, or a load session, or none
 *
 * vhost_scsi_mig_update() makes the state of them, for GET_STATE to read
 * without any lock.
 *
 * Two more things outlive a call: what was captured when the device was stopped
 * with a save session, until that is void or handed over; and a load that was
 * applied and waits for its endpoint, with the list of what is to be undone if
 * it never comes.
 *
 * Long, because an arc is best read beside what it is made of and beside the
 * other arcs: each step here relies on what the one before has left behind.
 */
#include <linux/eventfd.h>
#include <linux/random.h>
#include <linux/ratelimit.h>
#include <linux/sched/signal.h>
#include <linux/slab.h>

#include "migration.h"

/* The end of a device does not wait longer for a backend. */
#define VHOST_SCSI_END_TIME	(30 * HZ)

/**
 * vhost_scsi_mig_errno - the errno that goes with a reason
 * @reason: reason
 *
 * Return: negative errno, as the ABI has it.
 */
int vhost_scsi_mig_errno(enum vhost_scsi_mig_reason reason)
{
	switch (reason) {
	case VHOST_SCSI_MIG_OK:
		return 0;
	case VHOST_SCSI_MIG_BAD_STREAM:
	case VHOST_SCSI_MIG_BAD_VERSION:
	case VHOST_SCSI_MIG_BAD_FEATURES:
		return -EPROTO;
	case VHOST_SCSI_MIG_BAD_CHECKSUM:
		return -EBADMSG;
	case VHOST_SCSI_MIG_BAD_DEVICE:
		return -EMEDIUMTYPE;
	case VHOST_SCSI_MIG_TOO_LARGE:
		return -EFBIG;
	default:
		return reason < VHOST_SCSI_MIG_PR_PASSTHROUGH ? -EREMCHG :
								-EKEYREJECTED;
	}
}

/* What others can see */

/**
 * vhost_scsi_mig_reached - tell the orchestrator that something was reached
 * @vs: device
 *
 * Context: any.
 */
void vhost_scsi_mig_reached(struct vhost_scsi *vs)
{
	struct vhost_scsi_migration *mig = &vs->mig;
	unsigned long flags;

	spin_lock_irqsave(&mig->lock, flags);
	mig->events++;
	if (mig->eventfd)
		eventfd_signal(mig->eventfd);
	wake_up_interruptible_all(&mig->wait);
	spin_unlock_irqrestore(&mig->lock, flags);
}

/**
 * vhost_scsi_mig_update - the facts have changed
 * @vs: device
 *
 * Context: vhost_dev.mutex held.
 */
void vhost_scsi_mig_update(struct vhost_scsi *vs)
{
	struct vhost_scsi_migration *mig = &vs->mig;
	u32 state, flags = 0;

	lockdep_assert_held(&vs->dev.mutex);

	if (mig->session && !mig->session->save)
		state = VHOST_SCSI_MIG_RESUMING;
	else
		state = (mig->serving ? VHOST_SCSI_MIG_RUNNING : 0) |
			(mig->session ? VHOST_SCSI_MIG_LOGGING : 0);
	if (mig->suspended)
		flags |= VHOST_SCSI_MIG_SUSPENDED;
	if (mig->attached)
		flags |= VHOST_SCSI_MIG_ENDPOINT;
	if (mig->loaded)
		flags |= VHOST_SCSI_MIG_LOADED;

	WRITE_ONCE(mig->flags, flags);
	if (READ_ONCE(mig->state) != state) {
		WRITE_ONCE(mig->state, state);
		vhost_scsi_mig_reached(vs);
	}
}

/**
 * vhost_scsi_mig_note - note what has failed, and where
 * @vs: device
 * @error: positive errno, or 0
 * @blocker: why and where
 *
 * Context: any.
 */
void vhost_scsi_mig_note(struct vhost_scsi *vs, int error,
			 const struct vhost_scsi_mig_blocker *blocker)
{
	unsigned long flags;

	spin_lock_irqsave(&vs->mig.lock, flags);
	vs->mig.error = error;
	vs->mig.blocker = *blocker;
	spin_unlock_irqrestore(&vs->mig.lock, flags);
}

/**
 * vhost_scsi_mig_note_check - note what is thought of a load
 * @vs: device
 * @verdict: the verdict
 * @error: positive errno, or 0
 * @blocker: why and where
 * @offset: bytes that were taken in
 *
 * Context: any.
 */
void vhost_scsi_mig_note_check(struct vhost_scsi *vs,
			       enum vhost_scsi_mig_verdict verdict, int error,
			       const struct vhost_scsi_mig_blocker *blocker,
			       u64 offset)
{
	struct vhost_scsi_mig_check *check = &vs->mig.check;
	unsigned long flags;

	spin_lock_irqsave(&vs->mig.lock, flags);
	vs->mig.checkable = true;
	check->verdict = verdict;
	check->error = error;
	check->blocker = *blocker;
	check->offset = offset;
	if (error) {
		vs->mig.error = error;
		vs->mig.blocker = *blocker;
	}
	spin_unlock_irqrestore(&vs->mig.lock, flags);
}

/* A load is not there any more to be asked about. */
static void vhost_scsi_mig_forget_check(struct vhost_scsi *vs)
{
	unsigned long flags;

	spin_lock_irqsave(&vs->mig.lock, flags);
	vs->mig.checkable = false;
	spin_unlock_irqrestore(&vs->mig.lock, flags);
}

/* Sessions */

/* configfs looks for a session with vhost_scsi_tpg_lock held. */
static void vhost_scsi_mig_set_session(struct vhost_scsi *vs,
				       struct vhost_scsi_session *session)
{
	mutex_lock(&vhost_scsi_tpg_lock);
	vs->mig.session = session;
	mutex_unlock(&vhost_scsi_tpg_lock);
}

/* Let go of the targets if nothing keeps them.  Nothing is in flight. */
static void vhost_scsi_mig_release(struct vhost_scsi *vs)
{
	if (!vs->mig.attached && !vs->mig.session && !vs->mig.loaded)
		vhost_scsi_endpoint_release(vs);
}

static void vhost_scsi_mig_end_session(struct vhost_scsi *vs)
{
	struct vhost_scsi_session *session = vs->mig.session;

	if (!session)
		return;
	vhost_scsi_mig_set_session(vs, NULL);
	vhost_scsi_session_end(session);
}

static void vhost_scsi_mig_forget_captured_locked(struct vhost_scsi *vs)
{
	lockdep_assert_held(&vhost_scsi_tpg_lock);

	vs->mig.captured = false;
	vhost_scsi_buf_free(&vs->mig.captured_reservations);
	vhost_scsi_buf_free(&vs->mig.captured_attentions);
}

/* The owner's death, and whoever borrows a target, look at it. */
static void vhost_scsi_mig_forget_captured(struct vhost_scsi *vs)
{
	mutex_lock(&vhost_scsi_tpg_lock);
	vhost_scsi_mig_forget_captured_locked(vs);
	mutex_unlock(&vhost_scsi_tpg_lock);
}

/*
 * Commands in the guest's name follow: should the owner die meanwhile, its
 * targets are not given to another guest, which the commands would then be
 * taken for.  Waits for a device that has borrowed a target to give back what
 * it took over.  Not while the guest's own requests are waited for: death frees
 * the targets then.
 */
static int vhost_scsi_mig_hold(struct vhost_scsi *vs)
{
	for (;;) {
		int r = 0;

		mutex_lock(&vhost_scsi_tpg_lock);
		if (vs->dead)
			r = -EOWNERDEAD;
		else if (vhost_scsi_endpoint_borrowed_locked(vs))
			r = -EAGAIN;
		else
			vs->mig.held = true;
		mutex_unlock(&vhost_scsi_tpg_lock);
		if (r != -EAGAIN)
			return r;
		if (!vhost_scsi_time_left(vs->mig.end))
			return -ETIMEDOUT;
		schedule_timeout_killable(HZ / 50);
		if (fatal_signal_pending(current))
			return -EINTR;
	}
}

static void vhost_scsi_mig_unhold(struct vhost_scsi *vs)
{
	mutex_lock(&vhost_scsi_tpg_lock);
	vs->mig.held = false;
	mutex_unlock(&vhost_scsi_tpg_lock);
}

/* The claim outlives the owner until what was changed is undone. */
static int vhost_scsi_mig_set_applied(struct vhost_scsi *vs)
{
	int r = 0;

	mutex_lock(&vhost_scsi_tpg_lock);
	if (vs->dead)
		r = -EOWNERDEAD;
	else
		vs->mig.applied = true;
	mutex_unlock(&vhost_scsi_tpg_lock);
	return r;
}

static void vhost_scsi_mig_clear_applied(struct vhost_scsi *vs)
{
	mutex_lock(&vhost_scsi_tpg_lock);
	vs->mig.applied = false;
	mutex_unlock(&vhost_scsi_tpg_lock);
}

/* What cannot be undone now stays on the list. */
static int vhost_scsi_mig_undo(struct vhost_scsi *vs)
{
	int r;

	if (!vs->mig.applied)
		return 0;
	/* A call that was killed may have left commands behind. */
	r = vhost_scsi_drain(vs, vs->mig.end);
	if (!r)
		r = vhost_scsi_reservations_undo(vs, &vs->mig.undo);
	if (!r)
		vhost_scsi_mig_clear_applied(vs);
	return r;
}

static void vhost_scsi_mig_free_load(struct vhost_scsi *vs)
{
	struct vhost_scsi_load *load = vs->mig.loaded;

	if (!load)
		return;
	vs->mig.loaded = NULL;
	vhost_scsi_load_free(load);
	kfree(load);
	vhost_scsi_mig_forget_check(vs);
}

/* Undo what a load has changed, and forget it. */
static int vhost_scsi_mig_unload(struct vhost_scsi *vs)
{
	int r = vhost_scsi_mig_undo(vs);

	if (r)
		return r;
	if (vs->mig.loaded && vs->mig.handed_in)
		vhost_scsi_capture_clear(vs);
	vhost_scsi_mig_free_load(vs);
	return 0;
}

/* What a load has changed is there to stay. */
static void vhost_scsi_mig_keep(struct vhost_scsi *vs)
{
	vhost_scsi_reservations_forget(&vs->mig.undo);
	vhost_scsi_mig_clear_applied(vs);
	vhost_scsi_mig_free_load(vs);
}

/* The final state, in a stopped state. */
static int vhost_scsi_mig_capture(struct vhost_scsi *vs)
{
	struct vhost_scsi_session *session = vs->mig.session;
	int r;

	if (vs->mig.loaded && !vs->mig.handed_in) {
		vhost_scsi_capture_hand_in(vs, vs->mig.loaded);
		vs->mig.handed_in = true;
	}
	/*
	 * Whatever of it succeeds is known and can be put back.  configfs adds
	 * no inventory to a stream that is being completed.
	 */
	mutex_lock(&vhost_scsi_tpg_lock);
	vs->mig.captured = true;
	mutex_unlock(&vhost_scsi_tpg_lock);
	r = vhost_scsi_mig_hold(vs);
	if (!r) {
		r = vhost_scsi_capture_final(vs, session);
		vhost_scsi_mig_unhold(vs);
	}
	if (r)
		vhost_scsi_session_fail(session, r);
	return r;
}

/* The guest goes on here: what was captured is put back.  Held. */
static int vhost_scsi_mig_restore(struct vhost_scsi *vs)
{
	struct vhost_scsi_mig_blocker blocker = {};
	int r;

	if (!vs->mig.captured)
		return 0;
	/* A call that was killed may have left commands behind. */
	r = vhost_scsi_drain(vs, vs->mig.end);
	if (r)
		return r;
	r = vhost_scsi_reservations_restore(vs, &vs->mig.captured_reservations,
					    &vs->mig.captured_attentions,
					    &blocker);
	if (r)
		vhost_scsi_mig_note(vs, -r, &blocker);
	return r;
}

/* The session goes on with a device that runs. */
static void vhost_scsi_mig_void(struct vhost_scsi *vs)
{
	if (!vs->mig.captured)
		return;
	/* configfs adds an inventory before all of it, or after. */
	mutex_lock(&vhost_scsi_tpg_lock);
	vhost_scsi_mig_forget_captured_locked(vs);
	/* Should that fail for want of memory, reading does, too. */
	if (!vhost_scsi_session_void(vs->mig.session))
		vhost_scsi_capture_first(vs, vs->mig.session);
	mutex_unlock(&vhost_scsi_tpg_lock);
}

/* What was loaded becomes what the guest has. */
static int vhost_scsi_mig_apply(struct vhost_scsi *vs)
{
	struct vhost_scsi_session *session = vs->mig.session;
	struct vhost_scsi_mig_blocker blocker = {};
	int r;

	r = vhost_scsi_session_accepted(session);
	/* A call that was killed may have begun it. */
	if (!r)
		r = vhost_scsi_mig_undo(vs);
	if (!r)
		r = vhost_scsi_mig_set_applied(vs);
	if (r)
		return r;

	/* LUNs may have changed since the inventory was read. */
	r = vhost_scsi_mig_errno(vhost_scsi_inventory_check(vs, session->load,
							    &blocker));
	if (!r) {
		/* Whatever happens from here on is this guest's. */
		vhost_scsi_capture_clear(vs);
		r = vhost_scsi_reservations_apply(vs, session->load,
						  &vs->mig.undo, &blocker);
	}
	vhost_scsi_mig_note_check(vs, blocker.reason ?
				      VHOST_SCSI_MIG_REFUSED :
				      VHOST_SCSI_MIG_ACCEPTED,
				  blocker.reason ? -r : 0, &blocker,
				  session->load->bytes);
	/* Killed or late: what was done stays on the list, for the next call. */
	if (r == -EINTR || r == -ETIMEDOUT)
		return r;
	if (r) {
		vhost_scsi_mig_undo(vs);
		return r;
	}

	vs->mig.loaded = session->load;
	vs->mig.handed_in = false;
	session->load = NULL;
	vhost_scsi_mig_end_session(vs);
	return 0;
}

/* Is what was loaded what starts here? */
static int vhost_scsi_mig_verify(struct vhost_scsi *vs)
{
	int r;

	if (!vs->mig.loaded)
		return 0;
	r = vhost_scsi_capture_check_rings(vs, vs->mig.loaded);
	return r ?: vhost_scsi_reservations_verify(vs, &vs->mig.undo);
}

/* Everything that can fail has succeeded: the guest lives here. */
static void vhost_scsi_mig_settle(struct vhost_scsi *vs)
{
	if (vs->mig.loaded && !vs->mig.handed_in)
		vhost_scsi_capture_hand_in(vs, vs->mig.loaded);
	vhost_scsi_mig_keep(vs);
}

/* Arcs */

static int vhost_scsi_go_suspend(struct vhost_scsi *vs,
				 const struct vhost_scsi_wish *wish)
{
	int r = vhost_scsi_stop(vs, !(wish->flags & VHOST_SCSI_MIG_NO_FLUSH),
				wish->end);

	if (r)
		return r;
	vs->mig.suspended = true;
	return vs->mig.session ? vhost_scsi_mig_capture(vs) : 0;
}

static int vhost_scsi_go_save(struct vhost_scsi *vs,
			      const struct vhost_scsi_wish *wish)
{
	struct vhost_scsi_session *session;
	int r = 0;

	/* A guest that is paused has no endpoint, but it had one. */
	if (!vs->ep && vs->mig.wwpn[0])
		r = vhost_scsi_endpoint_claim(vs, vs->mig.wwpn);
	if (r)
		return r;
	session = vhost_scsi_session_open(vs, true);
	if (!session) {
		vhost_scsi_mig_release(vs);
		return -ENOMEM;
	}
	r = vhost_scsi_capture_first(vs, session);
	vhost_scsi_mig_set_session(vs, session);
	/* A LUN may have come while configfs did not know of the session. */
	mutex_lock(&vhost_scsi_tpg_lock);
	if (!r)
		r = vhost_scsi_capture_inventory(vs, session);
	mutex_unlock(&vhost_scsi_tpg_lock);
	if (r) {
		vhost_scsi_mig_end_session(vs);
		vhost_scsi_mig_release(vs);
		return r;
	}
	/* If that fails, the state is LOGGING all the same; see the ABI. */
	return vs->mig.serving ? 0 : vhost_scsi_mig_capture(vs);
}

static int vhost_scsi_go_run(struct vhost_scsi *vs,
			     const struct vhost_scsi_wish *wish)
{
	int r;

	if (!vs->mig.attached) {
		if (!vs->mig.suspended)
			return -ENOTCONN;
		vs->mig.suspended = false;
		return 0;
	}
	r = vhost_scsi_mig_verify(vs);
	if (!r)
		r = vhost_scsi_check_rings(vs);
	if (r)
		return r;
	vhost_scsi_mig_settle(vs);
	vs->mig.suspended = false;
	vhost_scsi_resume(vs);
	return 0;
}

/* From RUNNING|LOGGING. */
static int vhost_scsi_go_drop(struct vhost_scsi *vs,
			      const struct vhost_scsi_wish *wish)
{
	vhost_scsi_mig_end_session(vs);
	return 0;
}

/* From LOGGING to RUNNING or RUNNING|LOGGING. */
static int vhost_scsi_go_on(struct vhost_scsi *vs, bool keep)
{
	int r = 0;

	if (keep && !vs->mig.attached)
		return -ENOTCONN;
	if (vs->mig.attached)
		r = vhost_scsi_mig_verify(vs) ?: vhost_scsi_check_rings(vs);
	if (!r)
		r = vhost_scsi_mig_hold(vs);
	if (r)
		return r;
	r = vhost_scsi_mig_restore(vs);
	if (r)
		goto out;
	if (vs->mig.attached)
		vhost_scsi_mig_settle(vs);
	if (keep) {
		vhost_scsi_mig_void(vs);
	} else {
		vhost_scsi_mig_end_session(vs);
		vhost_scsi_mig_forget_captured(vs);
		vhost_scsi_mig_release(vs);
	}
	vs->mig.suspended = false;
	if (vs->mig.attached)
		vhost_scsi_resume(vs);
out:
	vhost_scsi_mig_unhold(vs);
	return r;
}

static int vhost_scsi_go_back(struct vhost_scsi *vs,
			      const struct vhost_scsi_wish *wish)
{
	return vhost_scsi_go_on(vs, false);
}

static int vhost_scsi_go_back_logging(struct vhost_scsi *vs,
				      const struct vhost_scsi_wish *wish)
{
	return vhost_scsi_go_on(vs, true);
}

/* From LOGGING to STOP: the hand-over, unless it is dropped. */
static int vhost_scsi_go_leave(struct vhost_scsi *vs,
			       const struct vhost_scsi_wish *wish)
{
	int r;

	r = vhost_scsi_mig_hold(vs);
	if (r)
		return r;
	if (!(wish->flags & VHOST_SCSI_MIG_DROP) &&
	    vhost_scsi_session_read_out(vs->mig.session)) {
		vhost_scsi_reservations_leave(vs, &vs->mig.captured_reservations,
					      true);
		vhost_scsi_capture_clear(vs);
		vhost_scsi_mig_keep(vs);
	} else {
		r = vhost_scsi_mig_restore(vs);
	}
	if (!r) {
		vhost_scsi_mig_end_session(vs);
		vhost_scsi_mig_forget_captured(vs);
		vhost_scsi_mig_release(vs);
	}
	vhost_scsi_mig_unhold(vs);
	return r;
}

static int vhost_scsi_go_load(struct vhost_scsi *vs,
			      const struct vhost_scsi_wish *wish)
{
	static const struct vhost_scsi_mig_blocker none;
	struct vhost_scsi_session *session;
	int r;

	r = vhost_scsi_mig_unload(vs);
	if (r)
		return r;
	vhost_scsi_mig_release(vs);
	session = vhost_scsi_session_open(vs, false);
	if (!session)
		return -ENOMEM;
	vhost_scsi_mig_set_session(vs, session);
	vhost_scsi_mig_note_check(vs, VHOST_SCSI_MIG_INCOMPLETE, 0, &none, 0);
	return 0;
}

/* From RESUMING to STOP. */
static int vhost_scsi_go_apply(struct vhost_scsi *vs,
			       const struct vhost_scsi_wish *wish)
{
	int r;

	if (!(wish->flags & VHOST_SCSI_MIG_DROP))
		return vhost_scsi_mig_apply(vs);
	r = vhost_scsi_mig_undo(vs);
	if (r)
		return r;
	vhost_scsi_mig_end_session(vs);
	vhost_scsi_mig_forget_check(vs);
	vhost_scsi_mig_release(vs);
	return 0;
}

static int vhost_scsi_go_apply_run(struct vhost_scsi *vs,
				   const struct vhost_scsi_wish *wish)
{
	int r;

	if (!vs->mig.attached)
		return -ENOTCONN;
	r = vhost_scsi_mig_apply(vs);
	return r ?: vhost_scsi_go_run(vs, wish);
}

#define RUN VHOST_SCSI_MIG_RUNNING
#define LOG VHOST_SCSI_MIG_LOGGING

static const struct vhost_scsi_arc {
	u32 from;
	u32 to;
	int (*go)(struct vhost_scsi *vs, const struct vhost_scsi_wish *wish);
} vhost_scsi_arcs[] = {
	{ RUN, VHOST_SCSI_MIG_STOP, vhost_scsi_go_suspend },
	{ RUN, RUN | LOG, vhost_scsi_go_save },
	{ RUN | LOG, LOG, vhost_scsi_go_suspend },
	{ RUN | LOG, RUN, vhost_scsi_go_drop },
	{ LOG, RUN, vhost_scsi_go_back },
	{ LOG, RUN | LOG, vhost_scsi_go_back_logging },
	{ LOG, VHOST_SCSI_MIG_STOP, vhost_scsi_go_leave },
	{ VHOST_SCSI_MIG_STOP, RUN, vhost_scsi_go_run },
	{ VHOST_SCSI_MIG_STOP, LOG, vhost_scsi_go_save },
	{ VHOST_SCSI_MIG_STOP, VHOST_SCSI_MIG_RESUMING, vhost_scsi_go_load },
	{ VHOST_SCSI_MIG_RESUMING, VHOST_SCSI_MIG_STOP, vhost_scsi_go_apply },
	{ VHOST_SCSI_MIG_RESUMING, RUN, vhost_scsi_go_apply_run },
};

#undef RUN
#undef LOG

/**
 * vhost_scsi_mig_go - go to another state
 * @vs: device
 * @to: state bits
 * @wish: what else was asked for
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 * Return: 0 or an error of VHOST_SCSI_MIG_SET_STATE.
 */
int vhost_scsi_mig_go(struct vhost_scsi *vs, u32 to,
		      const struct vhost_scsi_wish *wish)
{
	u32 from = vs->mig.state;
	int r = -EINVAL;
	size_t i;

	if (to & VHOST_SCSI_MIG_RUNNING && vs->mig.clearing)
		return -EBUSY;
	vs->mig.end = wish->end;
	if (to == from) {
		r = 0;
		if (to == VHOST_SCSI_MIG_STOP &&
		    wish->flags & VHOST_SCSI_MIG_DROP) {
			r = vhost_scsi_mig_unload(vs);
			if (!r)
				vhost_scsi_mig_release(vs);
		}
	}
	for (i = 0; i < ARRAY_SIZE(vhost_scsi_arcs); i++)
		if (vhost_scsi_arcs[i].from == from &&
		    vhost_scsi_arcs[i].to == to)
			r = vhost_scsi_arcs[i].go(vs, wish);
	/* A drain that was given up on, and is given up. */
	if (!r && vs->mig.draining && to & VHOST_SCSI_MIG_RUNNING)
		vhost_scsi_resume(vs);
	return r;
}

/**
 * vhost_scsi_mig_attach - VHOST_SCSI_SET_ENDPOINT
 * @vs: device, owned by the caller
 * @wwpn: target port
 *
 * Context: vhost_dev.mutex held.
 * Return: 0, or an error of vhost_scsi_start() or of the ABI header.
 */
int vhost_scsi_mig_attach(struct vhost_scsi *vs, const char *wwpn)
{
	struct vhost_scsi_session *session = vs->mig.session;
	bool claimed = vs->ep;
	int r = 0;

	lockdep_assert_held(&vs->dev.mutex);

	if (vs->mig.attached)
		return -EEXIST;
	if (vs->ep && !vhost_scsi_endpoint_named(vs, wwpn))
		return -EXDEV;
	vs->mig.end = 0;
	if (session && !session->save)
		r = vhost_scsi_mig_apply(vs);
	if (!r)
		r = vhost_scsi_mig_verify(vs);
	if (!r)
		r = vhost_scsi_start(vs, wwpn);
	if (r)
		goto out;
	r = vhost_scsi_mig_hold(vs);
	if (!r) {
		r = vhost_scsi_mig_restore(vs);
		if (r)
			vhost_scsi_mig_unhold(vs);
	}
	if (r) {
		vhost_scsi_detach(vs);
		if (!claimed)
			vhost_scsi_mig_release(vs);
		goto out;
	}

	vs->mig.attached = true;
	strscpy(vs->mig.wwpn, wwpn, sizeof(vs->mig.wwpn));
	vhost_scsi_mig_settle(vs);
	vhost_scsi_mig_void(vs);
	if (!vs->mig.suspended)
		vhost_scsi_resume(vs);
	vhost_scsi_mig_unhold(vs);
	if (vs->mig.suspended && vs->mig.session)
		vhost_scsi_mig_capture(vs);
out:
	vhost_scsi_mig_update(vs);
	return r;
}

/**
 * vhost_scsi_mig_detach - the stop of VHOST_SCSI_CLEAR_ENDPOINT
 * @vs: device with an endpoint
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 * Return: 0; -EINTR if the caller was killed, and the device is stopping.
 */
int vhost_scsi_mig_detach(struct vhost_scsi *vs)
{
	int r;

	lockdep_assert_held(&vs->dev.mutex);

	/* From here on nobody can ask for RUNNING (G6). */
	WRITE_ONCE(vs->mig.clearing, true);
	vs->mig.end = 0;
	r = vhost_scsi_stop(vs, true, 0);
	if (r)
		return r;
	/* G6: without a final state, reading it fails, not this. */
	if (vs->mig.session && vs->mig.session->save && !vs->mig.captured)
		vhost_scsi_mig_capture(vs);
	vhost_scsi_detach(vs);
	vs->mig.attached = false;
	WRITE_ONCE(vs->mig.clearing, false);
	vhost_scsi_mig_release(vs);
	vhost_scsi_mig_update(vs);
	return 0;
}

/**
 * vhost_scsi_mig_end - the device is gone, or nearly so
 * @vs: dead device with nothing in flight
 *
 * A load that never got its endpoint is undone.
 *
 * Context: reaper, vhost_dev.mutex held.
 */
void vhost_scsi_mig_end(struct vhost_scsi *vs)
{
	struct vhost_scsi_session *session = vs->mig.session;

	vs->mig.end = jiffies + VHOST_SCSI_END_TIME;
	/* The state was read: if the guest lives on elsewhere, it has left. */
	if (vs->mig.captured && session &&
	    vhost_scsi_session_read_out(session))
		vhost_scsi_reservations_leave(vs, &vs->mig.captured_reservations,
					      false);
	vhost_scsi_mig_end_session(vs);
	if (vhost_scsi_mig_undo(vs))
		pr_warn_ratelimited("vhost_scsi: device %u: reservations of a load that was never started remain\n",
				    vs->id);
	vhost_scsi_mig_keep(vs);
	vhost_scsi_mig_forget_captured(vs);
	vs->mig.attached = false;
	vs->mig.serving = false;
	vs->mig.suspended = false;
	WRITE_ONCE(vs->mig.draining, false);
	vhost_scsi_mig_update(vs);
}

/**
 * vhost_scsi_mig_lun_changed - a logical unit has come or will go
 * @vs: device that has claimed its target
 *
 * Context: configfs, vhost_scsi_tpg_lock held.  Waits for no guest, and for no
 * reader of the session.
 */
void vhost_scsi_mig_lun_changed(struct vhost_scsi *vs)
{
	lockdep_assert_held(&vhost_scsi_tpg_lock);

	if (vs->mig.session && vs->mig.session->save && !vs->dead &&
	    !vs->mig.captured)
		vhost_scsi_capture_inventory(vs, vs->mig.session);
}

/**
 * vhost_scsi_mig_init - prepare a new device
 * @vs: device
 */
void vhost_scsi_mig_init(struct vhost_scsi *vs)
{
	spin_lock_init(&vs->mig.lock);
	init_waitqueue_head(&vs->mig.wait);
	INIT_LIST_HEAD(&vs->mig.undo);
}

/**
 * vhost_scsi_mig_exit - the structure of a device is freed
 * @vs: device that was reaped
 */
void vhost_scsi_mig_exit(struct vhost_scsi *vs)
{
	if (vs->mig.eventfd)
		eventfd_ctx_put(vs->mig.eventfd);
}

/**
 * vhost_scsi_mig_setup - the module is loaded
 */
void vhost_scsi_mig_setup(void)
{
	get_random_bytes(vhost_scsi_host_name, sizeof(vhost_scsi_host_name));
}
