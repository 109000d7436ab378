# SPDX-License-Identifier: GPL-2.0
"""The mediated devices of both sides of a migration, made and removed."""

import os
import time

PARENT = "/sys/class/mdev_bus/mcopy/mdev_supported_types"
DEVICES = "/sys/bus/mdev/devices"


class Side:
    """What one QEMU has: so many devices of one type."""

    def __init__(self, number, count, kind):
        self.uuids = [f"6d636f70-7900-4000-8000-0000000{number}000{i}"
                      for i in range(count)]
        self.kind = kind

    def __enter__(self):
        for uuid in self.uuids:
            with open(f"{PARENT}/{self.kind}/create", "w") as file:
                file.write(uuid)
        return self

    def __exit__(self, *_):
        for uuid in self.uuids:
            with open(f"{DEVICES}/{uuid}/remove", "w") as file:
                file.write("1")

    def set_data_size(self, size):
        """The data section of the region; the devices are closed, or about to be."""
        for uuid in self.uuids:
            path = f"{DEVICES}/{uuid}/mcopy/migration_data_size"
            for last in (False,) * 50 + (True,):
                try:
                    with open(path, "w") as file:
                        file.write(str(size))
                    break
                except OSError:
                    if last:
                        raise
                    time.sleep(0.1)

    def arguments(self, properties):
        """For QEMU. The guest finds them at the same places on each side."""
        return [word for number, uuid in enumerate(self.uuids)
                for word in ("-device", ",".join(
                    [f"vfio-pci,id=mcopy{number},addr={4 + number:#x}",
                     f"sysfsdev={os.path.join(DEVICES, uuid)}", *properties]))]
