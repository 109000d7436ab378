# SPDX-License-Identifier: GPL-2.0
"""A LIO target for QEMU: backstores, and vhost WWPNs that serve them."""

import os
import subprocess
import time

CONFIG = "/sys/kernel/config/target"
NULLB = "/sys/kernel/config/nullb"


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

    def __init__(self, kind, megabytes, name="disk"):
        self.kind = kind
        self.megabytes = megabytes
        self.name = name
        self.file = f"/tmp/{name}.img"
        self.nullb = f"{NULLB}/{name}"
        hba = {"ramdisk": "rd_mcp_7", "fileio": "fileio_7", "null": "iblock_7"}
        self.path = f"{CONFIG}/core/{hba[kind]}/{name}"

    def create(self):
        getattr(self, f"_create_{self.kind}")()
        # What a real disk has: an identity, the same through every WWPN.
        write(f"{self.path}/wwn/vpd_unit_serial", f"lab-{self.name}")

    def _enable(self, control):
        os.makedirs(self.path)
        write(f"{self.path}/control", control)
        write(f"{self.path}/enable", "1")

    def _create_ramdisk(self):
        self._enable(f"rd_pages={self.megabytes * 256}")

    def _create_fileio(self):
        size = self.megabytes << 20
        with open(self.file, "wb") as file:
            file.truncate(size)
        self._enable(f"fd_dev_name={self.file},fd_dev_size={size},fd_buffered_io=1")
        write(f"{self.path}/attrib/emulate_write_cache", "1")
        write(f"{self.path}/attrib/emulate_tpu", "1")
        write(f"{self.path}/attrib/emulate_tpws", "1")

    def _create_null(self):
        os.mkdir(self.nullb)
        for name, value in (("size", self.megabytes), ("blocksize", 512),
                            ("memory_backed", 1), ("irqmode", 2),
                            ("completion_nsec", 1000000), ("cache_size", 0),
                            ("power", 1)):
            write(f"{self.nullb}/{name}", str(value))
        # The disk has the group's name, or on older kernels its number.
        disk = f"/dev/{self.name}"
        if not os.path.exists(disk):
            with open(f"{self.nullb}/index") as file:
                disk = f"/dev/nullb{file.read().strip()}"
        self._enable(f"udev_path={disk}")

    def remove(self):
        os.rmdir(self.path)
        os.rmdir(os.path.dirname(self.path))
        if self.kind == "null":
            write(f"{self.nullb}/power", "0")
            os.rmdir(self.nullb)
        if self.kind == "fileio":
            os.unlink(self.file)


class Fabric:
    """A vhost WWPN with one TPG; the backstores are its LUNs from 0 on."""

    def __init__(self, wwpn, backstores):
        self.wwpn = wwpn
        self.tpg = f"{CONFIG}/vhost/{wwpn}/tpgt_1"
        self.luns = {f"{self.tpg}/lun/lun_{number}": backstore.path
                     for number, backstore in enumerate(backstores)}

    def create(self):
        os.makedirs(self.tpg)
        nexus = self.wwpn[:-1] + format(int(self.wwpn[-1], 16) ^ 8, "x")
        write(f"{self.tpg}/nexus", nexus)
        for lun, path in self.luns.items():
            os.makedirs(lun)
            os.symlink(path, f"{lun}/disk")

    def remove(self):
        for lun in self.luns:
            os.unlink(f"{lun}/disk")
            os.rmdir(lun)
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

    def __init__(self, backstores, wwpns):
        self.backstores = backstores
        self.fabrics = [Fabric(wwpn, backstores) for wwpn in wwpns]

    def __enter__(self):
        if any(backstore.kind == "null" for backstore in self.backstores):
            subprocess.run(["modprobe", "null_blk", "nr_devices=0"], check=True)
        os.makedirs(f"{CONFIG}/vhost", exist_ok=True)
        for item in self.backstores + self.fabrics:
            item.create()
        return self

    def __exit__(self, *_):
        for item in self.fabrics + self.backstores:
            item.remove()
        os.rmdir(f"{CONFIG}/vhost")
