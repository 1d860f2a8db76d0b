"""`make bench-scheduler`: how long ours and OpenStack Nova's own scheduler take to place one Instance, side by side.

All hosts would do, the worst case; see `measuring.Cloud`. Ours is `decide` and the claim. Nova's decision is the like:
filter, weigh, pick, consume; the whole is what Nova does for every request. Nova's database and placement take no part
of either (see `nova_scheduler`): that a host has room, which placement finds out for Nova, ours does in its time.

BENCH_HOSTS (default `100 1000 10000 100000`) are the numbers of hosts. BENCH_NOVA=0 leaves Nova out. Beyond 10,000 it
always is: its time grows with their number, and is seconds for each request there. Each cloud gives a line
`RESULT {json}`; a table of all ends it. Times are CPU time, of this machine; compare ratios.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

from tests.bench.figures import result
from tests.bench.scheduler import nova_environment
from tests.bench.scheduler.measuring import Cloud, Figures
from tests.bench.scheduler.report import Row, table

REPOSITORY = Path(__file__).parents[3]
HOSTS = [int(count) for count in os.environ.get("BENCH_HOSTS", "100 1000 10000 100000").split()]
NOVA = os.environ.get("BENCH_NOVA", "1") != "0"
NOVA_MOST_HOSTS = 10_000

REPEATS = 500
NOVA_HOST_REPEATS = 20_000
"""Nova's repeats, times hosts: some seconds, however many hosts; but never less than 10 nor more than 100 repeats."""

SECONDS = 1800
"""How long one side may take in one cloud: a minute or two on a quiet machine."""


def measured(python: Path | str, module: str, cloud: Cloud) -> Figures:
    """One side's figures in one cloud, by a process of its own."""
    # Nova brings eventlet along, which warns of itself.
    command = [python, "-W", "ignore", "-m", f"tests.bench.scheduler.{module}", *cloud.arguments]
    run = subprocess.run(command, cwd=REPOSITORY, stdout=subprocess.PIPE, text=True, timeout=SECONDS, check=True)
    figures: Figures = json.loads(run.stdout)
    if figures["passing_hosts"] != cloud.passing:
        sys.exit(f"{module}: {figures['passing_hosts']} of {cloud.hosts} hosts passed, not {cloud.passing}")
    return figures


def compared(hosts: int, *, group: bool, nova: Path | None) -> Row:
    """Both sides in one cloud; `nova` is the Python that has it, if it is to be measured."""
    ours = measured(sys.executable, "ours", Cloud(hosts, group, REPEATS))
    theirs = None
    if nova and hosts <= NOVA_MOST_HOSTS:
        repeats = min(100, max(10, NOVA_HOST_REPEATS // hosts))
        theirs = measured(nova, "nova_scheduler", Cloud(hosts, group, repeats))
    return Row(hosts, group, ours, theirs)


def main() -> None:
    """Both sides in every cloud, small ones first."""
    nova = nova_environment.python() if NOVA else None
    rows = []
    for hosts in HOSTS:
        for group in (False, True):
            row = compared(hosts, group=group, nova=nova)
            result(row.name, row.figures)
            rows.append(row)
    print(table(rows))


if __name__ == "__main__":
    main()
