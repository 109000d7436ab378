// SPDX-License-Identifier: GPL-2.0
/*
 * The steps of a hand-over. Up to "switch" everything can be undone, and is, by
 * whatever goes wrong: the destination forgets what it has, QEMU goes on with
 * the guest, which sets the endpoint again, and the session is dropped, which
 * puts the reservations back. At "switch" the destination promises to keep what
 * it has accepted; from then on QEMU decides, and only if it says that the
 * migration failed is there a way back.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "address.h"
#include "migrate.h"
#include "names.h"
#include "stream.h"

#define POLL_US		10000
/* For what takes milliseconds, unless a machine is very slow. */
#define PATIENCE	120

struct migration {
	struct server *source;
	struct channel *client;
	struct channel peer;		/* the destination */
	const char *destination;
	bool interactive;
	struct failure *f;

	bool guest_ran;			/* when it began */
	bool same_host;
	bool session;			/* ours is open at the source */
	bool switched;			/* the destination keeps what it has */
	bool finished;			/* the guest runs there */
	uint8_t *stream;
	size_t length;
	json_object *cached;		/* LUNs behind a page cache there */
	double stopped;			/* when the guest did */
};

static double now(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec + t.tv_nsec / 1e9;
}

static int cancelled(struct migration *m)
{
	return fail(m->f, CTL_ROLLED_BACK, "cancelled");
}

/* What the client says to a step, or unasked; its end is a no. */
static int go_on(struct migration *m)
{
	struct failure ignored;
	json_object *word = channel_receive(m->client, -1, NULL, NULL, &ignored);
	bool go = message_is(word, "go");

	json_object_put(word);
	return go ? 0 : cancelled(m);
}

static void tell(struct migration *m, const char *kind, const char *name,
		 const char *text)
{
	json_object *message = json_object_new_object();
	struct failure ignored;

	json_object_object_add(message, kind, json_object_new_string(name));
	if (text)
		json_object_object_add(message, "text",
				       json_object_new_string(text));
	channel_send(m->client, message, NULL, 0, &ignored);
}

static void note(struct migration *m, const char *text)
{
	tell(m, "note", text, NULL);
}

static int step(struct migration *m, const char *name, const char *text)
{
	tell(m, "step", name, text);
	return m->interactive || channel_ready(m->client) ? go_on(m) : 0;
}

static int ask_peer(struct migration *m, json_object *request,
		    json_object **reply)
{
	json_object *answer = channel_ask(&m->peer, request, NULL, 0, m->f);
	char text[sizeof(m->f->text)];

	if (reply)
		*reply = answer;
	if (!answer) {
		snprintf(text, sizeof(text), "%s", m->f->text);
		return fail(m->f, m->f->status, "at the destination: %s", text);
	}
	if (reply)
		return 0;
	json_object_put(answer);
	return 0;
}

static int begin(struct migration *m)
{
	struct vhost_scsi_mig_status status;
	json_object *hello;
	char guest[64];
	bool self;

	if (step(m, "begin", "asking whether the device can be migrated"))
		return -1;
	m->peer.fd = address_connect(m->destination, m->f);
	if (m->peer.fd < 0 || ask_peer(m, message_new("hello"), &hello))
		return -1;
	self = !strcmp(message_text(hello, "id"), m->source->id);
	/* The id begins with that of the boot of its host. */
	m->same_host = !strncmp(message_text(hello, "id"), m->source->id, 36);
	json_object_put(hello);
	if (self)
		return fail(m->f, CTL_USAGE, "the destination is the source");
	if (device_blockers(&m->source->dev, m->f) ||
	    device_status(&m->source->dev, &status, m->f))
		return -1;
	if (status.state != VHOST_SCSI_MIG_RUNNING &&
	    status.state != VHOST_SCSI_MIG_STOP)
		return fail(m->f, CTL_FAILED,
			    "the source is %s: a session of somebody else is open (`resume` ends it)",
			    name_state(status.state));
	if (status.flags & VHOST_SCSI_MIG_SUSPENDED)
		return fail(m->f, CTL_FAILED, "the source is suspended (`resume` ends that)");
	qmp_status(m->source->qmp, "query-status", guest, sizeof(guest));
	m->guest_ran = !strcmp(guest, "running");
	if (!m->guest_ran && strcmp(guest, "paused") &&
	    strcmp(guest, "prelaunch"))
		return fail(m->f, CTL_FAILED,
			    "the guest at the source is neither running nor paused, but %s",
			    guest);
	return 0;
}

