"""One at a time, between processes."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import ClusterError


@contextmanager
def locked(path: Path, *, seconds: float) -> Iterator[None]:
    """Holds the lock file `path`, waiting up to `seconds` for whoever has it.

    The kernel drops the lock when its holder dies, so nothing stays locked after a crash. The file itself stays:
    removing it would let a third process lock a new file beside the old one.

    Raises:
        ClusterError: somebody else still had it after `seconds`.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + seconds
    with path.open("a") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > deadline:
                    raise ClusterError(f"another process held {path} for more than {seconds:.0f} s") from None
                time.sleep(0.05)
        yield
