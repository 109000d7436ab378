// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "pr.h"
#include "scene.h"

static struct backstore *storage(const struct scene_opts *o, struct backstore **other)
{
	const char *serial = vt_str("scene-%d-%u", getpid(), vt_serial());
	struct backstore *b, *second = NULL;

	if (!strcmp(o->kind, "iblock")) {
		/* One disk has room for one user; each mapping of it is a disk. */
		struct disk *ram = disk_ram(NULL);

		b = backstore_block(disk_gate(ram));
		if (o->elsewhere)
			second = backstore_block(disk_gate(ram));
	} else if (!strcmp(o->kind, "fileio")) {
		const char *path = vt_str("/tmp/vt-%s", serial);

		b = backstore_file(path, 4);
		if (o->elsewhere)
			second = backstore_file(path, 4);
	} else {
		b = backstore_ram(4, false);
		if (o->elsewhere)
			second = backstore_ram(4, false);
	}
	backstore_serial(b, serial);
	if (second)
		backstore_serial(second, serial);
	*other = second ? second : b;
	return b;
}

static void third_up(struct target **t, struct device *d, struct backstore *b)
{
	*t = target_open();
	target_lun(*t, 0, b);
	device_open(d, &(struct device_opts){ .mem = 8 << 20 });
	if (device_start(d, (*t)->wwpn) || scsi_clear_ua(d, Q_IO, 0))
		vt_fatal("the third initiator does not start");
}

void scene_up(struct scene *c, const struct scene_opts *o)
{
	struct backstore *b, *other;

	memset(c, 0, sizeof(*c));
	b = storage(o, &other);
	PAIR_UP(&c->p, .bs = b, .bd = other, .dev.mem = 8 << 20,
		.destination_first = o->destination_first);
	third_up(&c->ts, &c->ws, b);
	if (o->elsewhere)
		third_up(&c->td, &c->wd, other);
}

struct stream *scene_save(struct scene *c, const struct scene_opts *o)
{
	struct stream *s = pair_save(&c->p);

	if (o->elsewhere)
		stream_from_elsewhere(s);
	return s;
}

uint32_t scene_flags(const struct scene_opts *o)
{
	return o->elsewhere && !strcmp(o->kind, "fileio") ?
		VHOST_SCSI_MIG_DATA_CACHE_DROPPED : 0;
}

int scene_take(struct device *d, uint8_t type)
{
	int ret;

	if (!type)
		return spc2_reserve(d, 0);
	ret = pr_register(d, 0, SCENE_KEY);
	return ret ? ret : pr_reserve(d, 0, SCENE_KEY, type);
}

int scene_clear(struct device *d, uint8_t type)
{
	return type ? pr_out(d, 0, PR_CLEAR, 0, SCENE_KEY, 0) : spc2_release(d, 0);
}

const char *scene_held(struct target *t, uint8_t type)
{
	return type ? vt_str("%x@%s* type %d", SCENE_KEY, pr_name(t), type) : "conflict";
}

static bool excludes_reads(uint8_t type)
{
	return !type || type == PR_EA || type == PR_EA_RO || type == PR_EA_AR;
}

bool scene_locked_out(struct device *w, uint8_t type)
{
	int write = scsi_write(w, 0), read = scsi_read(w, 0);

	if (write == SAM_RESERVATION_CONFLICT &&
	    read == (excludes_reads(type) ? SAM_RESERVATION_CONFLICT : SAM_GOOD))
		return true;
	vt_note("a third initiator: write %#x, read %#x", write, read);
	return false;
}
