"""How the builder runs its tools."""

from __future__ import annotations

import subprocess
from collections.abc import Mapping
from pathlib import Path


class CommandError(RuntimeError):
    """A tool failed; the message has the command and what it said."""


def run(
    *command: str | Path, timeout: float = 60, env: Mapping[str, str] | None = None, cwd: Path | None = None
) -> str:
    """Run a command, at most `timeout` seconds; its standard output.

    Raises:
        CommandError: it is not installed, failed, or took too long.
    """
    line = " ".join(map(str, command))
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=timeout, env=env, cwd=cwd)
    except FileNotFoundError as error:
        raise CommandError(f"{command[0]} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise CommandError(f"{line}: no end after {timeout:g} s") from error
    if done.returncode:
        raise CommandError(f"{line}: exit status {done.returncode}: {done.stderr.strip() or done.stdout.strip()}")
    return done.stdout
