/* SPDX-License-Identifier: GPL-2.0 */
/* QEMU's machine protocol, over a socket that QEMU was started with. */
#ifndef CTL_QMP_H
#define CTL_QMP_H

#include <json-c/json.h>
#include <stdbool.h>
#include "failure.h"

struct qmp;

/* Takes @fd over. One for the life of the process: it is never freed. */
struct qmp *qmp_new(int fd, struct failure *f);
/*
 * Executes a command; @arguments are put, NULL for none. *result, if wanted, is
 * what it returned. Any thread may.
 */
int qmp_command(struct qmp *qmp, const char *name, json_object *arguments,
		json_object **result, struct failure *f);
/* Is QEMU gone? */
bool qmp_gone(struct qmp *qmp);
/* What `query-status` or `query-migrate` says, "gone" if nothing does. */
void qmp_status(struct qmp *qmp, const char *query, char *status, size_t size);

#endif
