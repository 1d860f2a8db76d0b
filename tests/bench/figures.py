"""How benches say what they measured."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping


def result(name: str, figures: Mapping[str, float]) -> None:
    """The line programs read: figures carry their unit in the key."""
    print(
        "RESULT " + json.dumps({"name": name, **{key: round(value, 3) for key, value in figures.items()}}), flush=True
    )


def percentile(values: list[float], percent: float) -> float:
    """The smallest value that at least so many percent of all are not above."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]
