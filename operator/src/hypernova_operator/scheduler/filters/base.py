"""What a filter is."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np

from hypernova_operator.scheduler.hosts import HostTable, Mask
from hypernova_operator.scheduler.resources import Resources


@dataclass(frozen=True, slots=True)
class Request:
    """What an Instance wants of its host. Equal requests get equal verdicts."""

    vcpus: int
    memory: int
    """Bytes."""
    disk: int
    """Bytes; 0 claims none."""

    @property
    def resources(self) -> Resources:
        """What is claimed when it is placed."""
        return Resources(self.vcpus, self.memory, self.disk)


class Filter(Protocol):
    """A verdict on every host, and the words for it."""

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        """Which hosts pass. Rows that are not present may say anything."""
        ...

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        """Why the hosts in `lost` (at least one) don't pass: what follows their number in the sentence."""
        ...


def count(mask: Mask) -> int:
    """How many hosts a mask has."""
    return int(np.count_nonzero(mask))


def some(words: list[str], most: int = 3) -> str:
    """The first few in alphabetic order, and how many more there are."""
    words = sorted(words)
    rest = len(words) - most
    return ", ".join(words[:most]) + (f" and {rest} more" if rest > 0 else "")
