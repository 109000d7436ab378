// SPDX-License-Identifier: GPL-2.0
/*
 * Taking a stream apart (M3, M5)
 *
 * vhost_scsi_load_bytes() is the boundary for what a stream supplies (N2): each
 * section is checked once, when its last byte has come, and what is kept of it
 * can be used without looking at lengths or numbers again.  Nothing but the
 * load itself changes here.
 */
#include <linux/slab.h>

#include "compat_crc32c.h"
#include "migration.h"

static enum vhost_scsi_mig_reason
vhost_scsi_load_header(struct vhost_scsi *vs, struct vhost_scsi_load *load,
		       const struct vhost_scsi_buf *buf)
{
	const struct vhost_scsi_mig_header *header = (const void *)buf->data;

	if (buf->len != sizeof(*header) ||
	    le64_to_cpu(header->magic) != VHOST_SCSI_MIG_MAGIC)
		return VHOST_SCSI_MIG_BAD_STREAM;
	if (le32_to_cpu(header->version) != VHOST_SCSI_MIG_STREAM_VERSION)
		return VHOST_SCSI_MIG_BAD_VERSION;
	if (le32_to_cpu(header->device) != VIRTIO_ID_SCSI)
		return VHOST_SCSI_MIG_BAD_DEVICE;
	if (header->reserved || !le32_to_cpu(header->nr_queues) ||
	    le32_to_cpu(header->nr_queues) >
	    VHOST_SCSI_VQ_IO + VHOST_SCSI_MAX_IO_QUEUES ||
	    !memchr(header->wwpn, 0, sizeof(header->wwpn)))
		return VHOST_SCSI_MIG_BAD_STREAM;
	if (le64_to_cpu(header->features) & ~vhost_scsi_features)
		return VHOST_SCSI_MIG_BAD_FEATURES;
	load->host = !memcmp(header->host, vhost_scsi_host_name,
			     sizeof(header->host));
	return VHOST_SCSI_MIG_OK;
}

static enum vhost_scsi_mig_reason
vhost_scsi_load_rings(struct vhost_scsi *vs, struct vhost_scsi_load *load,
		      const struct vhost_scsi_buf *buf)
{
	const struct vhost_scsi_mig_header *header =
		(const void *)load->section[VHOST_SCSI_MIG_HEADER].data;
	const struct vhost_scsi_mig_ring *ring = (const void *)buf->data;
	u32 i, n = le32_to_cpu(header->nr_queues);

	if (buf->len != n * sizeof(*ring))
		return VHOST_SCSI_MIG_BAD_STREAM;
	for (i = 0; i < n; i++) {
		if (!ring[i].size && ring[i].last_avail)
			return VHOST_SCSI_MIG_BAD_STREAM;
		/* More queues in use than there are here: max_io_vqs. */
		if (i >= vs->dev.nvqs && ring[i].size)
			return VHOST_SCSI_MIG_BAD_FEATURES;
	}
	return VHOST_SCSI_MIG_OK;
}

static bool vhost_scsi_load_events_valid(const struct vhost_scsi_buf *buf)
{
	const struct vhost_scsi_mig_events *events = (const void *)buf->data;

	return buf->len >= sizeof(*events) &&
	       le32_to_cpu(events->count) <= VHOST_SCSI_MAX_EVENTS &&
	       buf->len == struct_size(events, event,
				       le32_to_cpu(events->count));
}

static bool vhost_scsi_load_attentions_valid(const struct vhost_scsi_buf *buf)
{
	const struct vhost_scsi_mig_attention *at = (const void *)buf->data;
	size_t i;

	if (buf->len % sizeof(*at) ||
	    buf->len / sizeof(*at) > VHOST_SCSI_MAX_ATTENTIONS)
		return false;
	for (i = 0; i < buf->len / sizeof(*at); i++)
		if (le32_to_cpu(at[i].target) >= VHOST_SCSI_MAX_TARGETS ||
		    at[i].reserved)
			return false;
	return true;
}

