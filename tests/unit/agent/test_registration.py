"""The Hypervisor object: made when missing, told what the host is, never touched otherwise."""

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from hypernova_agent.host import HostUnreachable
from hypernova_agent.registration import HYPERVISORS, Registration
from hypernova_api.hypervisor import Endpoint, Hypervisor
from hypernova_api.overcommit import Overcommit
from hypernova_kube.errors import Invalid
from hypernova_kube.resources import Key, Object
from support.builders import a_hypervisor
from support.fake_api import FakeApi, Trouble
from support.guests import GIB, NODE
from support.memory_host import FACTS

NOW = datetime(2026, 11, 21, 10, 15, tzinfo=UTC)
KEY = Key("", NODE)


class Own:
    """A registration, its API server, and a reflector that sees all of it at once."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.troubles: list[Trouble] = []
        """Of the next patches."""
        self.client = self.api.client(lambda verb: self.troubles.pop(0) if verb == "patch" and self.troubles else None)

    @property
    def objects(self) -> dict[Key, Object]:
        return {key: obj for (plural, key), obj in self.api.stored.items() if plural == "hypervisors"}

    @property
    def registration(self) -> Registration:
        return Registration(
            self.client,  # a FakeClient has the verbs that are used
            NODE,
            self.objects,
            list,
            domain_type=None,
            reserved_memory=GIB,
            wall_clock=lambda: NOW,
        )

    async def told(self, registration: Registration) -> tuple[str, str]:
        """Status and reason of Ready after another look; the reflector has seen all before."""
        registration._objects = self.objects
        assert await registration.reconcile("own") is None
        ready = self.hypervisor().status.conditions[0]
        return ready.status, ready.reason

    def hypervisor(self) -> Hypervisor:
        return Hypervisor.parse(self.api.find(HYPERVISORS, KEY))


async def test_a_missing_object_is_made_with_an_empty_spec() -> None:
    own = Own()
    registration = own.registration
    registration.answers(FACTS)
    assert await registration.reconcile("own") is None
    assert own.api.find(HYPERVISORS, KEY)["spec"] == {}
    assert own.hypervisor().status.domain_type == "qemu"


async def test_an_administrator_s_spec_stays_and_counts() -> None:
    own = Own()
    own.api.put(HYPERVISORS, a_hypervisor(maintenance=True, overcommit={"cpu": 2.0}))
    registration = own.registration
    registration.answers(FACTS)
    assert registration.room is not None
    assert registration.room.overcommit == Overcommit(cpu=2.0)
    await registration.reconcile("own")
    assert own.hypervisor().spec.maintenance
    assert own.hypervisor().status.domain_type == "qemu"


async def test_nothing_is_said_before_anything_is_known() -> None:
    own = Own()
    await own.registration.reconcile("own")
    assert own.api.requests == []


async def test_a_host_that_never_answered_is_registered_as_unreachable() -> None:
    own = Own()
    registration = own.registration
    registration.fails(HostUnreachable("nobody answers"))
    await registration.reconcile("own")
    (ready,) = own.hypervisor().status.conditions
    assert (ready.status, ready.reason) == ("False", "LibvirtUnreachable")


async def test_the_second_look_writes_nothing() -> None:
    own = Own()
    for _ in range(2):
        registration = own.registration
        registration.answers(FACTS)
        await registration.reconcile("own")
    assert own.api.requests == ["create", "patch"]


async def test_where_consoles_are_stays_told_until_it_is_known_anew() -> None:
    own = Own()
    there = Endpoint(address="192.0.2.7", port=8084)
    before, after, without = (own.registration for _ in range(3))
    before.answers(FACTS)
    before.serves(there)
    await before.reconcile("own")
    assert own.hypervisor().status.console == there

    after._objects = own.objects  # an agent that was started anew, and has no certificate yet
    after.answers(FACTS)
    await after.reconcile("own")
    assert own.hypervisor().status.console == there

    without._objects = own.objects
    without.answers(FACTS)
    without.serves(None)
    await without.reconcile("own")
    assert own.hypervisor().status.console is None


INVALID = Trouble(refused=Invalid(422, "Invalid", "status.capacity: memory must be between 0 and 1Ei"))


async def test_facts_that_the_api_server_refuses_are_not_told_again_but_that_they_are() -> None:
    own = Own()
    own.troubles = [INVALID]
    registration = own.registration
    registration.answers(FACTS)
    assert await registration.reconcile("own") == 0.0
    assert await own.told(registration) == ("False", "FactsRefused")
    assert "memory must be between 0 and 1Ei" in own.hypervisor().status.conditions[0].message
    assert own.hypervisor().status.capacity is None
    writes = len(own.api.requests)
    assert await own.told(registration) == ("False", "FactsRefused")
    assert len(own.api.requests) == writes

    registration.answers(FACTS)  # a look later; this time they are taken
    assert await own.told(registration) == ("True", "LibvirtReady")


async def test_facts_that_no_host_can_have_are_not_even_sent() -> None:
    own = Own()
    registration = own.registration
    registration.answers(replace(FACTS, cpus=-1))
    assert await registration.reconcile("own") == 0.0
    assert own.api.requests == ["create"]
    assert await own.told(registration) == ("False", "FactsRefused")


async def test_a_server_that_takes_nothing_at_all_is_tried_again_with_patience() -> None:
    own = Own()
    own.troubles = [INVALID, INVALID]
    registration = own.registration
    registration.answers(FACTS)
    await registration.reconcile("own")
    with pytest.raises(Invalid):  # the queue backs off
        await registration.reconcile("own")
