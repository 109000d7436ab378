// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include "address.h"
#include "array.h"
#include "cache.h"
#include "channel.h"
#include "migrate.h"
#include "names.h"
#include "server.h"

#define MAX_CONNECTIONS	16

struct connection {
	struct server *server;
	struct channel channel;
	bool remote;
	/* What came with the request, and what goes with the reply. */
	uint8_t *in, *out;
	size_t in_size, out_size;
	/* Loaded by this connection, and to be dropped when it ends. */
	bool loaded;
};

typedef int (*verb_fn)(struct connection *c, json_object *request,
		       json_object *reply, struct failure *f);

static void add_text(json_object *to, const char *key, const char *value)
{
	json_object_object_add(to, key, json_object_new_string(value));
}

/* Moves the members of @from into @to. */
static int merge(json_object *to, json_object *from)
{
	if (!from)
		return -1;
	json_object_object_foreach(from, key, value)
		json_object_object_add(to, key, json_object_get(value));
	json_object_put(from);
	return 0;
}

static int do_hello(struct connection *c, json_object *request,
		    json_object *reply, struct failure *f)
{
	(void)request;
	(void)f;
	add_text(reply, "id", c->server->id);
	add_text(reply, "wwpn", c->server->dev.wwpn);
	return 0;
}

static int do_info(struct connection *c, json_object *request,
		   json_object *reply, struct failure *f)
{
	(void)request;
	return merge(reply, device_info_json(&c->server->dev, f));
}

static int do_state(struct connection *c, json_object *request,
		    json_object *reply, struct failure *f)
{
	(void)request;
	return merge(reply, device_status_json(&c->server->dev, f));
}

/*
 * The state each time that it has changed, until the client goes. The device's
 * readiness is shared by all who ask, so that one may take what another waits
 * for: look by the clock as well.
 */
static int do_watch(struct connection *c, json_object *request,
		    json_object *reply, struct failure *f)
{
	char last[2048] = "";

	(void)request;
	/* Nobody waits for the end of this. */
	atomic_fetch_sub(&c->server->busy, 1);
	for (;;) {
		struct pollfd fds[] = {
			{ .fd = c->channel.fd, .events = POLLIN },
			{ .fd = c->server->dev.fd, .events = POLLIN },
		};
		json_object *now = device_status_json(&c->server->dev, f);
		const char *text;

		if (!now)
			goto error;
		text = json_object_to_json_string(now);
		if (!strncmp(text, last, sizeof(last) - 1)) {
			json_object_put(now);
		} else {
			snprintf(last, sizeof(last), "%s", text);
			if (channel_send(&c->channel, now, NULL, 0, f))
				goto error;
		}
		if (poll(fds, 2, 100) > 0 && fds[0].revents)
			break;
		/* In ERROR it is always ready. */
		if (fds[1].revents & POLLERR)
			usleep(100000);
	}
	atomic_fetch_add(&c->server->busy, 1);
	return do_state(c, request, reply, f);

error:
	atomic_fetch_add(&c->server->busy, 1);
	return -1;
}

static int do_suspend(struct connection *c, json_object *request,
		      json_object *reply, struct failure *f)
{
	struct device *dev = &c->server->dev;
	struct vhost_scsi_mig_status status;
	uint32_t flags = message_is(request, "no-flush") ?
			 VHOST_SCSI_MIG_NO_FLUSH : 0;

	if (device_status(dev, &status, f))
		return -1;
	if (status.state & (VHOST_SCSI_MIG_LOGGING | VHOST_SCSI_MIG_RESUMING))
		return fail(f, CTL_FAILED,
			    "the device is %s: a session is open, which `resume`, `commit` or `drop` end",
			    name_state(status.state));
	if (device_set_state(dev, VHOST_SCSI_MIG_STOP, flags,
			     message_number(request, "timeout-ms"), f))
		return -1;
	return do_state(c, request, reply, f);
}

static int do_resume(struct connection *c, json_object *request,
		     json_object *reply, struct failure *f)
{
	struct device *dev = &c->server->dev;

	if (device_set_state(dev, VHOST_SCSI_MIG_RUNNING, 0, 0, f))
		return -1;
	device_save_close(dev);
	return do_state(c, request, reply, f);
}

/* Stops, unless the inventory is enough, and sends all that there is. */
static int do_save(struct connection *c, json_object *request,
		   json_object *reply, struct failure *f)
{
	struct device *dev = &c->server->dev;
	bool inventory = message_is(request, "inventory"), end;
	struct vhost_scsi_mig_status status;

	if (device_status(dev, &status, f))
		return -1;
	if (!(status.state & VHOST_SCSI_MIG_LOGGING)) {
		device_save_close(dev);
		if (device_set_state(dev, status.state | VHOST_SCSI_MIG_LOGGING,
				     0, 0, f))
			return -1;
	}
	if (!inventory &&
	    device_set_state(dev, VHOST_SCSI_MIG_LOGGING, 0,
			     message_number(request, "timeout-ms"), f))
		return -1;
	if (device_save(dev, &c->out, &c->out_size, &end, f))
		return -1;
	json_object_object_add(reply, "complete", json_object_new_boolean(end));
	return 0;
}

