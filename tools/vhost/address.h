/* SPDX-License-Identifier: GPL-2.0 */
/* PATH, unix:PATH or tcp:HOST:PORT. */
#ifndef CTL_ADDRESS_H
#define CTL_ADDRESS_H

#include <stdbool.h>
#include <stddef.h>
#include "failure.h"

bool address_is_tcp(const char *address);
/* The path of one that is not tcp. */
const char *address_path(const char *address);
/* HOST of one that is, as it stands there: [brackets] and all. */
int address_host(const char *address, char *host, size_t size,
		 struct failure *f);
/* Both return a descriptor. */
int address_connect(const char *address, struct failure *f);
int address_listen(const char *address, struct failure *f);
/* HOST of this end of a connected socket, as address_host() gives it. */
int address_local(int fd, char *host, size_t size, struct failure *f);

#endif
