/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * Migration state of a vhost-scsi device
 *
 * This is the specification, so all of it is here, long as it is.
 *
 * The ioctls here are for an orchestrator that keeps a duplicate of the
 * descriptor of /dev/vhost-scsi that it has handed to the virtual machine
 * monitor (QEMU: vhostfd=).  They suspend and resume the device, tell what is
 * in flight, and carry to another device what the guest must find there: the
 * persistent and SPC-2 reservations of its LUNs, pending unit attentions,
 * events, ring positions, and an inventory to check before anything is moved.
 *
 * States
 * ======
 *
 *	STOP		not serving the guest.  No request is in flight, no
 *			guest memory is touched, LUN caches are written back
 *	RUNNING		serving the guest
 *	RUNNING|LOGGING	serving the guest, a save session is open: what can be
 *			read ahead, the inventory, can be read
 *	LOGGING		stopped, the save session open: all can be read
 *	RESUMING	stopped, a load session open
 *	ERROR		the process that owned the device is gone.  Only closing
 *			the descriptor leaves this state
 *
 * The device serves the guest if an endpoint is set and it is not suspended.
 * SET_STATE suspends and resumes; VHOST_SCSI_SET_ENDPOINT and _CLEAR_ENDPOINT,
 * which the virtual machine monitor may call at any moment, do the rest.
 *
 * Arcs of VHOST_SCSI_MIG_SET_STATE; every other one is -EINVAL:
 *
 *	from		to		what happens
 *	any		the same	nothing (but see _DROP)
 *	RUNNING		STOP		suspends
 *	RUNNING		RUNNING|LOGGING	opens a save session
 *	RUNNING|LOGGING	LOGGING		suspends, captures the final state
 *	RUNNING|LOGGING	RUNNING		drops the session
 *	LOGGING		RUNNING		drops the session, resumes; reservations
 *					are put back as they were captured.
 *					Without an endpoint the state is STOP
 *	LOGGING		RUNNING|LOGGING	resumes, the same; the final state is
 *					void, and the session goes on
 *	LOGGING		STOP		ends the session.  If all of it was
 *					read, this is the hand-over: the guest's
 *					registrations leave this host.  If not,
 *					reservations are put back
 *	STOP		RUNNING		resumes.  Without an endpoint it lifts
 *					a suspension, and the state remains STOP
 *	STOP		LOGGING		opens a save session, with the final
 *					state (a paused guest, or one that has
 *					no driver yet)
 *	STOP		RESUMING	opens a load session
 *	RESUMING	STOP		applies what was loaded (reservations,
 *					attentions, events), and waits for the
 *					endpoint.  With _DROP, forgets it
 *	RESUMING	RUNNING		the same, and resumes; an endpoint must
 *					be set
 *
 * And by the other ioctls:
 *
 *	STOP		SET_ENDPOINT	RUNNING, or STOP if suspended.  With an
 *					accepted load: -EXDEV for another WWPN,
 *					-ESTALE if rings or features are not
 *					those of the load, or the source has
 *					taken its reservations back
 *	LOGGING		SET_ENDPOINT	RUNNING|LOGGING, or LOGGING if
 *					suspended; the final state is void.
 *					-EIO if a reservation could not be put
 *					back, -EXDEV for another WWPN
 *	RESUMING	SET_ENDPOINT	as SET_STATE(STOP), then as SET_ENDPOINT
 *					in STOP.  -EAGAIN if the load is
 *					incomplete or its descriptor open, the
 *					load's own error if it was refused
 *	RUNNING		CLEAR_ENDPOINT	STOP
 *	RUNNING|LOGGING	CLEAR_ENDPOINT	LOGGING, with the final state captured
 *
 * While a session is open, the device keeps its claim on the target whether or
 * not an endpoint is set.  An accepted load keeps it until the endpoint is set
 * or the load is dropped.
 *
 * Loading changes nothing outside the device before RESUMING is left.  What it
 * changed is undone if the load is dropped (by _DROP, by opening another
 * session, or by the end of the device) before an endpoint is set.
 */
#ifndef _UAPI_LINUX_VHOST_SCSI_MIGRATION_H
#define _UAPI_LINUX_VHOST_SCSI_MIGRATION_H

#include <linux/ioctl.h>
#include <linux/types.h>

#define VHOST_SCSI_MIG_ABI_VERSION	1

/* VHOST_VIRTIO of linux/vhost.h, which is no C++ */
#define VHOST_SCSI_MIG_IOC		0xAF

