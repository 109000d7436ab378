/* SPDX-License-Identifier: GPL-2.0 */
/* SCSI command descriptor blocks, and the few SCSI numbers that tests name. */
#ifndef VT_CDB_H
#define VT_CDB_H

#include <stdint.h>

struct cdb {
	uint8_t b[32];
};

#define SAM_GOOD 0x00
#define SAM_CHECK_CONDITION 0x02
#define SAM_RESERVATION_CONFLICT 0x18
#define SAM_TASK_SET_FULL 0x28

#define KEY_MEDIUM_ERROR 0x3
#define KEY_ILLEGAL_REQUEST 0x5
#define KEY_UNIT_ATTENTION 0x6
#define KEY_ABORTED 0xb

#define ASC_INVALID_OPCODE 0x20
#define ASC_LBA_OUT_OF_RANGE 0x21
#define ASC_LUN_NOT_SUPPORTED 0x25

static inline void cdb_be(uint8_t *p, uint64_t v, unsigned int bytes)
{
	while (bytes--) {
		p[bytes] = v;
		v >>= 8;
	}
}

static inline uint64_t be_get(const uint8_t *p, unsigned int bytes)
{
	uint64_t v = 0;

	while (bytes--)
		v = v << 8 | *p++;
	return v;
}

static inline struct cdb cdb_tur(void)
{
	return (struct cdb){ { 0x00 } };
}

static inline struct cdb cdb_request_sense(uint8_t len)
{
	return (struct cdb){ { 0x03, 0, 0, 0, len } };
}

static inline struct cdb cdb_inquiry(uint16_t len)
{
	return (struct cdb){ { 0x12, 0, 0, len >> 8, len } };
}

static inline struct cdb cdb_inquiry_vpd(uint8_t page, uint16_t len)
{
	return (struct cdb){ { 0x12, 1, page, len >> 8, len } };
}

static inline struct cdb cdb_mode_sense6(uint8_t page, uint8_t len)
{
	return (struct cdb){ { 0x1a, 0, page, 0, len } };
}

static inline struct cdb cdb_read_capacity16(uint32_t len)
{
	struct cdb c = { { 0x9e, 0x10 } };

	cdb_be(c.b + 10, len, 4);
	return c;
}

static inline struct cdb cdb_report_luns(uint32_t len)
{
	struct cdb c = { { 0xa0 } };

	cdb_be(c.b + 6, len, 4);
	return c;
}

static inline struct cdb cdb_rw6(uint8_t op, uint32_t lba, uint8_t blocks)
{
	return (struct cdb){ { op, (lba >> 16) & 0x1f, lba >> 8, lba, blocks } };
}

static inline struct cdb cdb_rw10(uint8_t op, uint32_t lba, uint16_t blocks)
{
	struct cdb c = { { op } };

	cdb_be(c.b + 2, lba, 4);
	cdb_be(c.b + 7, blocks, 2);
	return c;
}

static inline struct cdb cdb_rw12(uint8_t op, uint32_t lba, uint32_t blocks)
{
	struct cdb c = { { op } };

	cdb_be(c.b + 2, lba, 4);
	cdb_be(c.b + 6, blocks, 4);
	return c;
}

static inline struct cdb cdb_rw16(uint8_t op, uint64_t lba, uint32_t blocks)
{
	struct cdb c = { { op } };

	cdb_be(c.b + 2, lba, 8);
	cdb_be(c.b + 10, blocks, 4);
	return c;
}

/* The variable-length form: 32 bytes, expected initial reference tag = LBA. */
static inline struct cdb cdb_rw32(uint16_t service, uint64_t lba, uint32_t blocks)
{
	struct cdb c = { { 0x7f, [7] = 0x18 } };

	cdb_be(c.b + 8, service, 2);
	cdb_be(c.b + 12, lba, 8);
	cdb_be(c.b + 20, lba, 4);
	cdb_be(c.b + 28, blocks, 4);
	return c;
}

#define cdb_read10(lba, n) cdb_rw10(0x28, lba, n)
#define cdb_write10(lba, n) cdb_rw10(0x2a, lba, n)
#define cdb_read16(lba, n) cdb_rw16(0x88, lba, n)
#define cdb_write16(lba, n) cdb_rw16(0x8a, lba, n)
#define cdb_read32(lba, n) cdb_rw32(0x0009, lba, n)
#define cdb_write32(lba, n) cdb_rw32(0x000b, lba, n)
#define cdb_sync_cache10(lba, n) cdb_rw10(0x35, lba, n)
#define cdb_sync_cache16(lba, n) cdb_rw16(0x91, lba, n)
#define cdb_write_same10(lba, n) cdb_rw10(0x41, lba, n)
#define cdb_write_same16(lba, n) cdb_rw16(0x93, lba, n)

/* READ or WRITE in a CDB of this many bytes. */
static inline struct cdb cdb_rw(unsigned int size, int write, uint32_t lba, uint8_t blocks)
{
	switch (size) {
	case 6:
		return cdb_rw6(write ? 0x0a : 0x08, lba, blocks);
	case 10:
		return cdb_rw10(write ? 0x2a : 0x28, lba, blocks);
	case 12:
		return cdb_rw12(write ? 0xaa : 0xa8, lba, blocks);
	default:
		return cdb_rw16(write ? 0x8a : 0x88, lba, blocks);
	}
}

static inline struct cdb cdb_unmap(uint16_t len)
{
	struct cdb c = { { 0x42 } };

	cdb_be(c.b + 7, len, 2);
	return c;
}

static inline struct cdb cdb_pr_in(uint8_t action, uint16_t len)
{
	struct cdb c = { { 0x5e, action } };

	cdb_be(c.b + 7, len, 2);
	return c;
}

static inline struct cdb cdb_pr_out(uint8_t action, uint8_t type)
{
	struct cdb c = { { 0x5f, action, type } };

	cdb_be(c.b + 5, 24, 4);
	return c;
}

#endif
