# SPDX-License-Identifier: GPL-2.0
"""Another initiator of a backstore: this machine, through LIO's loopback."""

import errno
import mmap
import os
import subprocess
import time

from qemu import Failed
from target import CONFIG, write

WWPN = "naa.5001405a0b0c0df1"
NEXUS = "naa.5001405a0b0c0df9"


def disks():
    return {name for name in os.listdir("/sys/block") if name.startswith("sd")}


class Loopback:
    """Enter it to get a disk; write() and read() say how that went, in errno."""

    def __init__(self, backstore):
        self.tpg = f"{CONFIG}/loopback/{WWPN}/tpgt_1"
        self.lun = f"{self.tpg}/lun/lun_0"
        self.backstore = backstore
        self.disk = None

    def __enter__(self):
        subprocess.run(["modprobe", "-a", "sd_mod", "tcm_loop"], check=True)
        before = disks()
        os.makedirs(f"{CONFIG}/loopback", exist_ok=True)
        os.makedirs(self.tpg)
        write(f"{self.tpg}/nexus", NEXUS)
        os.makedirs(self.lun)
        os.symlink(self.backstore.path, f"{self.lun}/disk")
        end = time.monotonic() + 60
        while not disks() - before:
            if time.monotonic() > end:
                raise Failed("the loopback has no disk")
            time.sleep(0.1)
        self.disk = "/dev/" + (disks() - before).pop()
        return self

    def __exit__(self, *_):
        os.unlink(f"{self.lun}/disk")
        os.rmdir(self.lun)
        write(f"{self.tpg}/nexus", "NULL")
        os.rmdir(self.tpg)
        os.rmdir(os.path.dirname(self.tpg))
        os.rmdir(f"{CONFIG}/loopback")
        subprocess.run(["modprobe", "-r", "tcm_loop"], check=True)

    def _try(self, call):
        fd = os.open(self.disk, os.O_RDWR | os.O_DIRECT)
        try:
            # The end of the disk is not the guest's.
            page = mmap.mmap(-1, 4096)
            call(fd, page, os.lseek(fd, 0, os.SEEK_END) - 4096)
            return 0
        except OSError as error:
            return error.errno
        finally:
            os.close(fd)

    def write(self):
        return self._try(lambda fd, page, at: os.pwritev(fd, [page], at))

    def read(self):
        return self._try(lambda fd, page, at: os.preadv(fd, [page], at))

    def locked_out(self):
        """What is wrong, in words; None if it may read and not write."""
        wrote, got = self.write(), self.read()
        if wrote == errno.EBADE and got == 0:
            return None
        return (f"another initiator's write: {os.strerror(wrote)}, "
                f"read: {os.strerror(got)}")
