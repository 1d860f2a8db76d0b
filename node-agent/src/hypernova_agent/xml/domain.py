"""The whole domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal, Protocol

from hypernova_agent.host import Owner
from hypernova_agent.xml.element import E, Element, element
from hypernova_agent.xml.metadata import owner_element

DomainType = Literal["kvm", "qemu"]
MIB = 1 << 20


class Device(Protocol):
    """A child of <devices>."""

    def xml(self) -> Element: ...


@dataclass(frozen=True, slots=True)
class Cpu:
    """<cpu>: https://libvirt.org/formatdomain.html#cpu-model-and-topology"""

    type: DomainType

    def xml(self) -> Element:
        if self.type == "kvm":
            return E.cpu(mode="host-model", check="partial")
        # Emulated anyhow: the smallest model boots fastest, and is the same on every host.
        return E.cpu(E.model("qemu64", fallback="forbid"), mode="custom", match="exact", check="none")


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

    def xml(self) -> Element:
        return E.domain(
            E.name(self.name),
            E.uuid(self.owner.uid),
            E.title(f"{self.owner.namespace}/{self.owner.name}"),
            E.metadata(owner_element(self.owner)),
            E.memory(str(self.memory // 1024), unit="KiB"),
            E.vcpu(str(self.vcpus)),
            E.os(E.type("hvm", arch=self.architecture, machine="q35")),
            Features(self.type, self.memory).xml(),
            Cpu(self.type).xml(),
            Clock(self.type).xml(),
            # A guest that ends stays down until someone decides; a reboot from inside is the guest's own affair.
            E.on_poweroff("destroy"),
            E.on_reboot("restart"),
            E.on_crash("destroy"),
            E.devices(*(device.xml() for device in self.devices)),
            type=self.type,
        )
