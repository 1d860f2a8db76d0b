"""A Linux guest in a domain as ours are put together."""

import re
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

from hack.guest import Guest
from hypernova_agent.host import DomainState, Reservation
from hypernova_agent.xml.guest import DiskConfig, domain_xml
from support.host_contract import MIB, Subject
from support.waiting import eventually_async


async def test_a_guest_gets_its_reserved_address_and_ends_at_its_power_button(subject: Subject, guest: Guest) -> None:
    image, disk = subject.name("linux.qcow2"), subject.name("linux-root.qcow2")
    await subject.host.upload(image, _pieces(guest.qcow2), size=guest.qcow2.stat().st_size)
    await subject.host.create_overlay(disk, backing=image, backing_format="qcow2", capacity=512 * MIB)
    linux = replace(await subject.guest(), memory=96 * MIB, disks=(DiskConfig(disk, "qcow2"),))
    uid = linux.owner.uid
    # On a network that had no reservation and so no DHCP server, while others come and go.
    await subject.host.reserve(Reservation(linux.interfaces[0].mac, "10.60.201.7", "web-1.shop"))
    await subject.host.reserve(Reservation("52:54:00:aa:00:01", "10.60.201.8", "web-1.bank"))
    await subject.host.define(domain_xml(linux))
    await subject.host.start(uid)
    await subject.host.release("52:54:00:aa:00:01")

    async def ready() -> bytes | None:
        found = re.search(rb"HYPERNOVA-GUEST READY .*\n", await subject.console(uid))
        return found and found[0]

    assert b"ip=10.60.201.7 " in await eventually_async(ready, "the guest to be ready", 120)

    await subject.host.shutdown(uid)

    async def off() -> bool:
        return await subject.state(uid) is DomainState.SHUT_OFF

    await eventually_async(off, "the guest to shut down")


async def _pieces(file: Path) -> AsyncIterator[bytes]:
    with file.open("rb") as source:
        while piece := source.read(100_000):
            yield piece
