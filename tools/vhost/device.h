/* SPDX-License-Identifier: GPL-2.0 */
/* The descriptor of /dev/vhost-scsi that is kept while QEMU has its duplicate. */
#ifndef CTL_DEVICE_H
#define CTL_DEVICE_H

#include <json-c/json.h>
#include <linux/vhost_scsi_migration.h>
#include <pthread.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include "failure.h"

struct device {
	int fd;
	pthread_mutex_t lock;	/* what follows: one user at a time */
	int save, load;		/* data descriptors, -1 if not open */
	uint8_t *saved;		/* what was read of the save session */
	size_t nr_saved;
	char wwpn[224];
};

int device_open(struct device *dev, const char *wwpn, struct failure *f);
int device_status(struct device *dev, struct vhost_scsi_mig_status *status,
		  struct failure *f);
int device_set_state(struct device *dev, uint32_t state, uint32_t flags,
		     uint32_t timeout_ms, struct failure *f);
int device_check(struct device *dev, struct vhost_scsi_mig_check *check,
		 struct failure *f);

/* What keeps the device from being migrated is a failure, CTL_REFUSED. */
int device_blockers(struct device *dev, struct failure *f);
json_object *device_info_json(struct device *dev, struct failure *f);
json_object *device_status_json(struct device *dev, struct failure *f);

/*
 * All that the save session has had to say, read now and before, in *data, the
 * caller's to free. *end tells whether that was the end of the stream.
 */
int device_save(struct device *dev, uint8_t **data, size_t *size, bool *end,
		struct failure *f);
/* Forgets a save session that is over. */
void device_save_close(struct device *dev);

/*
 * Opens a load session, in place of the one that may be open, and writes @data.
 * If that was @final, closes it. 0 also if the data was refused: @check tells.
 */
int device_load(struct device *dev, const void *data, size_t size, bool final,
		bool cache_dropped, struct vhost_scsi_mig_check *check,
		struct failure *f);
/* Undoes what was loaded, as far as the guest does not run on it. */
int device_drop(struct device *dev, struct failure *f);

#endif
