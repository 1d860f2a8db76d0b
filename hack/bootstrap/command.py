"""Commands that are quiet unless they fail, and stages that tell what takes so long."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager


class BootstrapError(Exception):
    """The machine cannot be set up; the message says what to do."""


def run(command: Sequence[str], *, seconds: float, environment: Mapping[str, str] | None = None) -> str:
    """Runs a command and returns its output.

    Raises:
        BootstrapError: it failed or took longer than `seconds`; with all it printed.
    """
    try:
        return subprocess.run(
            command,
            env=os.environ | (environment or {}),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            check=True,
            text=True,
            errors="replace",
            timeout=seconds,
        ).stdout
    except subprocess.CalledProcessError as error:
        raise BootstrapError(f"{' '.join(command)}: exit status {error.returncode}\n{error.stdout}") from None
    except subprocess.TimeoutExpired:
        raise BootstrapError(f"{' '.join(command)}: no end after {seconds:.0f} s") from None


@contextmanager
def stage(title: str, details: str = "") -> Iterator[None]:
    """Says what is being done, and how long it took."""
    started = time.monotonic()
    print(f"==> {title} ... {details}", flush=True)
    yield
    print(f"==> {title}: {time.monotonic() - started:.1f} s", flush=True)
