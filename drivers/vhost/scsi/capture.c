// SPDX-License-Identifier: GPL-2.0
/*
 * The sections of a stream: put together at the source, handed in at the
 * destination (M4)
 */
#include <linux/slab.h>
#include <linux/vhost.h>
#include <scsi/scsi_proto.h>

#include "migration.h"

/* Drawn when the module is loaded; see struct vhost_scsi_mig_header. */
u8 vhost_scsi_host_name[16];

/**
 * vhost_scsi_buf_add - append to a payload
 * @buf: payload
 * @data: what to append
 * @len: bytes of it
 *
 * Context: process.
 * Return: where it is, or NULL with @buf->error set.
 */
void *vhost_scsi_buf_add(struct vhost_scsi_buf *buf, const void *data,
			 size_t len)
{
	void *at;

	if (buf->error)
		return NULL;
	if (buf->len + len > VHOST_SCSI_MIG_MAX_SECTION) {
		buf->error = -EFBIG;
		return NULL;
	}
	if (buf->len + len > buf->size) {
		size_t size = max(2 * buf->size, roundup(buf->len + len, 256));
		u8 *bigger = kvmalloc(size, GFP_KERNEL_ACCOUNT);

		if (!bigger) {
			buf->error = -ENOMEM;
			return NULL;
		}
		if (buf->len)
			memcpy(bigger, buf->data, buf->len);
		kvfree(buf->data);
		buf->data = bigger;
		buf->size = size;
	}
	at = buf->data + buf->len;
	memcpy(at, data, len);
	buf->len += len;
	return at;
}

/**
 * vhost_scsi_buf_free - free a payload
 * @buf: payload; empty afterwards
 */
void vhost_scsi_buf_free(struct vhost_scsi_buf *buf)
{
	kvfree(buf->data);
	memset(buf, 0, sizeof(*buf));
}

static int vhost_scsi_capture_header(struct vhost_scsi *vs,
				     struct vhost_scsi_session *session)
{
	struct vhost_scsi_mig_header header = {
		.magic = cpu_to_le64(VHOST_SCSI_MIG_MAGIC),
		.version = cpu_to_le32(VHOST_SCSI_MIG_STREAM_VERSION),
		.device = cpu_to_le32(VIRTIO_ID_SCSI),
		.nr_queues = cpu_to_le32(vs->dev.nvqs),
	};
	struct vhost_scsi_buf buf = {};
	int r;

	/* Where a load has not been started yet, it is still true. */
	if (vs->mig.loaded)
		header.features = ((const struct vhost_scsi_mig_header *)
				   vs->mig.loaded->section[VHOST_SCSI_MIG_HEADER].data)->features;
	else
		header.features = cpu_to_le64(vhost_scsi_guest_features(vs));
	memcpy(header.host, vhost_scsi_host_name, sizeof(header.host));
	if (vs->ep)
		strscpy(header.wwpn, vs->ep->wwpn, sizeof(header.wwpn));
	vhost_scsi_buf_add(&buf, &header, sizeof(header));
	r = vhost_scsi_session_add(session, VHOST_SCSI_MIG_HEADER, &buf);
	vhost_scsi_buf_free(&buf);
	return r;
}

/**
 * vhost_scsi_capture_inventory - put an inventory into the stream
 * @vs: device
 * @session: its save session
 *
 * Unless it says what the last one says.
 *
 * Context: vhost_dev.mutex or vhost_scsi_tpg_lock held.
 * Return: 0, -ENOMEM, -EFBIG.
 */
int vhost_scsi_capture_inventory(struct vhost_scsi *vs,
				 struct vhost_scsi_session *session)
{
	struct vhost_scsi_buf buf = {};
	int r;

	vhost_scsi_inventory_make(vs, &buf);
	r = vhost_scsi_session_add(session, VHOST_SCSI_MIG_INVENTORY, &buf);
	vhost_scsi_buf_free(&buf);
	return r;
}

/**
 * vhost_scsi_capture_first - begin a stream
 * @vs: device
 * @session: its save session
 *
 * Context: vhost_dev.mutex held.
 * Return: 0, -ENOMEM, -EFBIG.
 */