/* Bits of a state; see above for which combinations there are. */
#define VHOST_SCSI_MIG_STOP		0U
#define VHOST_SCSI_MIG_RUNNING		(1U << 0)
#define VHOST_SCSI_MIG_LOGGING		(1U << 1)
#define VHOST_SCSI_MIG_RESUMING		(1U << 2)
#define VHOST_SCSI_MIG_ERROR		(VHOST_SCSI_MIG_LOGGING | \
					 VHOST_SCSI_MIG_RESUMING)

/**
 * enum vhost_scsi_mig_reason - why something cannot be, or was not, moved
 * @VHOST_SCSI_MIG_OK: nothing is in the way
 * @VHOST_SCSI_MIG_BAD_STREAM: not a stream, or not in the order of one
 * @VHOST_SCSI_MIG_BAD_CHECKSUM: changed on its way
 * @VHOST_SCSI_MIG_BAD_VERSION: a section that this version must not ignore and
 *	does not know
 * @VHOST_SCSI_MIG_BAD_DEVICE: of another type of device
 * @VHOST_SCSI_MIG_BAD_FEATURES: a virtio feature that this device has not
 * @VHOST_SCSI_MIG_TOO_LARGE: a section or a stream beyond its limit
 * @VHOST_SCSI_MIG_LUN_MISSING: the destination has no such LUN
 * @VHOST_SCSI_MIG_LUN_IDENTITY: another unit serial number, vendor or product
 * @VHOST_SCSI_MIG_LUN_TYPE: another peripheral device type
 * @VHOST_SCSI_MIG_LUN_SIZE: another number of blocks
 * @VHOST_SCSI_MIG_LUN_BLOCK_SIZE: another block size
 * @VHOST_SCSI_MIG_LUN_PROTECTION: another protection type
 * @VHOST_SCSI_MIG_LUN_ACCESS: read-only on one side alone
 * @VHOST_SCSI_MIG_LUN_NOT_SHARED: a backend in memory, on another host
 * @VHOST_SCSI_MIG_LUN_CACHED: a backend that reads through this host's page
 *	cache, on another host, and VHOST_SCSI_MIG_DATA_CACHE_DROPPED not given
 * @VHOST_SCSI_MIG_PR_PASSTHROUGH: the backend keeps persistent reservations
 *	where they cannot be read, and the guest has used some
 * @VHOST_SCSI_MIG_PR_KEY_SHARED: another initiator has registered the guest's
 *	key, and would lose its registration
 * @VHOST_SCSI_MIG_PR_REGISTRANTS: on another host, the source knows initiators
 *	that the destination does not: they would go unfenced
 * @VHOST_SCSI_MIG_PR_CONFLICT: somebody else holds the reservation, or the
 *	guest's place as a registrant
 * @VHOST_SCSI_MIG_PR_APTPL: the registration cannot be made to persist through
 *	power loss (is there a directory for LIO's metadata?)
 * @VHOST_SCSI_MIG_SPC2_CONFLICT: somebody else holds an SPC-2 reservation
 * @VHOST_SCSI_MIG_BACKEND: a command of the driver's own failed
 */
enum vhost_scsi_mig_reason {
	VHOST_SCSI_MIG_OK = 0,
	VHOST_SCSI_MIG_BAD_STREAM = 1,
	VHOST_SCSI_MIG_BAD_CHECKSUM = 2,
	VHOST_SCSI_MIG_BAD_VERSION = 3,
	VHOST_SCSI_MIG_BAD_DEVICE = 4,
	VHOST_SCSI_MIG_BAD_FEATURES = 5,
	VHOST_SCSI_MIG_TOO_LARGE = 6,
	VHOST_SCSI_MIG_LUN_MISSING = 16,
	VHOST_SCSI_MIG_LUN_IDENTITY = 17,
	VHOST_SCSI_MIG_LUN_TYPE = 18,
	VHOST_SCSI_MIG_LUN_SIZE = 19,
	VHOST_SCSI_MIG_LUN_BLOCK_SIZE = 20,
	VHOST_SCSI_MIG_LUN_PROTECTION = 21,
	VHOST_SCSI_MIG_LUN_ACCESS = 22,
	VHOST_SCSI_MIG_LUN_NOT_SHARED = 23,
	VHOST_SCSI_MIG_LUN_CACHED = 24,
	VHOST_SCSI_MIG_PR_PASSTHROUGH = 32,
	VHOST_SCSI_MIG_PR_KEY_SHARED = 33,
	VHOST_SCSI_MIG_PR_REGISTRANTS = 34,
	VHOST_SCSI_MIG_PR_CONFLICT = 35,
	VHOST_SCSI_MIG_PR_APTPL = 36,
	VHOST_SCSI_MIG_SPC2_CONFLICT = 37,
	VHOST_SCSI_MIG_BACKEND = 38,
};

