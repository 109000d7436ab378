// SPDX-License-Identifier: GPL-2.0
#include <ctype.h>
#include <inttypes.h>
#include "array.h"
#include "names.h"
#include "show.h"

struct flag {
	uint64_t bit;
	const char *name;
};

static const struct flag features[] = {
	{ 1ull << 1, "INOUT" }, { 1ull << 2, "HOTPLUG" },
	{ 1ull << 3, "CHANGE" }, { 1ull << 4, "T10_PI" },
	{ 1ull << 24, "NOTIFY_ON_EMPTY" }, { 1ull << 26, "LOG_ALL" },
	{ 1ull << 27, "ANY_LAYOUT" }, { 1ull << 28, "INDIRECT_DESC" },
	{ 1ull << 29, "EVENT_IDX" }, { 1ull << 32, "VERSION_1" },
};

static const struct flag lun_flags[] = {
	{ VHOST_SCSI_MIG_LUN_RO, "read-only" },
	{ VHOST_SCSI_MIG_LUN_PAGE_CACHE, "page-cache" },
	{ VHOST_SCSI_MIG_LUN_MEMORY, "memory" },
	{ VHOST_SCSI_MIG_LUN_PR_HIDDEN, "reservations-hidden" },
};

static const struct flag registration_flags[] = {
	{ VHOST_SCSI_MIG_REG_GUEST, "guest" },
	{ VHOST_SCSI_MIG_REG_HOLDER, "holder" },
	{ VHOST_SCSI_MIG_REG_ALL_TG_PT, "all-ports" },
};

static const struct flag reservation_flags[] = {
	{ VHOST_SCSI_MIG_RES_APTPL, "aptpl" },
	{ VHOST_SCSI_MIG_RES_SPC2_GUEST, "spc2-guest" },
	{ VHOST_SCSI_MIG_RES_SPC2_OTHER, "spc2-other" },
};

/* Names come from a file that anybody may have made: no control characters. */
static const char *clean(const char *name, char *to, size_t size)
{
	size_t i;

	for (i = 0; name[i] && i + 1 < size; i++)
		to[i] = isprint((unsigned char)name[i]) ? name[i] : '?';
	while (i && to[i - 1] == ' ')
		i--;
	to[i] = 0;
	return to;
}

static void show_flags(FILE *out, uint64_t value, const struct flag *flags,
		       size_t count)
{
	size_t i;

	for (i = 0; i < count; i++) {
		if (value & flags[i].bit)
			fprintf(out, " %s", flags[i].name);
		value &= ~flags[i].bit;
	}
	if (value)
		fprintf(out, " 0x%" PRIx64, value);
}

static void hex(char *to, const uint8_t *from, size_t count)
{
	size_t i;

	for (i = 0; i < count; i++)
		sprintf(to + 2 * i, "%02x", from[i]);
}

static void show_luns(const struct stream *s, FILE *out)
{
	size_t i;

	fprintf(out, "LUNs          %zu\n", s->nr_luns);
	for (i = 0; i < s->nr_luns; i++) {
		const struct stream_lun *lun = &s->lun[i];
		char name[260];

		fprintf(out, "  target %" PRIu32 " LUN %" PRIu64
			": type %u, %" PRIu64 " blocks of %" PRIu32 " bytes",
			lun->target, lun->lun, lun->type, lun->blocks,
			lun->block_size);
		if (lun->protection)
			fprintf(out, ", protection type %u", lun->protection);
		fprintf(out, "\n    %s", clean(lun->vendor, name, sizeof(name)));
		fprintf(out, " %s", clean(lun->product, name, sizeof(name)));
		fprintf(out, ", serial %s", clean(lun->serial, name, sizeof(name)));
		fprintf(out, "\n    backstore %" PRIu32 ", %s", lun->backstore,
			clean(lun->backend, name, sizeof(name)));
		show_flags(out, lun->flags, lun_flags, ARRAY_SIZE(lun_flags));
		fputc('\n', out);
	}
}

