"""Debian packages taken apart instead of installed: no root, and nothing on the machine changes."""

from __future__ import annotations

from pathlib import Path

from hack.cache import built, digest
from hack.guest.command import CommandError, run

_KERNEL = "linux-image-cloud-amd64"
_PACKAGES = (
    *("busybox-static", "mtools", "syslinux", "syslinux-common"),
    *("qemu-guest-agent", "libc6", "libglib2.0-0", "libnuma1", "libpcre2-8-0", "libudev1", "liburing2"),
)
_DOWNLOAD = ("apt-get", "--quiet", "--option=Acquire::Retries=3", "--option=Acquire::http::Timeout=30", "download")


def versions() -> list[str]:
    """What apt would fetch now: one line a package, with its version and SHA-256. Needs no network.

    Raises:
        CommandError: apt does not know a package: it has no package lists.
    """
    try:
        # The package by this name is empty; it depends on the current kernel.
        depends = run("apt-cache", "depends", "--important", _KERNEL)
        (kernel,) = (line.split()[-1] for line in depends.splitlines() if "Depends: linux-image-" in line)
        lines = run(*_DOWNLOAD, "--print-uris", kernel, *_PACKAGES).splitlines()
    except (CommandError, ValueError) as error:
        raise CommandError(f"apt does not know the guest's packages: run `apt-get update` ({error})") from error
    return sorted(line for line in lines if line.startswith("'"))


def unpacked(lines: list[str]) -> Path:
    """A folder that holds the content of all packages of `versions()`, fetched if it must be (34 MB).

    Raises:
        CommandError: they can't be fetched.
    """

    def build(folder: Path) -> None:
        # 'URI' NAME_VERSION_ARCHITECTURE.deb SIZE SHA256:... ; apt verifies what it fetches.
        files = [line.split()[1] for line in lines]
        exact = ["=".join(file.split("_")[:2]).replace("%3a", ":") for file in files]
        try:
            run(*_DOWNLOAD, *exact, cwd=folder, timeout=600)
        except CommandError as error:  # most often the mirror has newer versions than our package lists
            raise CommandError(f"apt can't fetch the guest's packages: run `apt-get update` ({error})") from error
        for file in files:
            run("dpkg-deb", "--extract", file, ".", cwd=folder, timeout=120)
            (folder / file).unlink()

    return built("guest-packages", digest(lines), build)
