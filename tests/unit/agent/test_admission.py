"""The host's own word on whether a claim fits."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova_agent.admission import Claim, claim_of, refusal, room_of
from hypernova_api.hypervisor import Resources
from hypernova_api.overcommit import Overcommit
from hypernova_api.quantity import Quantity
from support.guests import GIB, a_guest

ROOM = Claim(vcpus=8, memory=16 * GIB, disk=100 * GIB)


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


def test_overcommit_multiplies_what_is_allocatable() -> None:
    allocatable = Resources(vcpus=4, memory=Quantity("15Gi"), disk=Quantity("100Gi"))
    assert room_of(allocatable, Overcommit(cpu=4.0, memory=1.5, disk=1.0)) == Claim(16, 24159191040, 100 * GIB)


def test_a_guest_claims_its_flavor() -> None:
    assert claim_of(a_guest()) == Claim(1, GIB // 2, 4 * GIB)
