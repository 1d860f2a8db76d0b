"""A process that can be written down and found again, without ever meaning another one."""

from __future__ import annotations

import os
import select
import signal
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Process:
    """One process of this machine: its pid and when it started.

    Pids are used again; the two together are not. So a stale file never gets a stranger killed.
    """

    pid: int
    started: int
    """Clock ticks from the machine's boot to the process's start."""

    @classmethod
    def of(cls, pid: int) -> Process:
        """The process that has this pid now.

        Raises:
            ProcessLookupError: no such process, or it has ended and only waits to be reaped.
        """
        started = _started(pid)
        if started is None:
            raise ProcessLookupError(f"no process {pid}")
        return cls(pid, started)

    @classmethod
    def load(cls, file: Path) -> Process | None:
        """The process `save` wrote to the file, if it is still alive."""
        try:
            pid, started = file.read_text().split()
        except FileNotFoundError:
            return None
        process = cls(int(pid), int(started))
        return process if process.alive else None

    def save(self, file: Path) -> None:
        """Write it down, for `load` in this or another program."""
        draft = file.with_name(file.name + ".new")
        draft.write_text(f"{self.pid} {self.started}\n")
        draft.rename(file)

    @property
    def alive(self) -> bool:
        """Whether it still runs (a zombie does not)."""
        return _started(self.pid) == self.started

    def signal(self, number: signal.Signals) -> bool:
        """Send a signal; false if the process is gone."""
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return False
        try:
            # Looked at after the pidfd is held: the pid can't change hands in between.
            if not self.alive:
                return False
            signal.pidfd_send_signal(fd, number)
        except ProcessLookupError:
            return False
        finally:
            os.close(fd)
        return True

    def wait(self, timeout: float) -> bool:
        """Wait up to `timeout` seconds for its end; whether it ended."""
        try:
            fd = os.pidfd_open(self.pid)
        except ProcessLookupError:
            return True
        try:
            if not self.alive:
                return True
            poll = select.poll()
            poll.register(fd, select.POLLIN)
            return bool(poll.poll(timeout * 1000))
        finally:
            os.close(fd)


def _started(pid: int) -> int | None:
    """Start time of a living process in clock ticks since boot; None if there is none."""
    try:
        with open(f"/proc/{pid}/stat", "rb") as file:
            # The command name may hold spaces and brackets: what follows its last bracket is plain fields.
            fields = file.read().rsplit(b")", 1)[1].split()
    except (FileNotFoundError, ProcessLookupError):
        return None
    state, started = fields[0], fields[19]
    return None if state in b"ZX" else int(started)
