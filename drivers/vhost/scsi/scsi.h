/* SPDX-License-Identifier: GPL-2.0 */
/*
 * vhost_scsi: a virtio-scsi target in the kernel, on vhost core and LIO
 *
 * Structures shared by the files of this directory, with what protects each of
 * their fields: in one place, though that makes it long.  Where things live:
 *
 *	main.c		character device, ioctls, module
 *	configfs.c	the fabric: WWNs, TPGs, nexus, LUN links
 *	endpoint.c	a device's claim on the TPGs of one WWPN
 *	quiesce.c	start and stop; read the "Migration safety" comment first
 *	owner.c		what happens when the process behind a device is gone
 *	ring.c		descriptor chains in, used elements out
 *	cmd.c		SCSI commands: checking, submission, answers
 *	pages.c		guest buffers: pinned or bounced, dirty pages, dirty log
 *	tmf.c		control queue: task management, notifications
 *	event.c		event queue: hot plug
 *	flush.c		write-back of LUN caches when stopping
 *	exec.c		SCSI commands of the driver's own
 *	attention.c	unit attentions that the driver owes the guest
 *	unit.c		logical units of a nexus, one after the other
 *	debugfs.c	counters
 *	migration.h	migration state, and the files that it is made of
 *
 * Lock order, outermost first:
 *
 *	vhost_dev.mutex		ioctls of one device, which take it killably
 *	  configfs locks	taken by target_depend_item()
 *	    vhost_scsi_tpg_lock	the TPG list, claims, nexus pointers
 *	  vhost_scsi.gate	write: an ioctl that changes what workers rely on
 *				read: a worker inside a ring
 *	    vhost_virtqueue.mutex
 *	      vhost_scsi.event_lock, vhost_scsi.tmf_lock,
 *	      vhost_scsi_nexus.ua_lock (leaves; LIO's locks of a LUN are too)
 *
 * migration.h has its own, between vhost_scsi_tpg_lock and the leaves.
 *
 * A worker sleeps on guest memory (page faults, userfaultfd) with the gate
 * held for reading and the mutex of its own virtqueue.  So nothing but an
 * ioctl of the same device may wait for these two, and it waits killably (M9);
 * but for the reaper, which serves the same device alone and nobody waits for.
 * configfs callbacks take vhost_scsi_tpg_lock alone and never wait for a guest.
 */
#ifndef VHOST_SCSI_H
#define VHOST_SCSI_H

#include <linux/atomic.h>
#include <linux/kref.h>
#include <linux/llist.h>
#include <linux/poll.h>
#include <linux/ratelimit_types.h>
#include <linux/rwsem.h>
#include <linux/scatterlist.h>
#include <linux/spinlock.h>
#include <linux/types.h>
#include <linux/uio.h>
#include <linux/vhost_scsi_migration.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_scsi.h>
#include <linux/wait.h>
#include <linux/workqueue.h>
#include <target/target_core_base.h>
#include <target/target_core_fabric.h>

#include "vhost.h"
#include "compat_vhost.h"

#define VHOST_SCSI_MAX_TARGETS		256
#define VHOST_SCSI_MAX_IO_QUEUES	1024
/* Commands of one queue that can be in flight; more are TASK SET FULL. */
#define VHOST_SCSI_MAX_COMMANDS		1024
/* Segments that a command keeps without a second allocation. */
#define VHOST_SCSI_INLINE_SG		4
#define VHOST_SCSI_INLINE_LOG		4
/* Reported by LIO as MAXIMUM TRANSFER LENGTH, in pages; the stock figure. */
#define VHOST_SCSI_MAX_SG		2048
/* Data of one request, in bytes; LIO truncates what exceeds the former. */
#define VHOST_SCSI_MAX_DATA		(16U << 20)
/* Kernel pages that bounced requests of one device may hold at a time. */
#define VHOST_SCSI_MAX_BOUNCE_PAGES	(64U << (20 - PAGE_SHIFT))
/* Requests that one look at a ring handles before others get their turn. */
#define VHOST_SCSI_WEIGHT		256
/* Unit attentions that a guest which never asks collects. */
#define VHOST_SCSI_MAX_ATTENTIONS	1024
/* Bytes of a CDB of the driver's own. */
#define VHOST_SCSI_EXEC_CDB		16
/* Events that wait for a worker; more are reported as missed. */
#define VHOST_SCSI_MAX_EVENTS		128

