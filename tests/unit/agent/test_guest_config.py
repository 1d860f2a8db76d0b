"""What a guest's domain is made of, from its flavor and image, on a host."""

from dataclasses import replace
from typing import Any

import pytest

from hypernova_agent.allocation import Allocation, GuestCell
from hypernova_agent.capacity import Room
from hypernova_agent.guest_config import HostProfile, guest_config, profile_of
from hypernova_agent.host import Abilities, HostFacts
from hypernova_agent.xml.cpu import Topology
from hypernova_agent.xml.devices.disk import IoLimits
from hypernova_agent.xml.devices.interface import Bandwidth, Rate
from hypernova_agent.xml.guest import GuestConfig
from hypernova_api.flavor import FlavorSpec
from hypernova_api.image import ImageProperties
from support.guests import GIB, MIB, OWNER, a_bound_image, a_guest

KIB = 1 << 10
ABILITIES = Abilities(
    firmware=frozenset({"BIOS", "UEFI"}),
    traits=frozenset({"COMPUTE_SECURITY_UEFI_SECURE_BOOT"}),
    hyperv=frozenset({"relaxed", "vapic"}),
)
HOST = HostProfile("kvm", "x86_64", disk=100 * GIB, cpus=16, memory=64 * GIB, abilities=ABILITIES)
ROOM = Room(vcpus=16, memory=64 * GIB, disk=100 * GIB)
CELL = GuestCell(host_cell=0, vcpus=(0, 1), memory=4 * GIB)


def a_flavor(**parts: Any) -> FlavorSpec:
    """2 vCPUs, 4 GiB, unless `parts` (names on the wire) say otherwise."""
    return FlavorSpec.model_validate({"vcpus": 2, "memory": "4Gi", "rootDisk": "4Gi"} | parts)


def config(
    *,
    host: HostProfile = HOST,
    allocation: Allocation | None = None,
    image: ImageProperties | None = None,
    **flavor: Any,
) -> GuestConfig:
    guest = a_guest(
        flavor=a_flavor(**flavor), image=a_bound_image(properties=image), allocation=allocation or Allocation()
    )
    return guest_config(OWNER, guest, host, ROOM, "/pool")


@pytest.mark.parametrize(
    ("vcpus", "host_cpus", "most"),
    [(1, 16, 4), (2, 16, 8), (8, 16, 16), (32, 16, 32), (1, 1, 1), (100, 1024, 255), (400, 1024, 400), (2, 0, 2)],
)
def test_there_is_room_for_four_times_the_vcpus_as_far_as_the_host_has_them(
    vcpus: int, host_cpus: int, most: int
) -> None:
    assert config(host=replace(HOST, cpus=host_cpus), vcpus=vcpus).max_vcpus == most


def test_an_emulated_guest_has_no_room_for_vcpus_that_it_would_die_of() -> None:
    assert config(host=replace(HOST, domain_type="qemu"), vcpus=2).max_vcpus == 2


@pytest.mark.parametrize(
    ("memory", "host_memory", "most"),
    [
        ("2Gi", 64 * GIB, 8 * GIB),
        ("2047Mi", 64 * GIB, 2047 * MIB),
        ("16Mi", 64 * GIB, 16 * MIB),
        ("32Gi", 64 * GIB, 64 * GIB),
        ("32Gi", 16 * GIB, 32 * GIB),
        ("2049Mi", 4 * GIB, 4095 * MIB),
    ],
    ids=["four-times", "small", "tiny", "all-of-the-host", "more-than-the-host", "in-whole-blocks"],
)
def test_there_is_room_for_four_times_the_memory_but_in_small_guests(memory: str, host_memory: int, most: int) -> None:
    assert config(host=replace(HOST, memory=host_memory), memory=memory).max_memory == most


@pytest.mark.parametrize(
    ("parts", "max_vcpus", "max_memory"),
    [
        ({"allocation": Allocation(cells=(CELL,))}, 2, 4 * GIB),
        ({"allocation": Allocation(devices=("0000:65:00.0",))}, 8, 4 * GIB),
        ({"lockedMemory": True}, 8, 4 * GIB),
        ({"cpu": {"topology": {"cores": 2}}}, 2, 16 * GIB),
        ({"host": replace(HOST, architecture="aarch64")}, 2, 4 * GIB),
    ],
    ids=["in-cells", "with-a-device", "locked", "with-a-topology", "not-a-pc"],
)
def test_what_has_its_place_does_not_grow_while_the_guest_runs(
    parts: dict[str, Any], max_vcpus: int, max_memory: int
) -> None:
    made = config(**parts)
    assert (made.max_vcpus, made.max_memory) == (max_vcpus, max_memory)


