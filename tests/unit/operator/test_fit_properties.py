"""Packing on any small host: what is got is had by nobody else, and nothing is refused that could be had."""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Sequence
from itertools import chain, combinations

from hypothesis import given, settings
from hypothesis import strategies as st

from hypernova_operator.scheduler import Allocation, Cell, Device, DeviceWant, Host, Request
from hypernova_operator.scheduler.claims import AllocatedCell, Taken, taken
from hypernova_operator.scheduler.fit import fit
from support.scheduling import GI, a_cell, a_host, a_want

KINDS = ("gpu", "nic")


@st.composite
def hosts(draw: st.DrawFn) -> Host:
    """Up to 3 cells of 8 CPUs in all, in cores of up to 3 threads; some set apart, some memory in huge pages."""
    numbers = list(draw(st.permutations(range(8))))
    cells = []
    for cell in range(draw(st.integers(1, 3))):
        cores = []
        for threads in draw(st.lists(st.integers(1, 3), max_size=4)):
            cores.append(tuple(sorted(numbers.pop() for _ in range(min(threads, len(numbers))))))
        memory, huge = draw(st.integers(0, 4)), draw(st.integers(0, 3))
        cells.append(a_cell(cell, *filter(None, cores), memory=memory * GI, huge_pages={GI: huge * GI}))
    places = st.sampled_from([None, *range(len(cells))])
    devices = [
        Device(draw(st.sampled_from(KINDS)), f"0000:{number:02x}:00.0", draw(places))
        for number in range(draw(st.integers(0, 4)))
    ]
    present = chain.from_iterable(chain.from_iterable(cell.cores) for cell in cells)
    shared = draw(st.frozensets(st.integers(0, 7), max_size=3))
    return a_host(cells=tuple(cells), dedicated=frozenset(present) - shared, devices=tuple(devices))


@st.composite
def wants(draw: st.DrawFn) -> Request:
    """A packed request that flavors can make: what is split over cells can be."""
    cells = draw(st.integers(0, 3))
    kinds = draw(st.lists(st.sampled_from(KINDS), unique=True))
    dedicated = draw(st.booleans())
    return a_want(
        draw(st.integers(1, 4)) * max(cells, 1),
        draw(st.integers(1, 2)) * GI * max(cells, 1),
        dedicated=dedicated,
        threads=draw(st.sampled_from(["Prefer", "Require", "Isolate"])) if dedicated else "Prefer",
        cells=cells,
        page_size=draw(st.sampled_from([0, GI])),
        devices=tuple(DeviceWant(kind, draw(st.integers(1, 2)), draw(st.booleans())) for kind in kinds),
    )


def cells_of(want: Request) -> int:
    """How many cells the guest has."""
    near = any(device.near for device in want.devices)
    return want.cells or (1 if want.dedicated or want.page_size or near else 0)


def memory_of(cell: Cell, held: Taken, page_size: int) -> int:
    if page_size:
        return cell.huge_pages[page_size] - held.huge_pages[cell.id, page_size]
    return cell.memory - held.memory[cell.id]


def may_pin(host: Host, held: Taken, cell: Cell, cpus: Sequence[int], want: Request) -> bool:
    """Whether an Instance may have just these CPUs of a cell."""

    def free(core: tuple[int, ...]) -> bool:
        return not (held.cpus & {*core}) and host.dedicated >= {*core}

    core_of = {cpu: core for core in cell.cores for cpu in core}
    if not all(cpu in core_of and free((cpu,)) for cpu in cpus):
        return False
    used = Counter(core_of[cpu] for cpu in cpus)
    match want.threads:
        case "Prefer":
            return True
        case "Require":
            not_filled = sum(used[core] < len(core) for core in used)
            return not_filled <= 1 and all(len(core) > 1 and free(core) for core in used)
        case "Isolate":
            return all(free(core) and used[core] == 1 for core in used)


def may_float(host: Host, cell: Cell) -> bool:
    return any(cpu not in host.dedicated for core in cell.cores for cpu in core)


