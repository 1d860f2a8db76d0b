"""Devices of the host that a guest has for itself."""

from __future__ import annotations

import re
from dataclasses import dataclass

from hypernova_agent.xml.element import E, Element


@dataclass(frozen=True, slots=True)
class PciHostDevice:
    """<hostdev>: https://libvirt.org/formatdomain.html#usb-pci-scsi-devices"""

    address: str
    """On the host, e.g. `0000:65:00.0`."""

    def xml(self) -> Element:
        domain, bus, slot, function = re.split("[:.]", self.address)
        # managed: libvirt takes the device from the host's driver at start and gives it back at the end.
        return E.hostdev(
            E.source(E.address(domain=f"0x{domain}", bus=f"0x{bus}", slot=f"0x{slot}", function=f"0x{function}")),
            mode="subsystem",
            type="pci",
            managed="yes",
        )
