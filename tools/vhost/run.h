/* SPDX-License-Identifier: GPL-2.0 */
/* Starts QEMU with a device that stays reachable through a control socket. */
#ifndef CTL_RUN_H
#define CTL_RUN_H

#include "failure.h"

struct run_options {
	const char *control;	/* path of the control socket */
	const char *listen;	/* tcp:HOST:PORT, or NULL */
	char **command;		/* QEMU and its arguments, up to NULL */
};

/* Returns QEMU's exit status, or -1. */
int run(const struct run_options *options, struct failure *f);

#endif
