"""The agent's host, on lab hosts with real libvirt."""

import os
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import pytest
from hypernova_agent.libvirt.host import LibvirtHost
from support.host_contract import Subject

from hack.guest import Guest
from hack.lab import Host


@pytest.fixture
async def subject(host: Host, guest: Guest) -> AsyncIterator[Subject]:
    """The shared host, connected, and left as it was."""
    subject = Subject(LibvirtHost(host.libvirt_uri), boot_disk=guest.boot_sector.read_bytes())
    await subject.connect()
    yield subject
    await subject.clear()
    await subject.host.close()


class BreakableHost:
    """A lab host of the test's own."""

    def __init__(self, lab_host: Host, subject: Subject) -> None:
        self.lab_host = lab_host
        self.subject = subject

    def kill_guest(self, uid: str) -> None:
        (qemu,) = self.qemus(uid)
        os.kill(qemu, signal.SIGKILL)

    def lose(self) -> None:
        self.lab_host.kill_libvirtd()

    def recover(self) -> None:
        self.lab_host.start_libvirtd()

    def qemus(self, uid: str) -> list[int]:
        """The pids of the QEMUs that run this domain."""
        return [pid for pid in self.lab_host.pids() if f"uuid {uid}" in _command_line(pid)]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""  # it ended meanwhile


@pytest.fixture
async def breakable(own_host: Host, guest: Guest) -> AsyncIterator[BreakableHost]:
    """A host of the test's own, connected."""
    subject = Subject(LibvirtHost(own_host.libvirt_uri), boot_disk=guest.boot_sector.read_bytes())
    await subject.connect()
    yield BreakableHost(own_host, subject)
    await subject.host.close()
