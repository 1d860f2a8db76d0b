"""A component as a process: found by what stands in its environment, held by a pidfd.

No pid is written down. A process of ours carries the folder and the name it was started for in its environment, which
nobody can lose: one that was started a moment before its starter was killed is found as well, and a stranger that got
a dead one's pid is not. A pidfd then names exactly that process, so a signal cannot reach another.
"""

from __future__ import annotations

import os
import select
import signal
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path

from .errors import ClusterError

FOLDER_VARIABLE = "HYPERNOVA_DEVCLUSTER"
NAME_VARIABLE = "HYPERNOVA_DEVCLUSTER_COMPONENT"

LOG_LINES = 15
"""How much of a log an error shows."""

GRACE_SECONDS = 20
"""How long a component may take to end when asked; an API server with open requests is the slowest."""


@dataclass(frozen=True, slots=True)
class Component:
    """One component of one cluster, running or not."""

    name: str
    folder: Path
    """The cluster's, absolute: makes the name unique on the machine."""

    binary: Path
    arguments: Sequence[str]
    """argv, the component's name first."""

    log: Path
    ready: Callable[[], bool]
    """Whether it answers; must neither block for long nor raise."""

    ready_seconds: float
    """Bound of `start`. Generous: on a busy machine everything takes many times longer."""

    environment: Mapping[str, str] = field(default_factory=dict)
    """Variables beside those of this process."""

    @property
    def pid(self) -> int | None:
        """The process, None when it does not run."""
        return next((pid for pid in self._processes() if _leads_session(pid)), None)

    def start(self) -> None:
        """Starts it and returns when it is ready; only waits when it runs already.

        Raises:
            ClusterError: it ended, or was not ready in time; with the last lines of its log.
        """
        found = self.pid
        pid = found or self._spawn()
        with _held(pid, is_child=found is None) as pidfd:
            deadline = time.monotonic() + self.ready_seconds
            # That it shows its environment matters just after the start, when it does not yet: `pid` would miss it.
            while not (self.ready() and _environment(pid)):
                if pidfd is None or _gone_within(pidfd, 0.05):
                    raise ClusterError(f"{self.name} ended before it was ready\n{self.last_words()}")
                if time.monotonic() > deadline:
                    raise ClusterError(f"{self.name} not ready after {self.ready_seconds:.0f} s\n{self.last_words()}")

    def stop(self, *, kill: bool = False) -> None:
        """Ends it, with its children, and returns when all are gone; nothing to do when it does not run.

        Args:
            kill: SIGKILL at once, as a crash would; otherwise SIGTERM, and SIGKILL after GRACE_SECONDS.
        """
        pid = self.pid
        if pid is not None:
            end(pid, GRACE_SECONDS if not kill else 0)
        for child in list(self._processes()):
            end(child)

    def last_words(self) -> str:
        """The end of the log, with its path."""
        try:
            lines = self.log.read_text(errors="replace").splitlines()[-LOG_LINES:]
        except FileNotFoundError:
            lines = []
        return "\n".join([f"{self.log}:", *(f"  {line}" for line in lines)])

    def _processes(self) -> Iterator[int]:
        """Its process and those that it started, which have inherited its environment."""
        return (pid for pid, name in running(self.folder) if name == self.name)

    def _spawn(self) -> int:
        environment = {**os.environ, **self.environment, FOLDER_VARIABLE: str(self.folder), NAME_VARIABLE: self.name}
        append = os.O_WRONLY | os.O_CREAT | os.O_APPEND
        return os.posix_spawn(
            self.binary,
            list(self.arguments),
            environment,
            file_actions=[
                (os.POSIX_SPAWN_OPEN, 0, os.devnull, os.O_RDONLY, 0),
                (os.POSIX_SPAWN_OPEN, 1, self.log, append, 0o644),
                (os.POSIX_SPAWN_DUP2, 1, 2),
            ],
            setsid=True,  # Ctrl-C in the terminal is not for it
            setsigmask=[],
        )


def running(folder: Path) -> Iterator[tuple[int, str]]:
    """Pid and component of each process of the cluster in `folder`, children of components among them."""
    for entry in os.listdir("/proc"):
        if not entry.isdigit():
            continue
        environment = _environment(int(entry))
        if environment.get(FOLDER_VARIABLE) == str(folder):
            yield int(entry), environment.get(NAME_VARIABLE, "")


def end(pid: int, grace_seconds: float = 0) -> None:
    """Ends a process and returns when it is gone.

    Raises:
        ClusterError: not even SIGKILL ended it.
    """
    with _held(pid) as pidfd:
        if pidfd is None:
            return
        if grace_seconds:
            signal.pidfd_send_signal(pidfd, signal.SIGTERM)
        if not grace_seconds or not _gone_within(pidfd, grace_seconds):
            signal.pidfd_send_signal(pidfd, signal.SIGKILL)
            if not _gone_within(pidfd, GRACE_SECONDS):
                raise ClusterError(f"process {pid} does not end, not even by SIGKILL")


@contextmanager
def _held(pid: int, *, is_child: bool = False) -> Iterator[int | None]:
    """A pidfd of the process, if `pid` is (still) one of a devcluster; else None.

    Args:
        pid: the process.
        is_child: it was just started by us. Then its pid cannot belong to another before we reap it, and its
            environment may not be readable yet.
    """
    try:
        pidfd = os.pidfd_open(pid)
    except ProcessLookupError:
        yield None
        return
    try:
        # Looked at after opening: what the pidfd names can no longer change, unlike what the pid did.
        yield pidfd if is_child or FOLDER_VARIABLE in _environment(pid) else None
    finally:
        _reap(pidfd)
        os.close(pidfd)


def _gone_within(pidfd: int, seconds: float) -> bool:
    """Waits for the end of a process. A zombie is gone too: its ports and files are free."""
    gone, _, _ = select.select([pidfd], [], [], seconds)
    if gone:
        _reap(pidfd)
    return bool(gone)


def _leads_session(pid: int) -> bool:
    """As a component does, and the children it started don't."""
    try:
        return os.getsid(pid) == pid
    except ProcessLookupError:
        return False


def _reap(pidfd: int) -> None:
    with suppress(ChildProcessError):  # started by another process, whose child or init's it is
        os.waitid(os.P_PIDFD, pidfd, os.WEXITED | os.WNOHANG)


def _environment(pid: int) -> dict[str, str]:
    """The environment a process was started with; empty when it is gone, a zombie or not ours to look at."""
    try:
        text = Path(f"/proc/{pid}/environ").read_bytes().decode(errors="replace")
    except (FileNotFoundError, ProcessLookupError, PermissionError):
        return {}
    return dict(variable.partition("=")[::2] for variable in text.split("\0") if variable)
