/* SPDX-License-Identifier: GPL-2.0 */
/*
 * Migration state: what a session is made of
 *
 *	migration.c	the state machine
 *	mig_ioctl.c	the ioctls
 *	session.c	one save or load session, and its data descriptor
 *	load.c		taking a stream apart
 *	inventory.c	logical units: described, and compared with a description
 *	reservation.c	persistent and SPC-2 reservations: read, described
 *	place.c		the same: commands that change them
 *	takeover.c	the same: captured, and taken over by another nexus
 *	handback.c	the same: given back, put back, given up
 *	capture.c	the sections of a stream
 *
 * Lock order, within that of scsi.h:
 *
 *	vhost_dev.mutex			arcs of the state machine
 *	  vhost_scsi_tpg_lock		configfs: a LUN has come
 *	    vhost_scsi_session.lock	read() and write() of the descriptor
 *	      vhost_scsi_migration.lock	what GET_STATE, CHECK and poll look at
 *
 * GET_STATE, CHECK and SET_EVENTFD take the last one alone, so they answer
 * while an arc waits for the guest's requests or for a backend.
 */
#ifndef VHOST_SCSI_MIGRATION_H
#define VHOST_SCSI_MIGRATION_H

#include <linux/vhost_scsi_migration.h>

#include "scsi.h"

/**
 * struct vhost_scsi_load - a stream, taken apart
 * @section: payload by type; data is NULL for what has not come yet
 * @host: it comes from this host
 * @cache_dropped: VHOST_SCSI_MIG_DATA_CACHE_DROPPED
 * @last: type of the last section that is known
 * @crc: of what has come, to be inverted
 * @bytes: taken in since the HEADER
 * @head: the section that is coming
 * @have: bytes of @head and of its payload that have come
 * @payload: payload of the section that is coming
 */
struct vhost_scsi_load {
	struct vhost_scsi_buf section[VHOST_SCSI_MIG_END];
	bool host;
	bool cache_dropped;
	u32 last;
	u32 crc;
	u64 bytes;
	struct vhost_scsi_mig_section head;
	size_t have;
	u8 *payload;
};

/**
 * struct vhost_scsi_session - one save or load session
 * @ref: the device while the session is open, and the data descriptor
 * @io: one reader or writer at a time; held while userspace memory is touched
 * @lock: protects the rest
 * @vs: device; NULL when the session is over
 * @save: direction
 * @handed_out: there is, or was, a data descriptor.  Under vhost_dev.mutex
 * @closed: it was closed
 * @wait: poll() of the descriptor
 * @error: negative errno that every further read() or write() fails with
 * @sections: save: what was not read to its end yet, &struct vhost_scsi_blob
 * @pending: save: bytes of these that were not read
 * @crc: save: of the stream so far, to be inverted
 * @crc_final: save: the same before the final state
 * @inventory: save: the last one that was put into the stream
 * @inventoried: save: one was, since the last HEADER
 * @final: save: the final state is complete, in @sections or read
 * @final_begun: save: some of it was read
 * @load: load: what has come
 * @verdict: load: of it
 */
struct vhost_scsi_session {
	struct kref ref;
	struct mutex io; /* see there */
	struct mutex lock; /* see there */
	struct vhost_scsi *vs;
	bool save;
	bool handed_out;
	bool closed;
	wait_queue_head_t wait;
	int error;

	struct list_head sections;
	u64 pending;
	u32 crc;
	u32 crc_final;
	struct vhost_scsi_buf inventory;
	bool inventoried;
	bool final;
	bool final_begun;

	struct vhost_scsi_load *load;
	enum vhost_scsi_mig_verdict verdict;
};

static inline size_t vhost_scsi_reservation_size(const struct vhost_scsi_mig_reservation *res)
{
	return struct_size(res, registration, le32_to_cpu(res->count));
}

/**
 * struct vhost_scsi_wish - what a caller of SET_STATE asks for besides a state
 * @flags: VHOST_SCSI_MIG_NO_FLUSH, VHOST_SCSI_MIG_DROP
 * @end: jiffies when to give up waiting, 0 for never
 */
struct vhost_scsi_wish {
	u32 flags;
	unsigned long end;
};

/* migration.c */
int vhost_scsi_mig_go(struct vhost_scsi *vs, u32 to,
		      const struct vhost_scsi_wish *wish);
