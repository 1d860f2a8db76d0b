"""Bytes for people."""

from __future__ import annotations

_UNITS = ("bytes", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB")


def size(amount: int) -> str:
    """An amount of bytes, e.g. `512 bytes`, `1.5 GiB`, `280 MiB`."""
    unit = _unit(amount)
    return f"{_number(amount, unit)} {_UNITS[unit]}"


def part(amount: int, whole: int) -> str:
    """An amount of bytes beside the whole of it, e.g. `120 of 280 MiB`."""
    unit = _unit(whole)
    return f"{_number(amount, unit)} of {_number(whole, unit)} {_UNITS[unit]}"


def _unit(amount: int) -> int:
    return min(max(amount.bit_length() - 1, 0) // 10, len(_UNITS) - 1)


def _number(amount: int, unit: int) -> str:
    value = amount / 1024**unit
    return f"{value:.0f}" if value >= 100 or value.is_integer() else f"{value:.1f}"
