# SPDX-License-Identifier: GPL-2.0
"""One guest with mcopy devices, through all of the QEMUs that it lives in."""

import os
import sys
import time

sys.path.append(os.path.join(os.path.dirname(os.path.realpath(__file__)),
                             "..", "migrate"))
from qemu import CPU, Console, Failed, Qemu  # noqa: E402

PROJECT = os.path.realpath(__file__).rsplit("/tools/", 1)[0]
MEMORY = "96M"
WWPNS = ("naa.5001405a0b0c0d01", "naa.5001405a0b0c0d02")
# Ends a wait for something that will not come.
LIMIT = 300
SLOW, FAST = 512 << 10, 1 << 30     # bytes per second
# Of the stop, in ms. With the default, 300, a guest that TCG emulates twice over
# goes through dozens of rounds of pre-copy.
DOWNTIME = 1000
# What the guest counts, and must not find.
WRONG = ("wrong", "wrong_bytes", "failed", "lost", "no_interrupt",
         "wrong_registers", "not_zero", "disk_wrong")
COUNTED = ("copies", "bytes", "stored", "interrupts", "checked", "disk_checked",
           *WRONG)


class Guest:
    """The guest; current is the QEMU that has it, side its devices."""

    def __init__(self, args, sides, directory, out, say):
        self.args = args
        self.more = []      # arguments for each QEMU
        self.sides = sides
        self.directory = directory
        self.say = say
        self.notes = []
        self.warnings = []
        self.console = Console(open(os.path.join(out, "guest.log"), "w"),
                               self._on_report)
        self.serials = {}
        self.running = []
        self.heard = {}     # the last report of each kind
        self.last = {}      # what the program counted last
        self.number = 0
        self.current = None

    def _on_report(self, report):
        self.heard[report["word"]] = report
        if report["word"].startswith("MDEV-") and "checked" in report:
            self.last = report
        if report["word"] == "NOTE":
            self.notes.append(report["text"])
            self.say(f"guest: {report['text']}")

    def _machine(self):
        """vhost-scsi needs memory that the kernel can share."""
        return ["-accel", "kvm", "-cpu", CPU, "-smp", "1", "-m", MEMORY,
                "-object", f"memory-backend-memfd,id=ram,size={MEMORY},share=on",
                "-machine", "pc,memory-backend=ram"]

    def _disk(self):
        if not self.args.disk:
            return []
        return ["-device", f"vhost-scsi-pci,addr=8,migratable=on,"
                           f"wwpn={WWPNS[self.number % 2]}"]

    def _qemu(self, name, *more):
        kernel = os.environ.get("LAB_KERNEL", "6.12")
        boot = f"{PROJECT}/build/guest/{'6.12' if kernel == 'debug' else kernel}"
        qemu = Qemu(name, [
            *self._machine(),
            "-kernel", f"{boot}/vmlinuz", "-initrd", f"{boot}/mdev.cpio.gz",
            "-append", "console=ttyS0 quiet mitigations=off "
                       f"random.trust_cpu=on -- rate={self.args.rate}"
                       f"{' disk' * self.args.disk}",
            *self.more, *self._disk(),
            *self.sides[self.number % 2].arguments(self.args.properties), *more],
            self.directory, self.console)
        self.running.append(qemu)
        self.serials[qemu] = self.console.sock
        return qemu

    def boot(self):
        self.current = self._qemu("qemu0")
        ready = self.console.wait("MDEV-READY", LIMIT)
        if self.args.disk:
            self.console.wait("READY", LIMIT)
        self.say(f"guest works: {ready['text']}")
        self.work(1)
        return ready

    def destination(self):
        """Another QEMU on the other side's devices, that waits for the guest."""
        self.number += 1
        name = f"qemu{self.number}"
        qemu = self._qemu(name, "-incoming", self._uri(name))
        self.console.sock = self.serials[self.current]
        self.prepare(qemu)
        self.prepare(self.current)
        return qemu

    def _uri(self, name):
        return f"unix:{self.directory}/{name}.migration"

    def prepare(self, qemu):
        if self.args.capabilities:
            qemu.command("migrate-set-capabilities", capabilities=[
                {"capability": c, "state": True}
                for c in self.args.capabilities])

    def bandwidth(self, speed):
        self.current.command("migrate-set-parameters",
                             **{"max-bandwidth": speed,
                                "downtime-limit": DOWNTIME})

    def assume_bandwidth(self, speed):
        """Tells QEMU how fast the switchover will be, if it can be told.

        The devices of a guest that stands still have no pre-copy, so all of
        their state is left for the switchover; and with nothing else to send,
        QEMU finds the bandwidth to be 0 and never dares.
        """
        if self.args.capabilities:
            self.current.command("migrate-set-parameters",
                                 **{"avail-switchover-bandwidth": speed})

    def begin(self, destination, speed=FAST):
        self.bandwidth(speed)
        self.started = time.monotonic()
        self.current.command("migrate", uri=self._uri(destination.name))

    def status(self):
        return self.current.command("query-migrate")

    def wait_status(self, *wanted):
        """Waits for the migration to get so far; returns what QEMU says."""
        while True:
            info = self.status()
            if info.get("status") in wanted:
                return info
            if info.get("status") in ("failed", "cancelled", "completed"):
                raise Failed(f"migration {info['status']}: " +
                             info.get("error-desc", "no reason given"))
            if time.monotonic() - self.started > LIMIT:
                raise Failed(f"migration {info.get('status')} after {LIMIT} s")
            time.sleep(0.1)

    def wait_precopy(self):
        """Waits until some of the guest has been sent."""
        while True:
            info = self.wait_status("active")
            if info.get("ram", {}).get("transferred", 0) > SLOW:
                return info
            if time.monotonic() - self.started > LIMIT:
                raise Failed("pre-copy sends nothing")
            time.sleep(0.05)

    def arrive(self, destination):
        """The migration is complete: the guest is there."""
        source, self.current = self.current, destination
        self.console.sock = self.serials[destination]
        self.stop(source)

    def go_back(self, destination):
        """It was cancelled: the guest stays, the destination goes."""
        self.console.sock = self.serials[self.current]
        self.number += 1
        if destination.process.poll() is None:
            destination.process.terminate()
        destination.wait_end(60)
        destination.kill()
        self.running.remove(destination)

    def stop(self, qemu):
        if qemu.process.poll() is None:
            try:
                qemu.command("quit")
                qemu.wait_end(60)
            except Failed:
                qemu.kill()
        self.running.remove(qemu)
        self.hear(qemu)
        qemu.kill()

    def hear(self, qemu):
        """What QEMU has complained of."""
        with open(os.path.join(self.directory, qemu.name + ".stderr"),
                  errors="replace") as file:
            self.warnings += [line for line in file.read().splitlines() if line]

    def work(self, seconds):
        """Lets the guest work, and sees that it does."""
        self.console.forget()
        before = self.last.get("copies", 0)
        end = time.monotonic() + LIMIT
        until = time.monotonic() + seconds
        while time.monotonic() < until or self.last.get("copies", 0) <= before:
            self.console.wait("MDEV-WORK", LIMIT)
            if time.monotonic() > end:
                raise Failed("the guest is there, but completes no copy")

    def _ask(self, command, word):
        """The program's answer, with what that for the disk found wrong."""
        words = [f"MDEV-{word}"] + [word] * self.args.disk
        self.heard.clear()
        self.console.send(command)
        end = time.monotonic() + LIMIT
        while not all(w in self.heard for w in words):
            if time.monotonic() > end:
                raise Failed(f"the guest does not answer {command}")
            time.sleep(0.1)
        disk = self.heard[word] if self.args.disk else {}
        return {**self.heard[f"MDEV-{word}"],
                "disk_checked": disk.get("checked", 0),
                "disk_wrong": disk.get("corrupt", 0) + disk.get("failed", 0)}

    def check(self):
        return self._ask("check", "CHECK")

    def monitor(self, line):
        return self.current.command("human-monitor-command",
                                    **{"command-line": line})

    def end(self):
        report = self._ask("end", "RESULT")
        self.current.wait_end(LIMIT)
        return report
