"""What only real libvirt does to its clients."""

import asyncio
import gc
import uuid
from collections.abc import Awaitable, Callable

import libvirt
import pytest

from hack.lab import Host
from hypernova_agent.host import DomainState, HostUnreachable
from hypernova_agent.libvirt import opening
from hypernova_agent.libvirt.errors import detailed
from support.host_contract import Faucet
from support.libvirt_subject import BreakableHost
from support.waiting import eventually_async


async def test_a_libvirtd_that_hangs_is_noticed_and_found_again(
    breakable: BreakableHost, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A loss by keep-alive: nothing is closed, no answer comes."""
    monkeypatch.setattr(opening, "KEEPALIVE_SECONDS", 1)
    monkeypatch.setattr(opening, "OPEN_TIMEOUT", 1.0)
    subject, lab_host = breakable.subject, breakable.lab_host
    await subject.connect()
    uid = await subject.running()
    faucet = Faucet()
    upload = asyncio.create_task(subject.host.upload(subject.name("image2.raw"), faucet.chunks(), size=None))
    await faucet.opened.wait()

    lab_host.pause_libvirtd()
    faucet.go_on()
    pending = [subject.host.domains(), subject.host.volumes(), subject.host.facts(), subject.host.destroy(uid), upload]
    outcomes = await asyncio.gather(*pending, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [HostUnreachable] * len(pending)
    assert subject.lost == ["libvirt has not answered for 4 s"]
    for _ in range(2):
        with pytest.raises(HostUnreachable, match="did not answer"):
            await subject.connect()

    lab_host.resume_libvirtd()
    await subject.connect()
    # The call that hung was carried out when libvirtd went on, if it had arrived: both is right.
    assert await subject.state(uid) in {DomainState.RUNNING, DomainState.SHUT_OFF}
    assert "image2.raw" not in await subject.volume_names()


async def test_every_call_under_way_ends_when_libvirtd_is_killed(breakable: BreakableHost) -> None:
    subject = breakable.subject
    calls = [subject.host.domains, subject.host.facts, subject.host.volumes, subject.host.reservations] * 3
    rounds = 0

    async def again_and_again(call: Callable[[], Awaitable[object]]) -> None:
        nonlocal rounds
        while True:
            await call()
            rounds += 1

    callers = [asyncio.create_task(again_and_again(call)) for call in calls]

    async def busy() -> bool:
        return rounds > 10 * len(calls)

    await eventually_async(busy, "calls to be under way")
    breakable.lose()
    outcomes = await asyncio.gather(*callers, return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [HostUnreachable] * len(calls)


async def test_domains_are_as_they_were_after_every_one_of_many_losses(breakable: BreakableHost) -> None:
    subject = breakable.subject
    uid = await subject.running()
    (qemu,) = breakable.qemus(uid)
    for losses in range(1, 4):
        breakable.lose()

        async def told(losses: int = losses) -> bool:
            return len(subject.lost) == losses

        await eventually_async(told, "the loss to be told")
        breakable.recover()
        await subject.connect()
        assert await subject.state(uid) is DomainState.RUNNING
    assert breakable.qemus(uid) == [qemu]


async def test_after_a_power_cut_pool_network_and_domains_are_there_again(breakable: BreakableHost) -> None:
    subject, lab_host = breakable.subject, breakable.lab_host
    uid = await subject.running()
    lab_host.power_cut()
    lab_host.up()
    lab_host.start_libvirtd()
    await subject.connect()
    assert await subject.state(uid) is DomainState.SHUT_OFF
    await subject.host.start(uid)
    assert await subject.state(uid) is DomainState.RUNNING


class Garbage:
    """Refers to itself, so that only the garbage collector frees what it holds."""

    def __init__(self, held: object) -> None:
        self.itself = self
        self.held = held


def test_an_error_whose_details_the_garbage_collector_has_lost_is_looked_up_again(host: Host) -> None:
    virt, thresholds, nobody = libvirt.open(host.libvirt_uri), gc.get_threshold(), str(uuid.uuid4())

    def look() -> libvirt.virDomain:
        return virt.lookupByUUIDString(nobody)

    def code(search: Callable[[], object], moment: int) -> int | None:
        """The error's code, when garbage is collected at one moment or another of the search."""
        Garbage(virt.nodeDeviceLookupByName("computer"))
        gc.set_threshold(moment)
        try:
            search()
        except libvirt.libvirtError as error:
            return error.get_error_code()
        finally:
            gc.set_threshold(*thresholds)
        return None

    moments = [1 + number % 9 for number in range(300)]
    lost = [code(look, moment) for moment in moments].count(None)
    found = {code(lambda: detailed(look), moment) for moment in moments}
    virt.close()
    assert lost, "nothing was lost: does this libvirt-python still need to be asked again?"
    assert found == {libvirt.VIR_ERR_NO_DOMAIN}
