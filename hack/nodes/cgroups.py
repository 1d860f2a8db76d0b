"""A node's own branch in each of the machine's cgroup hierarchies (version 1).

Namespaces end with their pid 1, cgroups do not: who makes a branch has to remove it.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from hack.devcluster.waiting import wait_until
from hack.lab import LabError

_CPUSET = ("cpuset.cpus", "cpuset.mems")
_EMPTY_SECONDS = 20.0


@dataclass(frozen=True, slots=True)
class Hierarchy:
    """One hierarchy of the machine."""

    path: Path
    """Where it is mounted, on the machine as on nodes, e.g. `/sys/fs/cgroup/memory`."""

    option: str
    """Of mount, to get this one: its controllers, or its name, e.g. `cpu,cpuacct` or `name=systemd`."""


def hierarchies() -> list[Hierarchy]:
    """Those of the machine.

    Raises:
        LabError: there are none of version 1.
    """
    found = parse(Path("/proc/self/mountinfo").read_text())
    if not any("memory" in each.option.split(",") for each in found):
        raise LabError("nodes need cgroup version 1 with its memory controller, which this machine does not have")
    return found


def parse(mountinfo: str) -> list[Hierarchy]:
    """Those in a text as of /proc/self/mountinfo. Pure."""
    found = []
    for line in mountinfo.splitlines():
        mount, _, file_system = line.partition(" - ")
        kind, _, options = file_system.split(" ", 2)
        if kind == "cgroup":
            chosen = [option for option in options.split(",") if option not in ("rw", "ro", "xattr")]
            found.append(Hierarchy(Path(mount.split(" ")[4]), ",".join(chosen)))
    return found


def make(name: str) -> None:
    """The branch of this name in all hierarchies, where kubelet wants to find it."""
    for hierarchy in hierarchies():
        branch = hierarchy.path / name
        branch.mkdir(exist_ok=True)
        for file in _CPUSET:  # empty in a new branch, which then takes no process
            if (branch / file).exists():
                (branch / file).write_text((hierarchy.path / file).read_text())


def remove(name: str) -> None:
    """Remove the branch, if it is there. Its processes must have been killed.

    Raises:
        ClusterError: one of them does not end.
    """
    branches = [hierarchy.path / name for hierarchy in hierarchies()]
    wait_until(
        lambda: all(_gone(branch) for branch in branches), seconds=_EMPTY_SECONDS, what=f"cgroup {name} to empty"
    )


def _gone(branch: Path) -> bool:
    """Remove what is empty of a branch; whether that was all."""
    for folder, _, _ in os.walk(branch, topdown=False):
        try:
            os.rmdir(folder)
        except FileNotFoundError:
            continue
        except OSError:  # busy: a killed process is not quite gone yet
            return False
    return True
