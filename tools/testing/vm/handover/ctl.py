# SPDX-License-Identifier: GPL-2.0
"""vhost-scsi-ctl: a QEMU that it runs, and a migration that it carries out."""

import json
import os
import signal
import subprocess

from qemu import Failed, Qemu

PROJECT = os.path.realpath(__file__).rsplit("/tools/", 1)[0]
CTL = f"{PROJECT}/build/vhost-scsi-ctl/vhost-scsi-ctl"


def ctl(*args, seconds=120):
    """Runs it; returns its status and what it said."""
    done = subprocess.run([CTL, *args], stdin=subprocess.DEVNULL, text=True,
                          stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                          timeout=seconds)
    return done.returncode, done.stdout.strip()


class Hosted(Qemu):
    """A QEMU that `vhost-scsi-ctl run` has started."""

    def __init__(self, name, args, directory, console):
        self.control = os.path.join(directory, name + ".ctl")
        super().__init__(name, args, directory, console,
                         prefix=(CTL, "run", "-c", self.control, "--"))
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
