"""The whole domain."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from hypernova_agent.xml.element import E, Element
from hypernova_agent.xml.metadata import Metadata, metadata_element
from hypernova_api.architecture import DomainType


class Part(Protocol):
    """A child of <domain>, or of <devices>."""

    def xml(self) -> Element: ...


@dataclass(frozen=True, slots=True)
class DomainElement:
    """<domain>: https://libvirt.org/formatdomain.html"""

    type: DomainType
    name: str
    metadata: Metadata
    parts: Sequence[Part]
    """What its machine is."""

    devices: Sequence[Part]

    def xml(self) -> Element:
        owner = self.metadata.owner
        return E.domain(
            E.name(self.name),
            E.uuid(owner.uid),
            E.title(f"{owner.namespace}/{owner.name}"),
            E.metadata(metadata_element(self.metadata)),
            *(part.xml() for part in self.parts),
            # A guest that ends stays down until someone decides; a reboot from inside is the guest's own affair.
            E.on_poweroff("destroy"),
            E.on_reboot("restart"),
            E.on_crash("destroy"),
            E.devices(*(device.xml() for device in self.devices)),
            type=self.type,
        )
