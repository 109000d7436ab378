# SPDX-License-Identifier: GPL-2.0
"""Shows what migrate found, one column for each run, and judges ours."""

import argparse
import json
import sys


def longest(run, name):
    return max((m[name] for m in run["migrations"]), default=0)


def milliseconds(value):
    return f"{value:,.0f} ms"


ROWS = (
    ("corrupted pages", lambda run: f"{run['guest'].get('corrupt', 0):,}"),
    ("pages checked", lambda run: f"{run['guest'].get('checked', 0):,}"),
    ("failed requests", lambda run: f"{run['guest'].get('failed', 0):,}"),
    ("requests made", lambda run: f"{run['guest'].get('reads', 0) + run['guest'].get('writes', 0):,}"),
    ("longest gap between two completions",
     lambda run: milliseconds(run["guest"].get("gap_max_us", 0) / 1000)),
    ("longest stop of the guest (downtime)",
     lambda run: milliseconds(longest(run, "pause_ms"))),
    ("longest migration", lambda run: milliseconds(longest(run, "total_ms"))),
    ("round trips", lambda run: str(run["round_trips"])),
    ("total time", lambda run: f"{run['seconds']:,.0f} s"),
)


def load(path):
    try:
        with open(path) as file:
            return json.load(file)
    except (OSError, ValueError):
        name = path.split("/")[-2]
        return {"module": name, "guest": {}, "migrations": [], "seconds": 0,
                "round_trips": 0, "finished": False, "complaints": [],
                "error": "the run left no result", "verdict": "no result"}


def judge(run, trips):
    """What is wrong with a run that must be right; None if nothing is."""
    guest = run["guest"]
    if run["error"]:
        return run["error"]
    if not run["finished"] or run["round_trips"] != trips:
        return f"{run['round_trips']} of {trips} round trips"
    if not guest.get("checked"):
        return "no page was checked"
    if guest["corrupt"]:
        return f"{guest['corrupt']} corrupted pages"
    if guest["failed"]:
        return f"{guest['failed']} failed requests"
    if run["complaints"]:
        return f"the guest's kernel says: {run['complaints'][0]}"
    return None


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--trips", type=int, required=True)
    parser.add_argument("results", nargs="+")
    args = parser.parse_args()
    runs = [load(path) for path in args.results]

    print(f"{'':38}" + "".join(f"{run['module']:>14}" for run in runs))
    for title, cell in ROWS:
        print(f"{title:38}" + "".join(f"{cell(run):>14}" for run in runs))
    print()
    print("The guest's clock stands still while the guest is stopped: what its "
          "users see\nis up to the sum of the gap and the stop.")
    print()

    ours = next(run for run in runs if run["module"] == "ours")
    stock = next((run for run in runs if run["module"] == "stock"), None)
    wrong = judge(ours, args.trips)
    if wrong:
        print(f"FAILED: ours: {wrong}.")
        return 1
    sentence = (f"A guest on our vhost_scsi migrated {2 * args.trips} times "
                f"under I/O, and all {ours['guest']['checked']:,} pages that it "
                "read held what they must")
    if stock is None:
        print(f"{sentence}.")
        return 0
    if stock["error"]:
        print(f"{sentence}; on the stock module: {stock['error']}.")
        return 0
    corrupt = stock["guest"].get("corrupt", 0)
    if not corrupt and stock["kernel"].startswith("6."):
        print("FAILED: the stock module of this kernel is known to corrupt "
              "pages and none was seen,\nso this run proves nothing.")
        return 1
    print(f"{sentence}; on the stock module {corrupt:,} of "
          f"{stock['guest']['checked']:,} did not.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
