"""Randomness for the guest."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent.xml.element import E, Element


@dataclass(frozen=True, slots=True)
class Rng:
    """<rng>: https://libvirt.org/formatdomain.html#random-number-generator-device

    Without it a fresh guest waits for entropy before it can make its ssh host keys.
    """

    def xml(self) -> Element:
        return E.rng(E.backend("/dev/urandom", model="random"), model="virtio")
