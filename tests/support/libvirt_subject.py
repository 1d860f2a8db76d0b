"""Real libvirt as a host that tests may harm."""

import os
import signal
from pathlib import Path

from hack.lab import Host
from support.host_contract import Subject


class BreakableHost:
    """A lab host of the test's own, and the agent's view of it."""

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
        return qemus(self.lab_host, uid)


def qemus(host: Host, uid: str) -> list[int]:
    """The pids of the QEMUs that run a domain on a lab host, as the machine sees them."""
    return [pid for pid in host.pids() if f"uuid {uid}" in _command_line(pid)]


def _command_line(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""  # it ended meanwhile
