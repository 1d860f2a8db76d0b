"""Network interfaces."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent.xml.element import E, Element, element

KIB = 1 << 10


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast one direction is; libvirt counts in whole KiB."""

    average: int
    """Bytes a second in the long run."""

    peak: int | None = None
    """Bytes a second while a burst lasts."""

    burst: int | None = None
    """Bytes that may come at the peak's speed."""


@dataclass(frozen=True, slots=True)
class Bandwidth:
    """<bandwidth>: https://libvirt.org/formatdomain.html#quality-of-service"""

    inbound: Rate | None
    """To the guest."""

    outbound: Rate | None

    def xml(self) -> Element:
        return E.bandwidth(_rate("inbound", self.inbound), _rate("outbound", self.outbound))


@dataclass(frozen=True, slots=True)
class Interface:
    """<interface>: https://libvirt.org/formatdomain.html#network-interfaces"""

    network: str
    """Name of a libvirt network."""

    mac: str
    queues: int
    """Pairs of them, each served by another virtual CPU. The host's kernel serves them where it has vhost-net, else
    QEMU does: libvirt sees to that."""

    link_up: bool = True
    bandwidth: Bandwidth | None = None

    def xml(self) -> Element:
        return E.interface(
            E.mac(address=self.mac),
            E.source(network=self.network),
            E.model(type="virtio"),
            E.driver(queues=self.queues) if self.queues > 1 else None,
            self.bandwidth.xml() if self.bandwidth else None,
            None if self.link_up else E.link(state="down"),
            # No iPXE: nobody boots from the network, and it costs a second of every boot.
            E.rom(enabled="no"),
            type="network",
        )


def _rate(direction: str, rate: Rate | None) -> Element | None:
    if rate is None:
        return None
    return element(direction, average=_kib(rate.average), peak=_kib(rate.peak), burst=_kib(rate.burst))


def _kib(amount: int | None) -> int | None:
    return None if amount is None else -(-amount // KIB)
