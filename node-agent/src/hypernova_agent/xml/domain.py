"""The whole domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hypernova_agent.host import Owner
from hypernova_agent.xml.element import E, Element, element
from hypernova_agent.xml.metadata import Metadata, metadata_element
from hypernova_agent.xml.numa import CpuTune, MemoryBacking, Numa, NumaCell, NumaTune, cpus_of
from hypernova_api.architecture import DomainType, Firmware
from hypernova_api.cpuset import format_cpuset

MIB = 1 << 20

EMULATED_CPU = "qemu64"
"""Emulated anyhow: the smallest model boots fastest, and is the same on every host."""


def machine_of(architecture: str) -> str | None:
    """The machine that guests are; None where libvirt chooses."""
    return "q35" if architecture == "x86_64" else None


class Device(Protocol):
    """A child of <devices>."""

    def xml(self) -> Element: ...


@dataclass(frozen=True, slots=True)
class Cpu:
    """<cpu>: https://libvirt.org/formatdomain.html#cpu-model-and-topology"""

    type: DomainType
    cells: Sequence[NumaCell]

    def xml(self) -> Element:
        numa = Numa(self.cells).xml() if self.cells else None
        if self.type == "kvm":
            return E.cpu(numa, mode="host-model", check="partial")
        return E.cpu(E.model(EMULATED_CPU, fallback="forbid"), numa, mode="custom", match="exact", check="none")


@dataclass(frozen=True, slots=True)
class Os:
    """<os>: https://libvirt.org/formatdomain.html#operating-system-booting"""

    architecture: str
    firmware: Firmware

    def xml(self) -> Element:
        type_ = E.type("hvm", arch=self.architecture, machine=machine_of(self.architecture))
        if self.firmware == "BIOS":
            return E.os(type_)
        # Without a word on it libvirt might take firmware that boots only what Microsoft has signed.
        return E.os(type_, E.firmware(E.feature(name="secure-boot", enabled="no")), firmware="efi")


@dataclass(frozen=True, slots=True)
class Features:
    """<features>: https://libvirt.org/formatdomain.html#hypervisor-features"""

    type: DomainType
    memory: int
    """Bytes."""

    def xml(self) -> Element:
        return E.features(E.acpi(), E.apic(), self._tcg() if self.type == "qemu" else None)

    def _tcg(self) -> Element:
        """A bound on translated code, which QEMU would else let grow to a GiB whatever the guest's size.

        32 MiB were enough for a 96 MiB Linux guest and saved a quarter of QEMU's memory.
        """
        cache = min(max(self.memory // 8, 32 * MIB), 512 * MIB)
        return E.tcg(element("tb-cache", str(cache // MIB), unit="MiB"))


@dataclass(frozen=True, slots=True)
class Clock:
    """<clock>: https://libvirt.org/formatdomain.html#time-keeping

    Lost ticks are made up for or dropped as guests expect; HPET only under emulation, where it's the better clock.
    """

    type: DomainType

    def xml(self) -> Element:
        return E.clock(
            E.timer(name="rtc", tickpolicy="catchup"),
            E.timer(name="pit", tickpolicy="delay"),
            E.timer(name="hpet", present="no") if self.type == "kvm" else None,
            offset="utc",
        )


@dataclass(frozen=True, slots=True)
class DomainElement:
    """<domain>: https://libvirt.org/formatdomain.html"""

    type: DomainType
    name: str
    owner: Owner
    architecture: str
    vcpus: int
    memory: int
    """Bytes; libvirt keeps whole KiB."""

    devices: Sequence[Device]
    firmware: Firmware = "BIOS"
    cells: Sequence[NumaCell] = ()
    """Where it is on the host; none: the host's kernel places it."""

    cpus: str = ""
    """The CPUs of the host that it may run on, if it has no cells; empty: all."""

    def xml(self) -> Element:
        cells = self.cells
        return E.domain(
            E.name(self.name),
            E.uuid(self.owner.uid),
            E.title(f"{self.owner.namespace}/{self.owner.name}"),
            E.metadata(metadata_element(Metadata(self.owner))),
            E.memory(str(self.memory // 1024), unit="KiB"),
            MemoryBacking(cells).xml() if any(cell.page_size for cell in cells) else None,
            E.vcpu(str(self.vcpus), cpuset=format_cpuset(cpus_of(cells)) or self.cpus or None),
            CpuTune(cells).xml() if cells else None,
            NumaTune(cells).xml() if cells else None,
            Os(self.architecture, self.firmware).xml(),
            Features(self.type, self.memory).xml(),
            Cpu(self.type, cells).xml(),
            Clock(self.type).xml(),
            # A guest that ends stays down until someone decides; a reboot from inside is the guest's own affair.
            E.on_poweroff("destroy"),
            E.on_reboot("restart"),
            E.on_crash("destroy"),
            E.devices(*(device.xml() for device in self.devices)),
            type=self.type,
        )
