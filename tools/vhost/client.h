/* SPDX-License-Identifier: GPL-2.0 */
/* The subcommands that ask a `run` for something. */
#ifndef CTL_CLIENT_H
#define CTL_CLIENT_H

#include <stdbool.h>
#include <stdint.h>
#include "failure.h"

struct client_options {
	const char *control;	/* address of the `run` */
	bool json, watch, no_flush, inventory, check, cache_dropped, interactive;
	uint64_t timeout_ms;
};

int client_info(const struct client_options *o, struct failure *f);
int client_state(const struct client_options *o, struct failure *f);
/* "suspend", "resume", "commit", "drop", "rollback" */
int client_change(const struct client_options *o, const char *verb,
		  struct failure *f);
int client_save(const struct client_options *o, const char *file,
		struct failure *f);
int client_load(const struct client_options *o, const char *file,
		struct failure *f);
int client_migrate(const struct client_options *o, const char *destination,
		   struct failure *f);

#endif
