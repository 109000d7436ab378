# SPDX-License-Identifier: GPL-2.0
"""One QEMU process with its QMP socket, and the guest's serial line."""

import fcntl
import json
import os
import queue
import re
import socket
import subprocess
import threading
import time

COMPLAINT = re.compile(
    r"I/O error|Call Trace|BUG|WARNING|Oops|panic|timed? ?out|abort|"
    r"rejecting|Sense Key|lockup|stall|offlin", re.I)
REPORT = re.compile(r"^(READY|DISK|CHECK|RESULT|ERROR|NOTE|SAID|RAN|MDEV-\w+) ?(.*)$")


# Not the host's: what a CPU that TCG emulates tells its nested guests of the
# XSAVE area does not add up, which 6.12 warns of and 7.2 does not survive.
CPU = "kvm64,vme=off"


def keep_kvm_keys():
    """Has the kernel keep KVM's static keys as they are while guests run.

    The first VM, and the first CPU without an interrupt controller in the
    kernel, which QEMU 10 makes for a moment each time that it starts, patch
    code that the CPUs of running guests are in.  TCG with several threads can
    then run the breakpoint that stands there meanwhile, and the kernel dies of
    an int3 (Linux 6.12 on QEMU 7.2).  One such VM that stays prevents both.
    """
    kvm_create_vm, kvm_create_vcpu = 0xAE01, 0xAE41
    kvm = os.open("/dev/kvm", os.O_RDWR | os.O_CLOEXEC)
    vm = fcntl.ioctl(kvm, kvm_create_vm, 0)
    fcntl.ioctl(vm, kvm_create_vcpu, 0)


class Failed(Exception):
    """The demonstration cannot go on; the text says why."""


def connect(path, process, seconds=60):
    """Connects to a socket that a process is about to make."""
    end = time.monotonic() + seconds
    while True:
        sock = socket.socket(socket.AF_UNIX)
        try:
            sock.connect(path)
            return sock
        except OSError:
            sock.close()
            if process.poll() is not None:
                raise Failed(f"QEMU ended with status {process.returncode}")
            if time.monotonic() > end:
                raise Failed(f"QEMU did not open {path}")
            time.sleep(0.05)


class Console:
    """The guest's serial line: its reports, and what its kernel complains of.

    One guest has one Console through all of its QEMUs; each QEMU attaches its
    socket to it.
    """

    def __init__(self, log, on_report):
        self.log = log
        self.on_report = on_report
        self.reports = queue.Queue()
        self.complaints = []
        self.sock = None

    def attach(self, sock):
        self.sock = sock
        threading.Thread(target=self._read, args=(sock,), daemon=True).start()

    def _read(self, sock):
        pending = b""
        while True:
            try:
                data = sock.recv(4096)
            except OSError:
                return
            if not data:
                return
            pending += data
            *lines, pending = pending.split(b"\n")
            for line in lines:
                self._line(line.decode(errors="replace").strip())

    def _line(self, line):
        self.log.write(line + "\n")
        self.log.flush()
        found = REPORT.match(line)
        if not found:
            if COMPLAINT.search(line):
                self.complaints.append(line)
            return
        word, text = found.groups()
        fields = {}
        for item in text.split():
            name, equals, value = item.partition("=")
            if equals:
                fields[name] = int(value) if value.isdigit() else value
        report = {"word": word, "text": text, **fields}
        self.on_report(report)
        self.reports.put(report)

    def send(self, command):
        self.sock.sendall(command.encode() + b"\n")

    def wait(self, word, seconds):
        """The next report of that kind; the others are passed over."""
        end = time.monotonic() + seconds
        while True:
            try:
                report = self.reports.get(timeout=max(0.0, end - time.monotonic()))
            except queue.Empty:
                raise Failed(f"the guest said no {word} in {seconds} s") from None
            if report["word"] == "ERROR":
                raise Failed(f"the guest: {report['text']}")
            if report["word"] == word:
                return report

    def forget(self):
        """Throws away what was reported so far."""
        while not self.reports.empty():
            self.reports.get_nowait()


class Qemu:
    """A QEMU process. The machine is the same each time; see migrate.

    prefix is a command that runs it, and whose process is then this one's.
    """

    def __init__(self, name, args, directory, console, pass_fds=(), prefix=()):
        self.name = name
        self.events = []
        self.changed = threading.Condition()
        self.answers = queue.Queue()
        base = os.path.join(directory, name)
        self.errors = open(base + ".stderr", "wb")
        self.process = subprocess.Popen(
            [*prefix, "qemu-system-x86_64", "-nodefaults", "-no-user-config",
             "-display", "none",
             "-chardev", f"socket,id=tty,path={base}.tty,server=on,wait=off",
             "-serial", "chardev:tty",
             "-qmp", f"unix:{base}.qmp,server=on,wait=off", *args],
            stdin=subprocess.DEVNULL, stdout=self.errors, stderr=self.errors,
            pass_fds=pass_fds)
        try:
            console.attach(connect(base + ".tty", self.process))
            self.qmp = connect(base + ".qmp", self.process)
        except Failed as failed:
            self.kill()
            with open(base + ".stderr", errors="replace") as file:
                raise Failed(f"{failed}: {file.read().strip()}") from None
        threading.Thread(target=self._read, daemon=True).start()
        self.command("qmp_capabilities")

    def _read(self):
        try:
            for line in self.qmp.makefile("r"):
                message = json.loads(line)
                if "event" in message:
                    with self.changed:
                        self.events.append(message)
                        self.changed.notify_all()
                elif "QMP" not in message:
                    self.answers.put(message)
        except OSError:
            pass    # how a QEMU that quits closes its socket
        self.answers.put({"error": {"desc": "QMP connection closed"}})

    def command(self, name, **arguments):
        self.qmp.sendall(json.dumps(
            {"execute": name, "arguments": arguments}).encode() + b"\n")
        try:
            answer = self.answers.get(timeout=60)
        except queue.Empty:
            raise Failed(f"{self.name}: no answer to {name}") from None
        if "error" in answer:
            raise Failed(f"{self.name}: {name}: {answer['error']['desc']}")
        return answer["return"]

    def event(self, name, seconds):
        """Waits for the last event of that name; returns its time in seconds."""
        def find():
            return [e for e in self.events if e["event"] == name]
        with self.changed:
            if not self.changed.wait_for(find, seconds):
                raise Failed(f"{self.name}: no {name} in {seconds} s")
            stamp = find()[-1]["timestamp"]
        return stamp["seconds"] + stamp["microseconds"] / 1e6

    def wait_end(self, seconds):
        try:
            return self.process.wait(seconds)
        except subprocess.TimeoutExpired:
            raise Failed(f"{self.name}: still there after {seconds} s") from None

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.errors.close()