/**
 * struct vhost_scsi_mig_blocker - what is in the way, and where
 * @reason: enum vhost_scsi_mig_reason
 * @target: target, N of tpgt_N; 0 if @reason is about no LUN
 * @lun: logical unit number
 */
struct vhost_scsi_mig_blocker {
	__u32 reason;
	__u32 target;
	__aligned_u64 lun;
};

/**
 * struct vhost_scsi_mig_info - argument of VHOST_SCSI_MIG_GET_INFO
 * @argsz: in: bytes that can be written, at least up to @blockers.  Out: bytes
 *	that there are to write
 * @flags: 0
 * @abi_version: VHOST_SCSI_MIG_ABI_VERSION
 * @states: mask of the state bits that are supported
 * @set_state_flags: mask of the flags of SET_STATE that are supported
 * @data_flags: mask of the flags of DATA_FD that are supported
 * @nr_blockers: how many there are
 * @reserved: 0
 * @blockers: as many as @argsz has room for, in the order of target and LUN
 */
struct vhost_scsi_mig_info {
	__u32 argsz;
	__u32 flags;
	__u32 abi_version;
	__u32 states;
	__u32 set_state_flags;
	__u32 data_flags;
	__u32 nr_blockers;
	__u32 reserved;
	struct vhost_scsi_mig_blocker blockers[];
};

/**
 * enum vhost_scsi_mig_flush - what became of the last flush of LUN caches
 * @VHOST_SCSI_MIG_FLUSH_NONE: nothing was stopped yet
 * @VHOST_SCSI_MIG_FLUSH_OFF: it was not wanted
 * @VHOST_SCSI_MIG_FLUSH_OK: every volatile cache was written back
 * @VHOST_SCSI_MIG_FLUSH_RESERVED: somebody else's reservation forbade one
 * @VHOST_SCSI_MIG_FLUSH_FAILED: a LUN reported an error
 */
enum vhost_scsi_mig_flush {
	VHOST_SCSI_MIG_FLUSH_NONE = 0,
	VHOST_SCSI_MIG_FLUSH_OFF = 1,
	VHOST_SCSI_MIG_FLUSH_OK = 2,
	VHOST_SCSI_MIG_FLUSH_RESERVED = 3,
	VHOST_SCSI_MIG_FLUSH_FAILED = 4,
};

/* vhost_scsi_mig_status.flags: what the state bits do not tell */
/* A stop has begun and is not over: @inflight tells how far it is. */
#define VHOST_SCSI_MIG_DRAINING		(1U << 0)
/* Suspended by SET_STATE: an endpoint alone does not make it run. */
#define VHOST_SCSI_MIG_SUSPENDED	(1U << 1)
/* An endpoint is set. */
#define VHOST_SCSI_MIG_ENDPOINT		(1U << 2)
/* A load was applied and waits for its endpoint. */
#define VHOST_SCSI_MIG_LOADED		(1U << 3)

/**
 * struct vhost_scsi_mig_status - argument of VHOST_SCSI_MIG_GET_STATE
 * @argsz: in: sizeof of this structure, or less, at least up to @state; as much
 *	is written.  Out: sizeof
 * @flags: in: 0.  Out: VHOST_SCSI_MIG_DRAINING and the like
 * @state: state bits
 * @inflight: requests and workers in flight.  0 in a stopped state that is not
 *	draining, but for commands that change reservations, during SET_STATE
 * @pending: bytes of the save session that are there and were not read yet
 * @events: counts the times that a state was reached
 * @write_errors: writes that a backend has ended with an error since the
 *	endpoint was set.  A remote target may still execute one that timed
 *	out; fencing it is the storage's job
 * @error: errno (positive) with which a load was refused, or reservations could
 *	not be put back, last; 0 if none was
 * @reason: enum vhost_scsi_mig_reason that goes with it
 * @target: where
 * @flush: enum vhost_scsi_mig_flush
 * @lun: where
 */