int vhost_scsi_mig_errno(enum vhost_scsi_mig_reason reason);
void vhost_scsi_mig_note(struct vhost_scsi *vs, int error,
			 const struct vhost_scsi_mig_blocker *blocker);
void vhost_scsi_mig_note_check(struct vhost_scsi *vs,
			       enum vhost_scsi_mig_verdict verdict, int error,
			       const struct vhost_scsi_mig_blocker *blocker,
			       u64 offset);

/* session.c */
struct vhost_scsi_session *vhost_scsi_session_open(struct vhost_scsi *vs,
						   bool save);
void vhost_scsi_session_died(struct vhost_scsi_session *session);
void vhost_scsi_session_end(struct vhost_scsi_session *session);
void vhost_scsi_session_fail(struct vhost_scsi_session *session, int error);
int vhost_scsi_session_fd(struct vhost_scsi_session *session);
int vhost_scsi_session_add(struct vhost_scsi_session *session, u32 type,
			   struct vhost_scsi_buf *payload);
bool vhost_scsi_session_void(struct vhost_scsi_session *session);
bool vhost_scsi_session_read_out(struct vhost_scsi_session *session);
int vhost_scsi_session_accepted(struct vhost_scsi_session *session);

/* load.c */
int vhost_scsi_load_bytes(struct vhost_scsi *vs, struct vhost_scsi_load *load,
			  const u8 *data, size_t len,
			  enum vhost_scsi_mig_verdict *verdict,
			  struct vhost_scsi_mig_blocker *blocker);
void vhost_scsi_load_free(struct vhost_scsi_load *load);

/* capture.c */
void *vhost_scsi_buf_add(struct vhost_scsi_buf *buf, const void *data,
			 size_t len);
void vhost_scsi_buf_free(struct vhost_scsi_buf *buf);
int vhost_scsi_capture_first(struct vhost_scsi *vs,
			     struct vhost_scsi_session *session);
int vhost_scsi_capture_inventory(struct vhost_scsi *vs,
				 struct vhost_scsi_session *session);
int vhost_scsi_capture_final(struct vhost_scsi *vs,
			     struct vhost_scsi_session *session);
int vhost_scsi_capture_check_rings(struct vhost_scsi *vs,
				   const struct vhost_scsi_load *load);
void vhost_scsi_capture_clear(struct vhost_scsi *vs);
void vhost_scsi_capture_hand_in(struct vhost_scsi *vs,
				const struct vhost_scsi_load *load);
extern u8 vhost_scsi_host_name[16];

/* inventory.c */
void vhost_scsi_inventory_make(struct vhost_scsi *vs,
			       struct vhost_scsi_buf *buf);
bool vhost_scsi_inventory_valid(const struct vhost_scsi_buf *buf);
enum vhost_scsi_mig_reason
vhost_scsi_inventory_check(struct vhost_scsi *vs,
			   const struct vhost_scsi_load *load,
			   struct vhost_scsi_mig_blocker *blocker);
bool vhost_scsi_inventory_shared(const struct vhost_scsi_load *load,
				 const struct vhost_scsi_unit *unit);
int vhost_scsi_inventory_blockers(struct vhost_scsi *vs,
				  struct vhost_scsi_mig_blocker *out,
				  unsigned int max, unsigned int *count);

/* reservation.c */
struct vhost_scsi_mig_reservation *
vhost_scsi_reservation_read(const struct vhost_scsi_unit *unit);
const struct vhost_scsi_mig_reservation *
vhost_scsi_reservation_next(const struct vhost_scsi_buf *buf,
			    const struct vhost_scsi_mig_reservation *res);
const struct vhost_scsi_mig_registration *
vhost_scsi_reservation_guest(const struct vhost_scsi_mig_reservation *res);
const struct vhost_scsi_mig_registration *
vhost_scsi_reservation_holder(const struct vhost_scsi_mig_reservation *res);
const struct vhost_scsi_mig_registration *
vhost_scsi_reservation_other(const struct vhost_scsi_mig_reservation *res,
			     const char *initiator, __le64 key);
u32 vhost_scsi_reservation_others(const struct vhost_scsi_mig_reservation *res,
				  __le64 key);
bool vhost_scsi_reservation_shared_key(const struct vhost_scsi_mig_reservation *res);
bool vhost_scsi_reservations_valid(const struct vhost_scsi_buf *buf);

