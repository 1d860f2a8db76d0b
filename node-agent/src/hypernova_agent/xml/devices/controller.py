"""Controllers: what libvirt would otherwise add by itself, or too few of."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent.xml.element import E, Element


@dataclass(frozen=True, slots=True)
class NoUsb:
    """<controller type='usb'>: https://libvirt.org/formatdomain.html#controllers

    An idle USB controller costs every guest timer interrupts and boot time.
    """

    def xml(self) -> Element:
        return E.controller(type="usb", model="none")


@dataclass(frozen=True, slots=True)
class PcieController:
    """<controller type='pci'>: https://libvirt.org/formatdomain.html#controllers

    The root is number 0; the others are ports, each for one device. libvirt adds those that a domain's devices need,
    and one: more than one device can be plugged in later only if they are written down.
    """

    number: int

    def xml(self) -> Element:
        return E.controller(type="pci", index=self.number, model="pcie-root-port" if self.number else "pcie-root")
