/* SPDX-License-Identifier: GPL-2.0 */
#ifndef VHOST_SCSI_VERSION_H
#define VHOST_SCSI_VERSION_H

#define VHOST_SCSI_VERSION "1.0.0"

#endif
