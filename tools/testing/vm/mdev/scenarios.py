# SPDX-License-Identifier: GPL-2.0
"""What can happen to a guest while it is migrated. Each leaves it working."""

import time

from guest import COUNTED, FAST, SLOW, LIMIT, Failed

SNAPSHOT = "there"


def wait_loaded(destination):
    end = time.monotonic() + LIMIT
    while destination.command("query-status")["status"] == "inmigrate":
        if time.monotonic() > end:
            raise Failed("the destination is still loading")
        time.sleep(0.1)


def complete(guest, destination, paused=False):
    """Sees a migration through; returns what it cost."""
    before = dict(guest.last)
    source = guest.current
    guest.bandwidth(FAST)
    info = guest.wait_status("completed")
    if paused:
        # Before that, "cont" would be forgotten.
        wait_loaded(destination)
        destination.command("cont")
    resumed = destination.event("RESUME", LIMIT)
    stopped = source.event("STOP", LIMIT)
    guest.arrive(destination)
    guest.work(1)
    return {
        "total_ms": info["total-time"],
        "downtime_ms": info["downtime"],
        "pause_ms": None if paused else round((resumed - stopped) * 1000),
        "ram_bytes": info["ram"]["transferred"],
        "rounds": info["ram"]["dirty-sync-count"],
        "written_bytes": sum(
            (guest.last.get(name, 0) - before.get(name, 0)) * unit
            for name, unit in (("bytes", 1), ("stored", 4096))),
    }


def under_load(guest):
    destination = guest.destination()
    guest.begin(destination)
    return complete(guest, destination)


def paused(guest):
    """A guest that stands still, from the start of the migration to its end."""
    destination = guest.destination()
    guest.current.command("stop")
    guest.assume_bandwidth(FAST)
    guest.begin(destination)
    return complete(guest, destination, paused=True)


def begin_slowly(guest):
    destination = guest.destination()
    guest.begin(destination, SLOW)
    guest.wait_precopy()
    return destination


def paused_in_precopy(guest):
    """Pause and continue: the stream holds a session cut off, and a full one."""
    destination = begin_slowly(guest)
    guest.current.command("stop")
    time.sleep(1)
    guest.wait_status("active")
    guest.current.command("cont")
    guest.work(1)
    return complete(guest, destination)


def rebooted_in_precopy(guest):
    destination = begin_slowly(guest)
    guest.console.forget()
    guest.current.command("system_reset")
    guest.console.wait("MDEV-READY", LIMIT)
    guest.wait_status("active")
    guest.last = {}
    guest.work(1)
    return complete(guest, destination)


def cancelled_in_precopy(guest):
    destination = begin_slowly(guest)
    guest.current.command("migrate_cancel")
    guest.wait_status("cancelled")
    guest.go_back(destination)
    guest.work(1)
    return {}


def cancelled_stopped(guest):
    """At the switchover: the guest is stopped already, and starts again."""
    def wait_before_switchover(state):
        guest.current.command("migrate-set-capabilities", capabilities=[
            {"capability": "pause-before-switchover", "state": state}])

    destination = guest.destination()
    wait_before_switchover(True)
    guest.begin(destination)
    guest.wait_status("pre-switchover")
    guest.current.command("migrate_cancel")
    guest.wait_status("cancelled")
    guest.go_back(destination)
    guest.work(1)
    wait_before_switchover(False)
    return {}


def snapshot(guest):
    """savevm and loadvm: the guest goes back to where it was."""
    answer = guest.monitor(f"savevm {SNAPSHOT}")
    if answer.strip():
        raise Failed(f"savevm: {answer.strip()}")
    guest.work(2)
    guest.check()
    answer = guest.monitor(f"loadvm {SNAPSHOT}")
    if answer.strip():
        raise Failed(f"loadvm: {answer.strip()}")
    if guest.current.command("query-status")["status"] != "running":
        guest.current.command("cont")
    guest.last = {}
    guest.work(1)
    return {}


def smaller_section(guest):
    """To devices whose data section is 8 KiB, from ones with 1 MiB; and back."""
    side = guest.sides[(guest.number + 1) % 2]
    side.set_data_size(8192)
    result = under_load(guest)
    under_load(guest)
    side.set_data_size(1 << 20)
    return result


BY_NAME = {function.__name__: function for function in (
    under_load, paused, paused_in_precopy, rebooted_in_precopy,
    cancelled_in_precopy, cancelled_stopped, snapshot, smaller_section)}


def run(guest, trace, name):
    """Runs one, then looks at every byte."""
    started = time.monotonic()
    trace.take()
    record = {"scenario": name, **BY_NAME[name](guest), **trace.take()}
    check = guest.check()
    record["seconds"] = round(time.monotonic() - started, 1)
    record["check"] = {field: check[field] for field in COUNTED}
    return record