enum {
	VHOST_SCSI_VQ_CTL,
	VHOST_SCSI_VQ_EVT,
	VHOST_SCSI_VQ_IO,
};

struct vhost_scsi;
struct vhost_scsi_queue;

/**
 * struct vhost_scsi_chain - one fetched descriptor chain
 * @head: its index in the descriptor table
 * @out: segments that the device reads
 * @in: segments that the device writes
 * @out_len: bytes to read
 * @in_len: bytes to write
 * @nlog: entries of vq->log that describe the segments to write
 *
 * The segments are vq->iov[0..out+in), the log entries vq->log[0..nlog); both
 * stand until the next fetch from the same queue and are protected by
 * vq->mutex.
 */
struct vhost_scsi_chain {
	u16 head;
	unsigned int out;
	unsigned int in;
	size_t out_len;
	size_t in_len;
	unsigned int nlog;
};

/**
 * struct vhost_scsi_segs - a copy of some segments of a chain
 * @iov: the segments
 * @count: their number
 * @one: storage if there is but one
 */
struct vhost_scsi_segs {
	struct iovec *iov;
	unsigned int count;
	struct iovec one;
};

/**
 * struct vhost_scsi_log - what a request may write, in guest addresses
 * @entry: the areas, in the order of the chain
 * @count: their number
 * @inl: storage for the usual few
 *
 * Kept from fetch to return whether or not VHOST_F_LOG_ALL is set at either
 * moment, so that it does not matter when logging was switched on (G4).
 */
struct vhost_scsi_log {
	struct vhost_log *entry;
	unsigned int count;
	struct vhost_log inl[VHOST_SCSI_INLINE_LOG];
};

/**
 * struct vhost_scsi_bounce - a buffer in kernel pages in place of guest memory
 * @sgl: the pages, NULL if not used
 * @nents: their number
 * @len: bytes
 * @segs: for data-in, where to copy it when the command is done
 */
struct vhost_scsi_bounce {
	struct scatterlist *sgl;
	unsigned int nents;
	u32 len;
	struct vhost_scsi_segs segs;
};

/**
 * struct vhost_scsi_data - the data buffer of a command
 * @pinned: guest pages; orig_nents is 0 if not used
 * @inl: storage for the usual few
 * @bounce: used instead where the backend could not work on guest pages
 * @in: the device writes it
 */
struct vhost_scsi_data {
	struct sg_table pinned;
	struct scatterlist inl[VHOST_SCSI_INLINE_SG];
	struct vhost_scsi_bounce bounce;
	bool in;
};

/**
 * enum vhost_scsi_op_kind - who sent a command to the target core
 * @VHOST_SCSI_OP_CMD: the guest, on an I/O queue
 * @VHOST_SCSI_OP_TMF: the guest, on the control queue
 * @VHOST_SCSI_OP_EXEC: the driver itself
 */
enum vhost_scsi_op_kind {
	VHOST_SCSI_OP_CMD,
	VHOST_SCSI_OP_TMF,
	VHOST_SCSI_OP_EXEC,
};

/**
 * struct vhost_scsi_op - what the target core works on
 * @se_cmd: LIO's part.  It holds one reference; when that is dropped,
 *	vhost_scsi_release_cmd() gets the op back, exactly once
 * @kind: which structure this is embedded in
 * @crowds: it is counted in vhost_scsi.crowd
 * @queue: whose in-flight count the op holds one of
 * @done: entry of vhost_scsi_queue.submits, later of vhost_scsi_queue.done
 */
struct vhost_scsi_op {
	struct se_cmd se_cmd;
	enum vhost_scsi_op_kind kind;
	bool crowds;
	struct vhost_scsi_queue *queue;
	struct llist_node done;
};

/**
 * struct vhost_scsi_cmd - a SCSI command of the guest
 * @op: what the target core works on
 * @free: entry of vhost_scsi_queue.free
 * @serial: name of this use of the structure, unique on the nexus; LIO knows
 *	the command by it, because tags that guests choose need not be unique.
 *	0 while idle, which it is when the guest has been told of the end.
 *	Published last and cleared first: a task management function reads the
 *	identifying fields without a lock
 * @tag: the guest's name for it
 * @lun: logical unit
 * @target: target, an index into the endpoint
 * @head: the chain to return
 * @data_len: bytes of data, without protection information
 * @data_in_valid: LIO has handed the data over
 * @aborted: ended by a task management function, no status
 * @reset: serial of a use that a reset has ended
 * @resp: where the response goes
 * @data: data buffer
 * @prot: protection information, always bounced
 * @log: what it may write
 * @sense: sense data
 */
