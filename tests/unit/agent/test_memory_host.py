"""The host in memory is a host as the agent expects one: what is tested on it holds on the real one."""

import pytest

from hypernova_agent.host import DomainState
from support.host_contract import HostContract, LostHostContract, Subject
from support.memory_host import MemoryHost


@pytest.fixture
async def subject() -> Subject:
    subject = Subject(MemoryHost(), boot_disk=bytes(512))
    await subject.connect()
    return subject


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
    subject = Subject(host, boot_disk=bytes(512))
    await subject.connect()
    return BreakableMemoryHost(host, subject)


class TestMemoryHost(HostContract):
    pass


class TestMemoryHostWhenLost(LostHostContract):
    pass
