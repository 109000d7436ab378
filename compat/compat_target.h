/* SPDX-License-Identifier: GPL-2.0 */
/* To be included after target/target_core_base.h; see compat.h. */
#ifndef COMPAT_TARGET_H
#define COMPAT_TARGET_H

/*
 * 7.2 completes a command in place.  6.12 queues a work item for that, in the
 * command, whose owner may take it back: what the backend was done with when
 * it was submitted needs no other thread.
 *
 * cancel_work() must not meet an INIT_WORK().  LIO calls that when a backend is
 * done, so not after the item was seen pending; but for a command with a
 * callback, which goes to the backend again from the item itself.
 */
static inline void compat_target_complete(struct se_cmd *cmd)
{
#ifndef COMPAT_HAVE_TARGET_COMPL_TYPE
	if (work_pending(&cmd->work) &&
	    !READ_ONCE(cmd->transport_complete_callback) &&
	    cancel_work(&cmd->work))
		cmd->work.func(&cmd->work);
#endif
}

#endif /* COMPAT_TARGET_H */