struct vhost_scsi_cmd {
	struct vhost_scsi_op op;
	struct llist_node free;
	u64 serial;
	u64 tag;
	u16 lun;
	u8 target;
	u16 head;
	u32 data_len;
	bool data_in_valid;
	bool aborted;
	u64 reset;
	struct vhost_scsi_segs resp;
	struct vhost_scsi_data data;
	struct vhost_scsi_bounce prot;
	struct vhost_scsi_log log;
	u8 sense[TRANSPORT_SENSE_BUFFER];
};

/**
 * struct vhost_scsi_stats - counters of one queue, see debugfs.c
 * @fetched: heads taken from the avail ring
 * @returned: heads put on the used ring
 * @submitted: commands given to the target core
 * @refused: chains that the vhost core refused, returned with length 0
 * @unanswered: requests without room for an answer, returned with length 0
 * @task_set_full: commands turned away for want of memory or a command
 * @bounced: commands whose data was copied
 * @log_failed: entries that could not be written to the dirty log
 * @broken: times that the ring became unusable
 * @write_errors: writes that the backend has given up on
 */
struct vhost_scsi_stats {
	u64 fetched;
	u64 returned;
	u64 submitted;
	u64 refused;
	u64 unanswered;
	u64 task_set_full;
	u64 bounced;
	u64 log_failed;
	u64 broken;
	u64 write_errors;
};

/**
 * struct vhost_scsi_queue - a virtqueue
 * @vq: the vhost core's part
 * @vs: device
 * @index: place in vhost_scsi.queues
 * @handle: takes one chain
 * @finish: answers one op that the target core is done with
 * @release: frees it, after the guest has been told
 * @inflight: one for every fetched head until it is returned and the guest
 *	notified, and one for every worker inside the queue.  See quiesce.c
 * @done: ops to be finished, filled from any context
 * @done_work: finishes them in a worker
 * @submits: commands to be submitted when the worker has emptied the ring
 * @submits_here: the worker may submit the last of them
 * @submit_work: submits them, unless the worker does
 * @backend: the last backend that a command went to, and
 * @blocks: whether it blocks
 * @serving: a worker is in vhost_scsi_ring_run(); it finishes ops on its way out
 * @broken: the ring cannot be used until the next start
 * @returning: elements of vq->heads that are not published yet
 * @cmds: the pool of an I/O queue, NULL unless started
 * @ncmds: its size
 * @free: idle commands
 * @last_serial: of the last command
 * @stats: counters
 *
 * vq.mutex protects @submits_here, @backend, @blocks, @broken, @returning,
 * @free, @last_serial and @stats, and all that it protects for the vhost core.
 * @cmds and @ncmds change only with nothing in flight.
 */
struct vhost_scsi_queue {
	struct vhost_virtqueue vq;
	struct vhost_scsi *vs;
	unsigned int index;
	void (*handle)(struct vhost_scsi_queue *q,
		       struct vhost_scsi_chain *chain);
	void (*finish)(struct vhost_scsi_queue *q, struct vhost_scsi_op *op,
		       bool answer);
	void (*release)(struct vhost_scsi_queue *q, struct vhost_scsi_op *op);

	atomic_t inflight;
	struct llist_head done;
	struct vhost_work done_work;
	bool serving;

	struct llist_head submits;
	bool submits_here;
	struct work_struct submit_work;
	const struct target_backend_ops *backend;
	bool blocks;

	bool broken;
	unsigned int returning;
	struct vhost_scsi_cmd *cmds;
	unsigned int ncmds;
	struct llist_head free;
	u64 last_serial;
	struct vhost_scsi_stats stats;
};

/**
 * struct vhost_scsi_endpoint - the TPGs that a device serves
 * @wwpn: their target port
 * @tpg: by target number; NULL where there is none
 */