static int do_commit(struct connection *c, json_object *request,
		     json_object *reply, struct failure *f)
{
	struct device *dev = &c->server->dev;
	struct vhost_scsi_mig_status status;

	if (device_status(dev, &status, f))
		return -1;
	if (status.state != VHOST_SCSI_MIG_LOGGING || status.pending)
		return fail(f, CTL_FAILED, "the device is %s with %" PRIu64
			    " bytes to read: only what was saved as a whole can be given up",
			    name_state(status.state), (uint64_t)status.pending);
	if (device_set_state(dev, VHOST_SCSI_MIG_STOP, 0, 0, f))
		return -1;
	device_save_close(dev);
	return do_state(c, request, reply, f);
}

static int do_rollback(struct connection *c, json_object *request,
		       json_object *reply, struct failure *f)
{
	if (migrate_roll_back(c->server, true, f))
		return -1;
	return do_state(c, request, reply, f);
}

static int do_load(struct connection *c, json_object *request,
		   json_object *reply, struct failure *f)
{
	struct vhost_scsi_mig_check check;
	char text[512];

	if (!c->in_size)
		return fail(f, CTL_FAILED, "there is nothing to load");
	c->loaded = true;
	if (device_load(&c->server->dev, c->in, c->in_size,
			message_is(request, "final"),
			message_is(request, "cache-dropped"), &check, f))
		return -1;
	add_text(reply, "verdict", name_verdict(check.verdict));
	json_object_object_add(reply, "offset",
			       json_object_new_uint64(check.offset));
	if (check.verdict == VHOST_SCSI_MIG_REFUSED) {
		name_blocker(text, sizeof(text), check.blocker.reason,
			     check.blocker.target, check.blocker.lun);
		add_text(reply, "reason", name_reason(check.blocker.reason));
		add_text(reply, "text", text);
	}
	return 0;
}

static int do_apply(struct connection *c, json_object *request,
		    json_object *reply, struct failure *f)
{
	struct vhost_scsi_mig_status status;

	/* The same call would suspend a guest that runs. */
	if (device_status(&c->server->dev, &status, f))
		return -1;
	if (status.state == VHOST_SCSI_MIG_ERROR)
		return fail(f, CTL_FAILED, "QEMU is gone");
	if (status.state != VHOST_SCSI_MIG_RESUMING)
		return fail(f, CTL_FAILED, "nothing was loaded");
	if (device_set_state(&c->server->dev, VHOST_SCSI_MIG_STOP, 0, 0, f))
		return -1;
	return do_state(c, request, reply, f);
}

static int do_drop(struct connection *c, json_object *request,
		   json_object *reply, struct failure *f)
{
	if (device_drop(&c->server->dev, f))
		return -1;
	c->loaded = false;
	return do_state(c, request, reply, f);
}

/* From here on the end of the connection is not the end of what was loaded. */
static int do_keep(struct connection *c, json_object *request,
		   json_object *reply, struct failure *f)
{
	(void)request;
	(void)reply;
	if (qmp_gone(c->server->qmp))
		return fail(f, CTL_FAILED, "QEMU is gone");
	c->loaded = false;
	return 0;
}

static int do_cache(struct connection *c, json_object *request,
		    json_object *reply, struct failure *f)
{
	json_object *luns = NULL;
	size_t i;

	(void)reply;
	json_object_object_get_ex(request, "luns", &luns);
	if (!json_object_is_type(luns, json_type_array))
		return fail(f, CTL_FAILED, "no LUNs are named");
	for (i = 0; i < json_object_array_length(luns); i++) {
		json_object *one = json_object_array_get_idx(luns, i);
		char path[PATH_MAX];

		if (cache_file(c->server->dev.wwpn, message_number(one, "target"),
			       message_number(one, "lun"), path, sizeof(path), f))
			return -1;
		if (message_is(request, "drop") && cache_drop(path, f))
			return -1;
	}
	return 0;
}

/* The port that QEMU has chosen. */
static int incoming_port(struct connection *c, json_object *reply,
			 struct failure *f)
{
	json_object *info, *list = NULL, *first;
	const char *port;

	if (qmp_command(c->server->qmp, "query-migrate", NULL, &info, f))
		return -1;
	json_object_object_get_ex(info, "socket-address", &list);
	first = json_object_is_type(list, json_type_array) &&
		json_object_array_length(list) ?
		json_object_array_get_idx(list, 0) : NULL;
	port = message_text(first, "port");
	if (*port)
		add_text(reply, "port", port);
	json_object_put(info);
	return *port ? 0 : fail(f, CTL_FAILED, "QEMU does not say at which port it waits");
}

