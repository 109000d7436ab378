// SPDX-License-Identifier: GPL-2.0
#include <errno.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#include "channel.h"
#include "qmp.h"

/* QEMU answers when its main loop is free: not while it stops a device. */
#define ANSWER_SECONDS	60

struct qmp {
	struct channel channel;
	pthread_mutex_t turn;	/* one command at a time */
	pthread_mutex_t lock;	/* what follows */
	pthread_cond_t changed;
	bool greeted, gone;
	unsigned int id;	/* of the command that waits */
	json_object *answer;	/* to it */
};

static void take(struct qmp *qmp, json_object *message)
{
	pthread_mutex_lock(&qmp->lock);
	if (json_object_object_get_ex(message, "QMP", NULL)) {
		qmp->greeted = true;
	} else if (!qmp->answer && message_number(message, "id") == qmp->id &&
		   !json_object_object_get_ex(message, "event", NULL)) {
		qmp->answer = json_object_get(message);
	}
	pthread_cond_broadcast(&qmp->changed);
	pthread_mutex_unlock(&qmp->lock);
	json_object_put(message);
}

/* Events come at any time, and have to be taken off the socket. */
static void *read_all(void *data)
{
	struct qmp *qmp = data;
	json_object *message;
	struct failure f;

	while ((message = channel_receive(&qmp->channel, -1, NULL, NULL, &f)))
		take(qmp, message);
	pthread_mutex_lock(&qmp->lock);
	qmp->gone = true;
	pthread_cond_broadcast(&qmp->changed);
	pthread_mutex_unlock(&qmp->lock);
	return NULL;
}

struct qmp *qmp_new(int fd, struct failure *f)
{
	struct qmp *qmp = calloc(1, sizeof(*qmp));
	pthread_t reader;

	if (!qmp) {
		fail(f, CTL_FAILED, "out of memory");
		return NULL;
	}
	qmp->channel.fd = fd;
	pthread_mutex_init(&qmp->turn, NULL);
	pthread_mutex_init(&qmp->lock, NULL);
	pthread_cond_init(&qmp->changed, NULL);
	if (pthread_create(&reader, NULL, read_all, qmp)) {
		fail(f, CTL_FAILED, "cannot make a thread");
		free(qmp);
		return NULL;
	}
	pthread_detach(reader);
	return qmp;
}

/* Until *@flag or *@object, or QEMU is gone; qmp->lock is held. */
static int wait_locked(struct qmp *qmp, const char *name, const bool *flag,
		       json_object **object, struct failure *f)
{
	struct timespec end;

	clock_gettime(CLOCK_REALTIME, &end);
	end.tv_sec += ANSWER_SECONDS;
	while (!(flag && *flag) && !(object && *object)) {
		if (qmp->gone)
			return fail(f, CTL_FAILED, "QEMU is gone");
		if (pthread_cond_timedwait(&qmp->changed, &qmp->lock, &end))
			return fail(f, CTL_FAILED, "QEMU has not answered to %s in %d s",
				    name, ANSWER_SECONDS);
	}
	return 0;
}

static int ask(struct qmp *qmp, const char *name, json_object *arguments,
	       json_object **answer, struct failure *f)
{
	json_object *command = json_object_new_object();
	int status;

	pthread_mutex_lock(&qmp->lock);
	json_object_put(qmp->answer);
	qmp->answer = NULL;
	json_object_object_add(command, "execute", json_object_new_string(name));
	json_object_object_add(command, "id", json_object_new_int(++qmp->id));
	if (arguments)
		json_object_object_add(command, "arguments", arguments);
	status = wait_locked(qmp, name, &qmp->greeted, NULL, f);
	if (status)
		json_object_put(command);
	else if (channel_send(&qmp->channel, command, NULL, 0, f))
		status = fail(f, CTL_FAILED, "QEMU is gone");
	if (!status)
		status = wait_locked(qmp, name, NULL, &qmp->answer, f);
	*answer = status ? NULL : qmp->answer;
	if (!status)
		qmp->answer = NULL;
	pthread_mutex_unlock(&qmp->lock);
	return status;
}

int qmp_command(struct qmp *qmp, const char *name, json_object *arguments,
		json_object **result, struct failure *f)
{
	json_object *answer, *error, *value = NULL;
	int status;

	pthread_mutex_lock(&qmp->turn);
	status = 0;
	/* The first of all commands has to be this one. */
	if (!qmp->id) {
		status = ask(qmp, "qmp_capabilities", NULL, &answer, f);
		if (!status)
			json_object_put(answer);
		else
			json_object_put(arguments);
	}
	if (!status)
		status = ask(qmp, name, arguments, &answer, f);
	pthread_mutex_unlock(&qmp->turn);
	if (status)
		return -1;
	if (json_object_object_get_ex(answer, "error", &error)) {
		status = fail(f, CTL_FAILED, "QEMU: %s: %s", name,
			      message_text(error, "desc"));
	} else if (result) {
		json_object_object_get_ex(answer, "return", &value);
		*result = json_object_get(value);
	}
	json_object_put(answer);
	return status;
}

bool qmp_gone(struct qmp *qmp)
{
	bool gone;

	pthread_mutex_lock(&qmp->lock);
	gone = qmp->gone;
	pthread_mutex_unlock(&qmp->lock);
	return gone;
}

void qmp_status(struct qmp *qmp, const char *query, char *status, size_t size)
{
	json_object *result = NULL;
	struct failure f;
	const char *text;

	if (qmp_command(qmp, query, NULL, &result, &f)) {
		snprintf(status, size, "%s", qmp_gone(qmp) ? "gone" : "silent");
		return;
	}
	text = message_text(result, "status");
	snprintf(status, size, "%s", *text ? text : "none");
	json_object_put(result);
}