struct vhost_scsi_endpoint {
	char wwpn[TRANSPORT_IQN_LEN];
	struct vhost_scsi_tpg *tpg[VHOST_SCSI_MAX_TARGETS];
};

struct vhost_scsi_load;
struct vhost_scsi_session;

/**
 * struct vhost_scsi_buf - bytes that grow in number
 * @data: they
 * @len: how many
 * @size: how many are allocated
 * @error: -ENOMEM or -EFBIG if something could not be appended, ever
 */
struct vhost_scsi_buf {
	u8 *data;
	size_t len;
	size_t size;
	int error;
};

/**
 * struct vhost_scsi_migration - migration state of a device, see migration.c
 * @lock: protects the fields up to @check.  A leaf, taken in any context
 * @eventfd: signalled when a state was reached
 * @events: times that one was
 * @seen: @events when GET_STATE was last asked
 * @error: positive errno of what failed last
 * @blocker: why, and where
 * @checkable: there is a load to ask about
 * @check: what is thought of it
 * @wait: poll() of the device
 * @state: state bits, for whoever has no lock; under vhost_dev.mutex
 * @flags: what goes with them, the same
 * @draining: a stop has begun and is not over, the same
 * @pending: bytes to be read from the session, written under its lock
 * @attached: an endpoint is set
 * @suspended: SET_STATE has suspended the device
 * @serving: started, and not stopped to the end since
 * @clearing: a CLEAR_ENDPOINT has begun and is not over
 * @session: the open session.  Written under vhost_scsi_tpg_lock, too
 * @captured: the final state was captured, and stands.  Written under
 *	vhost_scsi_tpg_lock, too
 * @captured_reservations: of it, what the guest gets back if it goes on here
 * @captured_attentions: of it
 * @loaded: a load that was applied and waits for its endpoint
 * @handed_in: the guest is owed what the load says already
 * @applied: reservations were changed that may have to be changed back.
 *	Written under vhost_scsi_tpg_lock, too
 * @held: commands in the guest's name are under way, or about to be: the claim
 *	stands even if the owner dies.  Under vhost_scsi_tpg_lock
 * @end: jiffies when whoever waits for these gives up, 0 for never
 * @undo: which
 * @wwpn: target port of the last endpoint
 *
 * vhost_dev.mutex protects the fields from @attached on.
 */
struct vhost_scsi_migration {
	spinlock_t lock; /* see there */
	struct eventfd_ctx *eventfd;
	u64 events;
	u64 seen;
	int error;
	struct vhost_scsi_mig_blocker blocker;
	bool checkable;
	struct vhost_scsi_mig_check check;
	wait_queue_head_t wait;

	u32 state;
	u32 flags;
	bool draining;
	u64 pending;

	bool attached;
	bool suspended;
	bool serving;
	bool clearing;
	struct vhost_scsi_session *session;
	bool captured;
	struct vhost_scsi_buf captured_reservations;
	struct vhost_scsi_buf captured_attentions;
	struct vhost_scsi_load *loaded;
	bool handed_in;
	bool applied;
	bool held;
	unsigned long end;
	struct list_head undo;
	char wwpn[TRANSPORT_IQN_LEN];
};

/**
 * struct vhost_scsi - a device, one for each open of /dev/vhost-scsi
 * @dev: the vhost core's part
 * @queues: the virtqueues; dev.nvqs of them
 * @ref: the open file, and the reaper between the owner's death and its end
 * @id: for people: trace and debugfs
 * @ep: what it has claimed, to serve it or to load a state for it.  Written
 *	under dev.mutex and vhost_scsi_tpg_lock with nothing in flight; stands
 *	for whoever is counted in @queues[].inflight
 * @running: the guest is served.  Written under dev.mutex, or once and for all
 *	by vhost_scsi_owner_died(); read by workers after they have counted
 *	themselves in
 * @drained: woken when a count of @queues[].inflight drops to 0 while not
 *	@running
 * @gate: see the lock order above
 * @bounce_pages: held by bounced requests
 * @crowd: commands of the guest that backends which do not block have
 * @flush_result: of the last stop.  Under dev.mutex
 * @mig: migration state
 * @event_lock: protects the fields up to @events_missed
 * @events: hot plug events for the guest, oldest first
 * @nevents: their number
 * @events_missed: some could not be delivered
 * @event_work: delivers them
 * @tmf_lock: protects @tmfs
 * @tmfs: task management functions that can go on
 * @tmf_waiting: some wait for commands to be over.  Written by @tmf_work
 * @tmf_waits: these.  Used by @tmf_work alone
 * @tmf_work: lets them go on
 * @tmf_limit: limits aborts, of which LIO tells the kernel log each time
 * @owner_files: files of the process that became the owner
 * @dead: the owner is gone.  Set once, with vhost_scsi_tpg_lock held
 * @reap_work: cleans up after it
 * @reaped: it has.  Under dev.mutex
 * @free_work: frees the structure
 * @debugfs: directory
 */
