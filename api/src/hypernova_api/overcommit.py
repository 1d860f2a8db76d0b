"""How many times over a host's resources are given out."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Annotated, NamedTuple

from pydantic import Field

from hypernova_api.meta import Model


class Overcommit(Model):
    """Ratios of what is given out to what there is. Nova: cpu, ram and disk allocation ratio.

    For each resource the host's own ratio holds; else the smallest of its aggregates'; else the default.
    """

    cpu: Annotated[float, Field(ge=1, le=64)] | None = None
    """Virtual CPUs for each of the host's shared ones; 4 where nobody says."""

    memory: Annotated[float, Field(ge=1, le=16)] | None = None
    """Bytes of guest memory for each allocatable byte of the host's; 1 where nobody says."""

    disk: Annotated[float, Field(ge=1, le=64)] | None = None
    """Bytes of root disk for each byte of the host's pool; 1 where nobody says."""


class Ratios(NamedTuple):
    """The ratios that hold for one host."""

    cpu: float
    memory: float
    disk: float


DEFAULT_RATIOS = Ratios(cpu=4.0, memory=1.0, disk=1.0)


def ratios(own: Overcommit | None, aggregates: Iterable[Overcommit] = ()) -> Ratios:
    """The ratios that hold for a host: its own, else the smallest of its aggregates', else the default. Pure."""
    others = list(aggregates)

    def ratio(resource: str) -> float:
        if own is not None and (mine := getattr(own, resource)) is not None:
            return float(mine)
        said = [value for other in others if (value := getattr(other, resource)) is not None]
        return float(min(said, default=getattr(DEFAULT_RATIOS, resource)))

    return Ratios(ratio("cpu"), ratio("memory"), ratio("disk"))
