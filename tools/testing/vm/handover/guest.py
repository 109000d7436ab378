# SPDX-License-Identifier: GPL-2.0
"""A guest that works its disk and holds a reservation on it."""

import os
import queue

from ctl import PROJECT, Hosted
from qemu import CPU, Console, Failed

MEMORY = "128M"
# Of 4096 bytes: less than the disk has, and what another initiator may use.
BLOCKS = 12288
# Ends a wait for something that will not come, on the slowest of machines.
LIMIT = 300


class Guest:
    """Through all of its QEMUs; now is the one that has it."""

    def __init__(self, directory, log):
        self.directory = directory
        self.console = Console(log, lambda report: None)
        self.qemus = []
        self.now = None

    def qemu(self, wwpn, *more, far=None):
        """Another QEMU for it; the first one boots it."""
        kernel = os.environ.get("LAB_KERNEL", "6.12")
        boot = f"{PROJECT}/build/guest/{'6.12' if kernel == 'debug' else kernel}"
        name = f"qemu{len(self.qemus)}"
        qemu = Hosted(name, [
            "-accel", "kvm", "-cpu", CPU, "-smp", "1", "-m", MEMORY,
            "-object", f"memory-backend-memfd,id=ram,size={MEMORY},share=on",
            "-machine", "pc,memory-backend=ram",
            "-kernel", f"{boot}/vmlinuz", "-initrd", f"{boot}/verify.cpio.gz",
            "-append", "console=ttyS0 quiet panic=-1 mitigations=off "
                       f"random.trust_cpu=on -- depth=8 blocks={BLOCKS}",
            "-device", f"vhost-scsi-pci,vhostfd=@,wwpn={wwpn},migratable=on",
            "-no-reboot", *more], self.directory, self.console, far)
        self.qemus.append(qemu)
        return qemu

    def boot(self, wwpn):
        self.now = self.qemu(wwpn)
        self.console.wait("READY", LIMIT)

    def destination(self, wwpn, far=None):
        return self.qemu(wwpn, "-incoming", "defer", far=far)

    def moved(self, qemu):
        self.now = qemu
        self.console.sock = qemu.tty

    def stayed(self):
        self.console.sock = self.now.tty

    def end(self):
        for qemu in self.qemus:
            qemu.kill()

    def work(self):
        """It does some; what it has completed, and checked, by now."""
        self.console.forget()
        before = self.console.wait("DISK", LIMIT)
        after = self.console.wait("DISK", LIMIT)
        if after["reads"] <= before["reads"]:
            raise Failed("the guest does not get on with its work")

    def check(self):
        """A look at all of its pages; what is wrong is a failure."""
        self.console.forget()
        self.console.send("check")
        found = self.console.wait("CHECK", LIMIT)
        wrong = {name: found[name] for name in
                 ("corrupt", "disk_wrong", "failed") if found[name]}
        if wrong or not found["checked"]:
            raise Failed(f"the guest found {wrong or 'nothing to check'}")
        if self.console.complaints:
            raise Failed(f"the guest's kernel: {self.console.complaints[0]}")

    def persist(self, *args):
        """sg_persist in the guest; returns what it said."""
        self.console.forget()
        self.console.send(f"run /bin/sg_persist {' '.join(args)} /dev/sda")
        said = []
        while True:
            try:
                report = self.console.reports.get(timeout=LIMIT)
            except queue.Empty:
                raise Failed("sg_persist does not end") from None
            if report["word"] == "SAID":
                said.append(report["text"].strip())
            if report["word"] == "RAN":
                break
        if report["status"] != 0:
            raise Failed(f"sg_persist {' '.join(args)}: status "
                         f"{report['status']}: {' '.join(said)}")
        return said

    def reserve(self, key, kind):
        # Again and again by the same nexus, so that a guest that was killed
        # does not stand in the way of the next.
        self.persist("--out", "--register-ignore", f"--param-sark={key}")
        self.persist("--out", "--reserve", f"--param-rk={key}",
                     f"--prout-type={kind}")

    def keys(self):
        said = self.persist("--in", "--read-keys")
        return [line for line in said if line.startswith("0x")]

    def reservation(self):
        """(key, type), or None."""
        said = self.persist("--in", "--read-reservation")
        key = [line[4:] for line in said if line.startswith("Key=")]
        kind = [line.rsplit("type:", 1)[1].strip() for line in said
                if line.startswith("scope:")]
        return (key[0], kind[0]) if key and kind else None
