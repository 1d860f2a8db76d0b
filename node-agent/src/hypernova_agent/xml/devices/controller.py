"""Controllers: what libvirt would otherwise add by itself."""

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
