// SPDX-License-Identifier: GPL-2.0
#include <inttypes.h>
#include <linux/vhost_scsi_migration.h>
#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include "array.h"
#include "names.h"

static const struct {
	const char *name, *why, *remedy;
} reasons[] = {
#define REASON(reason, why, remedy) \
	[VHOST_SCSI_MIG_##reason] = { #reason, why, remedy }
	REASON(OK, "nothing is in the way", NULL),
	REASON(BAD_STREAM, "what came is not a stream of migration state",
	       "do not load anything but what was saved"),
	REASON(BAD_CHECKSUM, "the stream was changed on its way",
	       "transfer it again"),
	REASON(BAD_VERSION, "the source's driver is newer and sends what this one does not know",
	       "update the driver at the destination"),
	REASON(BAD_DEVICE, "the stream is of another type of device", NULL),
	REASON(BAD_FEATURES, "the guest uses a virtio feature that the destination has not",
	       "give both QEMUs the same device properties, update the driver at the destination"),
	REASON(TOO_LARGE, "the stream is larger than any can be", NULL),
	REASON(LUN_MISSING, "the destination has no such LUN",
	       "link the backstore into the destination's target port"),
	REASON(LUN_IDENTITY, "the destination's LUN has another serial number, vendor or product",
	       "check that it is the same storage, and set wwn/vpd_unit_serial of its backstore"),
	REASON(LUN_TYPE, "the destination's LUN is another type of device",
	       "check that it is the same storage"),
	REASON(LUN_SIZE, "the destination's LUN has another size",
	       "check that it is the same storage, and that it was resized on both hosts"),
	REASON(LUN_BLOCK_SIZE, "the destination's LUN has another block size",
	       "set attrib/block_size of its backstore"),
	REASON(LUN_PROTECTION, "the destination's LUN has another T10 protection type",
	       "set attrib/pi_prot_type of its backstore"),
	REASON(LUN_ACCESS, "the LUN is read-only on one side alone",
	       "make both sides the same"),
	REASON(LUN_NOT_SHARED, "the backend is in the memory of its host",
	       "move the data to shared storage first"),
	REASON(LUN_CACHED,
	       "the backend reads through the page cache of the destination, which may be stale",
	       "use `migrate`, which drops it, or `load --cache-dropped` if you have done so"),
	REASON(PR_PASSTHROUGH,
	       "the backend keeps persistent reservations where they cannot be read, and the guest has used some",
	       "have the guest release them first"),
	REASON(PR_KEY_SHARED,
	       "another initiator has registered the guest's reservation key, and would lose its registration",
	       "give each initiator a key of its own"),
	REASON(PR_REGISTRANTS,
	       "the source knows registered initiators that the destination does not, and they would go unfenced",
	       "let all initiators of the LUN use one host, or unregister them"),
	REASON(PR_CONFLICT,
	       "somebody else holds the reservation, or the guest's place as a registrant",
	       "look at the registrations of the LUN at the destination"),
	REASON(PR_APTPL, "the registration cannot be made to persist through power loss",
	       "create LIO's directory for that at the destination, /var/target/pr"),
	REASON(SPC2_CONFLICT, "somebody else holds an SPC-2 reservation", "have it released first"),
	REASON(BACKEND, "a command to the backend failed", "see the kernel log"),
#undef REASON
};

static const struct {
	const char *name;
	uint32_t state;
} states[] = {
	{ "STOP", VHOST_SCSI_MIG_STOP },
	{ "RUNNING", VHOST_SCSI_MIG_RUNNING },
	{ "RUNNING|LOGGING", VHOST_SCSI_MIG_RUNNING | VHOST_SCSI_MIG_LOGGING },
	{ "LOGGING", VHOST_SCSI_MIG_LOGGING },
	{ "RESUMING", VHOST_SCSI_MIG_RESUMING },
	{ "ERROR", VHOST_SCSI_MIG_ERROR },
};

const char *name_reason(uint32_t reason)
{
	if (reason < ARRAY_SIZE(reasons) && reasons[reason].name)
		return reasons[reason].name;
	return "UNKNOWN";
}

const char *name_state(uint32_t state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(states); i++)
		if (states[i].state == state)
			return states[i].name;
	return "UNKNOWN";
}

int name_state_find(const char *name, uint32_t *state)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(states); i++) {
		if (strcmp(states[i].name, name))
			continue;
		*state = states[i].state;
		return 0;
	}
	return -1;
}

const char *name_flush(uint32_t flush)
{
	static const char * const names[] = {
		[VHOST_SCSI_MIG_FLUSH_NONE] = "none",
		[VHOST_SCSI_MIG_FLUSH_OFF] = "off",
		[VHOST_SCSI_MIG_FLUSH_OK] = "ok",
		[VHOST_SCSI_MIG_FLUSH_RESERVED] = "reserved",
		[VHOST_SCSI_MIG_FLUSH_FAILED] = "failed",
	};

	return flush < ARRAY_SIZE(names) ? names[flush] : "unknown";
}

const char *name_verdict(uint32_t verdict)
{
	static const char * const names[] = {
		[VHOST_SCSI_MIG_INCOMPLETE] = "incomplete",
		[VHOST_SCSI_MIG_INVENTORY_OK] = "inventory-ok",
		[VHOST_SCSI_MIG_ACCEPTED] = "accepted",
		[VHOST_SCSI_MIG_REFUSED] = "refused",
	};

	return verdict < ARRAY_SIZE(names) ? names[verdict] : "unknown";
}

/* PERSISTENT RESERVE OUT's types; the low half of the byte. */
const char *name_reservation(uint8_t type)
{
	static const char * const names[16] = {
		[1] = "Write Exclusive",
		[3] = "Exclusive Access",
		[5] = "Write Exclusive, registrants only",
		[6] = "Exclusive Access, registrants only",
		[7] = "Write Exclusive, all registrants",
		[8] = "Exclusive Access, all registrants",
	};

	return type < ARRAY_SIZE(names) && names[type] ? names[type] : "unknown";
}

void name_blocker(char *text, size_t size, uint32_t reason, uint32_t target,
		  uint64_t lun)
{
	bool known = reason < ARRAY_SIZE(reasons) && reasons[reason].name;
	const char *remedy = known ? reasons[reason].remedy : NULL;
	char where[64] = "", number[64];

	if (reason >= VHOST_SCSI_MIG_LUN_MISSING)
		snprintf(where, sizeof(where),
			 "target %" PRIu32 " LUN %" PRIu64 ": ", target, lun);
	snprintf(number, sizeof(number), "reason %" PRIu32
		 ", which this version does not know", reason);
	snprintf(text, size, "%s%s (%s)%s%s", where,
		 known ? reasons[reason].why : number, name_reason(reason),
		 remedy ? "; " : "", remedy ? remedy : "");
}
