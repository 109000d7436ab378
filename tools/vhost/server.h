/* SPDX-License-Identifier: GPL-2.0 */
/*
 * What `run` serves on its sockets. A request is {"do": VERB, ...}, its reply an
 * object, with an "error" and a "status" (enum ctl_status) if it failed. See
 * server.c for the verbs.
 */
#ifndef CTL_SERVER_H
#define CTL_SERVER_H

#include <stdatomic.h>
#include "device.h"
#include "qmp.h"

struct server {
	struct device dev;
	struct qmp *qmp;
	const char *control;	/* path of its socket */
	char id[64];		/* of this server, and no other one */
	atomic_int connections;
	atomic_int busy;	/* requests that are not answered yet */
	atomic_flag migrating;	/* from here: one at a time */
};

/* Serves one connection in a thread of its own; takes @fd over. */
void server_connection(struct server *server, int fd, bool remote);

#endif
