/* SPDX-License-Identifier: GPL-2.0 */
/* virtio-scsi requests: commands, task management, notifications, events. */
#ifndef VT_SCSI_H
#define VT_SCSI_H

#include <linux/virtio_scsi.h>
#include <stdbool.h>
#include <stdint.h>

#include "cdb.h"
#include "device.h"

#define RESP_LEN sizeof(struct virtio_scsi_cmd_resp)
/* How long a request may take. */
#define WAIT_MS wait_ms()
unsigned int wait_ms(void);

struct seg {
	void *p;
	uint32_t len;
};

/*
 * One command.  The header stands right before the data that goes out, the
 * response right before the data that comes in, and data begins on a page, so
 * that each of the two directions can be cut into descriptors anywhere:
 *
 *	out: | header (51 bytes, or 59 with T10 PI) | data out |
 *	in:  | response (108 bytes)                 | data in  |
 *
 * As created, each of the four parts is a descriptor of its own.
 */
struct req {
	struct outcome out_come;	/* first: what the ring hands back */
	struct device *d;
	void *hdr;			/* virtio_scsi_cmd_req, or _pi */
	struct virtio_scsi_cmd_req *cmd;	/* hdr without T10 PI, else NULL */
	struct virtio_scsi_cmd_req_pi *cmd_pi;	/* hdr with it, else NULL */
	uint32_t hdr_len;
	struct virtio_scsi_cmd_resp *resp;
	uint8_t *data_out, *data_in;
	uint32_t out_len, in_len;	/* of data, header and response not counted */
	struct seg *seg;		/* out first, then in */
	unsigned int nout, nin;
	bool indirect;
	unsigned int q;
};

enum data_dir { NO_DATA, DATA_OUT, DATA_IN };

/* A command to target 1, LUN 0, tag unique. */
struct req *req_new(struct device *d, struct cdb cdb, enum data_dir dir, uint32_t len);
/* With data both ways. */
struct req *req_new_both(struct device *d, struct cdb cdb, uint32_t out_len,
			 uint32_t in_len);
struct req *req_read(struct device *d, uint64_t lba, uint32_t blocks);
/* Carries pattern_fill(lba, seed). */
struct req *req_write(struct device *d, uint64_t lba, uint32_t blocks, unsigned int seed);

void req_lun(struct req *r, unsigned int target, unsigned int lun);
void req_lun_bytes(struct req *r, const uint8_t lun[8]);
uint8_t *req_lun_field(struct req *r);
uint64_t req_tag(struct req *r);
void req_attr(struct req *r, uint8_t task_attr);

/*
 * Cuts the out (in) direction into descriptors: the given lengths, the last
 * one again and again, to the end.  A length of 0 ends the list.
 */
void req_cut_out(struct req *r, const uint32_t *lens);
void req_cut_in(struct req *r, const uint32_t *lens);
#define CUT(...) ((const uint32_t[]){ __VA_ARGS__, 0 })
/* Moves data-in behind a gap, to begin at this offset in a page. */
void req_misalign(struct req *r, unsigned int offset);
/* Adds one more segment, to the out or to the in direction. */
void req_add_seg(struct req *r, bool in, void *p, uint32_t len);

/* Makes it available without a kick; sends; sends and waits. */
void req_post(struct req *r, unsigned int q);
void req_send(struct req *r, unsigned int q);
bool req_run(struct req *r, unsigned int q);
bool req_wait(struct req *r, unsigned int ms);
/* Fills response and data-in with 0xa5, so that what is written shows. */
void req_poison(struct req *r);

/* Sense key and ASC of a CHECK CONDITION, -1 if there is no sense. */
int req_sense_key(struct req *r);
int req_sense_asc(struct req *r);

/* Is used.len this? Tests of used.len itself look at out_come.len. */
bool req_len_is(struct req *r, uint32_t len);

/*
 * One wrong field makes this non-zero, and says which: returned once, GOOD,
 * no sense, residual 0, and used.len exactly response plus data in.
 */
int req_not_good(struct req *r);

/* Runs TEST UNIT READY until no unit attention is left: 0, or the status. */
int scsi_clear_ua(struct device *d, unsigned int q, unsigned int lun);
/* A READ that has to be served, and that it is: true. */
bool scsi_alive(struct device *d, unsigned int q);

/* Control queue. */
struct ctl {
	struct outcome out_come;
	struct device *d;
	union {
		uint32_t type;
		struct virtio_scsi_ctrl_tmf_req tmf;
		struct virtio_scsi_ctrl_an_req an;
	} *req;
	union {
		struct virtio_scsi_ctrl_tmf_resp tmf;
		struct virtio_scsi_ctrl_an_resp an;
	} *resp;
	uint32_t req_len, resp_len;
};

struct ctl *tmf_new(struct device *d, uint32_t subtype, unsigned int lun, uint64_t tag);
struct ctl *an_new(struct device *d, uint32_t type, uint32_t events);
void ctl_send(struct ctl *c);
bool ctl_wait(struct ctl *c, unsigned int ms);
/* The response byte, or -1 if it did not come back. */
int tmf_run(struct device *d, uint32_t subtype, unsigned int lun, uint64_t tag);

/* Event queue. */
struct event {
	struct outcome out_come;
	struct virtio_scsi_event *ev;
};

struct event *event_post(struct device *d);

#endif
