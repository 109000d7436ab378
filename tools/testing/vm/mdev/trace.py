# SPDX-License-Identifier: GPL-2.0
"""What went through vfio_migration, by its tracepoints."""

import os
import re

DIRECTORY = "/sys/kernel/tracing/instances/mdev"
SECTION = re.compile(r"vfio_migration_section: dev=(\S+) save .* length=(\d+) ret=0")
ARC = re.compile(r"vfio_migration_arc: dev=(\S+) from=(\d+) to=(\d+) ret=(-?\d+)")


def write(name, text):
    with open(f"{DIRECTORY}/{name}", "w") as file:
        file.write(text)


class Trace:
    def __enter__(self):
        os.mkdir(DIRECTORY)
        write("events/vfio_migration/enable", "1")
        return self

    def __exit__(self, *_):
        os.rmdir(DIRECTORY)

    def take(self):
        """Since the last call: payload saved, in bytes, and arcs that failed."""
        with open(f"{DIRECTORY}/trace") as file:
            lines = file.readlines()
        write("trace", "")
        sections = [found for line in lines if (found := SECTION.search(line))]
        arcs = [found for line in lines if (found := ARC.search(line))]
        return {
            "device_bytes": sum(int(found[2]) for found in sections),
            "arcs": len(arcs),
            "failed_arcs": [found[0] for found in arcs if found[4] != "0"],
        }
