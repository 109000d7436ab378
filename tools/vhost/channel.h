/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Messages on a socket: one line of JSON each, and, if it has a number "bytes",
 * as many bytes of a stream behind it.
 */
#ifndef CTL_CHANNEL_H
#define CTL_CHANNEL_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "failure.h"

struct channel {
	int fd;
	char *line;		/* what came and was not used yet */
	size_t used, room;
};

/* The message is put, whatever comes of it. @bytes may be NULL. */
int channel_send(struct channel *c, json_object *message, const void *bytes,
		 size_t size, struct failure *f);
/*
 * The next message; waits up to @seconds, without an end if negative. *bytes is
 * what came with it, the caller's to free; without @bytes nothing may come.
 */
json_object *channel_receive(struct channel *c, int seconds, uint8_t **bytes,
			     size_t *size, struct failure *f);
/* Is there something to receive, if it is only the end? */
bool channel_ready(struct channel *c);
/* Sends a request and receives its reply; one that has an "error" fails. */
json_object *channel_ask(struct channel *c, json_object *request,
			 const void *bytes, size_t size, struct failure *f);
void channel_close(struct channel *c);

/* What is not there is "", 0 or false. */
const char *message_text(json_object *message, const char *key);
uint64_t message_number(json_object *message, const char *key);
bool message_is(json_object *message, const char *key);
json_object *message_new(const char *verb);

#endif
