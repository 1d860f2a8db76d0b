"""Real libvirt as a host that tests may harm."""

import contextlib
import os
import signal

from hack.lab import Host
from support.host_contract import Subject
from support.processes import command_line

WRITER = bytes.fromhex(
    "31c0 8ed8 8ed0 bc007c"  # clear the segments, have a stack
    "fb f4"  # sti; hlt: until the timer's next tick, 18 a second
    "b80043 b280 be237c cd13"  # int 13h, extended write by the packet below
    "72f3"  # failed: again
    "83062b7c40 83162d7c00 ebe7"  # 64 sectors on
    "1000 4000 007c 0000 0008000000000000"  # the packet: 64 sectors of what lies at 0:7c00, to sector 2048
).ljust(510, b"\0") + bytes.fromhex("55aa")
"""A boot sector that writes to its disk from its second MiB on, half a MiB a second, without end."""


class BreakableHost:
    """A lab host of the test's own, and the agent's view of it."""

    def __init__(self, lab_host: Host, subject: Subject) -> None:
        self.lab_host = lab_host
        self.subject = subject
        self._stopped: set[int] = set()

    def stop(self, pid: int) -> None:
        """Have a program of the host stand still."""
        self._stopped.add(pid)
        os.kill(pid, signal.SIGSTOP)

    def go_on(self) -> None:
        """Have all that stands still go on, libvirtd too."""
        for pid in self._stopped:
            with contextlib.suppress(ProcessLookupError):
                os.kill(pid, signal.SIGCONT)
        self._stopped.clear()
        if self.lab_host.service("libvirtd"):
            self.lab_host.resume_libvirtd()

    def kill_guest(self, uid: str) -> None:
        (qemu,) = self.qemus(uid)
        os.kill(qemu, signal.SIGKILL)

    def lose(self) -> None:
        self.lab_host.kill_libvirtd()

    def recover(self) -> None:
        self.lab_host.start_libvirtd()

    def qemus(self, uid: str) -> list[int]:
        return qemus(self.lab_host, uid)

    def running(self, words: str) -> list[int]:
        """The pids of the programs of the host with these words in their command line."""
        return [pid for pid in self.lab_host.pids() if words in command_line(pid)]


class FillableHost:
    """A lab host whose pool is small, and the agent's view of it."""

    SIZE = 64 << 20
    """Bytes."""

    def __init__(self, lab_host: Host, subject: Subject) -> None:
        self.lab_host = lab_host
        self.subject = subject
        self._filler = f"{subject.host.pool_path}/filler"

    @classmethod
    def prepare(cls, lab_host: Host) -> None:
        """Before anybody uses the pool."""
        pool = "/var/lib/libvirt/hypernova"
        lab_host.run("mkdir", "-p", pool)
        lab_host.run("mount", "-t", "tmpfs", "-o", f"size={cls.SIZE}", "pool", pool)

    def fill(self) -> None:
        self.lab_host.run("dd", "if=/dev/zero", f"of={self._filler}", "bs=64K", check=False)

    def empty(self) -> None:
        self.lab_host.run("rm", self._filler)


def qemus(host: Host, uid: str) -> list[int]:
    """The pids of the QEMUs that run a domain on a lab host, as the machine sees them."""
    return [pid for pid in host.pids() if f"uuid {uid}" in command_line(pid)]
