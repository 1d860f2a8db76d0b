"""What a lab host's libvirtd and virtlogd need: settings, a warm cache, and how to tell that they are ready."""

from __future__ import annotations

import contextlib
import shutil
import subprocess
import tempfile
import time
import uuid
from pathlib import Path
from urllib.parse import quote

from hack.cache import cache_dir
from hack.lab.errors import LabError
from hack.lab.process import Process

SOCKET = "/run/libvirt/libvirt-sock"
LOG_SOCKET = "/run/libvirt/virtlogd-sock"
"""virtlogd's, which writes what guests send to their serial ports."""

PRIVATE = ("/etc/libvirt", "/run/libvirt", "/var/lib/libvirt", "/var/cache/libvirt")
"""Folders that are libvirt's, with its configuration, domains, disks and caches: each host has its own."""

_CAPABILITIES = "qemu/capabilities"
"""What libvirtd found out about QEMU, under /var/cache/libvirt. It costs 1 s to find out, and libvirtd itself
drops what does not fit the installed QEMU, kernel and libvirt."""

SOCKET_GROUP = 64042
"""Who but root may use the socket, as distributions' group `libvirt`: a gid, and of no group of the machine."""

# Polkit is not there: who may open the socket may use it.
_LIBVIRTD_CONF = """\
host_uuid = "{uuid}"
auth_unix_ro = "none"
auth_unix_rw = "none"
unix_sock_group = "+{group}"
unix_sock_rw_perms = "0770"
unix_sock_ro_perms = "0770"
"""

# stdio_handler is libvirt's default. The others leave to the host's namespaces what they do for us already; without
# cgroups, AppArmor and mount namespaces per guest a domain starts in 0.5 s.
_QEMU_CONF = """\
stdio_handler = "logd"
user = "root"
group = "root"
security_driver = "none"
cgroup_controllers = [ ]
namespaces = [ ]
remember_owner = 0
"""

# A guest's log takes twice 1 MiB at most. (libvirt's own default: four times 2 MiB.)
_VIRTLOGD_CONF = """\
max_size = 1048576
max_backups = 1
"""


def configure(etc: Path, identity: str) -> None:
    """Write the configuration into a host's /etc/libvirt.

    Args:
        etc: that folder, as the machine sees it.
        identity: gives the host's UUID. All hosts have the machine's DMI UUID, and libvirt migrates nothing between
            hosts that look the same.
    """
    host_uuid = uuid.uuid5(uuid.NAMESPACE_OID, identity)
    (etc / "libvirtd.conf").write_text(_LIBVIRTD_CONF.format(uuid=host_uuid, group=SOCKET_GROUP))
    (etc / "qemu.conf").write_text(_QEMU_CONF)
    (etc / "virtlogd.conf").write_text(_VIRTLOGD_CONF)


def uri(socket: Path) -> str:
    """The address of the libvirtd behind a UNIX socket."""
    return f"qemu+unix:///system?socket={quote(str(socket))}"


def seed_cache(cache: Path) -> None:
    """Give a new host's /var/cache/libvirt what an earlier host found out about QEMU."""
    with contextlib.suppress(FileNotFoundError, FileExistsError):
        shutil.copytree(_seed(), cache / _CAPABILITIES)


def keep_cache(cache: Path) -> None:
    """Keep what this host's libvirtd found out, for the hosts to come."""
    found, seed = cache / _CAPABILITIES, _seed()
    if _written(found) in ({}, _written(seed)):
        return
    seed.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=seed.parent) as scratch:
        shutil.copytree(found, Path(scratch, "new"))
        with contextlib.suppress(OSError):  # another lab was faster: as good
            if seed.is_dir():
                seed.rename(Path(scratch, "old"))
            Path(scratch, "new").rename(seed)


def wait_socket(daemon: Process, name: str, socket: Path, timeout: float) -> None:
    """Wait until the daemon of this name listens.

    Raises:
        LabError: it ended, or does not listen within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    while not socket.exists():
        if daemon.wait(0.01):
            raise LabError(f"{name} ended at start")
        if time.monotonic() > deadline:
            raise LabError(f"{name} made no socket in {timeout:g} s")


def wait_ready(daemon: Process, socket: Path, timeout: float) -> None:
    """Wait until libvirtd answers: its socket is there early, an answer comes when all its drivers are up.

    Raises:
        LabError: it ended, or does not answer within `timeout` seconds.
    """
    deadline = time.monotonic() + timeout
    wait_socket(daemon, "libvirtd", socket, timeout)
    ask = ["virsh", "--connect", uri(socket), "version"]
    try:
        answer = subprocess.run(ask, capture_output=True, text=True, timeout=max(1.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired as error:
        raise LabError(f"libvirtd gave no answer in {timeout:g} s") from error
    if answer.returncode:
        ended = daemon.wait(1)
        raise LabError("libvirtd ended at start" if ended else f"libvirtd is not ready: {answer.stderr.strip()}")


def _seed() -> Path:
    return cache_dir() / "libvirt-capabilities"


def _written(folder: Path) -> dict[str, int]:
    """When each file was written, in nanoseconds; copies keep that."""
    return {file.name: file.stat().st_mtime_ns for file in folder.glob("*")}
