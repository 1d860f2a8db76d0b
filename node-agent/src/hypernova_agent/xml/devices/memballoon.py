"""Memory the guest gives back."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent.xml.element import E, Element


@dataclass(frozen=True, slots=True)
class MemoryBalloon:
    """<memballoon>: https://libvirt.org/formatdomain.html#memory-balloon-device

    Pages the guest frees go back to the host by themselves; a guest out of memory gets them from the balloon first.
    """

    def xml(self) -> Element:
        return E.memballoon(model="virtio", autodeflate="on", freePageReporting="on")
