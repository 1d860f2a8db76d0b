"""What a real host says that it has."""

from pathlib import Path

import libvirt
import pytest

from hack.lab import Host
from hypernova_agent.host import HostTooOld
from hypernova_agent.libvirt.facts import pci_devices
from hypernova_agent.libvirt.host import LibvirtHost
from hypernova_api.cpuset import parse_cpuset
from support.host_contract import Subject

_ONLINE = parse_cpuset(Path("/sys/devices/system/cpu/online").read_text().strip())

_UEFI = list(Path("/usr/share/qemu/firmware").glob("*edk2-x86_64*.json"))
"""Descriptions of UEFI's firmware, where libvirt looks for them."""


async def test_its_cells_are_those_of_the_machine(subject: Subject) -> None:
    facts = await subject.host.facts()
    cpus = {cpu for cell in facts.cells for cpu in cell.cpus}
    assert cpus == _ONLINE
    assert {cell.id: cell.memory for cell in facts.cells} == {cell.id: _memory_of(cell.id) for cell in facts.cells}


async def test_traits_are_what_emulated_guests_get_and_no_more(subject: Subject) -> None:
    facts = await subject.host.facts()
    traits = facts.abilities["qemu"].traits
    assert {"HW_CPU_X86_SSE2", "HW_CPU_X86_SSE3", "COMPUTE_STORAGE_BUS_VIRTIO", "COMPUTE_ARCH_X86_64"} <= traits
    assert "HW_CPU_X86_AVX2" not in traits, "qemu64 has none, whatever the machine has"
    assert ("UEFI" in facts.abilities["qemu"].firmware) == bool(_UEFI)


async def test_nothing_of_it_changes_while_a_guest_runs(subject: Subject) -> None:
    before = await subject.host.facts()
    await subject.running()
    assert await subject.host.facts() == before


def test_pci_devices_are_those_of_the_machine_bridges_left_out(host: Host) -> None:
    machine = {
        device.name: (device / "vendor").read_text().strip()
        for device in Path("/sys/bus/pci/devices").iterdir()
        if not (device / "class").read_text().startswith("0x06")
    }
    virt = libvirt.open(host.libvirt_uri)
    try:
        assert {device.address: f"0x{device.vendor}" for device in pci_devices(virt)} == machine
    finally:
        virt.close()


async def test_a_host_that_is_too_old_is_refused_before_anything_is_made_on_it(
    host: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    old = LibvirtHost(host.libvirt_uri, pool="too-old", network="too-old")
    with monkeypatch.context() as patched:
        patched.setattr(libvirt.virConnect, "getLibVersion", lambda _: 6_000_000)
        with pytest.raises(HostTooOld, match=r"libvirt 6\.0\.0 is too old"):
            await old.connect(lambda _: None, lambda _: None)

    virt = libvirt.open(host.libvirt_uri)
    try:
        assert "too-old" not in {pool.name() for pool in virt.listAllStoragePools()}
    finally:
        virt.close()


def _memory_of(cell: int) -> int:
    """Bytes."""
    return int(Path(f"/sys/devices/system/node/node{cell}/meminfo").read_text().split()[3]) * 1024