struct vhost_scsi_mig_status {
	__u32 argsz;
	__u32 flags;
	__u32 state;
	__u32 inflight;
	__aligned_u64 pending;
	__aligned_u64 events;
	__aligned_u64 write_errors;
	__u32 error;
	__u32 reason;
	__u32 target;
	__u32 flush;
	__aligned_u64 lun;
};

/* vhost_scsi_mig_set_state.flags */
/* When stopping, leave the caches of the LUNs alone. */
#define VHOST_SCSI_MIG_NO_FLUSH		(1U << 0)
/*
 * With STOP: the session is dropped.  From LOGGING it is not a hand-over, from
 * RESUMING nothing is applied, and from STOP an accepted load that waits for
 * its endpoint is undone.
 */
#define VHOST_SCSI_MIG_DROP		(1U << 1)

/**
 * struct vhost_scsi_mig_set_state - argument of VHOST_SCSI_MIG_SET_STATE
 * @argsz: sizeof of this structure
 * @flags: VHOST_SCSI_MIG_NO_FLUSH, VHOST_SCSI_MIG_DROP
 * @state: the state that is wanted
 * @timeout_ms: milliseconds to wait for requests in flight and for flushes, 0
 *	to wait until they are over
 */
struct vhost_scsi_mig_set_state {
	__u32 argsz;
	__u32 flags;
	__u32 state;
	__u32 timeout_ms;
};

/* vhost_scsi_mig_data.flags: exactly one of the first two */
#define VHOST_SCSI_MIG_DATA_SAVE	(1U << 0)
#define VHOST_SCSI_MIG_DATA_LOAD	(1U << 1)
/*
 * With LOAD: the caller has seen to it, after the source was stopped, that this
 * host's page cache holds nothing of the LUNs' backing files.
 */
#define VHOST_SCSI_MIG_DATA_CACHE_DROPPED (1U << 2)

/**
 * struct vhost_scsi_mig_data - argument of VHOST_SCSI_MIG_DATA_FD
 * @argsz: sizeof of this structure
 * @flags: VHOST_SCSI_MIG_DATA_SAVE or _LOAD, and what goes with it
 * @wwpn: with LOAD, the target port that will be the endpoint, terminated by a
 *	zero byte; with SAVE, empty
 */
struct vhost_scsi_mig_data {
	__u32 argsz;
	__u32 flags;
	char wwpn[224];
};

/**
 * enum vhost_scsi_mig_verdict - what is thought of a load so far
 * @VHOST_SCSI_MIG_INCOMPLETE: nothing was written, or nothing to complain of
 * @VHOST_SCSI_MIG_INVENTORY_OK: incomplete, but the inventory was read and all
 *	of it is here.  The pre-flight answer
 * @VHOST_SCSI_MIG_ACCEPTED: complete, intact, and all of it is here
 * @VHOST_SCSI_MIG_REFUSED: see the reason
 */
enum vhost_scsi_mig_verdict {
	VHOST_SCSI_MIG_INCOMPLETE = 0,
	VHOST_SCSI_MIG_INVENTORY_OK = 1,
	VHOST_SCSI_MIG_ACCEPTED = 2,
	VHOST_SCSI_MIG_REFUSED = 3,
};

/**
 * struct vhost_scsi_mig_check - argument of VHOST_SCSI_MIG_CHECK
 * @argsz: in: sizeof of this structure
 * @flags: 0
 * @verdict: enum vhost_scsi_mig_verdict
 * @error: errno (positive) that writing or leaving RESUMING fails with, or 0
 * @blocker: why it was refused, and where
 * @offset: bytes of the stream that were taken in, from the last HEADER on
 */
struct vhost_scsi_mig_check {
	__u32 argsz;
	__u32 flags;
	__u32 verdict;
	__u32 error;
	struct vhost_scsi_mig_blocker blocker;
	__aligned_u64 offset;
};

/**
 * struct vhost_scsi_mig_eventfd - argument of VHOST_SCSI_MIG_SET_EVENTFD
 * @argsz: sizeof of this structure
 * @flags: 0
 * @fd: an eventfd, -1 for none
 * @reserved: 0
 */
struct vhost_scsi_mig_eventfd {
	__u32 argsz;
	__u32 flags;
	__s32 fd;
	__u32 reserved;
};

