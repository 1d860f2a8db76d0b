"""The agent's host, on lab hosts with real libvirt."""

from collections.abc import AsyncIterator

import pytest

from hack.guest import Guest
from hack.lab import Host
from hypernova_agent.libvirt.host import LibvirtHost
from support.host_contract import Subject
from support.libvirt_subject import WRITER, BreakableHost, FillableHost


@pytest.fixture
async def subject(host: Host, guest: Guest) -> AsyncIterator[Subject]:
    """The shared host, connected, and left as it was."""
    subject = Subject(LibvirtHost(host.libvirt_uri), boot_disk=guest.boot_sector.read_bytes())
    await subject.connect()
    yield subject
    await subject.clear()
    await subject.host.close()


@pytest.fixture
async def breakable(own_host: Host, guest: Guest) -> AsyncIterator[BreakableHost]:
    """A host of the test's own, connected."""
    subject = Subject(LibvirtHost(own_host.libvirt_uri), boot_disk=guest.boot_sector.read_bytes())
    await subject.connect()
    breakable = BreakableHost(own_host, subject)
    yield breakable
    breakable.go_on()
    await subject.host.close()


@pytest.fixture
async def fillable(own_host: Host) -> AsyncIterator[FillableHost]:
    """A host of the test's own whose pool is small, connected."""
    FillableHost.prepare(own_host)
    subject = Subject(LibvirtHost(own_host.libvirt_uri), boot_disk=WRITER, disk_size=1 << 30)
    await subject.connect()
    yield FillableHost(own_host, subject)
    await subject.host.close()
