/* SPDX-License-Identifier: GPL-2.0 WITH Linux-syscall-note */
/*
 * VFIO migration region, version 1 of VFIO's migration ABI
 *
 * QEMU up to 7.2 migrates devices through a region of the device: registers,
 * followed by a data section.  A device that has the region is one whose
 * VFIO_DEVICE_GET_REGION_INFO shows, in a VFIO_REGION_INFO_CAP_TYPE capability,
 * type 3 and subtype 1 (VFIO_REGION_TYPE_MIGRATION_DEPRECATED and
 * VFIO_REGION_SUBTYPE_MIGRATION_DEPRECATED of <linux/vfio.h>).  The same device
 * speaks version 2, VFIO_DEVICE_FEATURE_MIGRATION; a stream saved under one is
 * loaded under the other.
 *
 * Layout of the region
 * ====================
 *
 *	offset	width	name		access
 *	0	4	device_state	read, write
 *	4	4	reserved	none
 *	8	8	pending_bytes	read
 *	16	8	data_offset	read
 *	24	8	data_size	read while saving, write while resuming
 *	32		unused		none
 *	P	size	data section	read, write, mmap
 *
 * P is the page size.  VFIO_REGION_INFO_CAP_SPARSE_MMAP names the data section,
 * which reaches to the end of the region; its size is an attribute of the
 * device.  A register is read and written with one pread or pwrite of exactly
 * its width at exactly its offset, in native byte order.  The data section is
 * accessed at any offset and length inside it.
 *
 *	-EINVAL	another width, offset or direction; a range that is not wholly
 *		in the data section
 *	-EFAULT	the caller's buffer
 *	-EINTR	killed while waiting
 *
 * An access either happens as a whole and returns its length, or not at all.
 *
 * device_state
 * ============
 *
 * The value is the sum of the bits RUNNING, SAVING and RESUMING.
 *
 *	0	stopped
 *	1	running
 *	2	stopped, and saving: STOP_COPY of version 2
 *	3	running, and saving: PRE_COPY of version 2
 *	4	stopped, and loading
 *	6	error: only VFIO_DEVICE_RESET leaves it, to 1
 *
 * A write requests the state; it has been reached when the write returns.
 *
 *	from	to	what happens
 *	any	same	nothing
 *	1	0	stops the device
 *	1	2	stops the device, begins a session
 *	1	3	begins a session
 *	1	4	stops the device, begins a load
 *	0	1	starts the device
 *	0	2	begins a session
 *	0	3	starts the device, begins a session
 *	0	4	begins a load
 *	3	0	ends the session, stops the device
 *	3	1	ends the session
 *	3	2	stops the device, the session goes on
 *	3	4	ends the session, stops the device, begins a load
 *	2	0	ends the session
 *	2	1	ends the session, starts the device
 *	2	4	ends the session, begins a load
 *	4	0	completes the load
 *	4	1	completes the load, starts the device
 *	4	2	completes the load, begins a session
 *	4	3	completes the load, starts the device, begins a session
 *
 * All else is refused, the state stays what it was:
 *
 *	-EINVAL	2 to 3; any value but 0 to 4; anything from 6.
 *		From 4: no load was ever begun in the stream, or it is not
 *		complete.  The device stays in 4.
 *	-EBUSY	a session of version 2 is open
 *	-EINTR	killed while the device was being stopped.  It runs on
 *	-ENOMEM	no memory for a session
 *	another	from 4: what was written last was refused, with this error
 *
 * After a failure, a read of device_state says which state holds.  That is the
 * one before the write; only if the write had ended a session (3 to 0 or 4, 2
 * to 4) or completed a load (4 to 2 or 3) and failed later, it is 1 or 0.
 *
 * "Stopped" means that when the write returns the device does no DMA, raises no
 * interrupt and changes none of its memory.  Others (a mapping of its memory, a
 * peer) may still write to it; while saving, that is tracked until the end of
 * the stream has been produced.
 *
 * VFIO_DEVICE_RESET, in any state: the session or load ends, the device is
 * reset, the state is 1.  Closing the device does the same.
 *
 * Session
 * =======
 *
 * A session begins when SAVING is set, with a full snapshot, and ends when it
 * is cleared, whatever is left.  Setting it again begins a new one.
 *
 * pending_bytes is, in a session, the number of bytes of device state that have
 * not been read.  A page counts in full, also if it is sent as one of a run of
 * zero pages, and once, however often it was written since it was last put into
 * a chunk.  It begins as the size of the snapshot.  State that exists only once
 * the device is stopped is counted from then on.  In state 2 it is 0 exactly
 * when the last byte of the stream has been read.  A device that has no dirty
 * logging shows 0 in state 3.
 *
 * Reading:
 *
 *	1. read pending_bytes; if 0, there is nothing now (state 3), or the
 *	   stream is complete (state 2)
 *	2. read data_offset: prepares a chunk, and is where it lies in the region
 *	3. read data_size: the length of the chunk
 *	4. read the chunk, from the mapping or by pread
 *	5. read pending_bytes: acknowledges the chunk; go on with 2 if not 0
 *
 * A chunk does not change from the read of data_offset until it is acknowledged,
 * also if the device is stopped meanwhile, and is the same when data_offset is
 * read again.  A read of pending_bytes acknowledges it only if data_offset and
 * then data_size were read since it was prepared; otherwise it has no effect.
 * The state in a chunk is counted in pending_bytes until it is acknowledged; a
 * page that is written while it waits in a chunk counts a second time, for it
 * will be sent a second time.  data_size can be 0 in state 3: what is pending
 * cannot be sent before the device is stopped.
 *
 * The chunks, put together, are the stream.  It is opaque.
 *
 * Loading
 * =======
 *
 * In state 4:
 *
 *	1. read data_offset
 *	2. write data there, to the mapping or by pwrite
 *	3. write its length to data_size: the device takes it
 *
 * A chunk of the source may be cut into smaller pieces, at any byte.  The
 * write of data_size is refused with
 *
 *	-EINVAL		more than the data section holds; or the stream is of
 *			another kind of device, of one of another size, or has
 *			state that this device cannot have
 *	-EOPNOTSUPP	it is of another version of the format
 *	-EBADMSG	it is damaged: a checksum, a length, an order is wrong
 *	-ENOMEM		no memory for the state
 *
 * by the write that completes the part in question.  A stream once refused
 * remains refused: every later write of data_size, other than one that is too
 * large, and every change of the state, fails with the same error, until the
 * device is reset.  A length of 0 is legal and takes nothing.
 *
 * A stream may be cut off between two of its parts, and be followed by another
 * one from its beginning: then the other one is what is loaded.
 *
 * Outside a session and a load
 * ============================
 *
 * pending_bytes, data_offset and data_size read as 0, 0 and 0, also in a
 * session of version 2; a write of data_size is -EINVAL, and -EBUSY in one of
 * version 2.  The data section remains mapped and accessible; when a session or
 * load ends it is zeroed.
 */