/*
 * The ioctls.  Any thread that has the descriptor may call any of them at any
 * time.  All of them can fail with
 *
 *	EINVAL		@argsz too small, an unknown flag, a reserved field set
 *	EFAULT		the argument cannot be read or written
 *
 * all but GET_STATE and CHECK with ENOMEM, and all that wait with EINTR if a
 * fatal signal comes.  Those that change the device fail with EOWNERDEAD if it is
 * in ERROR.
 *
 * A call that fails changes nothing unless it is said to.
 */

/* What can be done with the device, and what keeps it from being migrated. */
#define VHOST_SCSI_MIG_GET_INFO \
	_IOWR(VHOST_SCSI_MIG_IOC, 0x48, struct vhost_scsi_mig_info)

/*
 * Where it stands.  Waits for nothing: it answers while another thread waits in
 * SET_STATE or CLEAR_ENDPOINT, too.
 */
#define VHOST_SCSI_MIG_GET_STATE \
	_IOWR(VHOST_SCSI_MIG_IOC, 0x49, struct vhost_scsi_mig_status)

/*
 * Asks for a state.
 *
 *	EINVAL		no arc leads there; _DROP with another state than STOP
 *	EBUSY		RUNNING, while a CLEAR_ENDPOINT drains or was killed
 *			while it did; or a target port is claimed by another
 *			device
 *	ENOTCONN	without an endpoint: RUNNING from RESUMING, or from STOP
 *			if not suspended; RUNNING|LOGGING from LOGGING
 *	ETIMEDOUT	time is up.  The device goes on draining: call again to
 *			go on waiting, or ask for RUNNING to give up.  Where
 *			reservations were being changed, call again to go on,
 *			or drop the session: what was begun is then undone
 *	EINTR		as ETIMEDOUT
 *	EFAULT		a ring lies in memory that cannot be reached.  The
 *			device stays stopped
 *	ENODEV, ENOENT	the target port is gone
 *	EAGAIN		leaving RESUMING: the load is incomplete, or its
 *			descriptor open
 *	ESTALE		RUNNING from RESUMING: ring positions or features are
 *			not those of the load, or the source has taken its
 *			reservations back
 *	EBADMSG, EPROTO, EMEDIUMTYPE, EFBIG, EREMCHG, EKEYREJECTED
 *			leaving RESUMING: the load was refused, see DATA_FD; or
 *			it cannot be applied: see @reason of GET_STATE.  What
 *			had been applied is undone.  (RUNNING from RESUMING may
 *			fail after the load was applied: the state is STOP then)
 *	EIO		leaving LOGGING, but for the hand-over: a reservation
 *			could not be put back: see @reason.  The device stays
 *			stopped, in LOGGING
 *	ENOMEM, EINTR	to LOGGING: the device is stopped, but the final state
 *			could not be captured, and reading it fails with the
 *			same error.  Ask for RUNNING to go on
 */
#define VHOST_SCSI_MIG_SET_STATE \
	_IOW(VHOST_SCSI_MIG_IOC, 0x4a, struct vhost_scsi_mig_set_state)

/*
 * Returns a descriptor for the data of the open session, with O_CLOEXEC.
 *
 *	EINVAL		not exactly one direction; a WWPN that does not end
 *	ENODATA		no session in that direction is open
 *	EBUSY		there is one already; or, with LOAD, the target port is
 *			claimed by another device
 *	ENODEV, ENOENT	with LOAD: no such target port, or it is being removed
 *	EXDEV		with LOAD: the endpoint that is set has another name
 *	EMFILE, ENFILE
 *
 * Save: read() returns what is there.  ENOMSG: nothing, at the moment.  0, in
 * LOGGING alone: the end.  If the device resumes then and the session goes on,
 * more follows, beginning with another header.  It polls as readable whenever
 * read() would not fail.
 *
 * Load: write() takes all that it is given, or fails, for good, at the write
 * that completes a bad section (and offers no second try):
 *
 *	EPROTO		BAD_STREAM, BAD_VERSION, BAD_FEATURES
 *	EBADMSG		BAD_CHECKSUM
 *	EMEDIUMTYPE	BAD_DEVICE
 *	EFBIG		TOO_LARGE
 *	EREMCHG		LUN_*: something is not what it is at the source
 *	EKEYREJECTED	PR_*, SPC2_*, BACKEND
 *	ENOMEM		no reason
 *
 * The descriptor can be handed to another process.  When its session is over,
 * or the device is gone, both fail with ENODEV.
 */
#define VHOST_SCSI_MIG_DATA_FD \
	_IOW(VHOST_SCSI_MIG_IOC, 0x4b, struct vhost_scsi_mig_data)