/* Service actions of PERSISTENT RESERVE OUT, and bits of its parameters */
#define VHOST_SCSI_PRO_REGISTER		0x00
#define VHOST_SCSI_PRO_RESERVE		0x01
#define VHOST_SCSI_PRO_RELEASE		0x02
#define VHOST_SCSI_PRO_PREEMPT		0x04
#define VHOST_SCSI_PRO_REGISTER_IGNORE	0x06
#define VHOST_SCSI_PRO_APTPL		0x01
#define VHOST_SCSI_PRO_ALL_TG_PT	0x04
/* RESERVE(6) and RELEASE(6), which kernels before 7.2 call otherwise */
#define VHOST_SCSI_RESERVE		0x16
#define VHOST_SCSI_RELEASE		0x17

/**
 * struct vhost_scsi_place - a logical unit, and the guest's nexus to it
 * @vs: device
 * @unit: logical unit, found
 * @now: what reservations there are
 */
struct vhost_scsi_place {
	struct vhost_scsi *vs;
	struct vhost_scsi_unit unit;
	struct vhost_scsi_mig_reservation *now;
};

/**
 * struct vhost_scsi_undo - what was done to one logical unit
 * @entry: of the list of all that was done
 * @lun: logical unit number
 * @target: target
 * @registered: the guest's nexus was not registered before
 * @taken: it did not hold the reservation before
 * @reserved: it reserved, with SPC-2
 * @shared: the source's nexus is on the same unit
 * @aptpl: what the unit's APTPL was, as flags of a REGISTER
 * @all_tg_pt: flags of a REGISTER as the source's
 * @key: the guest's key
 * @wwpn: the source's target port
 * @initiator: name of the source's nexus
 */
struct vhost_scsi_undo {
	struct list_head entry;
	u64 lun;
	u32 target;
	bool registered;
	bool taken;
	bool reserved;
	bool shared;
	u8 aptpl;
	u8 all_tg_pt;
	__le64 key;
	char wwpn[TRANSPORT_IQN_LEN];
	char initiator[TRANSPORT_IQN_LEN];
};

static inline bool vhost_scsi_all_registrants(u8 type)
{
	return type == 7 || type == 8;
}

static inline bool
vhost_scsi_is_guest(const struct vhost_scsi_mig_registration *reg)
{
	return reg->flags & cpu_to_le32(VHOST_SCSI_MIG_REG_GUEST);
}

/* place.c */
int vhost_scsi_place_enter(struct vhost_scsi_place *p, struct vhost_scsi *vs,
			   u32 target, u64 lun);
void vhost_scsi_place_leave(struct vhost_scsi_place *p);
int vhost_scsi_place_look(struct vhost_scsi_place *p);
int vhost_scsi_place_exec(struct vhost_scsi_place *p, const u8 *cdb,
			  const void *data, u32 len);
int vhost_scsi_place_pr_out(struct vhost_scsi_place *p, u8 action, u8 type,
			    u64 key, u64 new_key, u8 flags);
int vhost_scsi_place_spc2(struct vhost_scsi_place *p, u8 opcode);
u8 vhost_scsi_place_aptpl(const struct vhost_scsi_place *p);
u8 vhost_scsi_place_all_tg_pt(const struct vhost_scsi_mig_registration *reg);
int vhost_scsi_place_register(struct vhost_scsi_place *p,
			      const struct vhost_scsi_mig_registration *reg,
			      u8 aptpl);
int vhost_scsi_place_unregister(struct vhost_scsi_place *p, u8 aptpl);

/* takeover.c */
int vhost_scsi_reservations_capture(struct vhost_scsi *vs,
				    struct vhost_scsi_buf *buf);
int vhost_scsi_reservations_apply(struct vhost_scsi *vs,
				  const struct vhost_scsi_load *load,
				  struct list_head *undo,
				  struct vhost_scsi_mig_blocker *blocker);
int vhost_scsi_reservations_verify(struct vhost_scsi *vs,
				   const struct list_head *list);

/* handback.c */
int vhost_scsi_reservations_undo(struct vhost_scsi *vs, struct list_head *list);
void vhost_scsi_reservations_forget(struct list_head *list);
int vhost_scsi_reservations_restore(struct vhost_scsi *vs,
				    const struct vhost_scsi_buf *captured,
				    const struct vhost_scsi_buf *attentions,
				    struct vhost_scsi_mig_blocker *blocker);
void vhost_scsi_reservations_leave(struct vhost_scsi *vs,
				   const struct vhost_scsi_buf *captured,
				   bool sure);

#endif /* VHOST_SCSI_MIGRATION_H */