static int read_stream(struct migration *m, bool *end)
{
	free(m->stream);
	m->stream = NULL;
	return device_save(&m->source->dev, &m->stream, &m->length, end, m->f);
}

static int find_cached(struct migration *m)
{
	struct stream s;
	size_t i;

	if (stream_decode(&s, m->stream, m->length, m->f))
		return -1;
	json_object_put(m->cached);
	m->cached = NULL;
	for (i = 0; i < s.nr_luns && !m->same_host; i++) {
		json_object *one;

		if (!(s.lun[i].flags & VHOST_SCSI_MIG_LUN_PAGE_CACHE))
			continue;
		if (!m->cached)
			m->cached = json_object_new_array();
		one = json_object_new_object();
		json_object_object_add(one, "target",
				       json_object_new_int64(s.lun[i].target));
		json_object_object_add(one, "lun",
				       json_object_new_uint64(s.lun[i].lun));
		json_object_array_add(m->cached, one);
	}
	stream_free(&s);
	return 0;
}

/* Has the destination find the files behind those LUNs, and drop their cache. */
static int handle_cache(struct migration *m, bool drop)
{
	json_object *request;

	if (!m->cached)
		return 0;
	request = message_new("cache");
	json_object_object_add(request, "luns", json_object_get(m->cached));
	json_object_object_add(request, "drop", json_object_new_boolean(drop));
	return ask_peer(m, request, NULL);
}

/* Loads what is there into the destination; fails if it does not like it. */
static int load(struct migration *m, bool final, const char *wanted)
{
	json_object *request = message_new("load"), *reply;
	char text[sizeof(m->f->text)];

	json_object_object_add(request, "final", json_object_new_boolean(final));
	json_object_object_add(request, "cache-dropped",
			       json_object_new_boolean(!!m->cached));
	reply = channel_ask(&m->peer, request, m->stream, m->length, m->f);
	if (!reply) {
		snprintf(text, sizeof(text), "%s", m->f->text);
		return fail(m->f, m->f->status, "at the destination: %s", text);
	}
	if (strcmp(message_text(reply, "verdict"), wanted)) {
		snprintf(text, sizeof(text), "%s", message_text(reply, "text"));
		fail(m->f, CTL_REFUSED, "the destination refuses: %s",
		     *text ? text : message_text(reply, "verdict"));
		json_object_put(reply);
		return -1;
	}
	json_object_put(reply);
	return 0;
}

static int ask(struct migration *m)
{
	struct vhost_scsi_mig_status status;
	bool end;

	if (step(m, "ask", "asking whether the destination would accept the guest"))
		return -1;
	if (device_status(&m->source->dev, &status, m->f))
		return -1;
	if (status.state == VHOST_SCSI_MIG_ERROR)
		return fail(m->f, CTL_FAILED,
			    "the QEMU that owned the device is gone");
	/* A guest that is paused has no more to say than this. */
	if (device_set_state(&m->source->dev,
			     status.state | VHOST_SCSI_MIG_LOGGING, 0, 0, m->f))
		return -1;
	m->session = true;
	device_save_close(&m->source->dev);
	if (read_stream(m, &end) || find_cached(m) || handle_cache(m, false))
		return -1;
	return load(m, false, end ? "accepted" : "inventory-ok");
}

static int set_pause(struct qmp *qmp, bool on, struct failure *f)
{
	json_object *one = json_object_new_object();
	json_object *list = json_object_new_array();
	json_object *arguments = json_object_new_object();

	json_object_object_add(one, "capability",
			       json_object_new_string("pause-before-switchover"));
	json_object_object_add(one, "state", json_object_new_boolean(on));
	json_object_array_add(list, one);
	json_object_object_add(arguments, "capabilities", list);
	return qmp_command(qmp, "migrate-set-capabilities", arguments, NULL, f);
}

