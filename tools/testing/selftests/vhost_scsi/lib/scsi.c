// SPDX-License-Identifier: GPL-2.0
#include <stdio.h>
#include <string.h>

#include "disk.h"
#include "scsi.h"
#include "util.h"

static uint64_t tag_next = 0x1000;

unsigned int wait_ms(void)
{
	return driver_is_stock() ? 1000 : 10000;
}

/* A page-aligned area for len bytes, with a page for a header before it. */
static uint8_t *alloc_data(struct guest *g, uint32_t len)
{
	uint8_t *p = guest_alloc(g, PAGE + len, PAGE);

	/* What follows starts on a page of its own. */
	guest_alloc(g, 0, PAGE);
	return p + PAGE;
}

static void req_default_segs(struct req *r)
{
	unsigned int n = 0;

	r->seg = vt_zalloc(4 * sizeof(*r->seg));
	r->seg[n++] = (struct seg){ r->hdr, r->hdr_len };
	if (r->out_len)
		r->seg[n++] = (struct seg){ r->data_out, r->out_len };
	r->nout = n;
	r->seg[n++] = (struct seg){ r->resp, RESP_LEN };
	if (r->in_len)
		r->seg[n++] = (struct seg){ r->data_in, r->in_len };
	r->nin = n - r->nout;
}

struct req *req_new_both(struct device *d, struct cdb cdb, uint32_t out_len,
			 uint32_t in_len)
{
	struct req *r = vt_zalloc(sizeof(*r));
	bool pi = d->features & F_T10_PI;

	r->d = d;
	r->out_len = out_len;
	r->in_len = in_len;
	r->hdr_len = pi ? sizeof(*r->cmd_pi) : sizeof(*r->cmd);
	r->data_out = alloc_data(&d->guest, out_len);
	r->data_in = alloc_data(&d->guest, in_len);
	r->hdr = r->data_out - r->hdr_len;
	r->resp = (void *)(r->data_in - RESP_LEN);
	if (pi) {
		r->cmd_pi = r->hdr;
		r->cmd_pi->tag = tag_next++;
		memcpy(r->cmd_pi->cdb, cdb.b, sizeof(r->cmd_pi->cdb));
	} else {
		r->cmd = r->hdr;
		r->cmd->tag = tag_next++;
		memcpy(r->cmd->cdb, cdb.b, sizeof(r->cmd->cdb));
	}
	req_lun(r, 1, 0);
	req_default_segs(r);
	req_poison(r);
	return r;
}

struct req *req_new(struct device *d, struct cdb cdb, enum data_dir dir, uint32_t len)
{
	return req_new_both(d, cdb, dir == DATA_OUT ? len : 0, dir == DATA_IN ? len : 0);
}

struct req *req_read(struct device *d, uint64_t lba, uint32_t blocks)
{
	return req_new(d, cdb_read16(lba, blocks), DATA_IN, blocks * 512);
}

struct req *req_write(struct device *d, uint64_t lba, uint32_t blocks, unsigned int seed)
{
	struct req *r = req_new(d, cdb_write16(lba, blocks), DATA_OUT, blocks * 512);

	pattern_fill(r->data_out, lba, blocks, seed);
	return r;
}

uint8_t *req_lun_field(struct req *r)
{
	return r->hdr;	/* the first field of both headers */
}

void req_lun(struct req *r, unsigned int target, unsigned int lun)
{
	const uint8_t bytes[8] = { 1, target, 0x40 | lun >> 8, lun };

	req_lun_bytes(r, bytes);
}

void req_lun_bytes(struct req *r, const uint8_t lun[8])
{
	memcpy(req_lun_field(r), lun, 8);
}

uint64_t req_tag(struct req *r)
{
	return r->cmd_pi ? r->cmd_pi->tag : r->cmd->tag;
}

void req_attr(struct req *r, uint8_t task_attr)
{
	if (r->cmd_pi)
		r->cmd_pi->task_attr = task_attr;
	else
		r->cmd->task_attr = task_attr;
}

