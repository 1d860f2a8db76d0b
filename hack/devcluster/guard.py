"""Somebody who stays when a program is killed, to take away what it has started."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

REPOSITORY = Path(__file__).parents[2]

# A shell, because it is small and waits for all of the program's life. It reads a line when all is well, and the end
# of its input when the program died, however that came about: the kernel closes the pipe.
SCRIPT = 'read -r _ || exec "$@"'


@contextmanager
def guarded(module: str, *arguments: str) -> Iterator[None]:
    """Runs a module as a program when this program dies within the block. Does nothing at its regular end."""
    guard = subprocess.Popen(
        ["sh", "-c", SCRIPT, "guard", sys.executable, "-m", module, *arguments],
        cwd=REPOSITORY,
        stdin=subprocess.PIPE,
        start_new_session=True,  # what kills the program by its process group, as Ctrl-C does, is not for the guard
    )
    try:
        yield
    finally:
        guard.communicate(b"all is well\n")
