"""Processes of this machine, seen from outside."""

from pathlib import Path


def command_line(pid: int) -> str:
    """What a process was started with, with spaces between; empty of one that has gone."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_text().replace("\0", " ")
    except (FileNotFoundError, ProcessLookupError):
        return ""
