// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <inttypes.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "address.h"
#include "array.h"
#include "channel.h"
#include "client.h"
#include "file.h"

static int connect_to(const struct client_options *o, struct channel *c,
		      struct failure *f)
{
	*c = (struct channel) { .fd = address_connect(o->control, f) };
	return c->fd < 0 ? -1 : 0;
}

static void print_json(json_object *o)
{
	printf("%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_SPACED));
	fflush(stdout);
}

static void print_info(json_object *info)
{
	json_object *list = NULL;
	size_t i, count = 0;

	printf("target port  %s\n", message_text(info, "wwpn"));
	printf("ABI          version %" PRIu64 "\n",
	       message_number(info, "abi_version"));
	if (json_object_object_get_ex(info, "blockers", &list))
		count = json_object_array_length(list);
	if (!count)
		printf("migration    nothing is in the way\n");
	for (i = 0; i < count; i++)
		printf("%s%s\n", i ? "             " : "in the way   ",
		       message_text(json_object_array_get_idx(list, i), "text"));
}

static void print_state(json_object *state)
{
	static const char * const flags[] = {
		"draining", "suspended", "endpoint", "loaded",
	};
	size_t i;

	printf("%-15s inflight %" PRIu64 ", pending %" PRIu64 ", flush %s",
	       message_text(state, "state"), message_number(state, "inflight"),
	       message_number(state, "pending"), message_text(state, "flush"));
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (message_is(state, flags[i]))
			printf(", %s", flags[i]);
	if (message_number(state, "write_errors"))
		printf(", %" PRIu64 " writes given up",
		       message_number(state, "write_errors"));
	if (message_number(state, "error"))
		printf("; last error: %s", message_text(state, "text"));
	putchar('\n');
	fflush(stdout);
}

static void print(const struct client_options *o, json_object *what,
		  void (*text)(json_object *what))
{
	if (o->json)
		print_json(what);
	else
		text(what);
}

/* One request, one reply, which is printed if there is something to print. */
static int ask_once(const struct client_options *o, json_object *request,
		    void (*text)(json_object *what), struct failure *f)
{
	struct channel c;
	json_object *reply;

	if (connect_to(o, &c, f)) {
		json_object_put(request);
		return -1;
	}
	reply = channel_ask(&c, request, NULL, 0, f);
	if (reply && text)
		print(o, reply, text);
	json_object_put(reply);
	channel_close(&c);
	return reply ? 0 : -1;
}

int client_info(const struct client_options *o, struct failure *f)
{
	return ask_once(o, message_new("info"), print_info, f);
}

static int watch(const struct client_options *o, struct failure *f)
{
	struct channel c;
	json_object *state;
	const char *error;

	if (connect_to(o, &c, f))
		return -1;
	if (channel_send(&c, message_new("watch"), NULL, 0, f))
		goto out;
	while ((state = channel_receive(&c, -1, NULL, NULL, f))) {
		error = message_text(state, "error");
		if (*error)
			fail(f, message_number(state, "status"), "%s", error);
		else
			print(o, state, print_state);
		json_object_put(state);
		if (*error)
			break;
	}
out:
	channel_close(&c);
	return -1;
}

int client_state(const struct client_options *o, struct failure *f)
{
	return o->watch ? watch(o, f) :
			  ask_once(o, message_new("state"), print_state, f);
}

/* The driver waits as long as it is told to; the reply has no other limit. */
static int ask_patiently(struct channel *c, json_object *request,
			 json_object **reply, uint8_t **bytes, size_t *size,
			 struct failure *f)
{
	const char *error;

	if (channel_send(c, request, NULL, 0, f))
		return -1;
	*reply = channel_receive(c, -1, bytes, size, f);
	error = message_text(*reply, "error");
	if (!*reply)
		return -1;
	if (!*error)
		return 0;
	fail(f, message_number(*reply, "status"), "%s", error);
	json_object_put(*reply);
	return -1;
}

int client_change(const struct client_options *o, const char *verb,
		  struct failure *f)
{
	json_object *request = message_new(verb), *reply;
	struct channel c;
	int status;

	json_object_object_add(request, "timeout-ms",
			       json_object_new_uint64(o->timeout_ms));
	json_object_object_add(request, "no-flush",
			       json_object_new_boolean(o->no_flush));
	if (connect_to(o, &c, f)) {
		json_object_put(request);
		return -1;
	}
	status = ask_patiently(&c, request, &reply, NULL, NULL, f);
	if (!status) {
		print(o, reply, print_state);
		json_object_put(reply);
	}
	channel_close(&c);
	return status;
}

int client_save(const struct client_options *o, const char *file,
		struct failure *f)
{
	json_object *request = message_new("save"), *reply;
	struct channel c;
	uint8_t *data;
	size_t size;
	int status;

	json_object_object_add(request, "inventory",
			       json_object_new_boolean(o->inventory));
	json_object_object_add(request, "timeout-ms",
			       json_object_new_uint64(o->timeout_ms));
	if (connect_to(o, &c, f)) {
		json_object_put(request);
		return -1;
	}
	status = ask_patiently(&c, request, &reply, &data, &size, f);
	if (!status) {
		status = file_write(file, data, size, f);
		fprintf(stderr, "%zu bytes, %s\n", size,
			message_is(reply, "complete") ?
			"complete: `commit` gives the guest up, `resume` has it go on" :
			"the inventory: the session is open, `resume` ends it");
		json_object_put(reply);
		free(data);
	}
	channel_close(&c);
	return status;
}

static int load(const struct client_options *o, struct channel *c,
		const uint8_t *data, size_t size, struct failure *f)
{
	json_object *request = message_new("load"), *reply;
	const char *verdict;
	int status = 0;

	json_object_object_add(request, "final",
			       json_object_new_boolean(!o->check));
	json_object_object_add(request, "cache-dropped",
			       json_object_new_boolean(o->cache_dropped));
	reply = channel_ask(c, request, data, size, f);
	if (!reply)
		return -1;
	verdict = message_text(reply, "verdict");
	if (o->json)
		print_json(reply);
	else if (o->check)
		printf("%s\n", verdict);
	if (!strcmp(verdict, "refused"))
		status = fail(f, CTL_REFUSED, "refused: %s",
			      message_text(reply, "text"));
	else if (strcmp(verdict, "accepted") &&
		 (!o->check || strcmp(verdict, "inventory-ok")))
		status = fail(f, CTL_FAILED, "the stream is incomplete");
	json_object_put(reply);
	return status;
}

/* Whatever is not accepted is dropped when the connection ends. */
int client_load(const struct client_options *o, const char *file,
		struct failure *f)
{
	struct channel c = { .fd = -1 };
	json_object *reply;
	uint8_t *data;
	size_t size;
	int status;

	if (file_read(file, &data, &size, f))
		return -1;
	status = connect_to(o, &c, f) || load(o, &c, data, size, f) ? -1 : 0;
	if (!status && !o->check) {
		reply = channel_ask(&c, message_new("apply"), NULL, 0, f);
		status = reply ? 0 : -1;
		json_object_put(reply);
	}
	if (!status && !o->check) {
		reply = channel_ask(&c, message_new("keep"), NULL, 0, f);
		status = reply ? 0 : -1;
		json_object_put(reply);
	}
	channel_close(&c);
	free(data);
	return status;
}

static atomic_bool interrupted;

static void on_interrupt(int number)
{
	(void)number;
	interrupted = true;
}

static int answer(struct channel *c, bool go, struct failure *f)
{
	json_object *word = json_object_new_object();

	json_object_object_add(word, "go", json_object_new_boolean(go));
	return channel_send(c, word, NULL, 0, f);
}

static bool confirmed(void)
{
	char line[256];

	fprintf(stderr, "  Enter goes on, anything else cancels: ");
	return fgets(line, sizeof(line), stdin) && line[0] == '\n';
}

/* One message of a migration that goes on. On a terminal, progress has a line. */
static int follow(const struct client_options *o, struct channel *c,
		  json_object *message, bool terminal, struct failure *f)
{
	const char *step = message_text(message, "step");
	uint64_t total = message_number(message, "total");
	uint64_t remaining = message_number(message, "remaining");
	bool go;

	if (o->json)
		print_json(message);
	else if (*step)
		printf("%s%-7s %s\n", terminal ? "\r\033[K" : "", step,
		       message_text(message, "text"));
	else if (*message_text(message, "note"))
		printf("%s        %s\n", terminal ? "\r\033[K" : "",
		       message_text(message, "note"));
	else if (total)
		printf("%s        %" PRIu64 " of %" PRIu64 " MiB remain%s",
		       terminal ? "\r\033[K" : "", remaining >> 20, total >> 20,
		       terminal ? "" : "\n");
	fflush(stdout);
	if (!*step || !o->interactive)
		return 0;
	go = confirmed();
	return answer(c, go && !interrupted, f);
}

static int follow_all(const struct client_options *o, struct channel *c,
		      json_object **reply, struct failure *f)
{
	bool terminal = isatty(STDOUT_FILENO), told = false;

	for (;;) {
		json_object *message;
		const char *error;
		int status;

		if (interrupted && !told) {
			told = true;
			if (answer(c, false, f))
				return -1;
		}
		message = channel_receive(c, -1, NULL, NULL, f);
		if (!message && f->error == EINTR)
			continue;
		if (!message)
			return fail(f, CTL_STRANDED,
				    "the `run` of the source is gone: look where the guest runs");
		error = message_text(message, "error");
		if (*error) {
			fail(f, message_number(message, "status"), "%s", error);
			json_object_put(message);
			return -1;
		}
		if (*message_text(message, "done")) {
			*reply = message;
			return 0;
		}
		status = follow(o, c, message, terminal, f);
		json_object_put(message);
		if (status)
			return -1;
	}
}

static void print_done(json_object *reply)
{
	printf("done    %s\n", message_text(reply, "done"));
}

int client_migrate(const struct client_options *o, const char *destination,
		   struct failure *f)
{
	struct sigaction action = { .sa_handler = on_interrupt };
	json_object *request = message_new("migrate"), *reply;
	char *absolute = NULL;
	struct channel c;
	int status;

	if (connect_to(o, &c, f)) {
		json_object_put(request);
		return -1;
	}
	/* The source's `run` may be in another directory than we. */
	if (!address_is_tcp(destination))
		absolute = realpath(address_path(destination), NULL);
	json_object_object_add(request, "destination",
			       json_object_new_string(absolute ? absolute :
						      destination));
	free(absolute);
	json_object_object_add(request, "interactive",
			       json_object_new_boolean(o->interactive));
	sigaction(SIGINT, &action, NULL);
	sigaction(SIGTERM, &action, NULL);
	status = channel_send(&c, request, NULL, 0, f);
	if (!status)
		status = follow_all(o, &c, &reply, f);
	if (!status) {
		print(o, reply, print_done);
		json_object_put(reply);
	}
	channel_close(&c);
	return status;
}
