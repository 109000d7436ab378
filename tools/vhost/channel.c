// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <linux/vhost_scsi_migration.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>
#include "channel.h"

/* A reply with the blockers of some thousand LUNs fits. */
#define MAX_LINE	1048576
/* More than one stream, for a source that began anew sends both. */
#define MAX_BYTES	(2u * VHOST_SCSI_MIG_MAX_STREAM)
/* For a peer to go on with what it has begun to send. */
#define SECONDS		60
/* For a reply. A destination that applies reservations asks its storage. */
#define REPLY_SECONDS	300

static int send_all(struct channel *c, const char *data, size_t size,
		    struct failure *f)
{
	while (size) {
		ssize_t put = send(c->fd, data, size, MSG_NOSIGNAL);

		if (put < 0 && errno == EINTR)
			continue;
		if (put < 0)
			return fail_errno(f, "sending to the other side");
		data += put;
		size -= put;
	}
	return 0;
}

int channel_send(struct channel *c, json_object *message, const void *bytes,
		 size_t size, struct failure *f)
{
	const char *line;
	int status;

	if (bytes)
		json_object_object_add(message, "bytes",
				       json_object_new_uint64(size));
	line = json_object_to_json_string_ext(message, JSON_C_TO_STRING_PLAIN);
	status = send_all(c, line, strlen(line), f) || send_all(c, "\n", 1, f) ||
		 (bytes && send_all(c, bytes, size, f)) ? -1 : 0;
	json_object_put(message);
	return status;
}

/* More of what the other side sends, into @to; 0 is the end. */
static ssize_t get(struct channel *c, void *to, size_t size, int seconds,
		   struct failure *f)
{
	struct pollfd in = { .fd = c->fd, .events = POLLIN };
	ssize_t got;
	int ready;

	do {
		ready = poll(&in, 1, seconds < 0 ? -1 : seconds * 1000);
	} while (ready < 0 && errno == EINTR && seconds >= 0);
	if (ready < 0)
		return fail_errno(f, "interrupted");
	if (!ready)
		return fail(f, CTL_FAILED, "the other side has not answered in %d s",
			    seconds);
	got = recv(c->fd, to, size, 0);
	if (got < 0)
		return fail_errno(f, "receiving from the other side");
	if (!got)
		return fail(f, CTL_FAILED, "the other side is gone");
	return got;
}

static int read_bytes(struct channel *c, uint8_t *to, size_t size,
		      struct failure *f)
{
	size_t have = c->used < size ? c->used : size;

	memcpy(to, c->line, have);
	memmove(c->line, c->line + have, c->used - have);
	c->used -= have;
	while (have < size) {
		ssize_t got = get(c, to + have, size - have, SECONDS, f);

		if (got < 0)
			return -1;
		have += got;
	}
	return 0;
}

static json_object *parse_line(struct channel *c, char *end, struct failure *f)
{
	size_t length = end - c->line + 1;
	json_object *message;

	*end = 0;
	message = json_tokener_parse(c->line);
	memmove(c->line, c->line + length, c->used - length);
	c->used -= length;
	if (!json_object_is_type(message, json_type_object)) {
		json_object_put(message);
		fail(f, CTL_FAILED, "the other side does not speak this protocol");
		return NULL;
	}
	return message;
}

static json_object *read_line(struct channel *c, int seconds, struct failure *f)
{
	for (;;) {
		char *end = c->used ? memchr(c->line, '\n', c->used) : NULL;
		ssize_t got;

		if (end)
			return parse_line(c, end, f);
		if (c->used == c->room) {
			char *more;

			if (c->room >= MAX_LINE) {
				fail(f, CTL_FAILED, "the other side does not speak this protocol");
				return NULL;
			}
			more = realloc(c->line, c->room + 4096);
			if (!more) {
				fail(f, CTL_FAILED, "out of memory");
				return NULL;
			}
			c->line = more;
			c->room += 4096;
		}
		got = get(c, c->line + c->used, c->room - c->used, seconds, f);
		if (got < 0)
			return NULL;
		c->used += got;
	}
}

json_object *channel_receive(struct channel *c, int seconds, uint8_t **bytes,
			     size_t *size, struct failure *f)
{
	json_object *message = read_line(c, seconds, f);
	uint64_t count;

	if (bytes)
		*bytes = NULL;
	if (!message)
		return NULL;
	count = message_number(message, "bytes");
	if (size)
		*size = count;
	if (!count)
		return message;
	if (!bytes || count > MAX_BYTES) {
		fail(f, CTL_FAILED, "the other side sends more than it should");
	} else {
		*bytes = malloc(count);
		if (!*bytes)
			fail(f, CTL_FAILED, "out of memory");
		else if (!read_bytes(c, *bytes, count, f))
			return message;
		free(*bytes);
		*bytes = NULL;
	}
	json_object_put(message);
	return NULL;
}

bool channel_ready(struct channel *c)
{
	struct pollfd in = { .fd = c->fd, .events = POLLIN };

	return c->used || poll(&in, 1, 0) > 0;
}

json_object *channel_ask(struct channel *c, json_object *request,
			 const void *bytes, size_t size, struct failure *f)
{
	json_object *reply;
	const char *error;

	if (channel_send(c, request, bytes, size, f))
		return NULL;
	reply = channel_receive(c, REPLY_SECONDS, NULL, NULL, f);
	error = message_text(reply, "error");
	if (!reply || !*error)
		return reply;
	fail(f, message_number(reply, "status"), "%s", error);
	f->error = message_number(reply, "errno");
	json_object_put(reply);
	return NULL;
}

void channel_close(struct channel *c)
{
	if (c->fd >= 0)
		close(c->fd);
	free(c->line);
	*c = (struct channel) { .fd = -1 };
}

static json_object *member(json_object *message, const char *key)
{
	json_object *value = NULL;

	if (json_object_is_type(message, json_type_object))
		json_object_object_get_ex(message, key, &value);
	return value;
}

const char *message_text(json_object *message, const char *key)
{
	json_object *value = member(message, key);

	return json_object_is_type(value, json_type_string) ?
	       json_object_get_string(value) : "";
}

uint64_t message_number(json_object *message, const char *key)
{
	json_object *value = member(message, key);

	return json_object_is_type(value, json_type_int) ?
	       json_object_get_uint64(value) : 0;
}

bool message_is(json_object *message, const char *key)
{
	json_object *value = member(message, key);

	return json_object_is_type(value, json_type_boolean) &&
	       json_object_get_boolean(value);
}

json_object *message_new(const char *verb)
{
	json_object *message = json_object_new_object();

	json_object_object_add(message, "do", json_object_new_string(verb));
	return message;
}
