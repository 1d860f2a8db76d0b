"""Packing: which cells, CPUs, huge pages and devices of one host an Instance gets."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from hypernova_operator.scheduler import (
    NO_ALLOCATION,
    AllocatedCell,
    Allocation,
    Cell,
    Device,
    DeviceWant,
    Host,
    Request,
)
from hypernova_operator.scheduler.claims import taken
from hypernova_operator.scheduler.fit import Misfit, fit
from support.scheduling import GI, MI, a_cell, a_host, a_want

CORES = ((0, 4), (1, 5), (2, 6), (3, 7))
ONE_CELL = a_cell(0, *CORES)
TWO_CELLS = (a_cell(0, (0, 8), (1, 9), (2, 10), (3, 11)), a_cell(1, (4, 12), (5, 13), (6, 14), (7, 15)))


@dataclass(frozen=True)
class Case:
    want: Request
    host: Host
    gets: Allocation | Misfit
    held: Allocation = NO_ALLOCATION
    """By other Instances."""


def numa(*cells: Cell, shared: tuple[int, ...] = (), devices: tuple[Device, ...] = ()) -> Host:
    """A host of these cells, all of whose CPUs are set apart but the shared ones."""
    numbers = {cpu for cell in cells for core in cell.cores for cpu in core}
    return a_host(cells=cells, dedicated=frozenset(numbers - {*shared}), devices=devices)


def sharing(*cells: Cell, devices: tuple[Device, ...] = ()) -> Host:
    """A host that sets no CPU apart."""
    return a_host(cells=cells, devices=devices)


def dedicated(vcpus: int, memory: int = GI, **fields: Any) -> Request:
    return a_want(vcpus, memory, dedicated=True, **fields)


def pinned(cell: int, *cpus: int, memory: int = GI, first: int = 0, **fields: Any) -> AllocatedCell:
    """A cell of a guest whose virtual CPUs, from the `first`, are pinned to these."""
    return AllocatedCell(cell, tuple(range(first, first + len(cpus))), cpus, memory, **fields)


def floating(cell: int, *vcpus: int, memory: int = GI, **fields: Any) -> AllocatedCell:
    return AllocatedCell(cell, vcpus, (), memory, **fields)


def held(*cpus: int, cell: int = 0, **fields: Any) -> Allocation:
    return Allocation((pinned(cell, *cpus, **fields),))


def gpu(number: int, cell: int | None, alias: str = "gpu") -> Device:
    return Device(alias, f"0000:{number:02x}:00.0", cell)


def gpus(*numbers: int, alias: str = "gpu") -> tuple[tuple[str, str], ...]:
    return tuple((alias, gpu(number, None).address) for number in numbers)


def wants(alias: str = "gpu", count: int = 1, *, near: bool = False) -> DeviceWant:
    return DeviceWant(alias, count, near)


CPUS = {
    "whole cores are filled, the threads of each beside each other": Case(
        dedicated(4), numa(ONE_CELL), Allocation((pinned(0, 0, 4, 1, 5),))
    ),
    "an odd CPU takes a thread of a core that somebody has a part of": Case(
        dedicated(3), numa(ONE_CELL), Allocation((pinned(0, 0, 4, 3),)), held(7)
    ),
    "an odd CPU opens a whole core where none has a part left": Case(
        dedicated(3), numa(ONE_CELL), Allocation((pinned(0, 0, 4, 1),))
    ),
    "single threads are taken where whole cores are not enough": Case(
        dedicated(4), numa(ONE_CELL), Allocation((pinned(0, 2, 6, 0, 1),)), held(4, 5, 3)
    ),
    "cores with more threads are filled before those with one": Case(
        dedicated(3), numa(a_cell(0, (0,), (1,), (2, 3))), Allocation((pinned(0, 2, 3, 0),))
    ),
    "of parts of cores the smallest is taken": Case(
        dedicated(1), numa(a_cell(0, (0, 1, 2, 3), (4, 5, 6, 7))), Allocation((pinned(0, 7),)), held(0, 1, 4, 5, 6)
    ),
    "shared CPUs are not pinned to": Case(
        dedicated(2), numa(ONE_CELL, shared=(0, 1, 2, 4)), Allocation((pinned(0, 3, 7),))
    ),
    "CPUs that are enough on the host but in no cell are too few": Case(
        dedicated(9, 3 * GI), numa(*TWO_CELLS), Misfit("can't fit 9 dedicated CPUs and 3Gi in one NUMA cell")
    ),
    "who requires whole cores gets no single threads": Case(
        dedicated(2, threads="Require"),
        numa(ONE_CELL),
        Misfit("can't fit 2 dedicated CPUs on whole cores and 1Gi in one NUMA cell"),
        held(0, 1, 2, 3),
    ),
    "who requires threads gets no cores without": Case(
        dedicated(1, threads="Require"),
        numa(a_cell(0, (0,), (1,))),
        Misfit("can't fit 1 dedicated CPU on whole cores and 1Gi in one NUMA cell"),
    ),
    "an odd CPU that requires threads opens a whole core, whose other thread stays free": Case(
        dedicated(3, threads="Require"), numa(ONE_CELL), Allocation((pinned(0, 1, 5, 2),)), held(0)
    ),
    "isolated CPUs have a core each, whose other threads nobody gets": Case(
        dedicated(2, threads="Isolate"), numa(ONE_CELL), Allocation((pinned(0, 0, 1, idle_cpus=(4, 5)),))
    ),
    "idle threads are not free": Case(
        dedicated(5),
        numa(ONE_CELL),
        Misfit("can't fit 5 dedicated CPUs and 1Gi in one NUMA cell"),
        held(0, 1, idle_cpus=(4, 5)),
    ),
    "a core with a shared thread isolates nobody": Case(
        dedicated(1, threads="Isolate"), numa(ONE_CELL, shared=(4,)), Allocation((pinned(0, 1, idle_cpus=(5,)),))
    ),
    "a core that somebody has a part of isolates nobody": Case(
        dedicated(4, threads="Isolate"),
        numa(ONE_CELL),
        Misfit("can't fit 4 dedicated CPUs with a core each and 1Gi in one NUMA cell"),
        held(0),
    ),
    "isolated CPUs leave as few threads idle as can be": Case(
        dedicated(2, threads="Isolate"), numa(a_cell(0, (0, 1), (2,), (3,))), Allocation((pinned(0, 2, 3),))
    ),
    "a core without CPUs is nobody's": Case(
        dedicated(1, threads="Isolate"), numa(a_cell(0, (), (2,))), Allocation((pinned(0, 2),))
    ),
}

CELLS = {
    "CPUs and memory are split evenly over the guest's cells": Case(
        dedicated(4, 4 * GI, cells=2),
        numa(*TWO_CELLS),
        Allocation((pinned(0, 0, 8, memory=2 * GI), pinned(1, 4, 12, memory=2 * GI, first=2))),
    ),
    "each cell of the guest goes to a different one of the host": Case(
        dedicated(4, 6 * GI, cells=2),
        numa(ONE_CELL),
        Misfit("can't fit 2 NUMA cells of 2 dedicated CPUs and 3Gi each"),
    ),
    "the cell that is left fullest is chosen": Case(
        dedicated(2), numa(*TWO_CELLS), Allocation((pinned(1, 5, 13),)), held(4, 12, cell=1)
    ),
    "the fullest cell is passed over when its CPUs are too few": Case(
        dedicated(8), numa(*TWO_CELLS), Allocation((pinned(0, 0, 8, 1, 9, 2, 10, 3, 11),)), held(4, 12, cell=1)
    ),
    "the fullest cell is passed over when its memory is too little": Case(
        dedicated(2), numa(*TWO_CELLS), Allocation((pinned(0, 0, 8),)), held(4, 12, cell=1, memory=7 * GI + 1)
    ),
    "CPUs left count before memory left": Case(
        dedicated(2),
        numa(TWO_CELLS[0], a_cell(1, *TWO_CELLS[1].cores, memory=64 * GI)),
        Allocation((pinned(1, 5, 13),)),
        held(4, 12, cell=1),
    ),
    "CPUs left idle are not left": Case(
        dedicated(1, threads="Isolate"),
        numa(a_cell(0, (0,), (1,), (2,), (3,)), a_cell(1, (4, 5), (6, 7))),
        Allocation((pinned(1, 4, idle_cpus=(5,)),)),
    ),
    "of cells with as many CPUs the one with the least memory left is chosen": Case(
        dedicated(2), numa(TWO_CELLS[0], a_cell(1, *TWO_CELLS[1].cores, memory=GI)), Allocation((pinned(1, 4, 12),))
    ),
    "cells with devices are left to who wants some": Case(
        dedicated(2), numa(*TWO_CELLS, devices=(gpu(1, 0),)), Allocation((pinned(1, 4, 12),))
    ),
    "cells whose devices are gone are as good as others": Case(
        dedicated(2),
        numa(*TWO_CELLS, devices=(gpu(1, 0),)),
        Allocation((pinned(0, 0, 8),)),
        Allocation((), gpus(1)),
    ),
    "without dedicated CPUs nothing is pinned, but memory is the cell's": Case(
        a_want(4, 6 * GI, cells=2),
        sharing(*TWO_CELLS),
        Allocation((floating(0, 0, 1, memory=3 * GI), floating(1, 2, 3, memory=3 * GI))),
    ),
    "memory of a cell is never overcommitted": Case(
        a_want(2, 18 * GI, cells=2),
        sharing(*TWO_CELLS),
        Misfit("can't fit 2 NUMA cells of 1 vCPU and 9Gi each"),
    ),
    "shared CPUs float only in cells that have some": Case(
        a_want(1, cells=1), numa(*TWO_CELLS, shared=(4,)), Allocation((floating(1, 0),))
    ),
    "a host that tells no cells fits nobody who needs one": Case(
        a_want(1, cells=1), sharing(), Misfit("can't fit 1 vCPU and 1Gi in one NUMA cell")
    ),
    "cells need no numbers in order": Case(
        a_want(2, 2 * GI, cells=2),
        sharing(a_cell(7, (1,)), a_cell(3, (0,))),
        Allocation((floating(3, 0), floating(7, 1))),
    ),
}

HUGE = {"huge_pages": {GI: 4 * GI, 2 * MI: GI}}
PAGES = {
    "huge pages come out of those of their size, and leave ordinary memory alone": Case(
        a_want(2, 4 * GI, page_size=GI),
        sharing(a_cell(0, (0,), memory=0, **HUGE)),
        Allocation((floating(0, 0, 1, memory=4 * GI, page_size=GI),)),
    ),
    "huge pages that others have are gone": Case(
        a_want(2, 4 * GI, page_size=GI),
        sharing(a_cell(0, (0,), **HUGE)),
        Misfit("can't fit 2 vCPUs and 4Gi of 1Gi pages in one NUMA cell"),
        Allocation((floating(0, 0, page_size=GI),)),
    ),
    "pages of another size are no help": Case(
        a_want(1, 2 * GI, page_size=2 * MI),
        sharing(a_cell(0, (0,), **HUGE)),
        Misfit("can't fit 1 vCPU and 2Gi of 2Mi pages in one NUMA cell"),
    ),
    "who has ordinary memory takes no huge pages": Case(
        a_want(1, 4 * GI, page_size=GI),
        sharing(a_cell(0, (0,), **HUGE)),
        Allocation((floating(0, 0, memory=4 * GI, page_size=GI),)),
        Allocation((floating(0, 0, memory=8 * GI),)),
    ),
    "pinned CPUs and huge pages come from the same cell": Case(
        dedicated(2, page_size=GI),
        numa(TWO_CELLS[0], a_cell(1, *TWO_CELLS[1].cores, **HUGE)),
        Allocation((pinned(1, 4, 12, page_size=GI),)),
    ),
}

DEVICES = {
    "devices alone need no cell": Case(
        a_want(devices=(wants(),)), sharing(devices=(gpu(1, None),)), Allocation((), gpus(1))
    ),
    "devices that others have are gone": Case(
        a_want(devices=(wants(),)),
        sharing(devices=(gpu(1, 0), gpu(2, 0))),
        Allocation((), gpus(2)),
        Allocation((), gpus(1)),
    ),
    "too few devices are told": Case(
        a_want(devices=(wants(count=2), wants("nic"))),
        sharing(devices=(gpu(1, 0),)),
        Misfit("can't give 2 gpu and 1 nic"),
    ),
    "without cells, devices that are near to none go first": Case(
        a_want(devices=(wants(),)), sharing(devices=(gpu(1, 0), gpu(2, None))), Allocation((), gpus(2))
    ),
    "who wants a device goes to its cell": Case(
        dedicated(2, devices=(wants(),)),
        numa(*TWO_CELLS, devices=(gpu(1, 1),)),
        Allocation((pinned(1, 4, 12),), gpus(1)),
        held(0, 8),
    ),
    "a device elsewhere will do where it needs not be near": Case(
        dedicated(8, devices=(wants(),)),
        numa(*TWO_CELLS, devices=(gpu(1, 1),)),
        Allocation((pinned(0, 0, 8, 1, 9, 2, 10, 3, 11),), gpus(1)),
        held(4, cell=1),
    ),
    "a device elsewhere won't do where it must be near": Case(
        dedicated(8, devices=(wants(near=True), wants("nic"))),
        numa(*TWO_CELLS, devices=(gpu(1, 1), gpu(2, 0, "nic"))),
        Misfit("can't give 1 gpu in the guest's NUMA cells"),
        held(4, cell=1),
    ),
    "a device whose cell is not known is near to none": Case(
        a_want(devices=(wants(near=True),)),
        sharing(*TWO_CELLS, devices=(gpu(1, None),)),
        Misfit("can't give 1 gpu in the guest's NUMA cells"),
    ),
    "near devices may be spread over the guest's cells": Case(
        a_want(2, 2 * GI, cells=2, devices=(wants(count=2, near=True),)),
        sharing(*TWO_CELLS, a_cell(2, (16,)), devices=(gpu(1, 0), gpu(2, 2))),
        Allocation((floating(0, 0), floating(2, 1)), gpus(1, 2)),
    ),
    "cells are tried together until all kinds of near devices are there": Case(
        a_want(2, 2 * GI, cells=2, devices=(wants(count=2, near=True), wants("nic", near=True))),
        sharing(*TWO_CELLS, a_cell(2, (16,)), devices=(gpu(1, 0), gpu(2, 1), gpu(3, 1), gpu(4, 2, "nic"))),
        Allocation((floating(1, 0), floating(2, 1)), (*gpus(2, 3), *gpus(4, alias="nic"))),
    ),
    "kinds of near devices that are nowhere together are told together": Case(
        a_want(devices=(wants(near=True), wants("nic", near=True))),
        sharing(*TWO_CELLS, devices=(gpu(1, 0), gpu(2, 1, "nic"))),
        Misfit("can't give 1 gpu and 1 nic in the guest's NUMA cells"),
    ),
    "the cell with just enough devices is chosen": Case(
        a_want(devices=(wants(near=True),)),
        sharing(*TWO_CELLS, devices=(gpu(1, 0), gpu(2, 0), gpu(3, 1))),
        Allocation((floating(1, 0),), gpus(3)),
    ),
    "near devices that are free are no use when their cell is full": Case(
        a_want(1, 2 * GI, devices=(wants(near=True),)),
        sharing(*TWO_CELLS, devices=(gpu(1, 0),)),
        Misfit("can't give 1 gpu in the guest's NUMA cells"),
        Allocation((floating(0, 0, memory=7 * GI),)),
    ),
}

ALL = CPUS | CELLS | PAGES | DEVICES


@pytest.mark.parametrize("case", ALL.values(), ids=ALL)
def test_what_an_instance_gets(case: Case) -> None:
    assert fit(case.host, taken([case.held]), case.want) == case.gets


def test_of_very_many_cells_those_with_the_devices_are_tried() -> None:
    cells = [a_cell(number, (number,)) for number in range(64)]
    devices = (gpu(1, 40), gpu(2, 60), gpu(3, 61, "nic"))
    want = a_want(4, 4 * GI, cells=4, devices=(wants(count=2, near=True), wants("nic", near=True)))
    packed = fit(sharing(*cells, devices=devices), taken([]), want)
    assert isinstance(packed, Allocation)
    assert [cell.cell for cell in packed.cells] == [0, 40, 60, 61]
