// SPDX-License-Identifier: GPL-2.0
/* vhost-scsi-ctl: see the manual page. */
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include "array.h"
#include "client.h"
#include "file.h"
#include "run.h"
#include "show.h"

#define CONTROL	"/run/vhost-scsi-ctl"

static const char usage[] =
	"usage: vhost-scsi-ctl COMMAND [OPTION...] [ARGUMENT...]\n"
	"  run [-l tcp:HOST:PORT] -- QEMU...   start QEMU with a device\n"
	"  info                                what keeps the device from being migrated\n"
	"  state [--watch]                     where it stands\n"
	"  suspend [--timeout SECS] [--no-flush]\n"
	"  resume                              end a suspension or a save session\n"
	"  migrate [-i] SOURCE DESTINATION     hand the guest over\n"
	"  rollback                            have the guest go on at its source\n"
	"  save [--inventory] [--timeout SECS] FILE\n"
	"  commit                              give up what was saved\n"
	"  load [--check] [--cache-dropped] FILE\n"
	"  drop                                undo a load\n"
	"  show FILE                           what a saved stream holds\n"
	"All but show, migrate: -c ADDRESS, the control socket (/run/vhost-scsi-ctl).\n"
	"info, state, show, load, migrate and what changes the state: --json.\n"
	"FILE - is standard input or output. See vhost-scsi-ctl(8).\n";

enum {
	OPT_WATCH = 256, OPT_NO_FLUSH, OPT_TIMEOUT, OPT_INVENTORY, OPT_CHECK,
	OPT_CACHE_DROPPED, OPT_JSON, OPT_HELP,
};

static const struct option options[] = {
	{ "control", required_argument, NULL, 'c' },
	{ "listen", required_argument, NULL, 'l' },
	{ "interactive", no_argument, NULL, 'i' },
	{ "watch", no_argument, NULL, OPT_WATCH },
	{ "no-flush", no_argument, NULL, OPT_NO_FLUSH },
	{ "timeout", required_argument, NULL, OPT_TIMEOUT },
	{ "inventory", no_argument, NULL, OPT_INVENTORY },
	{ "check", no_argument, NULL, OPT_CHECK },
	{ "cache-dropped", no_argument, NULL, OPT_CACHE_DROPPED },
	{ "json", no_argument, NULL, OPT_JSON },
	{ "help", no_argument, NULL, OPT_HELP },
	{ }
};

/* Which options and how many arguments a command takes. */
struct command {
	const char *name;
	const int *options;
	int arguments;		/* -1: one or more */
};

#define TAKES(...)	((const int []) { __VA_ARGS__, 0 })

static const struct command commands[] = {
	{ "run", TAKES('c', 'l'), -1 },
	{ "info", TAKES('c', OPT_JSON), 0 },
	{ "state", TAKES('c', OPT_JSON, OPT_WATCH), 0 },
	{ "suspend", TAKES('c', OPT_JSON, OPT_TIMEOUT, OPT_NO_FLUSH), 0 },
	{ "resume", TAKES('c', OPT_JSON), 0 },
	{ "commit", TAKES('c', OPT_JSON), 0 },
	{ "drop", TAKES('c', OPT_JSON), 0 },
	{ "rollback", TAKES('c', OPT_JSON), 0 },
	{ "save", TAKES('c', OPT_INVENTORY, OPT_TIMEOUT), 1 },
	{ "load", TAKES('c', OPT_JSON, OPT_CHECK, OPT_CACHE_DROPPED), 1 },
	{ "show", TAKES(OPT_JSON), 1 },
	{ "migrate", TAKES(OPT_JSON, 'i'), 2 },
};

static int show(const char *file, bool json, struct failure *f)
{
	struct stream stream;
	uint8_t *data;
	size_t size;
	int status;

	if (file_read(file, &data, &size, f))
		return -1;
	status = stream_decode(&stream, data, size, f);
	free(data);
	if (status) {
		char why[sizeof(f->text)];

		memcpy(why, f->text, sizeof(why));
		return fail(f, CTL_FAILED, "%s: %s", file, why);
	}
	if (json) {
		json_object *o = show_json(&stream);

		printf("%s\n", json_object_to_json_string_ext(o, JSON_C_TO_STRING_PRETTY));
		json_object_put(o);
	} else {
		show_text(&stream, stdout);
	}
	if (!stream.complete)
		status = fail(f, CTL_FAILED, "%s: incomplete: it ends without its END",
			      file);
	stream_free(&stream);
	return status;
}