/*
 * The verdict on what was loaded so far.
 *
 *	ENODATA		no load session is open, and none has been accepted
 *
 * It can be asked at any time, before the end of the stream, too: that is how
 * a destination is asked whether it would accept, before the source is stopped.
 */
#define VHOST_SCSI_MIG_CHECK \
	_IOWR(VHOST_SCSI_MIG_IOC, 0x4c, struct vhost_scsi_mig_check)

/*
 * An eventfd that is signalled each time that a state was reached: drained,
 * stopped, running, a session opened or over, a load complete, ERROR.  poll() of
 * the device itself reports POLLIN from then on until the next GET_STATE, and
 * POLLERR in ERROR.
 *
 *	EBADF		not a descriptor
 *	EINVAL		not an eventfd, or below -1
 */
#define VHOST_SCSI_MIG_SET_EVENTFD \
	_IOW(VHOST_SCSI_MIG_IOC, 0x4d, struct vhost_scsi_mig_eventfd)

/*
 * The stream
 * ==========
 *
 * Everything is little-endian.  A stream is a sequence of sections, each a
 * struct vhost_scsi_mig_section with @length bytes behind it.  Their order:
 *
 *	HEADER
 *	INVENTORY	one or more; a later one replaces those before it
 *	RINGS		the final state, from here on, each section once
 *	EVENTS
 *	ATTENTIONS
 *	RESERVATIONS
 *	END
 *
 * Sections of other types may stand anywhere between HEADER and END; a reader
 * that does not know the type skips it if VHOST_SCSI_MIG_SKIPPABLE is set, and
 * refuses the stream if not.  A newer version of one of the types above is
 * refused: none of them can be done without.
 *
 * A HEADER where a section begins starts the stream anew: what came before is
 * void.  A source whose device was resumed in the middle writes one.
 *
 * Limits: a section has at most VHOST_SCSI_MIG_MAX_SECTION bytes, a stream at
 * most VHOST_SCSI_MIG_MAX_STREAM from one HEADER to its END.
 */
#define VHOST_SCSI_MIG_MAGIC		0x47494d49534353ffULL /* "\xffSCSIMIG" */
#define VHOST_SCSI_MIG_STREAM_VERSION	1
#define VHOST_SCSI_MIG_MAX_SECTION	(16U << 20)
#define VHOST_SCSI_MIG_MAX_STREAM	(64U << 20)

enum vhost_scsi_mig_section_type {
	VHOST_SCSI_MIG_HEADER = 1,
	VHOST_SCSI_MIG_INVENTORY = 2,
	VHOST_SCSI_MIG_RINGS = 3,
	VHOST_SCSI_MIG_EVENTS = 4,
	VHOST_SCSI_MIG_ATTENTIONS = 5,
	VHOST_SCSI_MIG_RESERVATIONS = 6,
	VHOST_SCSI_MIG_END = 7,
};

/* vhost_scsi_mig_section.flags */
#define VHOST_SCSI_MIG_SKIPPABLE	(1U << 0)

/**
 * struct vhost_scsi_mig_section - what each section begins with
 * @type: enum vhost_scsi_mig_section_type
 * @version: of this type of section, 1 for all of them today
 * @flags: VHOST_SCSI_MIG_SKIPPABLE; any other is BAD_STREAM
 * @length: bytes that follow
 */
struct vhost_scsi_mig_section {
	__le32 type;
	__le16 version;
	__le16 flags;
	__le32 length;
};

/**
 * struct vhost_scsi_mig_header - payload of HEADER
 * @magic: VHOST_SCSI_MIG_MAGIC
 * @version: VHOST_SCSI_MIG_STREAM_VERSION
 * @device: virtio device type, 8
 * @features: virtio and vhost features that the guest's driver has acknowledged
 * @host: random name of the LIO instance that the source's LUNs belong to.  The
 *	same name means the same host, and backstores that can be compared by
 *	their index
 * @nr_queues: virtqueues, control and event queue included
 * @reserved: 0
 * @wwpn: the source's target port, empty if it never had one
 */
struct vhost_scsi_mig_header {
	__le64 magic;
	__le32 version;
	__le32 device;
	__le64 features;
	__u8 host[16];
	__le32 nr_queues;
	__le32 reserved;
	char wwpn[224];
};

