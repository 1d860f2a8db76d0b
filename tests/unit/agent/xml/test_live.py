"""Devices of a running guest, as they are handed back to libvirt to change them."""

import pytest

from hypernova_agent.host import Link
from hypernova_agent.xml.definition import parse_link
from hypernova_agent.xml.element import parse
from hypernova_agent.xml.live import (
    agent_connected,
    disk_target,
    interface_alias,
    interface_with_link,
    pluggable_memory,
)

MIB = 1 << 20
MAC = "52:54:00:00:00:01"


def plugged(size_mib: int) -> str:
    return (
        f"<memory model='virtio-mem'><target><size unit='KiB'>{size_mib * 1024}</size><node>0</node>"
        "<block unit='KiB'>2048</block><requested unit='KiB'>0</requested><current unit='KiB'>0</current></target>"
        "<alias name='virtiomem0'/></memory>"
    )


def domain(*devices: str) -> str:
    return (
        "<domain><memory unit='KiB'>1048576</memory>"
        "<cpu><numa><cell id='0' cpus='0' memory='98304' unit='KiB'/></numa></cpu>"
        f"<devices>{''.join(devices)}</devices></domain>"
    )


@pytest.mark.parametrize(
    ("sizes", "asked", "requested"),
    [
        ([128], 224 * MIB, [128 * 1024]),
        ([128], 97 * MIB, [0]),
        ([128], 99 * MIB, [2048]),
        ([128], 64 * MIB, [0]),
        ([128], 999 * MIB, [128 * 1024]),
        ([64, 64], 96 * MIB + 70 * MIB, [64 * 1024, 6 * 1024]),
        ([], 128 * MIB, []),
    ],
    ids=["all", "less-than-a-block", "one-block", "less-than-its-own", "too-much", "of-two", "of-none"],
)
def test_a_guest_is_asked_for_whole_blocks_beyond_its_own_memory(
    sizes: list[int], asked: int, requested: list[int]
) -> None:
    devices = pluggable_memory(domain(*(plugged(size) for size in sizes)), asked)
    assert [int(parse(device).findtext("./target/requested", "")) for device in devices] == requested
    # libvirt finds the device by all else, so all else stays.
    assert all("virtiomem0" in device and "<node>0</node>" in device for device in devices)


CARD = f"<interface type='network'><mac address='{MAC}'/><link state='up'/><alias name='net0'/></interface>"


@pytest.mark.parametrize("up", [True, False])
def test_a_cable_is_set_whatever_it_was(up: bool) -> None:
    changed = interface_with_link(domain(CARD), MAC, up=up)
    assert changed is not None
    assert parse_link(parse(changed)) == Link(MAC, up=up)
    assert changed.count("<link") == 1


def test_a_card_is_found_by_its_mac() -> None:
    assert interface_alias(domain(CARD), MAC) == "net0"
    assert interface_alias(domain(CARD), "52:54:00:00:00:02") is None
    assert interface_with_link(domain(CARD), "52:54:00:00:00:02", up=True) is None


def test_a_disk_is_found_by_its_volume() -> None:
    disks = [
        "<disk type='file'><source file='/by/hand'/><target dev='vda'/></disk>",
        "<disk type='file'><target dev='sda'/></disk>",
        "<disk type='volume'><source pool='p' volume='root.qcow2' index='1'/><target dev='vdb' bus='virtio'/></disk>",
    ]
    assert disk_target(domain(*disks), "root.qcow2") == "vdb"
    assert disk_target(domain(*disks), "other.qcow2") is None


@pytest.mark.parametrize(
    ("channel", "there"),
    [
        ("<channel><target type='virtio' name='org.qemu.guest_agent.0' state='connected'/></channel>", True),
        ("<channel><target type='virtio' name='org.qemu.guest_agent.0' state='disconnected'/></channel>", False),
        ("<channel><target type='virtio' name='org.qemu.guest_agent.0'/></channel>", False),
        ("<channel><target type='virtio' name='com.redhat.spice.0' state='connected'/></channel>", False),
        ("", False),
    ],
    ids=["listens", "does-not", "not-running", "another", "none"],
)
def test_an_agent_is_there_when_it_listens(channel: str, there: bool) -> None:
    assert agent_connected(domain(channel)) is there
