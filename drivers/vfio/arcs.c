// SPDX-License-Identifier: GPL-2.0
/*
 * The state machine
 *
 * One for both ABIs, in the states of version 2.  A state is two facts: how far
 * the device runs, and what is open besides.
 *
 *	state		runs		open		device_state of version 1
 *	RUNNING		fully		nothing		1
 *	RUNNING_P2P	without P2P	nothing		1 (never left there)
 *	STOP		not		nothing		0
 *	PRE_COPY	fully		a session	3
 *	PRE_COPY_P2P	without P2P	a session	3 (never left there)
 *	STOP_COPY	not		a session	2
 *	RESUMING	not		a load		4
 *	ERROR		unknown		nothing		6
 *
 * An arc changes one of the two facts by one step.  These are legal:
 *
 *	RUNNING		RUNNING_P2P	QUIESCE
 *	RUNNING_P2P	RUNNING		UNQUIESCE
 *	RUNNING_P2P	STOP		STOP
 *	STOP		RUNNING_P2P	START
 *	RUNNING		PRE_COPY	SAVE		begins a session
 *	RUNNING_P2P	PRE_COPY_P2P	SAVE
 *	STOP		STOP_COPY	SAVE
 *	PRE_COPY	RUNNING		END		ends it
 *	PRE_COPY_P2P	RUNNING_P2P	END
 *	STOP_COPY	STOP		END
 *	PRE_COPY	PRE_COPY_P2P	QUIESCE		it goes on
 *	PRE_COPY_P2P	PRE_COPY	UNQUIESCE
 *	PRE_COPY_P2P	STOP_COPY	STOP
 *	STOP		RESUMING	LOAD		begins a load
 *	RESUMING	STOP		COMPLETE	completes it
 *
 * and for a driver that does not know P2P:
 *
 *	RUNNING		STOP		STOP
 *	STOP		RUNNING		START
 *	PRE_COPY	STOP_COPY	STOP
 *
 * A request for a state further away is a walk: first what is open and does not
 * stay open is closed, then the device is brought, step by step, to run as far
 * as it shall, then what shall be open is opened.  A session cannot follow a
 * device that starts again from STOP_COPY, its final state being sent already:
 * STOP_COPY to PRE_COPY and PRE_COPY_P2P are refused.  That is the walk of
 * vfio_mig_get_next_state() too, which however knows nothing of a PRE_COPY that
 * only version 1 can request.
 *
 * A walk that fails goes back to where it came from, as long as that only takes
 * UNQUIESCE and START, which cannot fail: a state change that was killed leaves
 * the old state (V6).  A session that was ended on the way stays ended.  A load
 * that cannot be completed stays open, for a reset to end.
 */
#include <linux/array_size.h>
#include <linux/bug.h>

#include "migration.h"
#include "trace.h"

static const struct {
	u8 level;
	u8 mode;
} traits[] = {
	[VFIO_DEVICE_STATE_ERROR] = {
		VFIO_MIGRATION_STOPPED, VFIO_MIGRATION_FAILED },
	[VFIO_DEVICE_STATE_STOP] = {
		VFIO_MIGRATION_STOPPED, VFIO_MIGRATION_IDLE },
	[VFIO_DEVICE_STATE_RUNNING] = {
		VFIO_MIGRATION_RUNS, VFIO_MIGRATION_IDLE },
	[VFIO_DEVICE_STATE_STOP_COPY] = {
		VFIO_MIGRATION_STOPPED, VFIO_MIGRATION_SAVES },
	[VFIO_DEVICE_STATE_RESUMING] = {
		VFIO_MIGRATION_STOPPED, VFIO_MIGRATION_LOADS },
	[VFIO_DEVICE_STATE_RUNNING_P2P] = {
		VFIO_MIGRATION_NO_P2P, VFIO_MIGRATION_IDLE },
	[VFIO_DEVICE_STATE_PRE_COPY] = {
		VFIO_MIGRATION_RUNS, VFIO_MIGRATION_SAVES },
	[VFIO_DEVICE_STATE_PRE_COPY_P2P] = {
		VFIO_MIGRATION_NO_P2P, VFIO_MIGRATION_SAVES },
};