struct vhost_scsi {
	struct vhost_dev dev;
	struct vhost_scsi_queue *queues;
	struct kref ref;
	unsigned int id;

	struct vhost_scsi_endpoint *ep;
	bool running;
	wait_queue_head_t drained;
	struct rw_semaphore gate;
	atomic_t bounce_pages;
	atomic_t crowd;
	enum vhost_scsi_mig_flush flush_result;
	struct vhost_scsi_migration mig;

	spinlock_t event_lock; /* protects the next three */
	struct list_head events;
	unsigned int nevents;
	bool events_missed;
	struct vhost_work event_work;

	spinlock_t tmf_lock; /* protects the next one */
	struct list_head tmfs;
	bool tmf_waiting;
	struct list_head tmf_waits;
	struct work_struct tmf_work;
	struct ratelimit_state tmf_limit;

	fl_owner_t owner_files;
	bool dead;
	struct work_struct reap_work;
	bool reaped;
	struct rcu_work free_work;

	struct dentry *debugfs;
};

/**
 * struct vhost_scsi_nexus - the guest, as seen by LIO
 * @session: LIO's part
 * @ua_lock: protects @uas
 * @uas: unit attentions that the driver owes the guest
 * @reserves: the guest has sent a command that makes reservations
 */
struct vhost_scsi_nexus {
	struct se_session *session;
	spinlock_t ua_lock; /* protects the next one */
	struct list_head uas;
	bool reserves;
};

/**
 * struct vhost_scsi_unit - a logical unit that was found, see unit.c
 * @begun: some were found before
 * @target: target
 * @nexus: the guest's nexus to it
 * @lun: its number
 * @ro: the guest may only read it
 * @se_lun: LIO's part; held
 * @dev: backstore
 */
struct vhost_scsi_unit {
	bool begun;
	u32 target;
	struct vhost_scsi_nexus *nexus;
	u64 lun;
	bool ro;
	struct se_lun *se_lun;
	struct se_device *dev;
};

/**
 * struct vhost_scsi_sense_code - what a sense is about
 * @asc: additional sense code
 * @ascq: its qualifier
 */
struct vhost_scsi_sense_code {
	u8 asc;
	u8 ascq;
};

struct vhost_scsi_exec_batch;

/**
 * struct vhost_scsi_exec - a command of the driver's own, see exec.c
 * @op: what the target core works on
 * @batch: what it is waited for with
 * @nexus: the guest, in whose name it is sent
 * @entry: of the batch
 * @lun: logical unit
 * @target: target
 * @cdb: command
 * @aborted: it ended without a status
 * @over: it has been executed
 * @status: SCSI status
 * @key: sense key, with CHECK CONDITION
 * @code: what the sense is about
 * @sense: sense data
 * @sg: @data
 * @len: bytes of @data
 * @data: data-out
 */
struct vhost_scsi_exec {
	struct vhost_scsi_op op;
	struct vhost_scsi_exec_batch *batch;
	struct vhost_scsi_nexus *nexus;
	struct list_head entry;
	u64 lun;
	u32 target;
	u8 cdb[VHOST_SCSI_EXEC_CDB];
	bool aborted;
	bool over;
	u8 status;
	u8 key;
	struct vhost_scsi_sense_code code;
	u8 sense[TRANSPORT_SENSE_BUFFER];
	struct scatterlist sg;
	u32 len;
	u8 data[];
};

/**
 * struct vhost_scsi_wwn - a target port: naa.*, fc.* or iqn.* in configfs
 * @wwn: LIO's part
 * @protocol: SCSI protocol identifier, from the prefix of the name
 * @name: as the guest's WWPN is compared with
 */
