"""One call that hangs in a libvirtd that else works: it is given up, and hinders nobody else."""

import asyncio
from collections.abc import AsyncIterator, Iterator

import pytest

from hack.lab import Host
from hypernova_agent.host import HostError
from hypernova_agent.libvirt import connection, lines
from hypernova_agent.libvirt.connection import CALLS
from hypernova_agent.libvirt.host import LibvirtHost
from support.host_contract import MIB, chunks
from support.waiting import eventually_async

POOL = "/var/lib/libvirt/hypernova"
FILE_SYSTEM = "/var/log/pool.ext4"


@pytest.fixture
def pool_of_its_own(own_host: Host) -> Iterator[Host]:
    """A host whose pool is a file system that can be frozen: then whoever writes to it waits, as for an NFS server."""
    own_host.run("truncate", "--size=64M", FILE_SYSTEM)
    own_host.run("mkfs.ext4", "-q", FILE_SYSTEM)
    own_host.run("mkdir", "-p", POOL)
    own_host.run("mount", "-o", "loop", FILE_SYSTEM, POOL)
    yield own_host
    own_host.run("fsfreeze", "--unfreeze", POOL, check=False)


@pytest.fixture
async def host(pool_of_its_own: Host, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[LibvirtHost]:
    monkeypatch.setattr(connection, "CALL_SECONDS", 1.0)
    host = LibvirtHost(pool_of_its_own.libvirt_uri)
    await host.connect(lambda _: None, lambda _: None)
    yield host
    await host.close()


async def overlay(host: LibvirtHost, number: int) -> None:
    await host.create_overlay(f"{number}.qcow2", backing="base.raw", backing_format="raw", capacity=MIB)


async def test_calls_that_hang_are_given_up_others_are_answered_and_all_is_well_when_the_pool_is_back(
    host: LibvirtHost, pool_of_its_own: Host
) -> None:
    await host.upload("base.raw", chunks([bytes(MIB)]), size=MIB)
    pool_of_its_own.run("fsfreeze", "--freeze", POOL)
    for number in range(CALLS + 2):
        with pytest.raises(HostError, match=r"libvirt has not answered for 1 s \(create overlay\): look at"):
            await overlay(host, number)
    assert await asyncio.gather(*(host.domains() for _ in range(2 * CALLS))) == [[]] * (2 * CALLS)

    pool_of_its_own.run("fsfreeze", "--unfreeze", POOL)
    await overlay(host, CALLS + 2)
    made = {f"{number}.qcow2" for number in range(CALLS + 3)}

    async def all_made() -> bool:
        return made <= {volume.name for volume in await host.volumes()}

    await eventually_async(all_made, "what was asked for to be there, late")


async def test_when_all_lines_hang_who_waits_for_one_is_told_and_the_end_is_not_held_up(
    host: LibvirtHost, pool_of_its_own: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MOST_UNANSWERED", 0)
    await host.upload("base.raw", chunks([bytes(MIB)]), size=MIB)
    pool_of_its_own.run("fsfreeze", "--freeze", POOL)
    for number in range(CALLS):
        with pytest.raises(HostError):
            await overlay(host, number)
    with pytest.raises(HostError, match=r"libvirt has not answered for 1 s \(domains\)"):
        await host.domains()
    async with asyncio.timeout(30):
        await host.close()


async def test_the_end_does_not_wait_for_a_call_that_is_given_up_meanwhile(
    host: LibvirtHost, pool_of_its_own: Host, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lines, "MOST_UNANSWERED", 0)
    await host.upload("base.raw", chunks([bytes(MIB)]), size=MIB)
    pool_of_its_own.run("fsfreeze", "--freeze", POOL)
    hanging = asyncio.create_task(overlay(host, 0))
    await asyncio.sleep(0)  # it has its line
    async with asyncio.timeout(30):
        await host.close()
    with pytest.raises(HostError, match="has not answered for 1 s"):
        await hanging
