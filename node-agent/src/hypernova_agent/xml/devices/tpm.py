"""The trusted platform module."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent.xml.element import E, Element
from hypernova_api.architecture import TpmVersion


@dataclass(frozen=True, slots=True)
class Tpm:
    """<tpm>: https://libvirt.org/formatdomain.html#tpm-device

    swtpm on the host; libvirt keeps its state, and removes it as the domain is undefined.
    """

    version: TpmVersion

    def xml(self) -> Element:
        return E.tpm(E.backend(type="emulator", version=self.version), model="tpm-crb")