static unsigned int cut(struct seg *seg, uint8_t *p, uint32_t total, const uint32_t *lens)
{
	unsigned int n = 0;
	uint32_t len = 0;

	while (total) {
		if (*lens)
			len = *lens++;
		if (len > total)
			len = total;
		if (seg)
			seg[n] = (struct seg){ p, len };
		n++;
		p += len;
		total -= len;
	}
	return n;
}

static void req_cut(struct req *r, bool in, const uint32_t *lens)
{
	uint8_t *p = in ? (uint8_t *)r->resp : r->hdr;
	uint32_t total = in ? RESP_LEN + r->in_len : r->hdr_len + r->out_len;
	unsigned int n = cut(NULL, p, total, lens);
	struct seg *seg = vt_zalloc((n + r->nout + r->nin + 1) * sizeof(*seg));

	if (in) {
		memcpy(seg, r->seg, r->nout * sizeof(*seg));
		cut(seg + r->nout, p, total, lens);
		r->nin = n;
	} else {
		cut(seg, p, total, lens);
		memcpy(seg + n, r->seg + r->nout, r->nin * sizeof(*seg));
		r->nout = n;
	}
	r->seg = seg;
}

void req_cut_out(struct req *r, const uint32_t *lens)
{
	req_cut(r, false, lens);
}

void req_cut_in(struct req *r, const uint32_t *lens)
{
	req_cut(r, true, lens);
}

void req_misalign(struct req *r, unsigned int offset)
{
	uint32_t len = r->out_len ? r->out_len : r->in_len;
	uint8_t *p = guest_alloc(&r->d->guest, len + PAGE + offset, PAGE) + offset;

	if (r->out_len) {
		memcpy(p, r->data_out, len);
		r->data_out = p;
	} else {
		r->data_in = p;
	}
	req_default_segs(r);
}

void req_add_seg(struct req *r, bool in, void *p, uint32_t len)
{
	unsigned int n = r->nout + r->nin, at = in ? n : r->nout;
	struct seg *seg = vt_zalloc((n + 1) * sizeof(*seg));

	memcpy(seg, r->seg, at * sizeof(*seg));
	seg[at] = (struct seg){ p, len };
	memcpy(seg + at + 1, r->seg + at, (n - at) * sizeof(*seg));
	r->seg = seg;
	if (in)
		r->nin++;
	else
		r->nout++;
}

void req_poison(struct req *r)
{
	memset(r->resp, 0xa5, RESP_LEN);
	memset(r->data_in, 0xa5, r->in_len);
}

void req_post(struct req *r, unsigned int q)
{
	struct ring *vr = &r->d->q[q];
	struct chain c = r->indirect ? chain_begin_indirect(vr) : chain_begin(vr);
	unsigned int i;

	r->q = q;
	for (i = 0; i < r->nout + r->nin; i++)
		chain_add(&c, r->seg[i].p, r->seg[i].len, i >= r->nout);
	chain_post(&c, &r->out_come);
}

void req_send(struct req *r, unsigned int q)
{
	req_post(r, q);
	vring_kick(&r->d->q[q]);
}

bool req_wait(struct req *r, unsigned int ms)
{
	return vring_wait(&r->d->q[r->q], &r->out_come, ms);
}

bool req_run(struct req *r, unsigned int q)
{
	req_send(r, q);
	return req_wait(r, WAIT_MS);
}

int req_sense_key(struct req *r)
{
	return r->resp->sense_len >= 3 && r->resp->sense_len <= 96 ?
		r->resp->sense[2] & 0xf : -1;
}

int req_sense_asc(struct req *r)
{
	return r->resp->sense_len >= 13 && r->resp->sense_len <= 96 ?
		r->resp->sense[12] : -1;
}

bool req_len_is(struct req *r, uint32_t len)
{
	return r->out_come.len == len || (driver_is_stock() && !r->out_come.len);
}