/* The payload of a section that is known is complete. */
static enum vhost_scsi_mig_reason
vhost_scsi_load_section(struct vhost_scsi *vs, struct vhost_scsi_load *load,
			u32 type, const struct vhost_scsi_buf *buf,
			struct vhost_scsi_mig_blocker *blocker)
{
	bool ok = false;

	switch (type) {
	case VHOST_SCSI_MIG_HEADER:
		return vhost_scsi_load_header(vs, load, buf);
	case VHOST_SCSI_MIG_INVENTORY:
		ok = vhost_scsi_inventory_valid(buf);
		break;
	case VHOST_SCSI_MIG_RINGS:
		return vhost_scsi_load_rings(vs, load, buf);
	case VHOST_SCSI_MIG_EVENTS:
		ok = vhost_scsi_load_events_valid(buf);
		break;
	case VHOST_SCSI_MIG_ATTENTIONS:
		ok = vhost_scsi_load_attentions_valid(buf);
		break;
	case VHOST_SCSI_MIG_RESERVATIONS:
		ok = vhost_scsi_reservations_valid(buf);
		break;
	}
	return ok ? VHOST_SCSI_MIG_OK : VHOST_SCSI_MIG_BAD_STREAM;
}

static enum vhost_scsi_mig_reason
vhost_scsi_load_end(const struct vhost_scsi_load *load)
{
	const struct vhost_scsi_mig_end *end = (const void *)load->payload;

	if (le32_to_cpu(load->head.length) != sizeof(*end))
		return VHOST_SCSI_MIG_BAD_STREAM;
	if (le32_to_cpu(end->crc) != ~load->crc)
		return VHOST_SCSI_MIG_BAD_CHECKSUM;
	return VHOST_SCSI_MIG_OK;
}

/* Is it a section that is understood here?  One that is not is skipped. */
static bool vhost_scsi_load_known(const struct vhost_scsi_load *load)
{
	u32 type = le32_to_cpu(load->head.type);

	return type >= VHOST_SCSI_MIG_HEADER && type <= VHOST_SCSI_MIG_END &&
	       le16_to_cpu(load->head.version) == 1;
}

/* Forget what has come, but not the section that is coming. */
static void vhost_scsi_load_restart(struct vhost_scsi_load *load)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(load->section); i++)
		vhost_scsi_buf_free(&load->section[i]);
	load->last = 0;
	load->crc = ~0U;
	load->bytes = sizeof(load->head);
}

/* The first bytes of a section are complete. */
static enum vhost_scsi_mig_reason
vhost_scsi_load_begin(struct vhost_scsi_load *load,
		      enum vhost_scsi_mig_verdict *verdict)
{
	u32 type = le32_to_cpu(load->head.type);
	u32 length = le32_to_cpu(load->head.length);
	u16 flags = le16_to_cpu(load->head.flags);
	bool known = vhost_scsi_load_known(load);

	if (flags & ~VHOST_SCSI_MIG_SKIPPABLE)
		return VHOST_SCSI_MIG_BAD_STREAM;
	if (type == VHOST_SCSI_MIG_HEADER) {
		vhost_scsi_load_restart(load);
		*verdict = VHOST_SCSI_MIG_INCOMPLETE;
	} else if (!load->last || load->last == VHOST_SCSI_MIG_END) {
		return VHOST_SCSI_MIG_BAD_STREAM;
	}
	if (!known && (type == VHOST_SCSI_MIG_HEADER ||
		       type == VHOST_SCSI_MIG_END ||
		       !(flags & VHOST_SCSI_MIG_SKIPPABLE)))
		return VHOST_SCSI_MIG_BAD_VERSION;
	if (known && type != load->last + 1 &&
	    !(type == VHOST_SCSI_MIG_INVENTORY && load->last == type))
		return VHOST_SCSI_MIG_BAD_STREAM;
	if (length > VHOST_SCSI_MIG_MAX_SECTION ||
	    load->bytes + length > VHOST_SCSI_MIG_MAX_STREAM)
		return VHOST_SCSI_MIG_TOO_LARGE;
	load->crc = crc32c(load->crc, (const u8 *)&load->head,
			   sizeof(load->head));
	return VHOST_SCSI_MIG_OK;
}

