"""What an administrator sets about decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Literal

Strategy = Literal["Spread", "Stack"]


@dataclass(frozen=True, slots=True)
class Policy:
    """How the best host is chosen among those that do."""

    strategy: Strategy = "Spread"
    """Spread: much free memory, CPU and disk speak for a host. Stack: they speak against it."""

    multipliers: Mapping[str, float] = field(default_factory=dict)
    """How much weights count, by name, where it is not as much as they say themselves."""

    choose_among: int = 1
    """How many of the best hosts one is chosen of by chance; 1 takes the best. (Nova: host_subset_size.)"""


DEFAULT_POLICY = Policy()
