// SPDX-License-Identifier: GPL-2.0
/* Sections of the stream: put together, taken apart, checked. */
#include <linux/minmax.h>
#include <linux/string.h>

#include "migration.h"
#include "trace.h"

static u32 checksum(const void *data, size_t len)
{
	return len ? ~crc32c(~0, data, len) : 0;
}

static u32 header_checksum(const struct vfio_migration_section *section)
{
	return checksum(section, offsetof(struct vfio_migration_section,
					  header_crc));
}

/* Writes the section header in front of a payload that is there already. */
static size_t seal(struct vfio_migration *mig,
		   struct vfio_migration_section *section,
		   enum vfio_migration_section_type type,
		   const struct vfio_migration_piece *piece)
{
	section->magic = cpu_to_le32(VFIO_MIGRATION_MAGIC);
	section->type = cpu_to_le16(type);
	section->kind = cpu_to_le16(piece->kind);
	section->length = cpu_to_le32(piece->length);
	section->sequence = cpu_to_le32(mig->stream->sequence++);
	section->arg = cpu_to_le64(piece->arg);
	section->payload_crc = cpu_to_le32(checksum(section + 1, piece->length));
	section->header_crc = cpu_to_le32(header_checksum(section));
	trace_vfio_migration_section(mig, section, true, 0);
	return sizeof(*section) + piece->length;
}

static void describe(struct vfio_migration *mig,
		     struct vfio_migration_header *header)
{
	const struct vfio_migration_driver *driver = mig->driver;

	memset(header, 0, sizeof(*header));
	header->format = cpu_to_le32(VFIO_MIGRATION_FORMAT);
	header->version = cpu_to_le32(driver->version);
	header->size = cpu_to_le64(driver->size(mig));
	header->final_size = cpu_to_le64(driver->final_size(mig));
	strscpy(header->name, driver->name, sizeof(header->name));
}

/* Asks the driver for a piece; 1 if there is one. */
static int save_piece(struct vfio_migration *mig,
		      struct vfio_migration_piece *piece, void *buf,
		      size_t room, bool stopped)
{
	struct vfio_migration_count *count = &mig->count;
	int ret;

	memset(piece, 0, sizeof(*piece));
	ret = mig->driver->save(mig, piece, buf, room, stopped);
	if (ret <= 0)
		return ret;
	if (WARN_ON_ONCE(piece->length > room || !piece->covers))
		return -EIO;
	spin_lock(&count->lock);
	count->unsent -= piece->covers;
	count->taken += piece->covers;
	spin_unlock(&count->lock);
	return 1;
}

/* Nothing but the end is unsent?  Then nothing is counted from here on. */
static bool close_count(struct vfio_migration *mig)
{
	struct vfio_migration_count *count = &mig->count;
	bool closed;

	spin_lock(&count->lock);
	closed = count->unsent <= (s64)VFIO_MIGRATION_END_COVERS;
	if (closed) {
		count->unsent = 0;
		count->taken += VFIO_MIGRATION_END_COVERS;
		count->active = false;
	}
	spin_unlock(&count->lock);
	return closed;
}

/**
 * vfio_migration_stream_save_locked() - produce the next section
 * @mig: the migration, saving.
 * @buf: where to.
 * @room: bytes there: a section header and VFIO_MIGRATION_PIECE_MIN, or more.
 * @covers: bytes of state in the section, counted as taken.
 *
 * Context: holds the migration lock; may sleep.
 * Return: length of the section; 0 if there is none, for now if the device
 * runs, for good if it is stopped; or a negative errno.
 */
ssize_t vfio_migration_stream_save_locked(struct vfio_migration *mig, void *buf,
					  size_t room, u64 *covers)
{
	const bool stopped =
		vfio_migration_level(mig->state) == VFIO_MIGRATION_STOPPED;
	struct vfio_migration_section *section = buf;
	struct vfio_migration_stream *stream = mig->stream;
	struct vfio_migration_piece piece = {};
	int ret, tries;

	lockdep_assert_held(&mig->gate->lock);
	*covers = 0;
	if (stream->ended)
		return 0;
	if (!stream->sequence) {
		describe(mig, buf + sizeof(*section));
		piece.length = sizeof(struct vfio_migration_header);
		return seal(mig, section, VFIO_MIGRATION_HEADER, &piece);
	}
	if (!stopped && !mig->driver->log_on)
		return 0;

	room = min_t(size_t, room - sizeof(*section), VFIO_MIGRATION_PIECE_MAX);
	/*
	 * A write can come between the driver's last look and the end, but the
	 * second look must find it: see vfio_migration_dirtied().
	 */
	for (tries = 0; tries < 2; tries++) {
		ret = save_piece(mig, &piece, section + 1, room, stopped);
		if (ret < 0)
			return ret;
		if (ret) {
			*covers = piece.covers;
			return seal(mig, section, VFIO_MIGRATION_PIECE, &piece);
		}
		if (!stopped)
			return 0;
		if (close_count(mig)) {
			stream->ended = true;
			memset(&piece, 0, sizeof(piece));
			*covers = VFIO_MIGRATION_END_COVERS;
			return seal(mig, section, VFIO_MIGRATION_END, &piece);
		}
	}
	WARN_ONCE(1, "vfio_migration: %s counts state that it does not save",
		  mig->driver->name);
	return -EIO;
}