static void tell_progress(struct migration *m, json_object *info)
{
	json_object *message = json_object_new_object(), *ram = NULL;
	struct failure ignored;

	json_object_object_get_ex(info, "ram", &ram);
	json_object_object_add(message, "remaining",
			       json_object_new_uint64(message_number(ram, "remaining")));
	json_object_object_add(message, "total",
			       json_object_new_uint64(message_number(ram, "total")));
	channel_send(m->client, message, NULL, 0, &ignored);
}

/*
 * QEMU does not answer while it stops a device, and that takes as long as the
 * slowest request in flight. Whoever watches can tell, and cancel.
 */
static void tell_silence(struct migration *m)
{
	struct vhost_scsi_mig_status status;
	char text[sizeof(m->f->text) + 64];
	struct failure ignored;

	if (device_status(&m->source->dev, &status, &ignored))
		return;
	snprintf(text, sizeof(text), "%s; %" PRIu32 " requests are in flight",
		 m->f->text, status.inflight);
	note(m, text);
}

/* Until QEMU has stopped the guest and waits to be told to go on. */
static int wait_switchover(struct migration *m)
{
	double told = now();

	for (;;) {
		json_object *info;
		char status[64];

		if (channel_ready(m->client) && go_on(m))
			return -1;
		if (qmp_command(m->source->qmp, "query-migrate", NULL, &info,
				m->f)) {
			if (qmp_gone(m->source->qmp))
				return -1;
			tell_silence(m);
			continue;
		}
		snprintf(status, sizeof(status), "%s",
			 message_text(info, "status"));
		if (!strcmp(status, "failed") || !strcmp(status, "cancelled") ||
		    !strcmp(status, "completed")) {
			fail(m->f, CTL_ROLLED_BACK, "QEMU: the migration has %s: %s",
			     status, message_text(info, "error-desc"));
			json_object_put(info);
			return -1;
		}
		if (now() - told >= 1) {
			tell_progress(m, info);
			told = now();
		}
		json_object_put(info);
		if (!strcmp(status, "pre-switchover"))
			return 0;
		usleep(POLL_US);
	}
}

/* The URI at which QEMU at the destination waits for the guest's memory. */
static int open_incoming(struct migration *m, char *uri, size_t size)
{
	json_object *reply;
	char host[256];

	if (ask_peer(m, message_new("incoming"), &reply))
		return -1;
	if (!address_is_tcp(m->destination))
		snprintf(uri, size, "%s", message_text(reply, "uri"));
	else if (!address_host(m->destination, host, sizeof(host), m->f))
		snprintf(uri, size, "tcp:%s:%s", host,
			 message_text(reply, "port"));
	json_object_put(reply);
	return 0;
}

static int copy(struct migration *m)
{
	json_object *arguments;
	char uri[512];

	if (step(m, "copy", "copying the guest's memory"))
		return -1;
	if (open_incoming(m, uri, sizeof(uri)) ||
	    set_pause(m->source->qmp, true, m->f))
		return -1;
	arguments = json_object_new_object();
	json_object_object_add(arguments, "uri", json_object_new_string(uri));
	if (qmp_command(m->source->qmp, "migrate", arguments, NULL, m->f))
		return -1;
	return wait_switchover(m);
}

/* The guest is stopped: the device must be, too, and its caches written. */
static int read_final(struct migration *m)
{
	struct vhost_scsi_mig_status status;
	bool end;

	m->stopped = now();
	if (step(m, "read", "the guest is stopped; reading the device's state"))
		return -1;
	if (device_status(&m->source->dev, &status, m->f))
		return -1;
	if (status.state != VHOST_SCSI_MIG_LOGGING)
		return fail(m->f, CTL_FAILED, "QEMU has stopped the guest, but the device is %s",
			    name_state(status.state));
	if (status.flush == VHOST_SCSI_MIG_FLUSH_FAILED)
		return fail(m->f, CTL_FAILED,
			    "a LUN's cache could not be written back: the destination would not see all that the guest has written");
	if (status.flush == VHOST_SCSI_MIG_FLUSH_OFF && !m->same_host)
		return fail(m->f, CTL_FAILED,
			    "flush_on_stop is off: the destination would not see all that the guest has written");
	if (status.write_errors)
		note(m,
		     "the storage gave up on some of the guest's writes; make sure that it cannot execute them later");
	if (read_stream(m, &end))
		return -1;
	if (!end)
		return fail(m->f, CTL_FAILED, "the state has no end");
	return find_cached(m);
}

