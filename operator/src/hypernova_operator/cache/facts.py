"""Whether what an agent reports of its host can be true at all. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from hypernova_api.cpuset import parse_cpuset
from hypernova_api.hypervisor import MOST_BYTES, Cell, HypervisorStatus, Resources
from hypernova_api.quantity import Quantity


def contradiction(status: HypervisorStatus) -> str:
    """The first thing in it that no host can have, in a few words; empty if there is none.

    The API server refuses most of it, with the CRDs that belong to this version; with others, nothing else would keep
    Instances from a host with an exbibyte of memory.
    """
    return next(_contradictions(status), "")


def _contradictions(status: HypervisorStatus) -> Iterator[str]:
    for name, resources in (("capacity", status.capacity), ("allocatable", status.allocatable)):
        if resources is not None:
            yield from _absurd(name, resources)
    if status.capacity is not None and status.allocatable is not None:
        yield from _more(status.allocatable, status.capacity)
    yield from _cells(status.cells)


def _absurd(name: str, resources: Resources) -> Iterator[str]:
    for resource, amount in (("memory", resources.memory), ("disk", resources.disk)):
        if not 0 <= amount.value <= MOST_BYTES.value:
            yield f"{name}: {amount} of {resource}"


def _more(allocatable: Resources, capacity: Resources) -> Iterator[str]:
    for resource in ("vcpus", "memory", "disk"):
        part, whole = getattr(allocatable, resource), getattr(capacity, resource)
        if Quantity(part).value > Quantity(whole).value:
            yield f"{part} of {resource} allocatable, of {whole}"


def _cells(cells: list[Cell]) -> Iterator[str]:
    seen: set[int] = set()
    numbers = [cell.id for cell in cells]
    if len(set(numbers)) < len(numbers):
        yield "a NUMA cell twice"
    for cell in cells:
        if not 0 <= cell.memory.value <= MOST_BYTES.value:
            yield f"NUMA cell {cell.id}: {cell.memory} of memory"
        if sum(Quantity(pages.size).value * pages.count for pages in cell.huge_pages) > cell.memory.value:
            yield f"NUMA cell {cell.id}: more huge pages than memory"
        for core in cell.cores:
            try:
                cpus = parse_cpuset(core)
            except ValueError as error:
                yield f"NUMA cell {cell.id}: {error}"
                return
            if seen & cpus:
                yield f"CPU {min(seen & cpus)} twice"
            seen |= cpus
