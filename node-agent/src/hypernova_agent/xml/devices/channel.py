"""Channels between host and guest."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent.xml.element import E, Element


@dataclass(frozen=True, slots=True)
class GuestAgentChannel:
    """<channel>: https://libvirt.org/formatdomain.html#channel

    For qemu-guest-agent: every guest has it, whether its image brings an agent or not.
    """

    def xml(self) -> Element:
        return E.channel(E.target(type="virtio", name="org.qemu.guest_agent.0"), type="unix")