static_assert(ARRAY_SIZE(traits) == VFIO_DEVICE_STATE_NR);

enum vfio_migration_arc {
	ARC_NONE,
	ARC_QUIESCE,
	ARC_UNQUIESCE,
	ARC_STOP,
	ARC_START,
	ARC_SAVE,
	ARC_END,
	ARC_LOAD,
	ARC_COMPLETE,
};

static const u8 arcs[VFIO_DEVICE_STATE_NR][VFIO_DEVICE_STATE_NR] = {
	[VFIO_DEVICE_STATE_RUNNING] = {
		[VFIO_DEVICE_STATE_RUNNING_P2P] = ARC_QUIESCE,
		[VFIO_DEVICE_STATE_STOP] = ARC_STOP,
		[VFIO_DEVICE_STATE_PRE_COPY] = ARC_SAVE,
	},
	[VFIO_DEVICE_STATE_RUNNING_P2P] = {
		[VFIO_DEVICE_STATE_RUNNING] = ARC_UNQUIESCE,
		[VFIO_DEVICE_STATE_STOP] = ARC_STOP,
		[VFIO_DEVICE_STATE_PRE_COPY_P2P] = ARC_SAVE,
	},
	[VFIO_DEVICE_STATE_STOP] = {
		[VFIO_DEVICE_STATE_RUNNING] = ARC_START,
		[VFIO_DEVICE_STATE_RUNNING_P2P] = ARC_START,
		[VFIO_DEVICE_STATE_STOP_COPY] = ARC_SAVE,
		[VFIO_DEVICE_STATE_RESUMING] = ARC_LOAD,
	},
	[VFIO_DEVICE_STATE_PRE_COPY] = {
		[VFIO_DEVICE_STATE_RUNNING] = ARC_END,
		[VFIO_DEVICE_STATE_PRE_COPY_P2P] = ARC_QUIESCE,
		[VFIO_DEVICE_STATE_STOP_COPY] = ARC_STOP,
	},
	[VFIO_DEVICE_STATE_PRE_COPY_P2P] = {
		[VFIO_DEVICE_STATE_RUNNING_P2P] = ARC_END,
		[VFIO_DEVICE_STATE_PRE_COPY] = ARC_UNQUIESCE,
		[VFIO_DEVICE_STATE_STOP_COPY] = ARC_STOP,
	},
	[VFIO_DEVICE_STATE_STOP_COPY] = {
		[VFIO_DEVICE_STATE_STOP] = ARC_END,
	},
	[VFIO_DEVICE_STATE_RESUMING] = {
		[VFIO_DEVICE_STATE_STOP] = ARC_COMPLETE,
	},
};

enum vfio_migration_level vfio_migration_level(enum vfio_device_mig_state state)
{
	return traits[state].level;
}

enum vfio_migration_mode vfio_migration_mode(enum vfio_device_mig_state state)
{
	return traits[state].mode;
}

/* Does the walk end with the beginning of a session or load? */
bool vfio_migration_begins(enum vfio_device_mig_state from,
			   enum vfio_device_mig_state to)
{
	switch (vfio_migration_mode(to)) {
	case VFIO_MIGRATION_SAVES:
		return vfio_migration_mode(from) != VFIO_MIGRATION_SAVES;
	case VFIO_MIGRATION_LOADS:
		return vfio_migration_mode(from) != VFIO_MIGRATION_LOADS;
	default:
		return false;
	}
}

/* The state with these two facts; ERROR if there is none. */
static enum vfio_device_mig_state state_with(unsigned int level,
					     unsigned int mode)
{
	unsigned int state;

	for (state = 0; state < ARRAY_SIZE(traits); state++)
		if (traits[state].level == level && traits[state].mode == mode)
			return state;
	return VFIO_DEVICE_STATE_ERROR;
}

/* The next state of the walk from @from to @to, another one; ERROR if none. */
static enum vfio_device_mig_state
next_state(const struct vfio_migration *mig, enum vfio_device_mig_state from,
	   enum vfio_device_mig_state to)
{
	unsigned int level = vfio_migration_level(from);
	unsigned int mode = vfio_migration_mode(from);
	unsigned int step = mig->driver->quiesce ? 1 : 2;

