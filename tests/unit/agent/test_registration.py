"""The Hypervisor object: made when missing, told what the host is, never touched otherwise."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hypernova_agent.host import HostError, HostFault, HostUnreachable
from hypernova_agent.registration import HYPERVISORS, Registration, allocatable_of, domain_type_of, status_of
from hypernova_api.hypervisor import Hypervisor, HypervisorStatus, Resources
from hypernova_api.overcommit import Overcommit
from hypernova_api.quantity import Quantity
from hypernova_kube.resources import Key
from support.builders import a_hypervisor
from support.fake_api import FakeApi
from support.guests import GIB, NODE
from support.memory_host import FACTS

NOW = datetime(2026, 11, 21, 10, 15, tzinfo=UTC)
KEY = Key("", NODE)


def told(before: HypervisorStatus, fault: HostFault | None = None, **parts: Any) -> dict[str, Any] | None:
    arguments: dict[str, Any] = {
        "facts": FACTS,
        "generation": 1,
        "domain_type": None,
        "reserved_memory": GIB,
        "now": NOW,
    }
    return status_of(before, fault=fault, **arguments | parts)


def test_a_host_that_answers_is_told_whole() -> None:
    assert told(HypervisorStatus()) == {
        "observedGeneration": 1,
        "domainType": "qemu",
        "cpu": {"architecture": "x86_64", "model": "EPYC", "vendor": "AMD"},
        "versions": {"libvirt": "9.0.0", "qemu": "7.2.0", "agent": "0.1.0"},
        "capacity": {"vcpus": 4, "memory": "8Gi", "disk": "100Gi"},
        "allocatable": {"vcpus": 4, "memory": "7Gi", "disk": "100Gi"},
        "conditions": [
            {
                "type": "Ready",
                "status": "True",
                "reason": "LibvirtReady",
                "message": "",
                "observedGeneration": 1,
                "lastTransitionTime": "2026-11-21T10:15:00Z",
            }
        ],
    }


def test_nothing_is_written_while_nothing_changes() -> None:
    before = HypervisorStatus.model_validate(told(HypervisorStatus()))
    assert told(before) is None


def test_a_host_that_is_lost_keeps_what_is_known_of_it_and_says_why() -> None:
    before = HypervisorStatus.model_validate(told(HypervisorStatus()))
    after = told(before, fault=HostUnreachable("libvirt went away"))
    assert after is not None
    assert after["capacity"] == {"vcpus": 4, "memory": "8Gi", "disk": "100Gi"}
    (ready,) = after["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "LibvirtUnreachable")
    assert ready["message"].startswith("libvirt went away; ")


def test_a_host_that_answers_but_cannot_be_used_says_so_in_its_own_words() -> None:
    after = told(HypervisorStatus(), fault=HostError("network hypernova-default has another address"))
    assert after is not None
    (ready,) = after["conditions"]
    assert (ready["status"], ready["reason"]) == ("False", "HostError")
    assert ready["message"].startswith("network hypernova-default has another address; ")


@pytest.mark.parametrize(
    ("offered", "asked", "type_"),
    [
        pytest.param({"qemu"}, None, "qemu", id="no-hardware-help"),
        pytest.param({"qemu", "kvm"}, None, "kvm", id="kvm-if-offered"),
        pytest.param({"qemu", "kvm"}, "qemu", "qemu", id="settings-win"),
    ],
)
def test_the_type_of_domains_is_the_best_the_host_offers_unless_set(offered: set[str], asked: Any, type_: str) -> None:
    assert domain_type_of(replace(FACTS, domain_types=frozenset(offered)), asked) == type_


def test_reserved_memory_is_never_more_than_there_is() -> None:
    assert allocatable_of(FACTS, 9 * GIB) == Resources(vcpus=4, memory=Quantity("0"), disk=Quantity("100Gi"))


class Own:
    """A registration, its API server, and a reflector that sees all of it at once."""

    def __init__(self) -> None:
        self.api = FakeApi()
        self.client = self.api.client()

    @property
    def registration(self) -> Registration:
        objects = {key: obj for (plural, key), obj in self.api.stored.items() if plural == "hypervisors"}
        return Registration(
            self.client,  # a FakeClient has the verbs that are used
            NODE,
            objects,
            domain_type=None,
            reserved_memory=GIB,
            wall_clock=lambda: NOW,
        )

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
    assert registration.overcommit == Overcommit(cpu=2.0)
    registration.answers(FACTS)
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
