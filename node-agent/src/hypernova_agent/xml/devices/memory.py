"""Memory that can be plugged in while the guest runs."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent.xml.element import E, Element

KIB = 1 << 10
BLOCK = 2 << 20
"""Bytes: what is plugged comes in multiples of it; a huge page, so that the host can back it with those."""


@dataclass(frozen=True, slots=True)
class VirtioMemory:
    """<memory>: https://libvirt.org/formatdomain.html#memory-devices

    Empty at power-on. It is better than DIMMs, as it tells how much the guest has really taken, gives back in small
    pieces, and needs no slots; and than a balloon, whose guest may take all that it could have whenever it likes.
    """

    size: int
    """Bytes that can be plugged in, a multiple of BLOCK."""

    def xml(self) -> Element:
        return E.memory(
            E.target(
                E.size(str(self.size // KIB), unit="KiB"),
                E.node("0"),
                E.block(str(BLOCK // KIB), unit="KiB"),
                E.requested("0", unit="KiB"),
            ),
            model="virtio-mem",
        )
