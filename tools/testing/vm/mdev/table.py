# SPDX-License-Identifier: GPL-2.0
"""Shows what mdev found, one column for each run."""

import json
import sys


def moved(run):
    """The migrations of a guest under load."""
    return [r for r in run["records"] if r["scenario"] == "under_load"]


def range_of(run, name, unit=1):
    values = [r[name] / unit for r in moved(run)]
    return f"{min(values):,.0f} to {max(values):,.0f}" if values else "none"


def total(name):
    return lambda run: f"{run['guest'].get(name, 0):,}"


def scenarios(run):
    names = {r["scenario"] for r in run["records"]} - {"under_load"}
    return f"{len(names)}"


ROWS = (
    ("ABI", lambda run: run["abi"] + (", iommufd" if run["iommufd"] else "")),
    ("round trips", lambda run: str(run["round_trips"])),
    ("wrong bytes", total("wrong_bytes")),
    ("lost descriptors", total("lost")),
    ("completions without an interrupt", total("no_interrupt")),
    ("pages checked", total("checked")),
    ("descriptors", total("copies")),
    ("interrupts", total("interrupts")),
    ("total time of a migration, ms", lambda run: range_of(run, "total_ms")),
    ("downtime, as QEMU says, ms", lambda run: range_of(run, "downtime_ms")),
    ("guest stopped, ms", lambda run: range_of(run, "pause_ms")),
    ("sent of the devices, KiB", lambda run: range_of(run, "device_bytes", 1024)),
    ("sent of the guest's memory, KiB", lambda run: range_of(run, "ram_bytes", 1024)),
    ("other scenarios", scenarios),
    ("verdict", lambda run: "ok" if run["verdict"] == "ok" else "FAILED"),
)


def load(path):
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        return {"qemu": path.split("/")[-2], "kernel": "?", "abi": "?",
                "iommufd": False, "records": [], "guest": {},
                "round_trips": 0, "verdict": "the run left no result"}


def main():
    runs = [load(path) for path in sys.argv[1:]]
    print(f"{'':36}" + "".join(f"{'QEMU ' + run['qemu'].split()[0]:>20}"
                               for run in runs))
    for title, cell in ROWS:
        print(f"{title:36}" + "".join(f"{cell(run):>20}" for run in runs))
    print()
    failed = [run for run in runs if run["verdict"] != "ok"]
    for run in failed:
        print(f"FAILED: QEMU {run['qemu']}: {run['verdict']}.")
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
