"""Text for people: tables, ages, amounts. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

NONE = "<none>"
"""As kubectl shows what is not there."""

_GAP = "   "


def table(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """Lines with aligned columns; what could move the cursor is shown as `?`."""
    cells = [list(header), *([printable(cell) or NONE for cell in row] for row in rows)]
    widths = [max(len(row[column]) for row in cells) for column in range(len(header))]
    return "\n".join(
        _GAP.join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip() for row in cells
    )


def printable(text: str) -> str:
    """The text on one line, without the control characters that a terminal would obey."""
    return "".join(char if char.isprintable() else "?" for char in " ".join(text.split()))


def moment(text: str | None) -> datetime | None:
    """A time as Kubernetes writes it."""
    return datetime.fromisoformat(text) if text else None


def since(when: datetime | None, now: datetime) -> str:
    """How long ago that was, as kubectl's ages: `42s`, `5m10s`, `3h`, `2d4h`, `90d`; empty if it never was."""
    return duration(now - when) if when is not None else ""


def until(when: datetime | None, now: datetime) -> str:
    """How long there is to that; `over` once there is nothing left."""
    if when is None:
        return ""
    return duration(when - now) if when > now else "over"


def duration(length: timedelta) -> str:
    """As kubectl's ages: two units at most, and one where the second would not matter. Never less than 0s."""
    seconds = max(0, int(length.total_seconds()))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86400
    if seconds < 120:
        return f"{seconds}s"
    if minutes < 10:
        return _two(minutes, "m", seconds % 60, "s")
    if hours < 3:
        return f"{minutes}m"
    if hours < 8:
        return _two(hours, "h", minutes % 60, "m")
    if hours < 48:
        return f"{hours}h"
    if days < 8:
        return _two(days, "d", hours % 24, "h")
    return f"{days}d"


def _two(great: int, unit: str, small: int, subunit: str) -> str:
    return f"{great}{unit}{small}{subunit}" if small else f"{great}{unit}"
