"""Debian packages: those that are missing, installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path

from .command import BootstrapError, run, stage

PACKAGE_LISTS = Path("/var/lib/apt/lists")

# Wait for whoever else installs something, and try again when a mirror fails.
APT = ("apt-get", "-qq", "-o=DPkg::Lock::Timeout=600", "-o=Acquire::Retries=3")
QUIETLY = {"DEBIAN_FRONTEND": "noninteractive"}

UPDATE_SECONDS = 600
INSTALL_SECONDS = 1800


def install(packages: Iterable[str]) -> None:
    """Installs those of the packages that are missing, without what they merely recommend.

    Raises:
        BootstrapError: this is no Debian, we are not root, or apt failed.
    """
    lacking = missing(packages)
    if not lacking:
        return
    _need_root(f"to install: {' '.join(lacking)}")
    with stage("Debian packages", " ".join(lacking)):
        # An apt that was interrupted leaves packages half configured, and dpkg refuses until that is put right.
        run(["dpkg", "--configure", "-a"], seconds=INSTALL_SECONDS, environment=QUIETLY)
        run([*APT, "update"], seconds=UPDATE_SECONDS)
        command = [*APT, "install", "--yes", "--no-install-recommends", *lacking]
        run(command, seconds=INSTALL_SECONDS, environment=QUIETLY)


def fetch_package_lists() -> None:
    """Lets apt know what there is, if it knows nothing; raises as `install`."""
    if any(PACKAGE_LISTS.glob("*_Packages*")):
        return
    _need_root("to fetch apt's package lists")
    with stage("apt's package lists"):
        run([*APT, "update"], seconds=UPDATE_SECONDS)


def missing(packages: Iterable[str]) -> list[str]:
    """Those that are not completely installed; all where there is no dpkg."""
    packages = list(packages)
    if not packages or shutil.which("dpkg-query") is None:
        return packages
    # Exit status 1 and a complaint on stderr tell of unknown packages, which are missing like others.
    query = ["dpkg-query", "--show", "--showformat=${Package} ${Status}\n", *packages]
    answer = subprocess.run(query, capture_output=True, text=True, timeout=60).stdout
    present = {line.split()[0] for line in answer.splitlines() if line.endswith(" install ok installed")}
    return [package for package in packages if package not in present]


def _need_root(purpose: str) -> None:
    if shutil.which("apt-get") is None:
        raise BootstrapError(f"this is made for Debian, and there is no apt-get {purpose}")
    if os.geteuid() != 0:
        raise BootstrapError(f"root is needed {purpose}")
