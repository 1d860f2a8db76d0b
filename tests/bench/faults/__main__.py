"""`make bench-faults`: soaks one after another until enough has been done and broken. Ends with a RESULT line.

FAULTS (default 1000), OPERATIONS (ten times as many), SEED (default 1), BACKEND (simulated, or libvirt: one soak in
real time). Each soak has a seed of its own, SEED, SEED + 1, ...: `SEED=17 SOAKS=1 FAULTS=25` does the 17th alone, and
TRACE=text prints all that it did about a name or UID. WITHOUT=resize,Rebuild leaves kinds of operations and faults out.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections import Counter

from tests.bench.faults.ledger import Ledger, Wrong
from tests.bench.faults.real import soak
from tests.bench.faults.soak import Soak, run
from tests.bench.figures import result

FAULTS = int(os.environ.get("FAULTS", "1000"))
OPERATIONS = int(os.environ.get("OPERATIONS", str(10 * FAULTS)))
SEED = int(os.environ.get("SEED", "1"))
BACKEND = os.environ.get("BACKEND", "simulated")
FAULTS_A_SOAK = 25
WIDTH = 1000
"""Characters of a finding that are shown."""


def main() -> int:
    """All soaks; 1 if anything is wrong."""
    if BACKEND == "libvirt":
        return _real()
    soaks = int(os.environ.get("SOAKS", "0")) or max(1, FAULTS // FAULTS_A_SOAK)
    faults, operations, began = Counter[str](), Counter[str](), time.monotonic()
    wrong = Counter[Wrong]()
    for seed in range(SEED, SEED + soaks):
        ledger = run(Soak(seed, operations=OPERATIONS // soaks, faults=FAULTS // soaks, without=_without()))
        faults += ledger.faults
        operations += ledger.operations
        wrong += Counter(finding.wrong for finding in ledger.findings)
        _tell(seed, ledger)
    for counted in (operations, faults):
        print("\n".join(f"{count:6} {kind}" for kind, count in sorted(counted.items())))
    figures = {"seed": SEED, "soaks": soaks, "seconds": time.monotonic() - began}
    result(
        "faults_simulated",
        figures
        | {"operations": operations.total(), "faults": faults.total()}
        | {str(each): wrong[each] for each in Wrong},
    )
    return 1 if wrong else 0


def _real() -> int:
    """One soak on real hosts, in real time."""
    ledger = asyncio.run(soak(FAULTS, SEED))
    _tell(SEED, ledger)
    counts = {str(each): ledger.count(each) for each in Wrong}
    figures = {"seed": SEED, "operations": ledger.operations.total(), "faults": ledger.faults.total()}
    result("faults_libvirt", figures | {"seconds": ledger.clock()} | counts)
    return 1 if ledger.findings else 0


def _tell(seed: int, ledger: Ledger) -> None:
    print(f"seed {seed}: {ledger.operations.total()} operations, {ledger.faults.total()} faults", flush=True)
    for finding in ledger.findings:
        print(f"  {str(finding)[:WIDTH]}", flush=True)
    about = os.environ.get("TRACE")
    if about is not None:
        print("\n".join(ledger.about(about)))


def _without() -> frozenset[str]:
    return frozenset(filter(None, os.environ.get("WITHOUT", "").split(",")))


if __name__ == "__main__":
    sys.exit(main())