struct vhost_scsi_wwn {
	struct se_wwn wwn;
	u8 protocol;
	char name[TRANSPORT_IQN_LEN];
};

/**
 * struct vhost_scsi_tpg - a target portal group: one SCSI target
 * @se_tpg: LIO's part
 * @wwn: target port
 * @tag: its number, the target number for the guest
 * @entry: of the list of all TPGs
 * @vs: the device that has claimed it
 * @users: devices that may still have commands on its nexus: the one that has
 *	the claim, dead ones whose backend has not answered yet, and one that
 *	gives back what it took over from here
 * @borrowed: the last of these uses the nexus
 * @ports: LUNs linked
 * @nexus: the guest's nexus.  Stands while @users is not 0
 * @prot_type: fabric_prot_type
 *
 * vhost_scsi_tpg_lock protects the fields from @entry to @nexus.  @prot_type is
 * read and written at any time.
 */
struct vhost_scsi_tpg {
	struct se_portal_group se_tpg;
	struct vhost_scsi_wwn *wwn;
	u16 tag;
	struct list_head entry;
	struct vhost_scsi *vs;
	unsigned int users;
	bool borrowed;
	unsigned int ports;
	struct vhost_scsi_nexus *nexus;
	int prot_type;
};

extern struct mutex vhost_scsi_tpg_lock;
extern struct list_head vhost_scsi_tpgs;
extern struct workqueue_struct *vhost_scsi_wq;
extern struct workqueue_struct *vhost_scsi_submit_wq;
extern const struct target_core_fabric_ops vhost_scsi_fabric_ops;

/* Jiffies until @end, which is 0 for never. */
static inline long vhost_scsi_time_left(unsigned long end)
{
	if (!end)
		return MAX_SCHEDULE_TIMEOUT;
	return time_after_eq(jiffies, end) ? 0 : end - jiffies;
}

/* main.c */
extern const u64 vhost_scsi_features;
u64 vhost_scsi_guest_features(struct vhost_scsi *vs);
void vhost_scsi_put(struct vhost_scsi *vs);

/* endpoint.c */
int vhost_scsi_endpoint_claim(struct vhost_scsi *vs, const char *wwpn);
void vhost_scsi_endpoint_unclaim_locked(struct vhost_scsi *vs);
void vhost_scsi_endpoint_release(struct vhost_scsi *vs);
bool vhost_scsi_endpoint_named(struct vhost_scsi *vs, const char *wwpn);
bool vhost_scsi_endpoint_borrowed_locked(struct vhost_scsi *vs);
int vhost_scsi_tpg_borrow(const char *wwpn, u32 tag, unsigned long end,
			  struct vhost_scsi_tpg **out);
void vhost_scsi_tpg_return(struct vhost_scsi_tpg *tpg);

/* quiesce.c */
bool vhost_scsi_queue_enter(struct vhost_scsi_queue *q);
void vhost_scsi_queue_leave(struct vhost_scsi_queue *q, unsigned int count);
unsigned int vhost_scsi_inflight(struct vhost_scsi *vs);
int vhost_scsi_pause(struct vhost_scsi *vs);
void vhost_scsi_unpause(struct vhost_scsi *vs);
int vhost_scsi_check_rings(struct vhost_scsi *vs);
int vhost_scsi_start(struct vhost_scsi *vs, const char *wwpn);
void vhost_scsi_resume(struct vhost_scsi *vs);
int vhost_scsi_drain(struct vhost_scsi *vs, unsigned long end);
int vhost_scsi_stop(struct vhost_scsi *vs, bool flush, unsigned long end);
void vhost_scsi_detach(struct vhost_scsi *vs);

/* owner.c */
void vhost_scsi_owner_init(struct vhost_scsi *vs);
void vhost_scsi_owner_check_locked(struct vhost_scsi *vs);
void vhost_scsi_owner_close(struct vhost_scsi *vs);
void vhost_scsi_owner_flush(struct vhost_scsi *vs, fl_owner_t id);

/* ring.c */
enum vhost_scsi_fetch {
	VHOST_SCSI_EMPTY,	/* nothing there */
	VHOST_SCSI_FETCHED,	/* a chain */
	VHOST_SCSI_REFUSED,	/* one that could not be used, returned */
	VHOST_SCSI_BROKEN,	/* the ring is out of order */
};