int vhost_scsi_capture_first(struct vhost_scsi *vs,
			     struct vhost_scsi_session *session)
{
	int r = vhost_scsi_capture_header(vs, session);

	return r ?: vhost_scsi_capture_inventory(vs, session);
}

static void vhost_scsi_capture_rings(struct vhost_scsi *vs,
				     struct vhost_scsi_buf *buf)
{
	const struct vhost_scsi_load *load = vs->mig.loaded;
	int i;

	for (i = 0; i < vs->dev.nvqs; i++) {
		struct vhost_virtqueue *vq = &vs->queues[i].vq;
		struct vhost_scsi_mig_ring ring = {};

		/* Where a load has not been started yet, it is still true. */
		if (load) {
			size_t at = i * sizeof(ring);

			if (at < load->section[VHOST_SCSI_MIG_RINGS].len)
				memcpy(&ring,
				       load->section[VHOST_SCSI_MIG_RINGS].data + at,
				       sizeof(ring));
		} else if (vhost_vq_is_setup(vq)) {
			ring.size = cpu_to_le16(vq->num);
			ring.last_avail = cpu_to_le16(vq->last_avail_idx);
		}
		vhost_scsi_buf_add(buf, &ring, sizeof(ring));
	}
}

static void vhost_scsi_capture_attentions(struct vhost_scsi *vs,
					  struct vhost_scsi_buf *buf)
{
	struct vhost_scsi_sense_code codes[32];
	struct vhost_scsi_unit unit = {};
	unsigned int room = VHOST_SCSI_MAX_ATTENTIONS;

	while (vhost_scsi_unit_next(vs, &unit)) {
		unsigned int i, n;

		/* There are but a dozen that LIO raises. */
		n = vhost_scsi_ua_list(&unit, codes, ARRAY_SIZE(codes));
		n = min_t(unsigned int, n, ARRAY_SIZE(codes));
		vhost_scsi_unit_put(&unit);
		for (i = 0; i < n && room; i++, room--) {
			struct vhost_scsi_mig_attention entry = {
				.lun = cpu_to_le64(unit.lun),
				.target = cpu_to_le32(unit.target),
				.asc = codes[i].asc,
				.ascq = codes[i].ascq,
			};

			vhost_scsi_buf_add(buf, &entry, sizeof(entry));
		}
	}
}

/**
 * vhost_scsi_capture_final - put the final state into the stream
 * @vs: device, stopped
 * @session: its save session
 *
 * What restoring needs is kept in @vs->mig.captured.  On an error the session
 * is of no use any more, but what was released is known.
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 * Return: 0 or negative.
 */
int vhost_scsi_capture_final(struct vhost_scsi *vs,
			     struct vhost_scsi_session *session)
{
	struct vhost_scsi_buf rings = {}, events = {}, end = {};
	struct vhost_scsi_buf *attentions = &vs->mig.captured_attentions;
	struct vhost_scsi_buf *reservations = &vs->mig.captured_reservations;
	int r;

	vhost_scsi_buf_free(attentions);
	vhost_scsi_buf_free(reservations);

	/* It can take a kill: first, so that what it did is known. */
	r = vhost_scsi_reservations_capture(vs, reservations);
	if (r)
		return r;
	vhost_scsi_capture_rings(vs, &rings);
	vhost_scsi_event_describe(vs, &events);
	vhost_scsi_capture_attentions(vs, attentions);

	r = vhost_scsi_capture_inventory(vs, session);
	if (!r)
		r = vhost_scsi_session_add(session, VHOST_SCSI_MIG_RINGS,
					   &rings);
	if (!r)
		r = vhost_scsi_session_add(session, VHOST_SCSI_MIG_EVENTS,
					   &events);
	if (!r)
		r = vhost_scsi_session_add(session, VHOST_SCSI_MIG_ATTENTIONS,
					   attentions);
	if (!r)
		r = vhost_scsi_session_add(session, VHOST_SCSI_MIG_RESERVATIONS,
					   reservations);
	if (!r)
		r = vhost_scsi_session_add(session, VHOST_SCSI_MIG_END, &end);
	vhost_scsi_buf_free(&rings);
	vhost_scsi_buf_free(&events);
	return r;
}

