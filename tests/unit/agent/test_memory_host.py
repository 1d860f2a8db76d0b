"""The host in memory is a host as the agent expects one: what is tested on it holds on the real one."""

import asyncio

import pytest

from hypernova_agent.host import DomainState, HostError, HostUnreachable
from support.host_contract import HostContract, LostHostContract, Subject
from support.life_contract import ChangeContract, DiskContract, FullContract, LostLifeContract, PowerContract
from support.memory_host import BOOT_LINE, Machine, MemoryHost
from support.virtual_time import virtual_time


async def connected(host: MemoryHost) -> Subject:
    subject = Subject(host, boot_disk=bytes(512), write=lambda uid: host.write(uid, BOOT_LINE))
    await subject.connect()
    return subject


@pytest.fixture
async def subject() -> Subject:
    return await connected(MemoryHost())


class BreakableMemoryHost:
    def __init__(self, host: MemoryHost, subject: Subject) -> None:
        self._host = host
        self.subject = subject

    def kill_guest(self, uid: str) -> None:
        self._host.end(uid, DomainState.CRASHED)

    def lose(self) -> None:
        self._host.lose()

    def recover(self) -> None:
        self._host.recover()


@pytest.fixture
async def breakable() -> BreakableMemoryHost:
    host = MemoryHost()
    return BreakableMemoryHost(host, await connected(host))


class TestMemoryHost(HostContract, PowerContract, ChangeContract, DiskContract):
    pass


class TestMemoryHostWhenLost(LostHostContract, LostLifeContract):
    pass


class FillableMemoryHost:
    def __init__(self, host: MemoryHost, subject: Subject) -> None:
        self._host = host
        self.subject = subject

    def fill(self) -> None:
        self._host.fill()

    def empty(self) -> None:
        self._host.machine.full = False


@pytest.fixture
async def fillable(subject: Subject) -> FillableMemoryHost:
    return FillableMemoryHost(subject.host, subject)


class TestMemoryHostWithoutRoom(FullContract):
    pass


async def test_a_call_that_is_told_to_fail_does_and_leaves_all_as_it_was(subject: Subject) -> None:
    uid = await subject.defined()
    subject.host.machine.fails.add("start")
    with pytest.raises(HostError, match="start does not work"):
        await subject.host.start(uid)
    assert await subject.state(uid) is DomainState.SHUT_OFF
    subject.host.machine.fails.clear()
    await subject.host.start(uid)
    assert await subject.state(uid) is DomainState.RUNNING


@virtual_time
async def test_a_slow_host_takes_its_time_for_every_call() -> None:
    host = MemoryHost(Machine(seconds=2.0))
    await host.connect(lambda _: None, lambda _: None)
    begun = asyncio.get_running_loop().time()
    await host.domains()
    await host.volumes()
    assert asyncio.get_running_loop().time() - begun == 4.0


async def test_a_dead_host_is_lost_and_its_guests_are_off_when_it_is_back(subject: Subject) -> None:
    uid = await subject.running()
    subject.host.die()
    assert subject.lost == ["libvirt went away"]
    with pytest.raises(HostUnreachable):
        await subject.state(uid)
    subject.host.recover()
    await subject.connect()
    assert await subject.state(uid) is DomainState.SHUT_OFF
