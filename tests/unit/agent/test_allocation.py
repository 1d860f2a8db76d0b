"""What a binding gives beside amounts agrees with its flavor, or no domain is made of it."""

from typing import Any

import pytest

from hypernova_agent.allocation import NO_ALLOCATION, Allocation, GuestCell
from hypernova_agent.desired import Guest, desired_of
from hypernova_agent.errors import BindingIncomplete
from hypernova_api.overcommit import Overcommit
from hypernova_kube.resources import Object
from support.guests import GIB, MIB, a_bound_instance, parsed

TWO_CELLS: Object = {"vcpus": 4, "memory": "4Gi", "numa": {"cells": 2}}
PINNED: Object = {"cpu": {"policy": "Dedicated"}, "vcpus": 2, "memory": "2Gi"}
HUGE: Object = {"hugePageSize": "2Mi", "vcpus": 1, "memory": "1Gi"}
GPU: Object = {"devices": [{"alias": "gpu", "count": 2}]}


def a_cell(cell: int = 0, vcpus: tuple[int, ...] = (0,), memory: str = "1Gi", **parts: Any) -> Object:
    return {"cell": cell, "vcpus": list(vcpus), "memory": memory, **parts}


def guest_of(flavor: Object, allocation: Object | None, **status: Any) -> Guest | object:
    whole = {"name": "m1", "vcpus": 1, "memory": "512Mi", "rootDisk": "4Gi"} | flavor
    given = {} if allocation is None else {"allocation": allocation}
    return desired_of(parsed(a_bound_instance(status={"flavor": whole} | given | status))).guest


def allocation(flavor: Object, bound: Object | None) -> Allocation:
    guest = guest_of(flavor, bound)
    assert isinstance(guest, Guest), guest
    return guest.allocation


def test_an_ordinary_guest_is_placed_by_the_kernel() -> None:
    assert allocation({}, None) == NO_ALLOCATION


def test_cells_cpus_pages_and_devices_are_taken_over() -> None:
    flavor = PINNED | {"numa": {"cells": 2}, "hugePageSize": "1Gi"} | GPU
    bound = {
        "cells": [
            a_cell(0, (0,), cpus=[4], idleCpus=[20], hugePageSize="1Gi"),
            a_cell(1, (1,), cpus=[12], hugePageSize="1Gi"),
        ],
        "devices": [{"alias": "gpu", "address": "0000:65:00.0"}, {"alias": "gpu", "address": "0000:66:00.0"}],
    }
    assert allocation(flavor, bound) == Allocation(
        cells=(
            GuestCell(0, (0,), GIB, cpus=(4,), idle_cpus=(20,), page_size=GIB),
            GuestCell(1, (1,), GIB, cpus=(12,), page_size=GIB),
        ),
        devices=("0000:65:00.0", "0000:66:00.0"),
    )
    assert allocation(HUGE, {"cells": [a_cell(hugePageSize="2Mi")]}).cells[0].page_size == 2 * MIB


@pytest.mark.parametrize(
    ("flavor", "bound", "lack"),
    [
        pytest.param(PINNED, None, "has 0 NUMA cells where the flavor asks for 1", id="nothing-for-dedicated-cpus"),
        pytest.param(HUGE, None, "has 0 NUMA cells where the flavor asks for 1", id="nothing-for-huge-pages"),
        pytest.param(
            TWO_CELLS,
            {"cells": [a_cell(0, (0, 1, 2, 3), "4Gi")]},
            "has 1 NUMA cells where the flavor asks for 2",
            id="too-few-cells",
        ),
        pytest.param(
            TWO_CELLS,
            {"cells": [a_cell(0, (0, 1), "2Gi"), a_cell(1, (1, 2), "2Gi")]},
            "does not put each of the flavor's 4 vCPUs into one NUMA cell",
            id="a-vcpu-twice",
        ),
        pytest.param(
            TWO_CELLS,
            {"cells": [a_cell(0, (0, 1), "2Gi"), a_cell(1, (2, 3), "1Gi")]},
            "splits another amount of memory than the flavor's 4Gi",
            id="memory-missing",
        ),
        pytest.param(
            PINNED,
            {"cells": [a_cell(0, (0, 1), "2Gi", cpus=[4])]},
            "has no CPU of the host for each vCPU",
            id="a-cpu-missing",
        ),
        pytest.param(
            TWO_CELLS | {"numa": {"cells": 1}},
            {"cells": [a_cell(0, (0, 1, 2, 3), "4Gi", cpus=[1, 2, 3, 4])]},
            "pins vCPUs that the flavor says are shared",
            id="pinned-for-nothing",
        ),
        pytest.param(
            PINNED,
            {"cells": [a_cell(0, (0, 1), "2Gi", cpus=[4, 4])]},
            "gives a CPU of the host away twice",
            id="a-cpu-twice",
        ),
        pytest.param(
            HUGE, {"cells": [a_cell()]}, "has other pages than the flavor's, 2Mi", id="ordinary-pages-for-huge-ones"
        ),
        pytest.param(
            GPU,
            {"devices": [{"alias": "gpu", "address": "0000:65:00.0"}]},
            "has 1 PCI devices where the flavor asks for 2",
            id="too-few-devices",
        ),
    ],
)
def test_a_binding_that_does_not_agree_with_its_flavor_builds_nothing(
    flavor: Object, bound: Object | None, lack: str
) -> None:
    fault = guest_of(flavor, bound)
    assert isinstance(fault, BindingIncomplete)
    assert f"its status.allocation {lack}: delete it" in str(fault)


def test_the_ratios_that_were_counted_with_and_the_firmware_that_is_asked_for_are_read() -> None:
    placement = {"time": "2026-11-21T10:00:00Z", "hostsConsidered": 3, "hostsPassed": 2, "overcommit": {"cpu": 8.0}}
    guest = guest_of({}, None, placement=placement)
    assert isinstance(guest, Guest)
    assert (guest.bound_at, guest.overcommit) == ("2026-11-21T10:00:00Z", Overcommit(cpu=8.0))
    assert guest.firmware == "BIOS"
    image = a_bound_instance()["status"]["image"] | {"properties": {"firmware": "UEFI"}}
    uefi = guest_of({}, None, image=image)
    assert isinstance(uefi, Guest)
    assert uefi.firmware == "UEFI"
