"""What a guest says as it dies."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent.xml.element import E, Element


@dataclass(frozen=True, slots=True)
class Panic:
    """<panic>: https://libvirt.org/formatdomain.html#panic-device

    A guest's kernel that has panicked says so through it, instead of standing still and looking alive.
    """

    def xml(self) -> Element:
        return E.panic(model="isa")
