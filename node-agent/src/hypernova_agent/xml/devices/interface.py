"""Network interfaces."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent.xml.element import E, Element


@dataclass(frozen=True, slots=True)
class Interface:
    """<interface>: https://libvirt.org/formatdomain.html#network-interfaces"""

    network: str
    """Name of a libvirt network."""

    mac: str
    link_up: bool = True

    def xml(self) -> Element:
        return E.interface(
            E.mac(address=self.mac),
            E.source(network=self.network),
            E.model(type="virtio"),
            None if self.link_up else E.link(state="down"),
            # No iPXE: nobody boots from the network, and it costs a second of every boot.
            E.rom(enabled="no"),
            type="network",
        )