static int do_incoming(struct connection *c, json_object *request,
		       json_object *reply, struct failure *f)
{
	json_object *arguments;
	char uri[512], host[256];

	(void)request;
	if (c->remote) {
		if (address_local(c->channel.fd, host, sizeof(host), f))
			return -1;
		snprintf(uri, sizeof(uri), "tcp:%s:0", host);
	} else {
		snprintf(uri, sizeof(uri), "unix:%s.ram", c->server->control);
		unlink(uri + 5);
	}
	arguments = json_object_new_object();
	add_text(arguments, "uri", uri);
	if (qmp_command(c->server->qmp, "migrate-incoming", arguments, NULL, f))
		return -1;
	add_text(reply, "uri", uri);
	return c->remote ? incoming_port(c, reply, f) : 0;
}

static int do_guest(struct connection *c, json_object *request,
		    json_object *reply, struct failure *f)
{
	struct vhost_scsi_mig_status status;
	char migration[64];

	(void)request;
	if (device_status(&c->server->dev, &status, f))
		return -1;
	qmp_status(c->server->qmp, "query-migrate", migration, sizeof(migration));
	add_text(reply, "migration", migration);
	json_object_object_add(reply, "serving",
			       json_object_new_boolean(status.state == VHOST_SCSI_MIG_RUNNING));
	return 0;
}

static int do_migrate(struct connection *c, json_object *request,
		      json_object *reply, struct failure *f)
{
	const char *destination = message_text(request, "destination");
	char done[512];

	if (!*destination)
		return fail(f, CTL_USAGE, "no destination is named");
	if (migrate(c->server, &c->channel, destination,
		    message_is(request, "interactive"), done, sizeof(done), f))
		return -1;
	add_text(reply, "done", done);
	return 0;
}

/* What can be asked from another host is what a destination needs. */
static const struct verb {
	const char *name;
	verb_fn fn;
	bool remote;
} verbs[] = {
	{ "hello", do_hello, true },
	{ "info", do_info, true },
	{ "state", do_state, true },
	{ "watch", do_watch, true },
	{ "load", do_load, true },
	{ "apply", do_apply, true },
	{ "drop", do_drop, true },
	{ "keep", do_keep, true },
	{ "cache", do_cache, true },
	{ "incoming", do_incoming, true },
	{ "guest", do_guest, true },
	{ "suspend", do_suspend, false },
	{ "resume", do_resume, false },
	{ "save", do_save, false },
	{ "commit", do_commit, false },
	{ "rollback", do_rollback, false },
	{ "migrate", do_migrate, false },
};

static int execute(struct connection *c, json_object *request,
		   json_object *reply, struct failure *f)
{
	const char *name = message_text(request, "do");
	size_t i;

	for (i = 0; i < ARRAY_SIZE(verbs); i++) {
		if (strcmp(verbs[i].name, name))
			continue;
		if (c->remote && !verbs[i].remote)
			return fail(f, CTL_FAILED, "%s cannot be asked for from another host",
				    name);
		return verbs[i].fn(c, request, reply, f);
	}
	return fail(f, CTL_USAGE, "%s is nothing that can be asked for", name);
}

static int serve_one(struct connection *c)
{
	json_object *request, *reply;
	struct failure f;
	int status;

	request = channel_receive(&c->channel, -1, &c->in, &c->in_size, &f);
	if (!request)
		return -1;
	atomic_fetch_add(&c->server->busy, 1);
	reply = json_object_new_object();
	if (execute(c, request, reply, &f)) {
		json_object_put(reply);
		reply = json_object_new_object();
		add_text(reply, "error", f.text);
		json_object_object_add(reply, "status",
				       json_object_new_int(f.status));
		json_object_object_add(reply, "errno",
				       json_object_new_int(f.error));
		c->out_size = 0;
	}
	status = channel_send(&c->channel, reply, c->out_size ? c->out : NULL,
			      c->out_size, &f);
	atomic_fetch_sub(&c->server->busy, 1);
	json_object_put(request);
	free(c->in);
	free(c->out);
	c->in = NULL;
	c->out = NULL;
	c->in_size = 0;
	c->out_size = 0;
	return status;
}

static void *serve(void *data)
{
	struct connection *c = data;
	struct failure ignored;

	while (!serve_one(c))
		;
	if (c->loaded)
		device_drop(&c->server->dev, &ignored);
	channel_close(&c->channel);
	atomic_fetch_sub(&c->server->connections, 1);
	free(c);
	return NULL;
}

void server_connection(struct server *server, int fd, bool remote)
{
	struct connection *c = calloc(1, sizeof(*c));
	pthread_t thread;

	if (atomic_fetch_add(&server->connections, 1) >= MAX_CONNECTIONS || !c)
		goto refuse;
	c->server = server;
	c->channel.fd = fd;
	c->remote = remote;
	if (pthread_create(&thread, NULL, serve, c))
		goto refuse;
	pthread_detach(thread);
	return;

refuse:
	atomic_fetch_sub(&server->connections, 1);
	free(c);
	close(fd);
}