/* vhost_scsi_mig_lun.flags */
/* The guest may only read it. */
#define VHOST_SCSI_MIG_LUN_RO		(1U << 0)
/* The backend reads through the page cache of its host. */
#define VHOST_SCSI_MIG_LUN_PAGE_CACHE	(1U << 1)
/* The backend is memory of its host. */
#define VHOST_SCSI_MIG_LUN_MEMORY	(1U << 2)
/* The guest has used reservations that the backend keeps where nobody sees. */
#define VHOST_SCSI_MIG_LUN_PR_HIDDEN	(1U << 3)
#define VHOST_SCSI_MIG_LUN_FLAGS	(VHOST_SCSI_MIG_LUN_RO | \
					 VHOST_SCSI_MIG_LUN_PAGE_CACHE | \
					 VHOST_SCSI_MIG_LUN_MEMORY | \
					 VHOST_SCSI_MIG_LUN_PR_HIDDEN)

/**
 * struct vhost_scsi_mig_lun - one logical unit; payload of INVENTORY is an
 *	array of these, in the order of target and LUN
 * @lun: logical unit number
 * @blocks: capacity in blocks
 * @target: N of tpgt_N
 * @block_size: bytes of a block
 * @backstore: index of LIO's backstore, unique on one host
 * @flags: VHOST_SCSI_MIG_LUN_*
 * @type: SCSI peripheral device type
 * @protection: T10 protection type, 0 for none
 * @reserved: 0
 * @vendor: INQUIRY vendor identification, padded with zero bytes, as is all
 *	that follows
 * @product: INQUIRY product identification
 * @backend: LIO's name for the kind of backend
 * @serial: unit serial number
 */
struct vhost_scsi_mig_lun {
	__le64 lun;
	__le64 blocks;
	__le32 target;
	__le32 block_size;
	__le32 backstore;
	__le32 flags;
	__u8 type;
	__u8 protection;
	__u8 reserved[6];
	char vendor[8];
	char product[16];
	char backend[16];
	char serial[256];
};

/**
 * struct vhost_scsi_mig_ring - one virtqueue; payload of RINGS is an array of
 *	@nr_queues of these
 * @size: entries; 0 if the guest has not set it up
 * @last_avail: next entry of the avail ring to be fetched; as everything that
 *	was fetched is returned, the used index as well
 */
struct vhost_scsi_mig_ring {
	__le16 size;
	__le16 last_avail;
};

/**
 * struct vhost_scsi_mig_event - an event that the guest is owed
 * @event: as in struct virtio_scsi_event
 * @reason: as in struct virtio_scsi_event
 * @lun: as in struct virtio_scsi_event
 */
struct vhost_scsi_mig_event {
	__le32 event;
	__le32 reason;
	__u8 lun[8];
};

/**
 * struct vhost_scsi_mig_events - payload of EVENTS
 * @missed: not 0 if the guest has missed some
 * @count: how many follow
 * @event: oldest first
 */
struct vhost_scsi_mig_events {
	__le32 missed;
	__le32 count;
	struct vhost_scsi_mig_event event[];
};

/**
 * struct vhost_scsi_mig_attention - a unit attention that the guest is owed;
 *	payload of ATTENTIONS is an array of these, those of a LUN in the order
 *	in which they are to be reported
 * @lun: logical unit number
 * @target: N of tpgt_N
 * @asc: additional sense code
 * @ascq: its qualifier
 * @reserved: 0
 */
struct vhost_scsi_mig_attention {
	__le64 lun;
	__le32 target;
	__u8 asc;
	__u8 ascq;
	__le16 reserved;
};

/* vhost_scsi_mig_registration.flags */
/* It is the guest's own. */
#define VHOST_SCSI_MIG_REG_GUEST	(1U << 0)
/* It holds the reservation (is the one that made it, for all registrants). */
#define VHOST_SCSI_MIG_REG_HOLDER	(1U << 1)
/* It was made for all target ports. */
#define VHOST_SCSI_MIG_REG_ALL_TG_PT	(1U << 2)

/**
 * struct vhost_scsi_mig_registration - a registrant of a logical unit
 * @key: reservation key
 * @flags: VHOST_SCSI_MIG_REG_*
 * @rel_port: relative target port identifier that it goes through
 * @type: type of the reservation, as in PERSISTENT RESERVE OUT, if a holder
 * @reserved: 0
 * @initiator: name of the initiator port, and session identifier if it has one
 */
struct vhost_scsi_mig_registration {
	__le64 key;
	__le32 flags;
	__le16 rel_port;
	__u8 type;
	__u8 reserved;
	char initiator[256];
};