static void show_reservations(const struct stream *s, FILE *out)
{
	size_t i;
	uint32_t n;

	fprintf(out, "reservations  %zu LUNs\n", s->nr_reservations);
	for (i = 0; i < s->nr_reservations; i++) {
		const struct stream_reservation *res = &s->reservation[i];

		fprintf(out, "  target %" PRIu32 " LUN %" PRIu64 ":", res->target,
			res->lun);
		show_flags(out, res->flags, reservation_flags,
			   ARRAY_SIZE(reservation_flags));
		fprintf(out, " %" PRIu32 " registered\n", res->count);
		for (n = 0; n < res->count; n++) {
			const struct stream_registration *reg = &res->registration[n];
			char name[260];

			fprintf(out, "    key 0x%" PRIx64 " port %u %s", reg->key,
				reg->rel_port,
				clean(reg->initiator, name, sizeof(name)));
			show_flags(out, reg->flags, registration_flags,
				   ARRAY_SIZE(registration_flags));
			if (reg->flags & VHOST_SCSI_MIG_REG_HOLDER)
				fprintf(out, ": %s", name_reservation(reg->type));
			fputc('\n', out);
		}
	}
}

static void show_final(const struct stream *s, FILE *out)
{
	char lun[17];
	size_t i;

	fprintf(out, "rings         %zu\n", s->nr_rings);
	for (i = 0; i < s->nr_rings; i++)
		if (s->ring[i].size)
			fprintf(out, "  queue %zu: %u entries, at %u\n", i,
				s->ring[i].size, s->ring[i].last_avail);
	fprintf(out, "events        %zu%s\n", s->nr_events,
		s->missed ? ", and the guest has missed some" : "");
	for (i = 0; i < s->nr_events; i++) {
		hex(lun, s->event[i].lun, sizeof(s->event[i].lun));
		fprintf(out, "  event %" PRIu32 " reason %" PRIu32 " LUN %s\n",
			s->event[i].event, s->event[i].reason, lun);
	}
	fprintf(out, "attentions    %zu\n", s->nr_attentions);
	for (i = 0; i < s->nr_attentions; i++)
		fprintf(out, "  target %" PRIu32 " LUN %" PRIu64
			": %02xh/%02xh\n", s->attention[i].target,
			s->attention[i].lun, s->attention[i].asc,
			s->attention[i].ascq);
	show_reservations(s, out);
}

void show_text(const struct stream *s, FILE *out)
{
	char name[260], host[33];
	size_t i;

	hex(host, s->host, sizeof(s->host));
	fprintf(out, "stream        version %" PRIu32 ", %s\n", s->version,
		s->complete ? "complete" : "incomplete");
	fprintf(out, "target port   %s\n",
		s->wwpn[0] ? clean(s->wwpn, name, sizeof(name)) : "none");
	fprintf(out, "LIO instance  %s\n", host);
	fprintf(out, "features      0x%" PRIx64 ":", s->features);
	show_flags(out, s->features, features, ARRAY_SIZE(features));
	fprintf(out, "\nqueues        %" PRIu32 "\n", s->nr_queues);
	if (s->headers > 1)
		fprintf(out, "began anew    %u times\n", s->headers - 1);
	for (i = 0; i < s->nr_skipped; i++)
		fprintf(out, "skipped       section of type %" PRIu32
			", version %u, %" PRIu32 " bytes\n", s->skipped[i].type,
			s->skipped[i].version, s->skipped[i].length);
	if (s->inventories)
		show_luns(s, out);
	if (s->complete)
		show_final(s, out);
}

static void add_number(json_object *to, const char *key, uint64_t value)
{
	json_object_object_add(to, key, json_object_new_uint64(value));
}

static void add_text(json_object *to, const char *key, const char *value)
{
	char name[260];

	json_object_object_add(to, key, json_object_new_string(clean(value, name,
								     sizeof(name))));
}

static void add_flags(json_object *to, const char *key, uint64_t value,
		      const struct flag *flags, size_t count)
{
	json_object *list = json_object_new_array();
	size_t i;

	for (i = 0; i < count; i++)
		if (value & flags[i].bit)
			json_object_array_add(list, json_object_new_string(flags[i].name));
	json_object_object_add(to, key, list);
}