static int bad_usage(struct failure *f, const char *what, const char *name)
{
	return fail(f, CTL_USAGE, "%s: %s (see --help)", name, what);
}

static int read_timeout(const char *text, uint64_t *ms, struct failure *f)
{
	char *end;
	double seconds = strtod(text, &end);

	/* The driver counts in 32 bits, and 0 has no end. */
	if (*end || end == text || !(seconds >= 0.001 && seconds < 4294967))
		return bad_usage(f, "no number of seconds", text);
	*ms = seconds * 1000;
	return 0;
}

static const struct command *find_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(commands[i].name, name))
			return &commands[i];
	return NULL;
}

static bool takes(const struct command *command, int option)
{
	const int *one;

	for (one = command->options; *one; one++)
		if (*one == option)
			return true;
	return false;
}

static int parse(int argc, char **argv, const struct command *command,
		 struct client_options *o, struct run_options *r,
		 struct failure *f)
{
	int option, count;

	while ((option = getopt_long(argc, argv, "+c:l:i", options, NULL)) != -1) {
		if (option == '?')
			return bad_usage(f, "an option is wrong", command->name);
		if (!takes(command, option))
			return bad_usage(f, "does not take this option",
					 command->name);
		switch (option) {
		case 'c':
			o->control = optarg;
			break;
		case 'l':
			r->listen = optarg;
			break;
		case 'i':
			o->interactive = true;
			break;
		case OPT_WATCH:
			o->watch = true;
			break;
		case OPT_NO_FLUSH:
			o->no_flush = true;
			break;
		case OPT_TIMEOUT:
			if (read_timeout(optarg, &o->timeout_ms, f))
				return -1;
			break;
		case OPT_INVENTORY:
			o->inventory = true;
			break;
		case OPT_CHECK:
			o->check = true;
			break;
		case OPT_CACHE_DROPPED:
			o->cache_dropped = true;
			break;
		default:
			o->json = true;
		}
	}
	count = argc - optind;
	if (command->arguments < 0 ? count < 1 : count != command->arguments)
		return bad_usage(f, "wrong number of arguments", command->name);
	return 0;
}

static int execute(int argc, char **argv, struct failure *f)
{
	const struct command *command = find_command(argv[0]);
	struct client_options o = { .control = CONTROL };
	struct run_options r = { 0 };
	const char *name = argv[0];

	if (!command)
		return bad_usage(f, "no such command", name);
	if (parse(argc, argv, command, &o, &r, f))
		return -1;
	argv += optind;
	if (!strcmp(name, "run")) {
		r.control = o.control;
		r.command = argv;
		return run(&r, f);
	}
	if (!strcmp(name, "info"))
		return client_info(&o, f);
	if (!strcmp(name, "state"))
		return client_state(&o, f);
	if (!strcmp(name, "save"))
		return client_save(&o, argv[0], f);
	if (!strcmp(name, "load"))
		return client_load(&o, argv[0], f);
	if (!strcmp(name, "show"))
		return show(argv[0], o.json, f);
	if (!strcmp(name, "migrate")) {
		o.control = argv[0];
		return client_migrate(&o, argv[1], f);
	}
	return client_change(&o, name, f);
}

int main(int argc, char **argv)
{
	struct failure f = { 0 };
	int status;

	if (argc < 2) {
		fputs(usage, stderr);
		return CTL_USAGE;
	}
	if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h")) {
		fputs(usage, stdout);
		return CTL_OK;
	}
	status = execute(argc - 1, argv + 1, &f);
	if (status >= 0)
		return status;
	fflush(stdout);
	fprintf(stderr, "vhost-scsi-ctl: %s\n", f.text);
	return f.status;
}
