# SPDX-License-Identifier: GPL-2.0
"""vhost-scsi-ctl: a QEMU that it runs, and a migration that it carries out."""

import json
import os
import signal
import subprocess
import time

from qemu import Failed, Qemu

PROJECT = os.path.realpath(__file__).rsplit("/tools/", 1)[0]
CTL = f"{PROJECT}/build/vhost-scsi-ctl/vhost-scsi-ctl"


def ctl(*args, seconds=120):
    """Runs it; returns its status and what it said."""
    done = subprocess.run([CTL, *args], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=seconds)
    return done.returncode, done.stdout.strip()


def elsewhere(directory):
    """A command that runs another as if this host had booted once more."""
    path = os.path.join(directory, "boot_id")
    with open(path, "w") as file:
        file.write("01234567-89ab-cdef-0123-456789abcdef\n")
    return ["unshare", "-m", "sh", "-c",
            'mount --bind "$0" /proc/sys/kernel/random/boot_id && exec "$@"',
            path]


class Hosted(Qemu):
    """A QEMU that `vhost-scsi-ctl run` has started."""

    def __init__(self, name, args, directory, console, far=None):
        """far: an address to listen at as if this were another host."""
        self.control = os.path.join(directory, name + ".ctl")
        self.address = far or self.control
        prefix = [CTL, "run", "-c", self.control]
        if far:
            prefix = [*elsewhere(directory), *prefix, "-l", far]
        super().__init__(name, args, directory, console,
                         prefix=(*prefix, "--"))
        self.tty = console.sock

    def state(self):
        return json.loads(self.ctl("state", "--json"))

    def ctl(self, command, *args, wanted=0):
        """A subcommand for its device; returns what it said."""
        status, text = ctl(command, "-c", self.control, *args)
        if status != wanted:
            raise Failed(f"{self.name}: {command}: status {status}: {text}")
        return text

    def qemu_pid(self):
        for entry in os.listdir("/proc"):
            try:
                with open(f"/proc/{int(entry)}/stat") as file:
                    parent = int(file.read().rsplit(")", 1)[1].split()[1])
            except (ValueError, OSError):
                continue
            if parent == self.process.pid:
                return int(entry)
        raise Failed(f"{self.name}: there is no QEMU")

    def kill_qemu(self):
        """SIGKILL for QEMU alone: what runs it sees it end."""
        os.kill(self.qemu_pid(), signal.SIGKILL)

    def kill_owner(self):
        """The same, until the device has noticed. In a migration alone: what
        runs QEMU stays until that is over."""
        self.kill_qemu()
        while self.state()["state"] != "ERROR":
            time.sleep(0.05)

    def kill(self):
        """QEMU first: it would outlive what runs it."""
        try:
            self.kill_qemu()
            self.process.wait(60)
        except (Failed, OSError, subprocess.TimeoutExpired):
            pass
        super().kill()


class Migration:
    """One run of `migrate`, step by step."""

    def __init__(self, source, destination):
        self.process = subprocess.Popen(
            [CTL, "migrate", "-i", "--json", source, destination], text=True,
            stdin=subprocess.PIPE, stdout=subprocess.PIPE,
            stderr=subprocess.PIPE)
        self.steps = []
        self.notes = []

    def run(self, at=None):
        """To its end; at maps steps to what is done before they are taken.

        Returns the exit status. What it said last is in self.said.
        """
        for line in self.process.stdout:
            message = json.loads(line)
            if "note" in message:
                self.notes.append(message["note"])
            if "step" not in message:
                continue
            self.steps.append(message["step"])
            if at and message["step"] in at:
                at[message["step"]]()
            try:
                self.process.stdin.write("\n")
                self.process.stdin.flush()
            except BrokenPipeError:
                break
        self.said = self.process.stderr.read().rsplit("cancels: ", 1)[-1].strip()
        return self.process.wait(120)

    def interrupt(self):
        self.process.send_signal(signal.SIGINT)
