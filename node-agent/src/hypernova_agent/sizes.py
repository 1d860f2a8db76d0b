"""Bytes for people."""

from __future__ import annotations

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size(amount: int) -> str:
    """An amount of bytes to three digits or so: `512 bytes`, `1.5 GiB`, `280 MiB`."""
    value, unit = float(amount), 0
    while value >= 1024 and unit < len(_UNITS) - 1:
        value, unit = value / 1024, unit + 1
    digits = 0 if value >= 100 or value.is_integer() else 1
    return f"{value:.{digits}f} {_UNITS[unit]}"
