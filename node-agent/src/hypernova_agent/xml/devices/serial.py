"""The serial port: what the guest's kernel and boot loader say."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent.xml.element import E, Element


@dataclass(frozen=True, slots=True)
class Serial:
    """<serial>: https://libvirt.org/formatdomain.html#consoles-serial-parallel-channel-devices

    A pseudo-terminal, which consoles can open, and of which libvirt keeps a log whether or not anyone looks.
    """

    log: str
    """Path on the host. libvirt makes it, appends to it over all boots, and (with virtlogd) bounds it."""

    def xml(self) -> Element:
        return E.serial(
            E.log(file=self.log, append="on"),
            E.target(port=0, type="isa-serial"),
            type="pty",
        )
