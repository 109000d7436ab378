/* SPDX-License-Identifier: GPL-2.0 */
/* Reservations, as the guest of a device makes them and as it sees them. */
#ifndef VT_PR_H
#define VT_PR_H

#include <stdint.h>

#include "rig.h"

enum {
	PR_REGISTER, PR_RESERVE, PR_RELEASE, PR_CLEAR, PR_PREEMPT,
	PR_PREEMPT_AND_ABORT, PR_REGISTER_AND_IGNORE,
};

enum {
	PR_WE = 1, PR_EA = 3, PR_WE_RO = 5, PR_EA_RO = 6, PR_WE_AR = 7, PR_EA_AR = 8,
};

extern const uint8_t pr_types[6];
const char *pr_type_name(uint8_t type);

/*
 * All of these return the SCSI status, or -1 if there was none.  A unit
 * attention in the way is taken and the command sent once more.
 */
int pr_out(struct device *d, unsigned int lun, uint8_t action, uint8_t type,
	   uint64_t key, uint64_t new_key);
int pr_register(struct device *d, unsigned int lun, uint64_t key);
int pr_register_aptpl(struct device *d, unsigned int lun, uint64_t key);
int pr_reserve(struct device *d, unsigned int lun, uint64_t key, uint8_t type);
int spc2_reserve(struct device *d, unsigned int lun);
int spc2_release(struct device *d, unsigned int lun);
/* WRITE and READ of one block at LBA 0. */
int scsi_write(struct device *d, unsigned int lun);
int scsi_read(struct device *d, unsigned int lun);

/*
 * Who is registered, in the order of keys: each as KEY@NAME, in hexadecimal and
 * the last six digits of the initiator's name, a * if it holds the reservation,
 * then "type N" if there is one.  "none", "conflict" or "error" if that is all.
 * Lives until undo_all().
 */
const char *pr_shown(struct device *d, unsigned int lun);
/* What pr_shown() calls the guest of this target. */
const char *pr_name(struct target *t);

#endif