void vhost_scsi_ring_run(struct vhost_scsi_queue *q);
enum vhost_scsi_fetch vhost_scsi_ring_fetch(struct vhost_scsi_queue *q,
					    struct vhost_scsi_chain *chain);
void vhost_scsi_ring_return(struct vhost_scsi_queue *q, u16 head, u32 len);
void vhost_scsi_ring_publish(struct vhost_scsi_queue *q);
void vhost_scsi_ring_done(struct vhost_scsi_op *op);
void vhost_scsi_ring_finish(struct vhost_scsi_queue *q, bool answer);
void vhost_scsi_ring_done_work(struct vhost_work *work);
bool vhost_scsi_ring_read(const struct vhost_scsi_queue *q,
			  const struct vhost_scsi_chain *chain,
			  size_t skip, void *to, size_t len);
void vhost_scsi_ring_reply(struct vhost_scsi_queue *q,
			   const struct vhost_scsi_chain *chain,
			   const void *resp, size_t len);
bool vhost_scsi_ring_reachable(struct vhost_virtqueue *vq);

/* cmd.c */
int vhost_scsi_cmds_alloc(struct vhost_scsi_queue *q);
void vhost_scsi_cmds_free(struct vhost_scsi_queue *q);
void vhost_scsi_cmd_handle(struct vhost_scsi_queue *q,
			   struct vhost_scsi_chain *chain);
void vhost_scsi_cmd_submit_rest(struct vhost_scsi_queue *q);
void vhost_scsi_cmd_submit_work(struct work_struct *work);
void vhost_scsi_cmd_finish(struct vhost_scsi_queue *q,
			   struct vhost_scsi_op *op, bool answer);
void vhost_scsi_cmd_release(struct vhost_scsi_queue *q,
			    struct vhost_scsi_op *op);
void vhost_scsi_cmd_aborted(struct vhost_scsi_op *op);
void vhost_scsi_cmd_data_in(struct vhost_scsi_op *op);
bool vhost_scsi_lun_decode(const u8 lun[8], u16 *out);

/* pages.c */
bool vhost_scsi_cdb_is_rw(const u8 *cdb);
int vhost_scsi_segs_copy(struct vhost_scsi_segs *segs, const struct iovec *iov,
			 unsigned int count, size_t skip, size_t len);
void vhost_scsi_segs_free(struct vhost_scsi_segs *segs);
bool vhost_scsi_segs_write(const struct vhost_scsi_segs *segs,
			   const void *from, size_t len);
int vhost_scsi_data_map(struct vhost_scsi_queue *q,
			struct vhost_scsi_data *data, const struct iovec *iov,
			unsigned int count, size_t skip, u32 len, bool in,
			const u8 *cdb);
int vhost_scsi_data_finish(struct vhost_scsi *vs, struct vhost_scsi_data *data,
			   u32 copy);
int vhost_scsi_bounce_map(struct vhost_scsi *vs,
			  struct vhost_scsi_bounce *bounce,
			  const struct iovec *iov, unsigned int count,
			  size_t skip, u32 len, bool in);
int vhost_scsi_bounce_finish(struct vhost_scsi *vs,
			     struct vhost_scsi_bounce *bounce, u32 copy);
int vhost_scsi_log_keep(struct vhost_scsi_log *log,
			const struct vhost_log *from, unsigned int count);
void vhost_scsi_log_free(struct vhost_scsi_log *log);
void vhost_scsi_log_write(struct vhost_scsi_queue *q, struct vhost_log *entry,
			  unsigned int count, u64 len);

/* tmf.c */
void vhost_scsi_ctl_handle(struct vhost_scsi_queue *q,
			   struct vhost_scsi_chain *chain);
void vhost_scsi_tmf_finish(struct vhost_scsi_queue *q,
			   struct vhost_scsi_op *op, bool answer);
void vhost_scsi_tmf_release(struct vhost_scsi_queue *q,
			    struct vhost_scsi_op *op);
void vhost_scsi_tmf_init(struct vhost_scsi *vs);
void vhost_scsi_tmf_wake(struct vhost_scsi *vs);
void vhost_scsi_tmf_step_answer(struct vhost_scsi_op *op);
void vhost_scsi_tmf_step_done(struct vhost_scsi_op *op);