	if (mode == VFIO_MIGRATION_FAILED || to == VFIO_DEVICE_STATE_ERROR)
		return VFIO_DEVICE_STATE_ERROR;
	if (mode != VFIO_MIGRATION_IDLE && mode != vfio_migration_mode(to))
		return state_with(level, VFIO_MIGRATION_IDLE);
	if (from == VFIO_DEVICE_STATE_STOP_COPY)
		return VFIO_DEVICE_STATE_ERROR;
	if (level < vfio_migration_level(to))
		return state_with(level + step, mode);
	if (level > vfio_migration_level(to))
		return state_with(level - step, mode);
	return to;
}

static int take_arc(struct vfio_migration *mig, enum vfio_migration_abi abi,
		    enum vfio_device_mig_state to)
{
	const struct vfio_migration_driver *driver = mig->driver;
	int ret = 0;

	switch (arcs[mig->state][to]) {
	case ARC_QUIESCE:
		ret = driver->quiesce(mig);
		break;
	case ARC_UNQUIESCE:
		driver->unquiesce(mig);
		break;
	case ARC_STOP:
		ret = driver->stop(mig);
		if (!ret && vfio_migration_mode(to) == VFIO_MIGRATION_SAVES)
			vfio_migration_stopped_locked(mig);
		break;
	case ARC_START:
		driver->start(mig);
		break;
	case ARC_SAVE:
		ret = vfio_migration_save_begin_locked(mig, abi, to);
		break;
	case ARC_END:
		vfio_migration_end_locked(mig);
		break;
	case ARC_LOAD:
		ret = vfio_migration_load_begin_locked(mig, abi);
		break;
	case ARC_COMPLETE:
		ret = vfio_migration_load_complete_locked(mig);
		break;
	default:
		WARN_ONCE(1, "vfio_migration: no arc from %d to %d",
			  mig->state, to);
		vfio_migration_end_locked(mig);
		mig->state = VFIO_DEVICE_STATE_ERROR;
		return -EIO;
	}
	trace_vfio_migration_arc(mig, to, ret);
	if (!ret)
		mig->state = to;
	return ret;
}

/* After a failure: back to @from, with arcs that cannot fail. */
static void walk_back(struct vfio_migration *mig, enum vfio_migration_abi abi,
		      enum vfio_device_mig_state from)
{
	while (mig->state != from) {
		enum vfio_device_mig_state to = next_state(mig, mig->state, from);
		unsigned int arc = arcs[mig->state][to];

		if (arc != ARC_UNQUIESCE && arc != ARC_START)
			return;
		take_arc(mig, abi, to);
	}
}

/**
 * vfio_migration_change_locked() - walk to another state
 * @mig: the migration.
 * @abi: who asks.
 * @to: a state that this ABI knows and the driver supports, not ERROR.
 *
 * Context: holds the migration lock; can wait for the device, killably.
 * Return: 0; -EBUSY if the other ABI has a session or load open; -EINVAL if
 * there is no way; or why an arc failed.
 */
int vfio_migration_change_locked(struct vfio_migration *mig,
				 enum vfio_migration_abi abi,
				 enum vfio_device_mig_state to)
{
	const enum vfio_device_mig_state from = mig->state;
	int ret = 0;

	lockdep_assert_held(&mig->gate->lock);
	if (mig->abi != VFIO_MIGRATION_ABI_NONE && mig->abi != abi)
		return -EBUSY;
	if (from == VFIO_DEVICE_STATE_ERROR)
		return -EINVAL;
	while (mig->state != to && !ret) {
		enum vfio_device_mig_state next = next_state(mig, mig->state, to);

		/* Only the first step can find that there is no way. */
		if (next == VFIO_DEVICE_STATE_ERROR)
			return -EINVAL;
		ret = take_arc(mig, abi, next);
	}
	if (ret)
		walk_back(mig, abi, from);
	wake_up_all(&mig->gate->wait);
	return ret;
}