static int load_final(struct migration *m)
{
	if (step(m, "load", "loading it at the destination"))
		return -1;
	if (m->cached)
		note(m, "dropping the destination's page cache of the LUNs");
	if (handle_cache(m, true) || load(m, true, "accepted"))
		return -1;
	if (step(m, "apply", "accepted; moving the reservations"))
		return -1;
	return ask_peer(m, message_new("apply"), NULL);
}

static int stranded(struct migration *m, const char *what)
{
	return fail(m->f, CTL_STRANDED,
		    "%s. If it does not run at the destination, end QEMU there, and `rollback` has it go on at the source, unless that QEMU is gone",
		    what);
}

/* Does the guest run there? 0: not yet, 1: yes, -1: it never will. */
static int runs_there(struct migration *m)
{
	json_object *reply;
	const char *migration;
	int answer;

	if (ask_peer(m, message_new("guest"), &reply))
		return -1;
	answer = 0;
	migration = message_text(reply, "migration");
	if (!strcmp(migration, "gone") || !strcmp(migration, "failed"))
		answer = -1;
	else if (!strcmp(migration, "completed") &&
		 (!m->guest_ran || message_is(reply, "serving")))
		answer = 1;
	json_object_put(reply);
	return answer;
}

static int wait_there(struct migration *m, bool source_gone)
{
	double end = now() + PATIENCE;

	for (;;) {
		int runs = runs_there(m);

		if (runs > 0)
			return 0;
		if (runs < 0)
			break;
		if (now() > end)
			return stranded(m, "the guest was handed over, and does not run yet");
		usleep(POLL_US);
	}
	if (source_gone)
		return fail(m->f, CTL_STRANDED,
			    "both QEMUs ended before the guest had been handed over: it has to be started anew");
	return stranded(m, "QEMU at the destination has failed after it had taken the guest over");
}

static int switch_over(struct migration *m)
{
	json_object *arguments;
	char status[64];
	bool gone;

	if (step(m, "switch", "switching over"))
		return -1;
	if (ask_peer(m, message_new("keep"), NULL))
		return -1;
	m->switched = true;
	arguments = json_object_new_object();
	json_object_object_add(arguments, "state",
			       json_object_new_string("pre-switchover"));
	if (qmp_command(m->source->qmp, "migrate-continue", arguments, NULL,
			m->f) && !qmp_gone(m->source->qmp))
		return -1;
	for (;;) {
		qmp_status(m->source->qmp, "query-migrate", status,
			   sizeof(status));
		gone = !strcmp(status, "gone");
		if (gone || !strcmp(status, "completed"))
			break;
		if (!strcmp(status, "failed") || !strcmp(status, "cancelled"))
			return fail(m->f, CTL_ROLLED_BACK, "QEMU: the migration has %s",
				    status);
		usleep(POLL_US);
	}
	return wait_there(m, gone);
}

static int clean_up(struct migration *m)
{
	struct failure ignored;
	char text[sizeof(m->f->text)];

	m->finished = true;
	/*
	 * No way back: whatever the client says, from here on the guest's
	 * registrations at this port are nobody's.
	 */
	step(m, "commit", "the guest runs there; giving up the source");
	if (device_set_state(&m->source->dev, VHOST_SCSI_MIG_STOP, 0, 0, m->f)) {
		snprintf(text, sizeof(text), "%s", m->f->text);
		return fail(m->f, CTL_NOT_CLEAN,
			    "the guest runs at the destination, but its registrations at the source may be left: %s",
			    text);
	}
	device_save_close(&m->source->dev);
	if (qmp_command(m->source->qmp, "quit", NULL, NULL, &ignored) &&
	    !qmp_gone(m->source->qmp))
		return fail(m->f, CTL_NOT_CLEAN,
			    "the guest runs at the destination, but QEMU at the source does not end; end it");
	return 0;
}

