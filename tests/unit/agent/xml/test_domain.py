"""Whole domains, to the letter: a diff of a golden file is what a guest will get."""

from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hypernova_agent.host import Owner
from hypernova_agent.xml.guest import DiskConfig, GuestConfig, InterfaceConfig, domain_name, domain_xml
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