static json_object *json_luns(const struct stream *s)
{
	json_object *list = json_object_new_array();
	size_t i;

	for (i = 0; i < s->nr_luns; i++) {
		const struct stream_lun *lun = &s->lun[i];
		json_object *o = json_object_new_object();

		add_number(o, "target", lun->target);
		add_number(o, "lun", lun->lun);
		add_number(o, "type", lun->type);
		add_number(o, "blocks", lun->blocks);
		add_number(o, "block_size", lun->block_size);
		add_number(o, "protection", lun->protection);
		add_text(o, "vendor", lun->vendor);
		add_text(o, "product", lun->product);
		add_text(o, "serial", lun->serial);
		add_number(o, "backstore", lun->backstore);
		add_text(o, "backend", lun->backend);
		add_flags(o, "flags", lun->flags, lun_flags,
			  ARRAY_SIZE(lun_flags));
		json_object_array_add(list, o);
	}
	return list;
}

static json_object *json_reservations(const struct stream *s)
{
	json_object *list = json_object_new_array();
	size_t i;
	uint32_t n;

	for (i = 0; i < s->nr_reservations; i++) {
		const struct stream_reservation *res = &s->reservation[i];
		json_object *o = json_object_new_object();
		json_object *regs = json_object_new_array();

		add_number(o, "target", res->target);
		add_number(o, "lun", res->lun);
		add_flags(o, "flags", res->flags, reservation_flags,
			  ARRAY_SIZE(reservation_flags));
		for (n = 0; n < res->count; n++) {
			const struct stream_registration *reg = &res->registration[n];
			json_object *r = json_object_new_object();
			char key[24];

			/* As sg_persist shows it; and no double of JavaScript's. */
			snprintf(key, sizeof(key), "0x%" PRIx64, reg->key);
			add_text(r, "key", key);
			add_number(r, "port", reg->rel_port);
			add_text(r, "initiator", reg->initiator);
			add_number(r, "type", reg->type);
			add_flags(r, "flags", reg->flags, registration_flags,
				  ARRAY_SIZE(registration_flags));
			json_object_array_add(regs, r);
		}
		json_object_object_add(o, "registrations", regs);
		json_object_array_add(list, o);
	}
	return list;
}

static void json_final(const struct stream *s, json_object *o)
{
	json_object *rings = json_object_new_array();
	json_object *events = json_object_new_array();
	json_object *attentions = json_object_new_array();
	json_object *one;
	char lun[17];
	size_t i;

	for (i = 0; i < s->nr_rings; i++) {
		one = json_object_new_object();
		add_number(one, "size", s->ring[i].size);
		add_number(one, "last_avail", s->ring[i].last_avail);
		json_object_array_add(rings, one);
	}
	for (i = 0; i < s->nr_events; i++) {
		one = json_object_new_object();
		hex(lun, s->event[i].lun, sizeof(s->event[i].lun));
		add_number(one, "event", s->event[i].event);
		add_number(one, "reason", s->event[i].reason);
		add_text(one, "lun", lun);
		json_object_array_add(events, one);
	}
	for (i = 0; i < s->nr_attentions; i++) {
		one = json_object_new_object();
		add_number(one, "target", s->attention[i].target);
		add_number(one, "lun", s->attention[i].lun);
		add_number(one, "asc", s->attention[i].asc);
		add_number(one, "ascq", s->attention[i].ascq);
		json_object_array_add(attentions, one);
	}
	json_object_object_add(o, "rings", rings);
	json_object_object_add(o, "missed", json_object_new_boolean(s->missed));
	json_object_object_add(o, "events", events);
	json_object_object_add(o, "attentions", attentions);
	json_object_object_add(o, "reservations", json_reservations(s));
}

json_object *show_json(const struct stream *s)
{
	json_object *o = json_object_new_object();
	json_object *skipped = json_object_new_array();
	char host[33];
	size_t i;

	hex(host, s->host, sizeof(s->host));
	add_number(o, "version", s->version);
	json_object_object_add(o, "complete", json_object_new_boolean(s->complete));
	add_text(o, "wwpn", s->wwpn);
	add_text(o, "host", host);
	add_number(o, "features", s->features);
	add_number(o, "queues", s->nr_queues);
	add_number(o, "headers", s->headers);
	for (i = 0; i < s->nr_skipped; i++) {
		json_object *one = json_object_new_object();

		add_number(one, "type", s->skipped[i].type);
		add_number(one, "version", s->skipped[i].version);
		add_number(one, "bytes", s->skipped[i].length);
		json_object_array_add(skipped, one);
	}
	json_object_object_add(o, "skipped", skipped);
	if (s->inventories)
		json_object_object_add(o, "luns", json_luns(s));
	if (s->complete)
		json_final(s, o);
	return o;
}
