"""What hosts have and Instances claim."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

_UNITS = tuple((suffix, 1024**power) for power, suffix in reversed(list(enumerate(("Ki", "Mi", "Gi", "Ti", "Pi"), 1))))


@dataclass(frozen=True, slots=True)
class Resources:
    """Amounts: virtual CPUs, and bytes of memory and disk."""

    vcpus: int = 0
    memory: int = 0
    disk: int = 0

    def __add__(self, other: Resources) -> Resources:
        return Resources(self.vcpus + other.vcpus, self.memory + other.memory, self.disk + other.disk)

    def __sub__(self, other: Resources) -> Resources:
        return Resources(self.vcpus - other.vcpus, self.memory - other.memory, self.disk - other.disk)

    def __or__(self, other: Resources) -> Resources:
        """The greater of each amount: enough for either."""
        return Resources(max(self.vcpus, other.vcpus), max(self.memory, other.memory), max(self.disk, other.disk))


NOTHING = Resources()


def needed(amount: int) -> str:
    """Bytes for people, never less than they are: `8Gi`, `1.5Gi`."""
    return _in_words(amount, ROUND_CEILING)


def available(amount: int) -> str:
    """Bytes for people, never more than they are, so that it never seems to reach what is needed; 0 if negative."""
    return _in_words(max(amount, 0), ROUND_FLOOR)


def _in_words(amount: int, rounding: str) -> str:
    for suffix, unit in _UNITS:
        if amount >= unit:
            number = (Decimal(amount) / unit).quantize(Decimal("0.01"), rounding).normalize()
            return f"{number:f}{suffix}"
    return str(amount)
