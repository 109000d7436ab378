/* SPDX-License-Identifier: GPL-2.0 */
/* The hand-over of a guest, as the `run` that has it carries it out. */
#ifndef CTL_MIGRATE_H
#define CTL_MIGRATE_H

#include "channel.h"
#include "server.h"

/*
 * Migrates the guest to the `run` at @destination. Each step is told to @client,
 * which can cancel at any time. If it is @interactive, it has to say whether to
 * take the step; if not, one that is stopped itself stops no guest. 0 and the
 * reply's text in @done if the guest runs there.
 */
int migrate(struct server *source, struct channel *client,
	    const char *destination, bool interactive, char *done,
	    size_t size, struct failure *f);
/* Has the guest go on here, whatever became of a migration. */
int migrate_roll_back(struct server *source, bool guest_ran, struct failure *f);

#endif