@pytest.mark.parametrize(
    ("asked", "able", "secure"),
    [
        ("Required", True, True),
        ("Required", False, True),  # and libvirt refuses it: never insecure instead
        ("Optional", True, True),
        ("Optional", False, False),
        ("Disabled", True, False),
        (None, True, False),
    ],
)
def test_secure_boot_is_as_the_image_says_and_the_host_can(asked: Any, able: bool, secure: bool) -> None:
    host = HOST if able else replace(HOST, abilities=Abilities())
    made = config(host=host, image=ImageProperties(firmware="UEFI", secure_boot=asked))
    assert (made.firmware, made.secure_boot) == ("UEFI", secure)


def test_only_windows_gets_hyper_v_s_interfaces_those_that_the_host_has() -> None:
    assert config(image=ImageProperties(os_type="Windows")).hyperv == {"relaxed", "vapic"}
    assert config(image=ImageProperties(os_type="Linux")).hyperv == frozenset()
    assert [config(image=ImageProperties(os_type=os)).windows for os in ("Windows", "Linux", None)] == [
        True,
        False,
        False,
    ]


@pytest.mark.parametrize(
    ("flavor", "image", "action"),
    [
        (None, None, None),
        ("Reset", None, "reset"),
        ("Reset", "Pause", "pause"),
        ("PowerOff", None, "poweroff"),
        (None, "None", "none"),
        ("Reset", "Disabled", None),
    ],
)
def test_the_image_s_word_on_the_watchdog_goes_before_the_flavor_s(flavor: Any, image: Any, action: str | None) -> None:
    assert config(watchdog=flavor, image=ImageProperties(watchdog=image)).watchdog == action


def test_a_tpm_is_there_if_flavor_or_image_asks_for_it() -> None:
    assert config().tpm is None
    assert config(tpmVersion="2.0").tpm == "2.0"
    assert config(image=ImageProperties(tpm_version="2.0")).tpm == "2.0"


def test_topology_and_locked_memory_are_the_flavor_s() -> None:
    made = config(vcpus=4, cpu={"topology": {"cores": 2, "threads": 2}}, lockedMemory=True)
    assert (made.topology, made.locked_memory) == (Topology(1, 2, 2), True)


def test_a_disk_is_limited_and_the_config_drive_is_not() -> None:
    root, drive = config(qos={"disk": {"readBytesPerSecond": "1Mi", "totalIops": 100}}).disks
    assert root.limits == IoLimits(read_bytes=MIB, total_iops=100)
    assert (drive.read_only, drive.limits) == (True, None)


def test_every_interface_is_as_fast_as_the_flavor_says() -> None:
    (card,) = config(qos={"interface": {"outbound": {"average": "1Ki", "burst": "2Ki"}}}).interfaces
    assert card.bandwidth == Bandwidth(None, Rate(KIB, burst=2 * KIB))
    assert config(qos={"interface": {}}).interfaces[0].bandwidth is None


@pytest.mark.parametrize(
    ("vcpus", "cpu", "shares", "limit"),
    [
        (1, None, 100, 0),
        (4, None, 400, 0),
        (400, None, 10_000, 0),
        (4, {"shares": 50}, 50, 0),
        (4, {"limit": "500m"}, 400, 500),
        (4, {"limit": "1"}, 400, 1000),
        (4, {"limit": "0.0101"}, 400, 11),
    ],
)
def test_cpus_are_weighed_by_their_number_unless_the_flavor_says_otherwise(
    vcpus: int, cpu: Any, shares: int, limit: int
) -> None:
    made = config(vcpus=vcpus, qos={"cpu": cpu})
    assert (made.cpu_shares, made.cpu_limit) == (shares, limit)


def test_a_host_s_profile_is_of_the_type_its_guests_have() -> None:
    facts = HostFacts("x86_64", "EPYC", "AMD", 16, 64 * GIB, 100 * GIB, {"kvm": ABILITIES}, "9.0.0", "7.2.0")
    assert profile_of(facts, "kvm") == HOST
    assert profile_of(facts, "qemu") == replace(HOST, domain_type="qemu", abilities=Abilities())
