# SPDX-License-Identifier: GPL-2.0
"""An empty qcow2 image, where no qemu-img is installed."""

import struct

CLUSTER_BITS = 16
CLUSTER = 1 << CLUSTER_BITS


def create(path, size):
    """Four clusters: header, refcount table, refcount block, L1 table."""
    header = struct.pack(
        ">4sIQIIQIIQQIIQ", b"QFI\xfb", 2,
        0, 0,                       # no backing file
        CLUSTER_BITS, size, 0,      # not encrypted
        1, 3 * CLUSTER,             # L1 table: entries, offset
        CLUSTER, 1,                 # refcount table: offset, clusters
        0, 0)                       # no snapshots
    with open(path, "wb") as file:
        file.write(header)
        file.seek(CLUSTER)
        file.write(struct.pack(">Q", 2 * CLUSTER))
        file.seek(2 * CLUSTER)
        file.write(struct.pack(">4H", 1, 1, 1, 1))
        file.truncate(4 * CLUSTER)