/* The checks of a section's header.  The payload has not come yet. */
static int check_section(const struct vfio_migration_stream *stream,
			 const struct vfio_migration_section *section)
{
	u32 length = le32_to_cpu(section->length);
	bool piece = false;

	if (le32_to_cpu(section->magic) != VFIO_MIGRATION_MAGIC ||
	    le32_to_cpu(section->header_crc) != header_checksum(section))
		return -EBADMSG;

	switch (le16_to_cpu(section->type)) {
	case VFIO_MIGRATION_HEADER:
		/* Begins the load anew, wherever it comes. */
		if (section->sequence ||
		    length != sizeof(struct vfio_migration_header))
			return -EBADMSG;
		break;
	case VFIO_MIGRATION_PIECE:
		piece = true;
		if (length > VFIO_MIGRATION_PIECE_MAX)
			return -EBADMSG;
		break;
	case VFIO_MIGRATION_END:
		if (length)
			return -EBADMSG;
		break;
	default:
		return -EBADMSG;
	}
	if (!piece && (section->kind || section->arg))
		return -EBADMSG;
	if (section->sequence &&
	    (stream->ended || !stream->sequence ||
	     le32_to_cpu(section->sequence) != stream->sequence))
		return -EBADMSG;
	if (!section->sequence &&
	    le16_to_cpu(section->type) != VFIO_MIGRATION_HEADER)
		return -EBADMSG;
	return 0;
}

static int load_header(struct vfio_migration *mig,
		       const struct vfio_migration_header *header)
{
	struct vfio_migration_header own;

	describe(mig, &own);
	if (header->format != own.format)
		return -EOPNOTSUPP;
	if (memcmp(header->name, own.name, sizeof(own.name)))
		return -EINVAL;
	if (header->version != own.version)
		return -EOPNOTSUPP;
	if (header->size != own.size || header->final_size != own.final_size)
		return -EINVAL;
	return mig->driver->load_begin(mig);
}

/* A section is complete in stream->buf. */
static int load_section(struct vfio_migration *mig)
{
	struct vfio_migration_stream *stream = mig->stream;
	const struct vfio_migration_section *section = (void *)stream->buf;
	struct vfio_migration_piece piece = {
		.kind = le16_to_cpu(section->kind),
		.arg = le64_to_cpu(section->arg),
		.length = le32_to_cpu(section->length),
	};
	int ret = 0;

	if (le32_to_cpu(section->payload_crc) !=
	    checksum(section + 1, piece.length))
		return -EBADMSG;
	switch (le16_to_cpu(section->type)) {
	case VFIO_MIGRATION_HEADER:
		stream->sequence = 0;
		stream->ended = false;
		ret = load_header(mig, (void *)(section + 1));
		break;
	case VFIO_MIGRATION_PIECE:
		ret = mig->driver->load(mig, &piece, section + 1);
		break;
	case VFIO_MIGRATION_END:
		stream->ended = true;
		break;
	}
	stream->sequence++;
	return ret;
}

/* How long the section in stream->buf will be, as far as that is known. */
static size_t expected(const struct vfio_migration_stream *stream)
{
	const struct vfio_migration_section *section = (void *)stream->buf;

	if (stream->length < sizeof(*section))
		return sizeof(*section);
	return sizeof(*section) + le32_to_cpu(section->length);
}

/**
 * vfio_migration_stream_load_locked() - take a part of a stream
 * @mig: the migration, loading.
 * @from: the bytes, of any number.
 *
 * All is copied once, into a buffer that the user cannot reach, before it is
 * looked at.  The header of a section is checked when it is complete and before
 * its length is believed; the payload when the section is complete; what it
 * means, by the driver, after that.
 *
 * Context: holds the migration lock; may sleep.
 * Return: 0, or a negative errno that every later call repeats (V9); -EFAULT and
 * -EINTR, which are no fault of the stream, are not repeated, but bytes before
 * the fault have been taken.
 */
int vfio_migration_stream_load_locked(struct vfio_migration *mig,
				      struct iov_iter *from)
{
	struct vfio_migration_stream *stream = mig->stream;
	const struct vfio_migration_section *section = (void *)stream->buf;
	int ret = 0;

	lockdep_assert_held(&mig->gate->lock);
	if (stream->error)
		return stream->error;
	while (iov_iter_count(from) && !ret) {
		size_t want = expected(stream) - stream->length;
		size_t got = copy_from_iter(stream->buf + stream->length,
					    min(want, iov_iter_count(from)),
					    from);

		stream->length += got;
		if (got < want) {
			if (iov_iter_count(from))
				return -EFAULT;
			break;
		}
		if (stream->length == sizeof(*section))
			ret = check_section(stream, section);
		if (!ret && stream->length == expected(stream)) {
			ret = load_section(mig);
			stream->length = 0;
		}
		if (ret)
			trace_vfio_migration_section(mig, section, false, ret);
		cond_resched();
	}
	stream->error = ret;
	return ret;
}