int req_not_good(struct req *r)
{
	const struct virtio_scsi_cmd_resp *p = r->resp;

	if (r->out_come.returned == 1 && !p->response && !p->status && !p->sense_len &&
	    !p->resid && req_len_is(r, RESP_LEN + r->in_len))
		return 0;
	vt_note("returned %u times, response %u, status %#x, resid %u, used.len %u of %zu",
		r->out_come.returned, p->response, p->status, p->resid,
		r->out_come.len, RESP_LEN + r->in_len);
	if (p->status == SAM_CHECK_CONDITION)
		vt_note("sense key %d, ASC %#x", req_sense_key(r), req_sense_asc(r));
	return 1;
}

int scsi_clear_ua(struct device *d, unsigned int q, unsigned int lun)
{
	struct req *r = req_new(d, cdb_tur(), NO_DATA, 0);
	int i;

	req_lun(r, 1, lun);
	for (i = 0; i < 8; i++) {
		if (!req_run(r, q))
			return -1;
		if (r->resp->response)
			return -1;
		if (req_sense_key(r) != KEY_UNIT_ATTENTION)
			break;
		req_poison(r);
	}
	return r->resp->status;
}

bool scsi_alive(struct device *d, unsigned int q)
{
	struct req *r = req_read(d, 0, 8);

	return req_run(r, q) && !r->resp->response && !r->resp->status;
}

static struct ctl *ctl_new(struct device *d, uint32_t type, uint32_t req_len,
			   uint32_t resp_len)
{
	struct ctl *c = vt_zalloc(sizeof(*c));

	c->d = d;
	c->req = guest_alloc(&d->guest, PAGE, PAGE);
	c->resp = guest_alloc(&d->guest, PAGE, PAGE);
	c->req->type = type;
	c->req_len = req_len;
	c->resp_len = resp_len;
	memset(c->resp, 0xa5, resp_len);
	return c;
}

struct ctl *tmf_new(struct device *d, uint32_t subtype, unsigned int lun, uint64_t tag)
{
	struct ctl *c = ctl_new(d, VIRTIO_SCSI_T_TMF, sizeof(c->req->tmf),
				sizeof(c->resp->tmf));
	const uint8_t bytes[8] = { 1, 1, 0x40 | lun >> 8, lun };

	c->req->tmf.subtype = subtype;
	c->req->tmf.tag = tag;
	memcpy(c->req->tmf.lun, bytes, 8);
	return c;
}

struct ctl *an_new(struct device *d, uint32_t type, uint32_t events)
{
	struct ctl *c = ctl_new(d, type, sizeof(c->req->an), sizeof(c->resp->an));
	const uint8_t bytes[8] = { 1, 1, 0x40, 0 };

	memcpy(c->req->an.lun, bytes, 8);
	c->req->an.event_requested = events;
	return c;
}

void ctl_send(struct ctl *c)
{
	struct ring *vr = &c->d->q[Q_CTL];
	struct chain ch = chain_begin(vr);

	chain_add(&ch, c->req, c->req_len, false);
	chain_add(&ch, c->resp, c->resp_len, true);
	chain_post(&ch, &c->out_come);
	vring_kick(vr);
}

bool ctl_wait(struct ctl *c, unsigned int ms)
{
	return vring_wait(&c->d->q[Q_CTL], &c->out_come, ms);
}

int tmf_run(struct device *d, uint32_t subtype, unsigned int lun, uint64_t tag)
{
	struct ctl *c = tmf_new(d, subtype, lun, tag);

	ctl_send(c);
	return ctl_wait(c, WAIT_MS) ? c->resp->tmf.response : -1;
}

struct event *event_post(struct device *d)
{
	struct event *e = vt_zalloc(sizeof(*e));
	struct chain c = chain_begin(&d->q[Q_EVT]);

	e->ev = guest_alloc(&d->guest, PAGE, PAGE);
	memset(e->ev, 0xa5, sizeof(*e->ev));
	chain_add(&c, e->ev, sizeof(*e->ev), true);
	chain_post(&c, &e->out_come);
	vring_kick(&d->q[Q_EVT]);
	return e;
}
