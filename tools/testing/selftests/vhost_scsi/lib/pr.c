// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "pr.h"

#define PR_IN_LEN 4096
#define PR_REGS_MAX 16
#define NAME_DIGITS 6

const uint8_t pr_types[6] = { PR_WE, PR_EA, PR_WE_RO, PR_EA_RO, PR_WE_AR, PR_EA_AR };

const char *pr_type_name(uint8_t type)
{
	switch (type) {
	case PR_WE:
		return "write exclusive";
	case PR_EA:
		return "exclusive access";
	case PR_WE_RO:
		return "write exclusive, registrants only";
	case PR_EA_RO:
		return "exclusive access, registrants only";
	case PR_WE_AR:
		return "write exclusive, all registrants";
	case PR_EA_AR:
		return "exclusive access, all registrants";
	default:
		return "SPC-2";
	}
}

static int run(struct req *r, unsigned int lun)
{
	req_lun(r, 1, lun);
	for (int i = 0; i < 4; i++) {
		if (!req_run(r, Q_IO) || r->resp->response)
			return -1;
		if (req_sense_key(r) != KEY_UNIT_ATTENTION)
			break;
		req_poison(r);
	}
	return r->resp->status;
}

static int pr_out_flags(struct device *d, unsigned int lun, uint8_t action, uint8_t type,
			uint64_t key, uint64_t new_key, uint8_t flags)
{
	struct req *r = req_new(d, cdb_pr_out(action, type), DATA_OUT, 24);

	cdb_be(r->data_out, key, 8);
	cdb_be(r->data_out + 8, new_key, 8);
	r->data_out[20] = flags;
	return run(r, lun);
}

int pr_out(struct device *d, unsigned int lun, uint8_t action, uint8_t type,
	   uint64_t key, uint64_t new_key)
{
	return pr_out_flags(d, lun, action, type, key, new_key, 0);
}

int pr_register(struct device *d, unsigned int lun, uint64_t key)
{
	return pr_out(d, lun, PR_REGISTER, 0, 0, key);
}

int pr_register_aptpl(struct device *d, unsigned int lun, uint64_t key)
{
	return pr_out_flags(d, lun, PR_REGISTER, 0, 0, key, 1);
}

int pr_reserve(struct device *d, unsigned int lun, uint64_t key, uint8_t type)
{
	return pr_out(d, lun, PR_RESERVE, type, key, 0);
}

int spc2_reserve(struct device *d, unsigned int lun)
{
	return run(req_new(d, (struct cdb){ { 0x16 } }, NO_DATA, 0), lun);
}

int spc2_release(struct device *d, unsigned int lun)
{
	return run(req_new(d, (struct cdb){ { 0x17 } }, NO_DATA, 0), lun);
}

int scsi_write(struct device *d, unsigned int lun)
{
	return run(req_write(d, 0, 1, 0), lun);
}

int scsi_read(struct device *d, unsigned int lun)
{
	return run(req_read(d, 0, 1), lun);
}

struct registrant {
	uint64_t key;
	char name[NAME_DIGITS + 1];
	bool holder;
	uint8_t type;
};

static int compare(const void *a, const void *b)
{
	const struct registrant *x = a, *y = b;

	if (x->key != y->key)
		return x->key < y->key ? -1 : 1;
	return strcmp(x->name, y->name);
}

/* One full status descriptor of PERSISTENT RESERVE IN. */
static void parse(const uint8_t *p, struct registrant *reg)
{
	const uint8_t *address = p + 24 + 4;	/* of a SAS TransportID */
	char hex[17];

	reg->key = be_get(p, 8);
	reg->holder = p[12] & 1;
	reg->type = p[13] & 0xf;
	snprintf(hex, sizeof(hex), "%016llx", (unsigned long long)be_get(address, 8));
	snprintf(reg->name, sizeof(reg->name), "%s", hex + 16 - NAME_DIGITS);
}

const char *pr_shown(struct device *d, unsigned int lun)
{
	struct req *r = req_new(d, cdb_pr_in(3, PR_IN_LEN), DATA_IN, PR_IN_LEN);
	struct registrant reg[PR_REGS_MAX];
	int status = run(r, lun), type = 0;
	unsigned int n = 0, len, at;
	const char *text = "";

	if (status == SAM_RESERVATION_CONFLICT)
		return "conflict";
	if (status)
		return "error";
	len = be_get(r->data_in + 4, 4);
	for (at = 8; at + 24 <= len + 8 && n < PR_REGS_MAX; n++) {
		parse(r->data_in + at, &reg[n]);
		at += 24 + be_get(r->data_in + at + 20, 4);
	}
	if (!n)
		return "none";
	qsort(reg, n, sizeof(*reg), compare);
	for (at = 0; at < n; at++) {
		text = vt_str("%s%s%llx@%s%s", text, at ? " " : "",
			      (unsigned long long)reg[at].key, reg[at].name,
			      reg[at].holder ? "*" : "");
		if (reg[at].holder)
			type = reg[at].type;
	}
	return type ? vt_str("%s type %d", text, type) : text;
}

const char *pr_name(struct target *t)
{
	return t->wwpn + strlen(t->wwpn) - NAME_DIGITS;
}
