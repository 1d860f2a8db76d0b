"""What a guest that proves its disk (`checksum`, in the test guest) has said on its console, and what that proves."""

from __future__ import annotations

import re

_LINE = re.compile(r"HYPERNOVA-GUEST CHECKSUM (start|ok|bad) ?([^\r\n]*)")
_GOING_DOWN = re.compile(r"it can not be (read|written)")
"""A guest that is powering off takes the disk from under the worker. One that goes on is missed, as it says no more."""


def written(console: str) -> int:
    """How many blocks it has said to be on the disk."""
    return sum(word == "ok" for word, _ in _LINE.findall(console))


def losses(console: str) -> list[str]:
    """What it has lost: blocks that were on the disk and are not, as the guest saw it or as its next start shows."""
    found, last = [], 0
    for word, rest in _LINE.findall(console):
        match word:
            case "ok":
                last = int(rest)
            case "start" if int(rest) < last:
                found.append(f"block {last} was on the disk, the next start knows of {rest}")
            case "bad" if not _GOING_DOWN.search(rest):
                found.append(rest)
            case _:
                pass
    return found
