# SPDX-License-Identifier: GPL-2.0
"""A LIO target for two QEMUs: one backstore behind two vhost WWPNs."""

import os
import time

CONFIG = "/sys/kernel/config/target"
NULLB = "/sys/kernel/config/nullb/demo"
FILE = "/tmp/demo.img"


def write(path, text):
    with open(path, "w") as file:
        file.write(text)


class Backstore:
    """A disk that the target serves. kind says how it answers:

    ramdisk  at once, in the submitting thread
    fileio   a file in memory with a volatile write cache
    null     a null_blk disk with memory, 1 ms after the request, by a timer,
             so that there is always something in flight when the guest stops
    """

    def __init__(self, kind, megabytes):
        self.kind = kind
        self.megabytes = megabytes
        hba = {"ramdisk": "rd_mcp_7", "fileio": "fileio_7", "null": "iblock_7"}
        self.path = f"{CONFIG}/core/{hba[kind]}/demo"

    def create(self):
        getattr(self, f"_create_{self.kind}")()
        # What a real disk would have: an identity, the same on both WWPNs.
        write(f"{self.path}/wwn/vpd_unit_serial", "demo-0001")

    def _enable(self, control):
        os.makedirs(self.path)
        write(f"{self.path}/control", control)
        write(f"{self.path}/enable", "1")

    def _create_ramdisk(self):
        self._enable(f"rd_pages={self.megabytes * 256}")

    def _create_fileio(self):
        size = self.megabytes << 20
        with open(FILE, "wb") as file:
            file.truncate(size)
        self._enable(f"fd_dev_name={FILE},fd_dev_size={size},fd_buffered_io=1")
        write(f"{self.path}/attrib/emulate_write_cache", "1")

    def _create_null(self):
        os.mkdir(NULLB)
        for name, value in (("size", self.megabytes), ("blocksize", 512),
                            ("memory_backed", 1), ("irqmode", 2),
                            ("completion_nsec", 1000000), ("cache_size", 0),
                            ("power", 1)):
            write(f"{NULLB}/{name}", str(value))
        with open(f"{NULLB}/index") as file:
            disk = f"/dev/nullb{file.read().strip()}"
        if not os.path.exists(disk):
            disk = "/dev/" + os.path.basename(NULLB)
        self._enable(f"udev_path={disk}")

    def remove(self):
        os.rmdir(self.path)
        os.rmdir(os.path.dirname(self.path))
        if self.kind == "null":
            write(f"{NULLB}/power", "0")
            os.rmdir(NULLB)
        if self.kind == "fileio":
            os.unlink(FILE)


class Fabric:
    """A vhost WWPN with one TPG and the backstore as LUN 0."""

    def __init__(self, wwpn, backstore):
        self.wwpn = wwpn
        self.backstore = backstore
        self.tpg = f"{CONFIG}/vhost/{wwpn}/tpgt_1"
        self.lun = f"{self.tpg}/lun/lun_0"

    def create(self):
        os.makedirs(self.tpg)
        nexus = self.wwpn[:-1] + format(int(self.wwpn[-1], 16) ^ 8, "x")
        write(f"{self.tpg}/nexus", nexus)
        os.makedirs(self.lun)
        os.symlink(self.backstore.path, f"{self.lun}/disk")

    def remove(self):
        os.unlink(f"{self.lun}/disk")
        os.rmdir(self.lun)
        # A QEMU that is just gone may still be letting go of the endpoint.
        for left in range(50, -1, -1):
            try:
                write(f"{self.tpg}/nexus", "NULL")
                break
            except OSError:
                if not left:
                    raise
                time.sleep(0.1)
        os.rmdir(self.tpg)
        os.rmdir(os.path.dirname(self.tpg))


class Target:
    """All of it, created on entry and removed on exit."""

    def __init__(self, kind, megabytes, wwpns):
        self.backstore = Backstore(kind, megabytes)
        self.fabrics = [Fabric(wwpn, self.backstore) for wwpn in wwpns]

    def __enter__(self):
        os.makedirs(f"{CONFIG}/vhost", exist_ok=True)
        self.backstore.create()
        for fabric in self.fabrics:
            fabric.create()
        return self

    def __exit__(self, *_):
        for fabric in self.fabrics:
            fabric.remove()
        self.backstore.remove()
        os.rmdir(f"{CONFIG}/vhost")
