"""One at a time, between processes."""

from __future__ import annotations

import fcntl
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from .waiting import wait_until


@contextmanager
def locked(path: Path, *, seconds: float) -> Iterator[None]:
    """Holds the lock file `path`, waiting up to `seconds` for whoever has it.

    The kernel drops the lock when its holder dies, so nothing stays locked after a crash. The file itself stays:
    removing it would let a third process lock a new file beside the old one.

    Raises:
        ClusterError: somebody else still had it after `seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a") as file:
        wait_until(lambda: _try_lock(file), seconds=seconds, what=f"the process that holds {path}")
        yield


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