#ifndef _UAPI_LINUX_VFIO_MIGRATION_REGION_H
#define _UAPI_LINUX_VFIO_MIGRATION_REGION_H

#include <linux/types.h>

/* The bits of device_state. */
#define VFIO_MIGRATION_REGION_RUNNING	(1U << 0)
#define VFIO_MIGRATION_REGION_SAVING	(1U << 1)
#define VFIO_MIGRATION_REGION_RESUMING	(1U << 2)

/* The value of device_state that is shown in the error state. */
#define VFIO_MIGRATION_REGION_ERROR \
	(VFIO_MIGRATION_REGION_SAVING | VFIO_MIGRATION_REGION_RESUMING)

/**
 * struct vfio_migration_region - the registers at the beginning of the region
 * @device_state: VFIO_MIGRATION_REGION_* bits.
 * @reserved: not accessible.
 * @pending_bytes: bytes of state that were not read yet; reading it
 *	acknowledges a chunk that was read.
 * @data_offset: where the data section begins, in bytes from the beginning of
 *	the region; reading it while saving prepares a chunk.
 * @data_size: bytes in the data section: of the chunk while saving, that the
 *	user has put there while resuming.
 */
struct vfio_migration_region {
	__u32 device_state;
	__u32 reserved;
	__u64 pending_bytes;
	__u64 data_offset;
	__u64 data_size;
};

#endif /* _UAPI_LINUX_VFIO_MIGRATION_REGION_H */