/* A section is complete. */
static enum vhost_scsi_mig_reason
vhost_scsi_load_finish(struct vhost_scsi *vs, struct vhost_scsi_load *load,
		       enum vhost_scsi_mig_verdict *verdict,
		       struct vhost_scsi_mig_blocker *blocker)
{
	u32 type = le32_to_cpu(load->head.type);
	u32 length = le32_to_cpu(load->head.length);
	struct vhost_scsi_buf buf = {
		.data = load->payload,
		.len = length,
		.size = length,
	};
	enum vhost_scsi_mig_reason reason;

	if (!vhost_scsi_load_known(load))
		return VHOST_SCSI_MIG_OK;
	if (type == VHOST_SCSI_MIG_END) {
		reason = vhost_scsi_load_end(load);
		kvfree(load->payload);
		load->payload = NULL;
		if (!reason)
			*verdict = VHOST_SCSI_MIG_ACCEPTED;
		load->last = type;
		return reason;
	}

	load->crc = crc32c(load->crc, load->payload, length);
	reason = vhost_scsi_load_section(vs, load, type, &buf, blocker);
	vhost_scsi_buf_free(&load->section[type]);
	load->section[type] = buf;
	load->payload = NULL;
	load->last = type;
	if (!reason && type == VHOST_SCSI_MIG_INVENTORY) {
		reason = vhost_scsi_inventory_check(vs, load, blocker);
		if (!reason)
			*verdict = VHOST_SCSI_MIG_INVENTORY_OK;
	}
	return reason;
}

/* Take some of @data.  Return: how much. */
static size_t vhost_scsi_load_some(struct vhost_scsi_load *load,
				   const u8 *data, size_t len)
{
	size_t head = sizeof(load->head);

	if (load->have < head) {
		len = min(len, head - load->have);
		memcpy((u8 *)&load->head + load->have, data, len);
	} else {
		len = min_t(size_t, len, head + le32_to_cpu(load->head.length) -
			    load->have);
		if (load->payload)
			memcpy(load->payload + load->have - head, data, len);
		else
			load->crc = crc32c(load->crc, data, len);
	}
	load->have += len;
	load->bytes += len;
	return len;
}

/**
 * vhost_scsi_load_bytes - take some of a stream in
 * @vs: device with a claim that the stream is for
 * @load: what has come before
 * @data: some bytes
 * @len: their number
 * @verdict: in and out: what is thought of it
 * @blocker: out: what is wrong with it
 *
 * Context: process; the claim stands.
 * Return: 0; the error of the reason in @blocker; -ENOMEM, and the load is of
 * no use any more.
 */
int vhost_scsi_load_bytes(struct vhost_scsi *vs, struct vhost_scsi_load *load,
			  const u8 *data, size_t len,
			  enum vhost_scsi_mig_verdict *verdict,
			  struct vhost_scsi_mig_blocker *blocker)
{
	enum vhost_scsi_mig_reason reason = VHOST_SCSI_MIG_OK;

	while (len && !reason) {
		size_t head = sizeof(load->head), done, length;

		done = vhost_scsi_load_some(load, data, len);
		data += done;
		len -= done;
		if (load->have < head)
			break;
		length = le32_to_cpu(load->head.length);
		if (load->have == head && !load->payload) {
			reason = vhost_scsi_load_begin(load, verdict);
			if (!reason && vhost_scsi_load_known(load)) {
				load->payload = kvmalloc(max(length, 1UL),
							 GFP_KERNEL_ACCOUNT);
				if (!load->payload)
					return -ENOMEM;
			}
		}
		if (!reason && load->have == head + length) {
			reason = vhost_scsi_load_finish(vs, load, verdict,
							blocker);
			load->have = 0;
		}
	}
	if (!reason)
		return 0;
	*verdict = VHOST_SCSI_MIG_REFUSED;
	blocker->reason = reason;
	return vhost_scsi_mig_errno(reason);
}

/**
 * vhost_scsi_load_free - forget a load
 * @load: load
 */
void vhost_scsi_load_free(struct vhost_scsi_load *load)
{
	vhost_scsi_load_restart(load);
	kvfree(load->payload);
	load->payload = NULL;
	load->have = 0;
}
