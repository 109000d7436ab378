/* SPDX-License-Identifier: GPL-2.0 */
/*
 * The migration stream
 *
 * Opaque to userspace; what is here binds the two ends, which can be different
 * kernels.  All fields are little-endian.
 *
 * A stream is a row of sections.  A section is a struct
 * vfio_migration_section, 32 bytes, followed by @length bytes of payload.
 *
 *	sequence 0	HEADER	a struct vfio_migration_header
 *	1 ... n		PIECE	a piece of the driver's: kind, arg and payload
 *	n + 1		END	no payload
 *
 * @header_crc covers the 28 bytes before it, so that no length is believed that
 * was not sent; @payload_crc the payload (0 if there is none).  Both are CRC32C
 * with an initial value and a final inversion of all ones.  @sequence counts up
 * by one, so a section that is lost, repeated or moved is noticed.
 *
 * A HEADER can follow any section: the load begins anew with it (V9).  Nothing
 * else can follow END.  A load is complete if END was the last section.
 */
#ifndef VFIO_MIGRATION_STREAM_H
#define VFIO_MIGRATION_STREAM_H

#include <linux/build_bug.h>
#include <linux/stddef.h>
#include <linux/types.h>

#define VFIO_MIGRATION_MAGIC	0x434d4656	/* "VFMC" */
#define VFIO_MIGRATION_FORMAT	1

enum vfio_migration_section_type {
	VFIO_MIGRATION_HEADER = 1,
	VFIO_MIGRATION_PIECE = 2,
	VFIO_MIGRATION_END = 3,
};

/**
 * struct vfio_migration_section - what every section begins with
 * @magic: VFIO_MIGRATION_MAGIC.
 * @type: enum vfio_migration_section_type.
 * @kind: of a piece; 0 in others.
 * @length: bytes of payload, at most VFIO_MIGRATION_PIECE_MAX.
 * @sequence: number of the section in the stream.
 * @arg: of a piece; 0 in others.
 * @payload_crc: CRC32C of the payload.
 * @header_crc: CRC32C of all members above.
 */
struct vfio_migration_section {
	__le32 magic;
	__le16 type;
	__le16 kind;
	__le32 length;
	__le32 sequence;
	__le64 arg;
	__le32 payload_crc;
	__le32 header_crc;
};

static_assert(sizeof(struct vfio_migration_section) == 32);
static_assert(offsetof(struct vfio_migration_section, header_crc) == 28);

/**
 * struct vfio_migration_header - payload of the first section
 * @format: VFIO_MIGRATION_FORMAT.
 * @version: of the driver's pieces.
 * @size: the driver's size(), bytes.
 * @final_size: the driver's final_size(), bytes.
 * @name: of the kind of device, padded with zeroes.
 */
struct vfio_migration_header {
	__le32 format;
	__le32 version;
	__le64 size;
	__le64 final_size;
	char name[32];
};

static_assert(sizeof(struct vfio_migration_header) == 56);

#endif /* VFIO_MIGRATION_STREAM_H */
