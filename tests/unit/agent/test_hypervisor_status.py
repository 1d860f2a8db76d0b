"""What a Hypervisor's status says of its host."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from hypernova_agent.admission import Claim
from hypernova_agent.capacity import for_guests, room_of
from hypernova_agent.host import (
    Abilities,
    HostCell,
    HostError,
    HostFault,
    HostTooOld,
    HostUnreachable,
    PciDevice,
    Space,
)
from hypernova_agent.hypervisor_status import MOST_DEVICES, Known, domain_type_of, status_of
from hypernova_agent.orphans import MOST_TOLD
from hypernova_api.hypervisor import ORPHAN_ANNOTATION, Endpoint, Hypervisor, Orphan, Passthrough
from hypernova_kube.resources import Object
from support.builders import a_hypervisor, stored
from support.guests import GIB, MIB, UID
from support.memory_host import FACTS

NOW = datetime(2026, 11, 21, 10, 15, tzinfo=UTC)
SMALL = replace(FACTS, memory=4 * GIB)
A100 = {"alias": "gpu", "vendorId": "10de", "productId": "20b0"}
CONSOLE = Endpoint(address="192.0.2.7", port=8084)
GPU = PciDevice("0000:65:00.0", "10de", "20b0", cell=0)


def told(
    known: Known,
    status: Object | None = None,
    claims: tuple[Claim, ...] = (),
    *,
    clock_ahead: float = 0.0,
    **spec: Any,
) -> Object:
    """What is written, given what the status says so far."""
    hypervisor = Hypervisor.parse(stored(a_hypervisor(status=status or {}, **spec)))
    room = room_of(known.facts, hypervisor.spec, GIB) if known.facts is not None else None
    return status_of(
        hypervisor, known, room, claims, console=CONSOLE, domain_type=None, now=NOW, clock_ahead=clock_ahead
    )


def condition(status: Object, type_: str) -> tuple[str, str, str]:
    (found,) = [each for each in status["conditions"] if each["type"] == type_]
    return found["status"], found["reason"], found["message"]


def test_a_host_that_answers_is_told_whole() -> None:
    time = {"observedGeneration": 1, "lastTransitionTime": "2026-11-21T10:15:00Z"}
    assert told(Known(FACTS)) == {
        "observedGeneration": 1,
        "domainType": "qemu",
        "cpu": {"architecture": "x86_64", "model": "EPYC", "vendor": "AMD"},
        "versions": {"libvirt": "9.0.0", "qemu": "7.2.0", "agent": "0.1.0"},
        "capacity": {"vcpus": 4, "memory": "8Gi", "disk": "100Gi"},
        "allocatable": {"vcpus": 4, "memory": "7Gi", "disk": "100Gi"},
        "cells": [{"id": 0, "cores": ["0", "1", "2", "3"], "memory": "8Gi", "hugePages": []}],
        "firmware": ["BIOS"],
        "traits": ["COMPUTE_STORAGE_BUS_VIRTIO"],
        "console": {"address": "192.0.2.7", "port": 8084},
        "conditions": [
            {"type": "Ready", "status": "True", "reason": "LibvirtReady", "message": ""} | time,
            {"type": "Overcommitted", "status": "False", "reason": "InstancesFit", "message": ""} | time,
            {"type": "Orphans", "status": "False", "reason": "NoOrphans", "message": ""} | time,
        ],
    }


def test_nothing_is_written_while_nothing_changes_and_then_only_what_does() -> None:
    before = told(Known(FACTS))
    assert told(Known(FACTS), before) == {}
    assert told(Known(replace(FACTS, disk=200 * GIB)), before) == {
        "capacity": {"vcpus": 4, "memory": "8Gi", "disk": "200Gi"},
        "allocatable": {"vcpus": 4, "memory": "7Gi", "disk": "200Gi"},
    }


def test_cells_and_devices_are_told_and_firmware_and_traits_of_the_type_of_its_domains() -> None:
    rich = replace(
        FACTS,
        abilities={
            "qemu": Abilities(frozenset({"BIOS"}), frozenset({"HW_CPU_X86_SSE2"})),
            "kvm": Abilities(frozenset({"UEFI", "BIOS"}), frozenset({"HW_CPU_X86_SSE2", "HW_CPU_X86_AVX2"})),
        },
        cells=(
            HostCell(0, (frozenset({0, 2}),), 4 * GIB),
            HostCell(1, (frozenset({1, 3}),), 4 * GIB, {2 * MIB: 512, GIB: 1}),
        ),
        devices=(PciDevice("0000:02:00.0", "8086", "1572", cell=None), GPU),
    )
    after = told(Known(rich))
    assert after["domainType"] == "kvm"
    assert after["cells"][1] == {
        "id": 1,
        "cores": ["1,3"],
        "memory": "4Gi",
        "hugePages": [{"size": "2Mi", "count": 512}, {"size": "1Gi", "count": 1}],
    }
    assert after["devices"] == [
        {"address": "0000:02:00.0", "vendorId": "8086", "productId": "1572"},
        {"address": "0000:65:00.0", "vendorId": "10de", "productId": "20b0", "cell": 0},
    ]
    assert after["firmware"] == ["BIOS", "UEFI"]
    assert after["traits"] == ["HW_CPU_X86_AVX2", "HW_CPU_X86_SSE2"]


def test_what_instances_share_is_without_dedicated_cpus_and_huge_pages() -> None:
    cells = (HostCell(0, tuple(frozenset({cpu}) for cpu in range(4)), 8 * GIB, {2 * MIB: 1024}),)
    after = told(Known(replace(FACTS, cells=cells)), dedicatedCpus="2-3")
    assert after["capacity"] == {"vcpus": 4, "memory": "8Gi", "disk": "100Gi"}
    assert after["allocatable"] == {"vcpus": 2, "memory": "5Gi", "disk": "100Gi"}


def test_more_memory_in_reserve_than_there_is_leaves_none() -> None:
    assert told(Known(replace(FACTS, memory=GIB // 2)))["allocatable"]["memory"] == "0"


def test_of_more_devices_than_the_api_takes_those_for_guests_are_told() -> None:
    others = tuple(PciDevice(f"0000:{n // 8:02x}:00.{n % 8}", "8086", "1572", None) for n in range(MOST_DEVICES))
    gpu = replace(GPU, address="00ff:65:00.0")
    devices = told(Known(replace(FACTS, devices=(*others, gpu))), passthrough=[A100])["devices"]
    assert len(devices) == MOST_DEVICES
    assert devices[-1]["address"] == gpu.address
    assert devices == sorted(devices, key=lambda device: device["address"])


@pytest.mark.parametrize(
    ("rule", "matches"),
    [
        pytest.param(A100, True, id="vendor-and-product"),
        pytest.param(A100 | {"productId": "20b2"}, False, id="another-product"),
        pytest.param(A100 | {"addresses": ["0000:65:00.0"]}, True, id="its-address"),
        pytest.param(A100 | {"addresses": ["0000:66:00.0"]}, False, id="another-address"),
    ],
)
def test_a_device_is_for_guests_if_a_rule_names_it(rule: Object, matches: bool) -> None:
    assert for_guests(GPU, [Passthrough.model_validate(rule)]) is matches


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        pytest.param(HostUnreachable("libvirt went away"), "LibvirtUnreachable", id="lost"),
        pytest.param(HostError("network hypernova-default has another address"), "HostError", id="useless"),
        pytest.param(HostTooOld("libvirt 6.0.0 is too old"), "HostTooOld", id="old"),
    ],
)
def test_a_host_that_cannot_be_used_says_why_in_its_own_words_and_keeps_what_is_known(
    fault: HostFault, reason: str
) -> None:
    before = told(Known(FACTS))
    after = told(Known(FACTS, fault), before)
    assert list(after) == ["conditions"]
    status, why, message = condition(after, "Ready")
    assert (status, why) == ("False", reason)
    assert message.startswith(f"{fault}; running guests go on")


SOCKET = "Failed to connect socket to '/var/run/libvirt/libvirt-sock': "


@pytest.mark.parametrize(
    ("words", "cure"),
    [
        pytest.param(f"{SOCKET}No such file or directory", "install libvirt and QEMU on this node", id="none"),
        pytest.param(f"{SOCKET}Connection refused", "start libvirtd on this node", id="stopped"),
        pytest.param(f"{SOCKET}Permission denied", "set agent.libvirt.group of the chart", id="another-group"),
        pytest.param(
            "internal error: Failed to find user record for uid '10001'", "set agent.libvirt.user", id="no-such-user"
        ),
        pytest.param(
            "authentication unavailable: no polkit agent available to authenticate action 'org.libvirt.unix.manage'",
            'set auth_unix_rw = "none"',
            id="polkit",
        ),
        pytest.param("Cannot find suitable emulator for x86_64", "install QEMU on this node", id="no-qemu"),
    ],
)
def test_a_node_that_lacks_something_says_what_to_do_about_it(words: str, cure: str) -> None:
    status, _, message = condition(told(Known(fault=HostUnreachable(words))), "Ready")
    assert status == "False"
    assert message.startswith(f"{words}: {cure}")
    assert message.endswith("; running guests go on, and it is tried again and again")


def test_facts_that_are_refused_are_not_told_again_but_that_they_are() -> None:
    before = told(Known(FACTS))
    nonsense = replace(FACTS, memory=1 << 62)
    after = told(Known(nonsense, refused="status.capacity: memory must be between 0 and 1Ei"), before)
    assert list(after) == ["conditions"]
    status, reason, message = condition(after, "Ready")
    assert (status, reason) == ("False", "FactsRefused")
    assert "memory must be between 0 and 1Ei" in message


def test_domains_without_an_instance_are_told_with_what_to_do_and_no_longer_when_they_are_gone() -> None:
    orphan = Orphan(uid=UID, namespace="shop", name="web-1", running=True, record="{}")
    after = told(Known(FACTS, orphans=(orphan,)))
    assert after["orphans"] == [{"uid": UID, "namespace": "shop", "name": "web-1", "running": True, "record": "{}"}]
    status, reason, message = condition(after, "Orphans")
    assert (status, reason) == ("True", "DomainsWithoutInstance")
    assert "shop/web-1" in message
    assert f"{ORPHAN_ANNOTATION}UID=adopt" in message
    assert condition(told(Known(FACTS), after), "Orphans")[:2] == ("False", "NoOrphans")


def test_of_more_orphans_than_the_api_takes_the_first_are_told_and_all_counted() -> None:
    orphans = tuple(Orphan(uid=f"{n:08x}", namespace="", name="", running=False) for n in range(MOST_TOLD + 1))
    after = told(Known(FACTS, orphans=orphans))
    assert len(after["orphans"]) == MOST_TOLD
    assert condition(after, "Orphans")[2].startswith(f"{MOST_TOLD + 1} on this node")


@pytest.mark.parametrize(
    ("available", "expected"), [(4 * GIB, ("True", "PoolNearlyFull")), (5 * GIB, ("False", "PoolHasSpace"))]
)
def test_a_pool_that_is_nearly_full_is_said(available: int, expected: tuple[str, str]) -> None:
    assert condition(told(Known(FACTS, space=Space(100 * GIB, available))), "DiskPressure")[:2] == expected


@pytest.mark.parametrize(
    ("ahead", "words"),
    [
        pytest.param(-7200.0, "the clock of this node is more than a minute behind the API server's", id="behind"),
        pytest.param(61.0, "the clock of this node is more than a minute ahead of the API server's", id="ahead"),
    ],
)
def test_a_clock_that_is_wrong_is_said_until_it_is_right(ahead: float, words: str) -> None:
    after = told(Known(FACTS), clock_ahead=ahead)
    status, reason, message = condition(after, "ClockSkewed")
    assert (status, reason) == ("True", "ClocksDiffer")
    assert message.startswith(words)
    assert condition(after, "Ready")[0] == "True", "its guests run all the same"
    assert told(Known(FACTS), after, clock_ahead=1.1 * ahead) == {}
    assert condition(told(Known(FACTS), after, clock_ahead=-2.0), "ClockSkewed")[:2] == ("False", "ClocksAgree")


def test_of_a_clock_that_is_right_nothing_is_said() -> None:
    assert "ClockSkewed" not in {each["type"] for each in told(Known(FACTS), clock_ahead=59.0)["conditions"]}


def test_no_host_has_less_than_no_cpu() -> None:
    with pytest.raises(ValueError, match="vcpus"):
        told(Known(replace(FACTS, cpus=-1)))


@pytest.mark.parametrize(
    ("dedicated", "unknown", "shared"),
    [
        pytest.param("2-5", "4-5", 2, id="some"),
        pytest.param("9", "9", 4, id="all"),
        pytest.param("3-2", "3-2", 4, id="backwards"),
    ],
)
def test_dedicated_cpus_that_the_host_lacks_are_said_and_those_it_has_stay_dedicated(
    dedicated: str, unknown: str, shared: int
) -> None:
    after = told(Known(FACTS), dedicatedCpus=dedicated)
    status, reason, message = condition(after, "Ready")
    assert (status, reason) == ("False", "DedicatedCpusUnknown")
    assert message.startswith(f"spec.dedicatedCpus names CPUs {unknown}, which this node does not have: correct it")
    assert after["allocatable"]["vcpus"] == shared


def test_a_host_that_shrank_says_what_its_instances_claim_too_much_until_they_fit_again() -> None:
    claims = (Claim(1, 5 * GIB, 0),)
    before = told(Known(FACTS), claims=claims)
    assert condition(before, "Overcommitted")[:2] == ("False", "InstancesFit")
    shrunk = told(Known(SMALL), before, claims)
    status, reason, message = condition(shrunk, "Overcommitted")
    assert (status, reason) == ("True", "InstancesClaimTooMuch")
    assert "memory (5 GiB of 3 GiB)" in message
    assert condition(shrunk, "Ready")[0] == "True"
    assert told(Known(SMALL), before | shrunk, claims) == {}
    assert condition(told(Known(SMALL), before | shrunk), "Overcommitted")[0] == "False"


def test_a_ratio_that_is_cut_shows_too() -> None:
    claims = (Claim(8, GIB, 0),)
    assert condition(told(Known(FACTS), claims=claims), "Overcommitted")[0] == "False"
    cut = told(Known(FACTS), claims=claims, overcommit={"cpu": 1.5})
    assert "vCPUs (8 of 6)" in condition(cut, "Overcommitted")[2]


@pytest.mark.parametrize(
    ("offered", "asked", "type_"),
    [
        pytest.param({"qemu"}, None, "qemu", id="no-hardware-help"),
        pytest.param({"qemu", "kvm"}, None, "kvm", id="kvm-if-offered"),
        pytest.param({"qemu", "kvm"}, "qemu", "qemu", id="settings-win"),
    ],
)
def test_the_type_of_domains_is_the_best_the_host_offers_unless_set(offered: set[str], asked: Any, type_: str) -> None:
    assert domain_type_of(replace(FACTS, abilities=dict.fromkeys(offered, Abilities())), asked) == type_
