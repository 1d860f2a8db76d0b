"""Sets of CPU numbers as Linux and libvirt write them: `0-3,8,10-11`."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Annotated

from pydantic import Field

HIGHEST_CPU = 8191
"""What a set may name: Linux is built for at most 8192 CPUs (CONFIG_NR_CPUS)."""

_PATTERN = r"^([0-9]{1,4}(-[0-9]{1,4})?(,[0-9]{1,4}(-[0-9]{1,4})?)*)?$"

CpuSet = Annotated[str, Field(max_length=1024, pattern=_PATTERN)]
"""CPU numbers, e.g. `0-3,8`; empty for none."""


def parse_cpuset(text: str) -> frozenset[int]:
    """The numbers of a set. Raises ValueError for what is none, names a CPU over HIGHEST_CPU, or runs backwards."""
    if not re.fullmatch(_PATTERN, text):
        raise ValueError(f"{text!r} is not a set of CPUs; write it like 0-3,8")
    numbers: set[int] = set()
    for part in filter(None, text.split(",")):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if low > high or high > HIGHEST_CPU:
            raise ValueError(f"{part!r} is not a range of CPUs up to {HIGHEST_CPU}")
        numbers.update(range(low, high + 1))
    return frozenset(numbers)


def format_cpuset(numbers: Iterable[int]) -> str:
    """The shortest way to write a set: ranges where numbers follow each other."""
    parts: list[list[int]] = []
    for number in sorted(set(numbers)):
        if parts and number == parts[-1][-1] + 1:
            parts[-1] = [parts[-1][0], number]
        else:
            parts.append([number])
    return ",".join("-".join(map(str, part)) for part in parts)
