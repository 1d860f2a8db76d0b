"""The host's own word on whether a claim fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova_agent.admission import Claim, claim_of, excess, refusal
from hypernova_agent.allocation import Allocation, GuestCell
from hypernova_agent.capacity import Room
from hypernova_agent.host import HostCell
from hypernova_api.overcommit import Overcommit
from support.guests import GIB, MIB, a_guest

ROOM = Room(vcpus=8, memory=16 * GIB, disk=100 * GIB, overcommit=Overcommit(cpu=1.0))

# Two cells of four CPUs, of which the last two are dedicated; in the second, 4 GiB of huge pages.
PACKED = Room(
    vcpus=4,
    memory=28 * GIB,
    disk=100 * GIB,
    cells={
        0: HostCell(0, tuple(frozenset({cpu}) for cpu in range(4)), 16 * GIB),
        1: HostCell(1, tuple(frozenset({cpu}) for cpu in range(4, 8)), 16 * GIB, {2 * MIB: 2048}),
    },
    dedicated=frozenset({2, 3, 6, 7}),
    devices=frozenset({"0000:65:00.0"}),
)


@pytest.mark.parametrize(
    ("claim", "taken", "why"),
    [
        pytest.param(Claim(1, GIB, GIB), [], None, id="empty-host"),
        pytest.param(Claim(8, 16 * GIB, 100 * GIB), [], None, id="all-of-it"),
        pytest.param(Claim(1, GIB, 0), [Claim(7, 15 * GIB, 100 * GIB)], None, id="the-last-of-it"),
        pytest.param(
            Claim(1, 2 * GIB, 0),
            [Claim(1, 15 * GIB, 0)],
            "this node lacks memory (need 2 GiB, free 1 GiB)",
            id="memory",
        ),
        pytest.param(Claim(3, GIB, 0), [Claim(6, GIB, 0)], "this node lacks vCPUs (need 3, free 2)", id="vcpus"),
        pytest.param(
            Claim(1, GIB, 60 * GIB),
            [Claim(1, GIB, 50 * GIB)],
            "this node lacks disk (need 60 GiB, free 50 GiB)",
            id="disk",
        ),
        pytest.param(
            Claim(9, 17 * GIB, 0),
            [],
            "this node lacks vCPUs (need 9, free 8) and memory (need 17 GiB, free 16 GiB)",
            id="two-things",
        ),
        pytest.param(
            Claim(1, GIB, GIB),
            [Claim(9, 17 * GIB, 101 * GIB)],
            "this node lacks vCPUs (need 1, free 0) and memory (need 1 GiB, free 0 bytes) and disk (need 1 GiB, free 0 "
            "bytes)",
            id="overfull-host-frees-nothing",
        ),
        pytest.param(Claim(1, GIB, 0), [Claim(1, GIB, 101 * GIB)], None, id="no-disk-fits-a-full-pool"),
    ],
)
def test_a_claim_fits_beside_others_or_is_told_what_lacks(claim: Claim, taken: list[Claim], why: str | None) -> None:
    assert refusal(claim, taken, ROOM) == why


claims = st.builds(
    Claim, st.integers(1, 4), st.integers(1, 8).map(lambda n: n * GIB), st.integers(0, 50).map(lambda n: n * GIB)
)


@given(st.lists(claims, max_size=20))
def test_no_order_of_claims_takes_more_than_there_is(asked: list[Claim]) -> None:
    taken: list[Claim] = []
    for claim in asked:
        if refusal(claim, taken, ROOM) is None:
            taken.append(claim)
    assert sum(claim.vcpus for claim in taken) <= ROOM.vcpus
    assert sum(claim.memory for claim in taken) <= ROOM.memory
    assert sum(claim.disk for claim in taken) <= ROOM.disk


def pinned(*cpus: int, cell: int = 0, idle: tuple[int, ...] = (), page_size: int = 0) -> Claim:
    """Of a guest of 1 GiB with dedicated CPUs."""
    vcpus = tuple(range(len(cpus)))
    allocation = Allocation((GuestCell(cell, vcpus, GIB, cpus, idle, page_size),))
    return claim_of(a_guest(vcpus=len(cpus), memory=GIB, disk=0, allocation=allocation))


def floating(cell: int, memory: int = GIB, page_size: int = 0) -> Claim:
    """Of a guest of one shared vCPU and a NUMA cell."""
    allocation = Allocation((GuestCell(cell, (0,), memory, page_size=page_size),))
    return claim_of(a_guest(memory=memory, disk=0, allocation=allocation))


def with_device(address: str) -> Claim:
    return claim_of(a_guest(allocation=Allocation(devices=(address,))))


@pytest.mark.parametrize(
    ("claim", "taken", "why"),
    [
        pytest.param(pinned(2, 3), [], None, id="dedicated-cpus"),
        pytest.param(pinned(2), [pinned(3)], None, id="dedicated-cpus-beside-others"),
        pytest.param(pinned(2, 3), [Claim(16, GIB, 0)], None, id="dedicated-cpus-beside-full-shared-ones"),
        pytest.param(Claim(16, GIB, 0), [pinned(2, 3)], None, id="shared-vcpus-beside-dedicated-ones"),
        pytest.param(pinned(2, 3), [pinned(3)], "CPUs 3 (other Instances have them)", id="cpu-of-another"),
        pytest.param(pinned(3), [pinned(2, idle=(3,))], "CPUs 3 (other Instances have them)", id="cpu-left-idle"),
        pytest.param(pinned(6), [], "CPUs 6 in NUMA cell 0 (not there)", id="cpu-of-another-cell"),
        pytest.param(pinned(12, 13), [], "CPUs 12-13 in NUMA cell 0 (not there)", id="cpus-that-are-none"),
        pytest.param(
            pinned(1, 2), [], "CPUs 1 (not among the Hypervisor's spec.dedicatedCpus)", id="cpu-that-is-shared"
        ),
        pytest.param(
            pinned(2, cell=5),
            [],
            "memory in NUMA cell 5 (need 1 GiB, free 0 bytes) and NUMA cell 5 (not there)",
            id="cell-that-is-none",
        ),
        pytest.param(floating(1, 3 * GIB, 2 * MIB), [Claim(1, 28 * GIB, 0)], None, id="huge-pages-beside-full-memory"),
        pytest.param(
            floating(1, 3 * GIB, 2 * MIB),
            [floating(1, 2 * GIB, 2 * MIB)],
            "2 MiB pages in NUMA cell 1 (need 3 GiB, free 2 GiB)",
            id="huge-pages-of-another",
        ),
        pytest.param(
            floating(0, GIB, 2 * MIB), [], "2 MiB pages in NUMA cell 0 (need 1 GiB, free 0 bytes)", id="no-huge-pages"
        ),
        pytest.param(
            floating(1, 8 * GIB),
            [floating(1, 6 * GIB)],
            "memory in NUMA cell 1 (need 8 GiB, free 6 GiB)",
            id="memory-of-a-cell-is-that-which-is-no-huge-page",
        ),
        pytest.param(with_device("0000:65:00.0"), [], None, id="device"),
        pytest.param(
            with_device("0000:65:00.0"),
            [with_device("0000:65:00.0")],
            "PCI devices 0000:65:00.0 (other Instances have them)",
            id="device-of-another",
        ),
        pytest.param(
            with_device("0000:02:00.0"),
            [],
            "PCI devices 0000:02:00.0 (not there, or not in the Hypervisor's spec.passthrough)",
            id="device-of-the-host",
        ),
    ],
)
def test_cells_cpus_pages_and_devices_are_had_or_refused(claim: Claim, taken: list[Claim], why: str | None) -> None:
    assert refusal(claim, taken, PACKED) == (None if why is None else f"this node lacks {why}")


def test_a_cell_whose_cpus_are_all_dedicated_has_none_to_share() -> None:
    room = Room(8, 32 * GIB, 0, cells=PACKED.cells, dedicated=frozenset({4, 5, 6, 7}))
    assert refusal(floating(0), [], room) is None
    assert refusal(floating(1), [], room) == ("this node lacks CPUs in NUMA cell 1 that are shared (all are dedicated)")


@pytest.mark.parametrize(
    ("bound", "own", "fits"),
    [
        pytest.param(Overcommit(), Overcommit(), 32, id="defaults"),
        pytest.param(Overcommit(), Overcommit(cpu=2.0), 16, id="the-administrator-s-for-the-host"),
        pytest.param(Overcommit(cpu=3.0), Overcommit(cpu=2.0), 24, id="what-the-scheduler-counted-with"),
        pytest.param(Overcommit(memory=2.0), Overcommit(cpu=2.0), 16, id="each-by-itself"),
    ],
)
def test_overcommit_is_that_of_the_binding_else_of_the_host(bound: Overcommit, own: Overcommit, fits: int) -> None:
    room = Room(vcpus=8, memory=GIB, disk=0, overcommit=own)
    assert refusal(Claim(fits, GIB, 0, overcommit=bound), [], room) is None
    assert refusal(Claim(fits + 1, GIB, 0, overcommit=bound), [], room) == (
        f"this node lacks vCPUs (need {fits + 1}, free {fits})"
    )


@pytest.mark.parametrize(
    ("claims", "room", "what"),
    [
        pytest.param([], PACKED, None, id="no-instance"),
        pytest.param([pinned(2, 3), floating(1, GIB, 2 * MIB), with_device("0000:65:00.0")], PACKED, None, id="room"),
        pytest.param([Claim(5, GIB, 0), Claim(4, GIB, 0)], ROOM, "vCPUs (9 of 8)", id="vcpus"),
        pytest.param(
            [Claim(1, 9 * GIB, 90 * GIB), Claim(1, 9 * GIB, 20 * GIB)],
            ROOM,
            "memory (18 GiB of 16 GiB) and disk (110 GiB of 100 GiB)",
            id="memory-and-disk",
        ),
        pytest.param(
            [floating(1, 3 * GIB, 2 * MIB), floating(1, 2 * GIB, 2 * MIB)],
            PACKED,
            "2 MiB pages in NUMA cell 1 (5 GiB of 4 GiB)",
            id="huge-pages",
        ),
        pytest.param(
            [pinned(1)], PACKED, "CPUs 1 (not among the Hypervisor's spec.dedicatedCpus)", id="cpu-no-longer-dedicated"
        ),
    ],
)
def test_what_was_admitted_and_no_longer_fits_is_told_with_numbers(
    claims: list[Claim], room: Room, what: str | None
) -> None:
    assert excess(claims, room) == (
        None if what is None else f"the Instances on this node claim what it does not have: {what}"
    )


def test_without_a_ratio_of_its_own_a_host_is_as_full_as_its_newest_instance_was_told() -> None:
    old = Claim(16, GIB, 0, bound_at="2026-01-01T00:00:00Z", overcommit=Overcommit(cpu=16.0))
    new = Claim(1, GIB, 0, bound_at="2026-02-01T00:00:00Z", overcommit=Overcommit(cpu=2.0))
    room = Room(vcpus=8, memory=16 * GIB, disk=0)
    assert excess([old, new], room) == "the Instances on this node claim what it does not have: vCPUs (17 of 16)"
    assert excess([old], room) is None


def test_a_guest_claims_its_flavor() -> None:
    assert claim_of(a_guest()) == Claim(1, GIB // 2, 4 * GIB)


def test_own_cpus_and_huge_pages_are_claimed_instead_of_shared_cpus_and_ordinary_memory() -> None:
    assert (pinned(2, 3).vcpus, pinned(2, 3).memory, pinned(2, 3).cpus) == (0, GIB, {2, 3})
    assert (floating(1, GIB, 2 * MIB).vcpus, floating(1, GIB, 2 * MIB).memory) == (1, 0)