/*
 * QEMU's way back: cancels what goes on, and waits until the guest is as it was.
 * A guest that QEMU leaves paused, as after a migration that completed, is told
 * to go on.
 */
static int guest_back(struct server *source, bool guest_ran, struct failure *f)
{
	double end = now() + PATIENCE;
	char status[64];

	if (qmp_command(source->qmp, "migrate_cancel", NULL, NULL, f))
		return -1;
	for (;;) {
		qmp_status(source->qmp, "query-migrate", status, sizeof(status));
		if (!strcmp(status, "gone"))
			return fail(f, CTL_STRANDED, "QEMU is gone");
		if (!strcmp(status, "none") || !strcmp(status, "cancelled") ||
		    !strcmp(status, "failed") || !strcmp(status, "completed"))
			break;
		if (now() > end)
			return fail(f, CTL_STRANDED, "QEMU does not cancel the migration");
		usleep(POLL_US);
	}
	set_pause(source->qmp, false, f);
	if (!guest_ran)
		return 0;
	/* The guest goes on a moment after the migration has ended. */
	end = now() + 2;
	do {
		qmp_status(source->qmp, "query-status", status, sizeof(status));
		if (!strcmp(status, "running"))
			return 0;
		usleep(POLL_US);
	} while (now() < end);
	return qmp_command(source->qmp, "cont", NULL, NULL, f);
}

int migrate_roll_back(struct server *source, bool guest_ran, struct failure *f)
{
	struct vhost_scsi_mig_status status;
	char text[sizeof(f->text)];

	if (guest_back(source, guest_ran, f) ||
	    device_status(&source->dev, &status, f) ||
	    ((status.state & VHOST_SCSI_MIG_LOGGING) &&
	     device_set_state(&source->dev, VHOST_SCSI_MIG_RUNNING, 0, 0, f))) {
		snprintf(text, sizeof(text), "%s", f->text);
		return fail(f, CTL_STRANDED, "the guest does not go on at the source: %s",
			    text);
	}
	device_save_close(&source->dev);
	return 0;
}

static void undo(struct migration *m)
{
	struct failure why = *m->f, f;
	json_object *reply;

	note(m, "this fails, and what was done is undone");
	if (m->peer.fd >= 0) {
		reply = channel_ask(&m->peer, message_new("drop"), NULL, 0, &f);
		note(m, reply ? "the destination has forgotten the guest" :
				"the destination is gone, and with it what it was told");
		json_object_put(reply);
	}
	*m->f = why;
	if (!m->session)
		return;
	if (migrate_roll_back(m->source, m->guest_ran, &f)) {
		note(m, f.text);
		fail(m->f, CTL_STRANDED, "%s; and then: %s", why.text, f.text);
		return;
	}
	note(m, m->guest_ran ? "the guest goes on at the source" :
			       "the guest is at the source, paused as it was");
	if (why.status != CTL_REFUSED)
		m->f->status = CTL_ROLLED_BACK;
}

int migrate(struct server *source, struct channel *client,
	    const char *destination, bool interactive, char *done,
	    size_t size, struct failure *f)
{
	struct migration m = {
		.source = source, .client = client, .peer.fd = -1,
		.destination = destination, .interactive = interactive, .f = f,
	};
	int status;

	if (atomic_flag_test_and_set(&source->migrating))
		return fail(f, CTL_FAILED, "another migration goes on");
	status = begin(&m) || ask(&m) || copy(&m) || read_final(&m) ||
		 load_final(&m) || switch_over(&m) ? -1 : 0;
	if (!status) {
		snprintf(done, size, "the guest runs at %s, after a pause of %.0f ms",
			 destination, (now() - m.stopped) * 1000);
		status = clean_up(&m);
	} else if (f->status != CTL_STRANDED) {
		undo(&m);
	}
	channel_close(&m.peer);
	free(m.stream);
	json_object_put(m.cached);
	atomic_flag_clear(&source->migrating);
	return status;
}
