"""Whole domains, to the letter: a diff of a golden file is what a guest will get."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hypernova_agent.host import Owner
from hypernova_agent.xml.cpu import Topology, without_shares
from hypernova_agent.xml.devices.disk import IoLimits
from hypernova_agent.xml.devices.interface import Bandwidth, Rate
from hypernova_agent.xml.guest import DiskConfig, GuestConfig, InterfaceConfig, domain_name, domain_xml, interface_xml
from hypernova_agent.xml.metadata import Metadata, parse_metadata
from hypernova_agent.xml.numa import NumaCell
from support.golden import assert_golden

GOLDEN = Path(__file__).parents[1] / "golden"
GIB = 1 << 30
MIB = 1 << 20

UID = "4f8c1a9e-6b1d-4a57-9d0e-0c3d5e7f9a21"
ROOT = DiskConfig(f"{UID}.root.qcow2", "qcow2")
WEB = GuestConfig(
    owner=Owner(uid=UID, namespace="shop", name="web-1"),
    domain_type="kvm",
    architecture="x86_64",
    vcpus=2,
    memory=2 * GIB,
    pool="hypernova",
    disks=(ROOT, DiskConfig(f"{UID}.config.raw", "raw", read_only=True)),
    interfaces=(InterfaceConfig("52:54:00:3c:00:07", "hypernova-default"),),
    console_log=f"/var/lib/libvirt/hypernova/{UID}.console.log",
)
PINNED = replace(
    WEB,
    vcpus=4,
    memory=8 * GIB,
    firmware="UEFI",
    cells=(
        NumaCell((0, 1), 4 * GIB, host_cell=0, cpus=(frozenset({4}), frozenset({20})), page_size=GIB),
        NumaCell((2, 3), 4 * GIB, host_cell=1, cpus=(frozenset({12}), frozenset({28})), page_size=GIB),
    ),
    host_devices=("0000:65:00.0",),
)
RESCUED = replace(WEB, disks=(DiskConfig(f"{UID}.rescue.qcow2", "qcow2"), *WEB.disks))
CABLES = replace(
    WEB, interfaces=(*WEB.interfaces, InterfaceConfig("52:54:00:3c:00:08", "hypernova-default", link_up=False))
)
GROWING = replace(WEB, max_vcpus=8, max_memory=8 * GIB)
SECURE = replace(WEB, firmware="UEFI", secure_boot=True, tpm="2.0")
WINDOWS = replace(
    WEB, windows=True, hyperv=frozenset({"relaxed", "vapic", "spinlocks", "vpindex", "synic", "stimer", "evmcs"})
)
LIMITED = replace(
    WEB,
    cpu_limit=500,
    cpu_shares=2048,
    disks=(
        replace(ROOT, limits=IoLimits(read_bytes=100 * MIB, write_bytes=50 * MIB, total_iops=1000)),
        DiskConfig(f"{UID}.config.raw", "raw", read_only=True),
    ),
    interfaces=(
        InterfaceConfig(
            "52:54:00:3c:00:07",
            "hypernova-default",
            bandwidth=Bandwidth(inbound=Rate(10 * MIB, peak=20 * MIB, burst=MIB + 1), outbound=Rate(5 * MIB)),
        ),
    ),
)
FLOATING = replace(
    WEB,
    cells=(
        NumaCell((0,), GIB, host_cell=0, cpus=(frozenset({0, 1, 2, 3, 16}),)),
        NumaCell((1,), GIB, host_cell=1, cpus=(frozenset({8, 9, 10, 11}),)),
    ),
)


@pytest.mark.parametrize(
    ("guest", "file"),
    [
        (WEB, "domain-kvm.xml"),
        (replace(WEB, disks=(ROOT,)), "domain-kvm-without-config-drive.xml"),
        (replace(WEB, domain_type="qemu", vcpus=1, memory=16 * MIB), "domain-qemu.xml"),
        (replace(WEB, domain_type="qemu", disks=(ROOT,)), "domain-qemu-without-config-drive.xml"),
        (replace(WEB, cpus="0-3,16-19"), "domain-kvm-beside-dedicated-cpus.xml"),
        (replace(WEB, firmware="UEFI"), "domain-kvm-uefi.xml"),
        (RESCUED, "domain-kvm-rescued.xml"),
        (CABLES, "domain-kvm-two-cables-one-unplugged.xml"),
        (FLOATING, "domain-kvm-two-cells-shared-cpus.xml"),
        (GROWING, "domain-kvm-room-to-grow.xml"),
        (replace(GROWING, domain_type="qemu"), "domain-qemu-room-to-grow.xml"),
        (replace(WEB, cpu_model="Haswell-noTSX"), "domain-kvm-named-cpu.xml"),
        (replace(WEB, vcpus=12, topology=Topology(2, 3, 2)), "domain-kvm-topology.xml"),
        (SECURE, "domain-kvm-secure-boot-tpm.xml"),
        (WINDOWS, "domain-kvm-windows.xml"),
        (replace(WEB, windows=True, domain_type="qemu"), "domain-qemu-windows.xml"),
        (LIMITED, "domain-kvm-limited.xml"),
        (replace(WEB, locked_memory=True), "domain-kvm-locked-memory.xml"),
        (replace(WEB, watchdog="reset"), "domain-kvm-watchdog.xml"),
        (PINNED, "domain-kvm-two-cells-pinned-huge-pages-gpu.xml"),
        (replace(FLOATING, domain_type="qemu"), "domain-qemu-two-cells-shared-cpus.xml"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_guest_is_exactly_this_domain(guest: GuestConfig, file: str) -> None:
    assert_golden(domain_xml(guest), GOLDEN / file)


def test_a_domain_tells_whose_it_is() -> None:
    assert parse_metadata(domain_xml(WEB)) == Metadata(WEB.owner)


def test_the_domain_s_uuid_is_the_instance_s_uid() -> None:
    assert ElementTree.fromstring(domain_xml(WEB)).findtext("./uuid") == UID


def test_an_instance_of_the_same_name_made_again_gets_another_domain_name() -> None:
    again = replace(WEB.owner, uid="b2" + UID[2:])
    assert domain_name(WEB.owner) == "shop.web-1.4f8c1a9e"
    assert domain_name(again) == "shop.web-1.b28c1a9e"


def test_no_disk_is_left_for_libvirt_to_guess_its_format() -> None:
    drivers = ElementTree.fromstring(domain_xml(WEB)).findall("./devices/disk/driver")
    assert [driver.get("type") for driver in drivers] == ["qcow2", "raw"]


@pytest.mark.parametrize(
    ("memory", "cache_mib"),
    [(16 * MIB, 32), (256 * MIB, 32), (512 * MIB, 64), (2 * GIB, 256), (64 * GIB, 512)],
)
def test_the_cache_of_translated_code_grows_with_an_emulated_guest_within_bounds(memory: int, cache_mib: int) -> None:
    root = ElementTree.fromstring(domain_xml(replace(WEB, domain_type="qemu", memory=memory)))
    assert root.findtext("./features/tcg/tb-cache[@unit='MiB']") == str(cache_mib)


def test_there_is_no_clock_of_hyper_v_where_the_host_may_lack_it() -> None:
    windows = replace(WINDOWS, hyperv=frozenset({"spinlocks", "vendor_id"}))
    root = ElementTree.fromstring(domain_xml(windows))
    assert root.find("./clock/timer[@name='hypervclock']") is None
    assert [each.tag for each in root.findall("./features/hyperv/*")] == ["spinlocks"]


@pytest.mark.parametrize(("vcpus", "queues"), [(1, "1"), (4, "4"), (32, "8")])
def test_disks_have_a_queue_for_each_virtual_cpu_up_to_a_bound(vcpus: int, queues: str) -> None:
    root = ElementTree.fromstring(domain_xml(replace(WEB, vcpus=vcpus)))
    assert {driver.get("queues") for driver in root.findall("./devices/disk/driver")} == {queues}


def test_a_network_card_of_several_queues_says_so_when_it_is_plugged_in_later_too() -> None:
    (card,) = WEB.interfaces
    assert ElementTree.fromstring(interface_xml(card, 2)).find("./driver[@queues='2']") is not None
    assert ElementTree.fromstring(interface_xml(card, 1)).find("./driver") is None
    inside = ElementTree.fromstring(domain_xml(WEB)).find("./devices/interface")
    assert inside is not None
    assert _canonical(inside) == _canonical(ElementTree.fromstring(interface_xml(card, 2)))


@pytest.mark.parametrize(
    "guest", [WEB, CABLES, RESCUED, PINNED, GROWING], ids=["plain", "cables", "rescued", "pinned", "growing"]
)
def test_there_are_ports_for_all_devices_and_some_to_plug_more_in(guest: GuestConfig) -> None:
    root = ElementTree.fromstring(domain_xml(guest))
    ports = root.findall("./devices/controller[@model='pcie-root-port']")
    plugged = [device for device in root.findall("./devices/*") if device.tag in _IN_A_PORT]
    assert len(ports) == len(plugged) + 4
    assert [port.get("index") for port in ports] == [str(number) for number in range(1, len(ports) + 1)]


_IN_A_PORT = {"disk", "interface", "channel", "memballoon", "memory", "rng", "hostdev", "watchdog"}


def _canonical(element: ElementTree.Element) -> str:
    return ElementTree.canonicalize(ElementTree.tostring(element, encoding="unicode"), strip_text=True)


def test_a_domain_without_its_weight_is_else_the_same() -> None:
    unweighed = without_shares(domain_xml(PINNED))
    assert unweighed is not None
    lines = domain_xml(PINNED).splitlines()
    assert unweighed.splitlines() == [line for line in lines if "shares" not in line]
    assert parse_metadata(unweighed) == parse_metadata(domain_xml(PINNED))
    assert without_shares(unweighed) is None
