"""What the guest's machine is beside processor, memory and devices: firmware, features, clocks."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from hypernova_agent.xml.element import E, Element, element
from hypernova_api.architecture import DomainType, Firmware

MIB = 1 << 20

_HYPERV = ("relaxed", "vapic", "spinlocks", "vpindex", "runtime", "synic", "stimer", "frequencies", "tlbflush", "ipi")
"""Interfaces of Hyper-V that make Windows faster and its clock true, in libvirt's words and order. Left out: what keeps
a guest from being migrated (reenlightenment), and what only Windows that is a host itself needs (evmcs)."""


def machine_of(architecture: str) -> str | None:
    """The machine that guests are; None where libvirt chooses."""
    return "q35" if architecture == "x86_64" else None


@dataclass(frozen=True, slots=True)
class Os:
    """<os>: https://libvirt.org/formatdomain.html#operating-system-booting"""

    architecture: str
    firmware: Firmware
    secure_boot: bool

    def xml(self) -> Element:
        type_ = E.type("hvm", arch=self.architecture, machine=machine_of(self.architecture))
        if self.firmware == "BIOS":
            return E.os(type_)
        # libvirt finds the firmware, and adds what it needs. Without a word on it it might take one that boots only
        # what Microsoft has signed; secure boot without any keys would boot everything.
        enabled = "yes" if self.secure_boot else "no"
        keys = E.feature(name="enrolled-keys", enabled="yes") if self.secure_boot else None
        return E.os(type_, E.firmware(E.feature(name="secure-boot", enabled=enabled), keys), firmware="efi")


@dataclass(frozen=True, slots=True)
class Features:
    """<features>: https://libvirt.org/formatdomain.html#hypervisor-features"""

    type: DomainType
    memory: int
    """Bytes."""

    hyperv: Collection[str]
    """Interfaces of Hyper-V that the guest has; of other names than `_HYPERV` none."""

    def xml(self) -> Element:
        return E.features(
            E.acpi(),
            E.apic(),
            self._hyperv() if self.hyperv else None,
            self._tcg() if self.type == "qemu" else None,
        )

    def _hyperv(self) -> Element:
        # After so many tries to get a lock a virtual CPU gives way: Microsoft's own number.
        retries = {"spinlocks": 8191}
        return E.hyperv(
            *(element(name, state="on", retries=retries.get(name)) for name in _HYPERV if name in self.hyperv)
        )

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
    windows: bool
    hyperv: bool
    """Whether it has Hyper-V's clock."""

    def xml(self) -> Element:
        kvm = self.type == "kvm"
        return E.clock(
            E.timer(name="rtc", tickpolicy="catchup"),
            E.timer(name="pit", tickpolicy="delay"),
            E.timer(name="hpet", present="no") if kvm else None,
            E.timer(name="kvmclock", present="yes") if kvm and not self.hyperv else None,
            E.timer(name="hypervclock", present="yes") if self.hyperv else None,
            # Windows takes the real-time clock for local time.
            offset="localtime" if self.windows else "utc",
        )