/* event.c */
void vhost_scsi_event_init(struct vhost_scsi *vs);
void vhost_scsi_event_hotplug(struct vhost_scsi_tpg *tpg, struct se_lun *lun,
			      u32 reason);
void vhost_scsi_event_run(struct vhost_scsi *vs);
void vhost_scsi_event_drop(struct vhost_scsi *vs);
void vhost_scsi_event_set_missed(struct vhost_scsi *vs, bool missed);

void vhost_scsi_event_describe(struct vhost_scsi *vs,
			       struct vhost_scsi_buf *buf);
void vhost_scsi_event_hand_in(struct vhost_scsi *vs,
			      const struct vhost_scsi_mig_events *events);

/* flush.c */
int vhost_scsi_flush_caches(struct vhost_scsi *vs, bool wanted,
			    unsigned long end);

/* exec.c */
struct vhost_scsi_exec_batch *vhost_scsi_exec_batch_alloc(void);
void vhost_scsi_exec_batch_put(struct vhost_scsi_exec_batch *batch);
struct vhost_scsi_exec *
vhost_scsi_exec_add(struct vhost_scsi_exec_batch *batch,
		    const struct vhost_scsi_unit *unit, const u8 *cdb,
		    const void *data, u32 len);
int vhost_scsi_exec_run(struct vhost_scsi *vs,
			struct vhost_scsi_exec_batch *batch, unsigned long end);
void vhost_scsi_exec_each(struct vhost_scsi_exec_batch *batch,
			  void (*judge)(struct vhost_scsi_exec *exec, void *arg),
			  void *arg);
void vhost_scsi_exec_done(struct vhost_scsi_op *op);
void vhost_scsi_exec_aborted(struct vhost_scsi_op *op);

/* attention.c */
void vhost_scsi_ua_keep(struct vhost_scsi_nexus *nexus, u64 lun, u8 asc,
			u8 ascq);
bool vhost_scsi_ua_take(struct vhost_scsi_nexus *nexus, u64 lun, u8 opcode,
			u8 *asc, u8 *ascq);
void vhost_scsi_ua_drop(struct vhost_scsi_nexus *nexus, u64 lun, u8 asc,
			u8 ascq);
void vhost_scsi_ua_forget(struct vhost_scsi_nexus *nexus);
unsigned int vhost_scsi_ua_list(const struct vhost_scsi_unit *unit,
				struct vhost_scsi_sense_code *out,
				unsigned int max);

/* unit.c */
bool vhost_scsi_unit_next(struct vhost_scsi *vs, struct vhost_scsi_unit *unit);
bool vhost_scsi_unit_find(struct vhost_scsi_nexus *nexus, u32 target, u64 lun,
			  struct vhost_scsi_unit *unit);
void vhost_scsi_unit_put(const struct vhost_scsi_unit *unit);

static inline struct vhost_scsi_nexus *
vhost_scsi_nexus_of(const struct vhost_scsi *vs, u32 target)
{
	return target < VHOST_SCSI_MAX_TARGETS && vs->ep && vs->ep->tpg[target] ?
	       vs->ep->tpg[target]->nexus : NULL;
}

/* migration.c */
void vhost_scsi_mig_setup(void);
void vhost_scsi_mig_init(struct vhost_scsi *vs);
void vhost_scsi_mig_exit(struct vhost_scsi *vs);
void vhost_scsi_mig_reached(struct vhost_scsi *vs);
void vhost_scsi_mig_update(struct vhost_scsi *vs);
int vhost_scsi_mig_attach(struct vhost_scsi *vs, const char *wwpn);
int vhost_scsi_mig_detach(struct vhost_scsi *vs);
void vhost_scsi_mig_end(struct vhost_scsi *vs);
void vhost_scsi_mig_lun_changed(struct vhost_scsi *vs);

/* mig_ioctl.c */
long vhost_scsi_mig_ioctl(struct vhost_scsi *vs, unsigned int cmd,
			  void __user *argp);
__poll_t vhost_scsi_mig_poll(struct vhost_scsi *vs, struct file *file,
			     poll_table *table);

/* debugfs.c */
void vhost_scsi_debugfs_init(void);
void vhost_scsi_debugfs_exit(void);
void vhost_scsi_debugfs_add(struct vhost_scsi *vs);
void vhost_scsi_debugfs_remove(struct vhost_scsi *vs);

#endif /* VHOST_SCSI_H */