/**
 * vhost_scsi_capture_check_rings - are these the rings of the load?
 * @vs: device about to start
 * @load: accepted load
 *
 * Context: vhost_dev.mutex held, nothing in flight.
 * Return: 0, or -ESTALE if features, sizes or positions differ.
 */
int vhost_scsi_capture_check_rings(struct vhost_scsi *vs,
				   const struct vhost_scsi_load *load)
{
	const struct vhost_scsi_mig_header *header =
		(const void *)load->section[VHOST_SCSI_MIG_HEADER].data;
	const struct vhost_scsi_buf *buf = &load->section[VHOST_SCSI_MIG_RINGS];
	const struct vhost_scsi_mig_ring *ring = (const void *)buf->data;
	size_t i, n = buf->len / sizeof(*ring);
	bool any = false;

	for (i = 0; i < n && i < vs->dev.nvqs; i++) {
		struct vhost_virtqueue *vq = &vs->queues[i].vq;

		if (!ring[i].size)
			continue;
		any = true;
		if (le16_to_cpu(ring[i].size) != vq->num ||
		    le16_to_cpu(ring[i].last_avail) != vq->last_avail_idx)
			return -ESTALE;
	}
	/* A guest without a driver at the source may get one here. */
	if (any && le64_to_cpu(header->features) !=
		   vhost_scsi_guest_features(vs))
		return -ESTALE;
	return 0;
}

/**
 * vhost_scsi_capture_clear - owe the guest nothing
 * @vs: device with a claim, stopped
 *
 * What the nexus is owed for what has happened to it before a guest came, or
 * after it left: LUNs were linked, another guest had it.  A command makes LIO
 * forget.
 *
 * Context: vhost_dev.mutex held.  Sleeps, killably.
 */
void vhost_scsi_capture_clear(struct vhost_scsi *vs)
{
	static const u8 cdb[VHOST_SCSI_EXEC_CDB] = { TEST_UNIT_READY };
	struct vhost_scsi_exec_batch *batch = vhost_scsi_exec_batch_alloc();
	struct vhost_scsi_unit unit = {};
	struct vhost_scsi_nexus *nexus;
	u32 target;

	if (batch) {
		while (vhost_scsi_unit_next(vs, &unit)) {
			if (vhost_scsi_ua_list(&unit, NULL, 0))
				vhost_scsi_exec_add(batch, &unit, cdb, NULL, 0);
			vhost_scsi_unit_put(&unit);
		}
		vhost_scsi_exec_run(vs, batch, vs->mig.end);
		vhost_scsi_exec_batch_put(batch);
	}
	for (target = 0; target < VHOST_SCSI_MAX_TARGETS; target++) {
		nexus = vhost_scsi_nexus_of(vs, target);
		if (nexus)
			vhost_scsi_ua_forget(nexus);
	}
}

/**
 * vhost_scsi_capture_hand_in - the guest is owed what it was owed there
 * @vs: device with a claim, stopped
 * @load: accepted load
 *
 * Unit attentions and events.
 *
 * Context: vhost_dev.mutex held.
 */
void vhost_scsi_capture_hand_in(struct vhost_scsi *vs,
				const struct vhost_scsi_load *load)
{
	const struct vhost_scsi_buf *buf =
		&load->section[VHOST_SCSI_MIG_ATTENTIONS];
	const struct vhost_scsi_mig_attention *at = (const void *)buf->data;
	u32 i;

	for (i = 0; i < buf->len / sizeof(*at); i++) {
		u32 target = le32_to_cpu(at[i].target);
		struct vhost_scsi_nexus *nexus = vhost_scsi_nexus_of(vs, target);
		struct vhost_scsi_unit unit;

		if (!vhost_scsi_unit_find(nexus, target,
					  le64_to_cpu(at[i].lun), &unit))
			continue;
		vhost_scsi_unit_put(&unit);
		vhost_scsi_ua_keep(nexus, unit.lun, at[i].asc, at[i].ascq);
	}
	vhost_scsi_event_hand_in(vs, (const void *)
				 load->section[VHOST_SCSI_MIG_EVENTS].data);
}