/* vhost_scsi_mig_reservation.flags */
/* Registrations are to persist through power loss. */
#define VHOST_SCSI_MIG_RES_APTPL	(1U << 0)
/* The guest holds an SPC-2 reservation. */
#define VHOST_SCSI_MIG_RES_SPC2_GUEST	(1U << 1)
/* Somebody else does. */
#define VHOST_SCSI_MIG_RES_SPC2_OTHER	(1U << 2)

/**
 * struct vhost_scsi_mig_reservation - the reservations of a logical unit
 * @lun: logical unit number
 * @target: N of tpgt_N
 * @flags: VHOST_SCSI_MIG_RES_*
 * @count: registrations that follow
 * @reserved: 0
 * @registration: all registrants, not just the guest
 *
 * Payload of RESERVATIONS is a sequence of these, with their registrations, in
 * the order of target and LUN; a LUN without any is not mentioned.
 */
struct vhost_scsi_mig_reservation {
	__le64 lun;
	__le32 target;
	__le32 flags;
	__le32 count;
	__le32 reserved;
	struct vhost_scsi_mig_registration registration[];
};

/**
 * struct vhost_scsi_mig_end - payload of END
 * @crc: CRC32C of everything from the HEADER on, up to this field: initial
 *	value and final inversion as in iSCSI
 */
struct vhost_scsi_mig_end {
	__le32 crc;
};

/* The layout is the same for 32-bit and 64-bit userspace, in C and in C++. */
#define __VHOST_SCSI_MIG_SIZE(type, size)				\
	extern char __vhost_scsi_mig_size_ ## type			\
		[sizeof(struct vhost_scsi_mig_ ## type) == (size) ? 1 : -1]
#define __VHOST_SCSI_MIG_AT(type, member, offset)			\
	extern char __vhost_scsi_mig_at_ ## type ## _ ## member		\
		[__builtin_offsetof(struct vhost_scsi_mig_ ## type,	\
				    member) == (offset) ? 1 : -1]

__VHOST_SCSI_MIG_SIZE(blocker, 16);
__VHOST_SCSI_MIG_AT(blocker, lun, 8);
__VHOST_SCSI_MIG_SIZE(info, 32);
__VHOST_SCSI_MIG_AT(info, nr_blockers, 24);
__VHOST_SCSI_MIG_AT(info, blockers, 32);
__VHOST_SCSI_MIG_SIZE(status, 64);
__VHOST_SCSI_MIG_AT(status, pending, 16);
__VHOST_SCSI_MIG_AT(status, error, 40);
__VHOST_SCSI_MIG_AT(status, lun, 56);
__VHOST_SCSI_MIG_SIZE(set_state, 16);
__VHOST_SCSI_MIG_SIZE(data, 232);
__VHOST_SCSI_MIG_AT(data, wwpn, 8);
__VHOST_SCSI_MIG_SIZE(check, 40);
__VHOST_SCSI_MIG_AT(check, blocker, 16);
__VHOST_SCSI_MIG_AT(check, offset, 32);
__VHOST_SCSI_MIG_SIZE(eventfd, 16);
__VHOST_SCSI_MIG_SIZE(section, 12);
__VHOST_SCSI_MIG_SIZE(header, 272);
__VHOST_SCSI_MIG_AT(header, host, 24);
__VHOST_SCSI_MIG_AT(header, wwpn, 48);
__VHOST_SCSI_MIG_SIZE(lun, 336);
__VHOST_SCSI_MIG_AT(lun, type, 32);
__VHOST_SCSI_MIG_AT(lun, vendor, 40);
__VHOST_SCSI_MIG_AT(lun, serial, 80);
__VHOST_SCSI_MIG_SIZE(ring, 4);
__VHOST_SCSI_MIG_SIZE(event, 16);
__VHOST_SCSI_MIG_SIZE(events, 8);
__VHOST_SCSI_MIG_SIZE(attention, 16);
__VHOST_SCSI_MIG_SIZE(registration, 272);
__VHOST_SCSI_MIG_AT(registration, initiator, 16);
__VHOST_SCSI_MIG_SIZE(reservation, 24);
__VHOST_SCSI_MIG_AT(reservation, registration, 24);
__VHOST_SCSI_MIG_SIZE(end, 4);

#undef __VHOST_SCSI_MIG_AT
#undef __VHOST_SCSI_MIG_SIZE

#endif /* _UAPI_LINUX_VHOST_SCSI_MIGRATION_H */
