"""One at a time, between processes."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path

from .waiting import wait_until


@contextmanager
def locked(path: Path, *, seconds: float) -> Iterator[None]:
    """Holds the lock file `path`, waiting up to `seconds` for whoever has it.

    The kernel drops the lock when its holder dies, so nothing stays locked after a crash. Its holder may remove the
    file, and folders above it.

    Raises:
        ClusterError: somebody else still had it after `seconds`.
    """
    with ExitStack() as held:
        wait_until(lambda: _try_lock(path, held), seconds=seconds, what=f"the process that holds {path}")
        yield


def _try_lock(path: Path, held: ExitStack) -> bool:
    """Puts the locked file into `held`, if nobody has it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as attempt:
        try:
            file = attempt.enter_context(path.open("a"))
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            # Its last holder may have removed it after we opened it: then others lock the next file of that name.
            if not os.path.samestat(os.fstat(file.fileno()), path.stat()):
                return False
        except (BlockingIOError, FileNotFoundError):
            return False
        held.push(attempt.pop_all())
    return True