def could_be_had(host: Host, held: Taken, want: Request) -> bool:
    """Whether there is any way at all to pack it: all of them are tried."""
    number = cells_of(want)
    vcpus, memory = (want.vcpus // number, want.memory // number) if number else (0, 0)

    def fits(cell: Cell) -> bool:
        if memory_of(cell, held, want.page_size) < memory:
            return False
        if not want.dedicated:
            return may_float(host, cell)
        choices = combinations(chain.from_iterable(cell.cores), vcpus)
        return any(may_pin(host, held, cell, cpus, want) for cpus in choices)

    free = [device for device in host.devices if device.address not in held.devices]
    return any(
        all(map(fits, cells))
        and all(
            sum(
                device.alias == wanted.alias and (not wanted.near or device.cell in {cell.id for cell in cells})
                for device in free
            )
            >= wanted.count
            for wanted in want.devices
        )
        for cells in combinations(host.cells, number)
    )


def check(host: Host, held: Taken, want: Request, packed: Allocation) -> None:
    """That an Instance got what it wants, and nothing that others have."""
    number = cells_of(want)
    assert len({cell.cell for cell in packed.cells}) == len(packed.cells) == number
    by_number = {cell.id: cell for cell in host.cells}
    for part in packed.cells:
        check_cell(host, held, want, part, by_number[part.cell])
    if number:
        assert [vcpu for part in packed.cells for vcpu in part.vcpus] == list(range(want.vcpus))
        assert sum(part.memory for part in packed.cells) == want.memory

    by_address = {device.address: device for device in host.devices}
    got = [by_address[address] for _, address in packed.devices]
    assert [device.alias for device in got] == [alias for alias, _ in packed.devices]
    assert len(set(got)) == len(got)
    assert not held.devices & {device.address for device in got}
    assert Counter(device.alias for device in got) == {wanted.alias: wanted.count for wanted in want.devices}
    near = {wanted.alias for wanted in want.devices if wanted.near}
    assert all(device.cell in {part.cell for part in packed.cells} for device in got if device.alias in near)


def check_cell(host: Host, held: Taken, want: Request, part: AllocatedCell, cell: Cell) -> None:
    assert len(part.vcpus) == want.vcpus // cells_of(want)
    assert part.page_size == want.page_size
    assert part.memory <= memory_of(cell, held, want.page_size)
    if not want.dedicated:
        assert part.cpus == part.idle_cpus == ()
        assert may_float(host, cell)
        return
    assert len({*part.cpus}) == len(part.cpus) == len(part.vcpus)
    assert may_pin(host, held, cell, part.cpus, want)
    beside = {cpu for core in cell.cores if {*core} & {*part.cpus} for cpu in core} - {*part.cpus}
    assert {*part.idle_cpus} == (beside if want.threads == "Isolate" else set())


@settings(max_examples=300)
@given(host=hosts(), requests=st.lists(wants(), min_size=1, max_size=6))
def test_what_one_gets_no_other_has_and_nothing_that_could_be_had_is_refused(
    host: Host, requests: list[Request]
) -> None:
    allocations: list[Allocation] = []
    for want in requests:
        held = taken(allocations)
        before = copy.deepcopy(held)
        packed = fit(host, held, want)
        assert held == before, "fit is pure"
        if isinstance(packed, Allocation):
            check(host, held, want, packed)
            allocations.append(packed)
        else:
            assert not could_be_had(host, held, want), packed.reason


@settings(max_examples=100)
@given(host=hosts(), want=wants().filter(lambda want: want.packed))
def test_the_same_again_and_again_fits_until_the_host_is_full(host: Host, want: Request) -> None:
    allocations: list[Allocation] = []
    while isinstance(packed := fit(host, taken(allocations), want), Allocation):
        check(host, taken(allocations), want, packed)
        allocations.append(packed)
        assert len(allocations) <= 16, "each takes something, and there is no more"
    assert not could_be_had(host, taken(allocations), want)
