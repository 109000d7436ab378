/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The migration state of a device: its ioctls, its stream, and what most tests
 * of it begin with, a source and a destination.
 */
#ifndef VT_MIG_H
#define VT_MIG_H

#include <linux/vhost_scsi_migration.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "rig.h"

#define S_STOP VHOST_SCSI_MIG_STOP
#define S_RUN VHOST_SCSI_MIG_RUNNING
#define S_LOG VHOST_SCSI_MIG_LOGGING
#define S_RUNLOG (VHOST_SCSI_MIG_RUNNING | VHOST_SCSI_MIG_LOGGING)
#define S_RESUME VHOST_SCSI_MIG_RESUMING
#define S_ERROR VHOST_SCSI_MIG_ERROR

/* Skips the test where the driver knows nothing of migration. */
void mig_need(void);

/* The ioctls: -errno or 0; a descriptor from mig_data(). */
int mig_info(struct device *d, struct vhost_scsi_mig_info *info);
int mig_status_get(struct device *d, struct vhost_scsi_mig_status *st);
int mig_set(struct device *d, uint32_t state);
int mig_set_flags(struct device *d, uint32_t state, uint32_t flags, uint32_t timeout_ms);
int mig_data(struct device *d, uint32_t flags, const char *wwpn);
int mig_check_get(struct device *d, struct vhost_scsi_mig_check *check);
int mig_eventfd(struct device *d, int fd);

/* The same for those that have to work. */
struct vhost_scsi_mig_status mig_status(struct device *d);
struct vhost_scsi_mig_check mig_check(struct device *d);
/* State bits, or -errno. */
int mig_state(struct device *d);
/* The blockers there are, at most max of them, or -errno. */
int mig_blockers(struct device *d, struct vhost_scsi_mig_blocker *b, unsigned int max);

#define EXPECT_STATE(d, want) EXPECT_EQ(want, mig_state(d))
/* Refused with this errno, reason, target and LUN. */
#define EXPECT_REFUSED(d, err, why, tgt, nr) do {				\
	struct vhost_scsi_mig_check __verdict = mig_check(d);			\
	EXPECT_EQ(VHOST_SCSI_MIG_REFUSED, __verdict.verdict);			\
	EXPECT_EQ(err, __verdict.error);					\
	EXPECT_EQ(why, __verdict.blocker.reason);				\
	EXPECT_EQ(tgt, __verdict.blocker.target);				\
	EXPECT_EQ(nr, __verdict.blocker.lun);					\
} while (0)

/* A stream, whole or in part. Lives until undo_all(). */
struct stream {
	uint8_t *p;
	size_t len;
	size_t room;
};

#define STREAM_ROOM 1048576u

struct stream *stream_new(void);
struct stream *stream_copy(const struct stream *from);
/* Appends what can be read: 0 at the end, or -errno (-ENOMSG: no more for now). */
int stream_read(struct stream *s, int fd);
/* In writes of at most this many bytes, 0 for one: 0 or -errno. */
int stream_write(const struct stream *s, int fd, size_t chunk);
/* Appends a section; nothing is said about the checksum. */
void stream_add(struct stream *s, uint32_t type, uint16_t version, uint16_t flags,
		const void *payload, uint32_t len);
void stream_add_section(struct stream *s, const struct vhost_scsi_mig_section *sec);

/* Walks over the sections: NULL at the end, or where one is cut off. */
struct vhost_scsi_mig_section *stream_next(const struct stream *s,
					   const struct vhost_scsi_mig_section *sec);
/* The last section of this type, or NULL; its payload. */
struct vhost_scsi_mig_section *stream_find(const struct stream *s, uint32_t type);
void *section_payload(const struct vhost_scsi_mig_section *sec);
/* Payload of the last section of this type, which must be there. */
void *stream_payload(const struct stream *s, uint32_t type);

/* Puts the right checksum into END, wherever there is one. */
void stream_seal(struct stream *s);
/* Renames the host, so that it looks like another one; seals. */
void stream_from_elsewhere(struct stream *s);
uint32_t crc32c(const void *p, size_t len);

/* From LOGGING: opens the data, reads all of it, closes. */
struct stream *mig_save(struct device *d);
/*
 * From STOP: opens a load session, writes, closes: 0 or -errno of the write.
 * The state is RESUMING afterwards.
 */
int mig_load(struct device *d, const char *wwpn, const struct stream *s, uint32_t flags);

/* Two targets over the same storage, and a device for each. */
struct pair {
	struct backstore *bs, *bd;	/* of source and destination: the same on one host */
	struct target *ts, *td;
	struct device s, d;
};

struct pair_opts {
	struct backstore *bs;		/* default: rd_mcp of 1 MiB */
	struct backstore *bd;		/* default: bs */
	bool destination_first;		/* to be linked to the storage */
	struct device_opts dev;		/* of both */
};

/* The source runs, the destination has no endpoint. */
void pair_up(struct pair *p, const struct pair_opts *opts);
#define PAIR_UP(p, ...) pair_up(p, &(struct pair_opts){ __VA_ARGS__ })

/* Source to LOGGING by way of RUNNING|LOGGING, all of its data. */
struct stream *pair_save(struct pair *p);
/* The guest's rings arrive at the destination. */
void pair_rings(struct pair *p);
/* RESUMING, load, STOP: the stream is applied.  0 or -errno of the first that fails. */
int pair_apply(struct pair *p, const struct stream *s, uint32_t flags);
/* All of it, the hand-over and the source's release included; the same result. */
int pair_move(struct pair *p);

/* Another backstore that says it is the same disk. */
void backstore_serial(struct backstore *b, const char *serial);

#endif
