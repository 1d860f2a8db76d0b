"""The clock that people read may jump, on a host as on any machine: no wait is shorter or longer for it."""

import asyncio
from datetime import timedelta

import pytest

from hypernova_agent.host import DomainState, HostError
from support.guests import a_bound_instance
from support.reconciling import Rig, a_rig
from support.virtual_time import virtual_time

JUMPS = pytest.mark.parametrize("jump", [timedelta(days=400), timedelta(days=-400)], ids=["forth", "back"])


async def a_running_guest(rig: Rig, **spec: object) -> str:
    rig.cache()
    uid = str(rig.put(a_bound_instance(**spec))["metadata"]["uid"])
    await asyncio.sleep(1)
    assert rig.status()[0] == "Running"
    return uid


@JUMPS
@virtual_time
async def test_a_guest_in_its_back_off_is_started_when_it_would_have_been(jump: timedelta) -> None:
    async with a_rig() as rig:
        uid = await a_running_guest(rig)
        domain = rig.host.machine.domains[uid]
        for wait in (1, 2, 4, 8):
            rig.host.end(uid, DomainState.CRASHED)
            rig.jumped += jump
            await asyncio.sleep(wait - 0.1)
            assert domain.state is not DomainState.RUNNING
            await asyncio.sleep(0.2)
            assert domain.state is DomainState.RUNNING


@JUMPS
@virtual_time
async def test_a_guest_keeps_its_grace(jump: timedelta) -> None:
    async with a_rig() as rig:
        uid = await a_running_guest(rig, terminationGracePeriodSeconds=30)
        rig.edit(powerState="Stopped")
        await asyncio.sleep(1)
        rig.jumped += jump
        await asyncio.sleep(28)
        assert rig.host.machine.domains[uid].state is DomainState.RUNNING
        await asyncio.sleep(2)
        assert rig.status()[0] == "Stopped"


@JUMPS
@virtual_time
async def test_a_failure_is_tried_again_when_it_would_have_been(jump: timedelta) -> None:
    async with a_rig() as rig:
        rig.cache()
        rig.host.machine.fails.add("start")
        rig.put(a_bound_instance())
        await asyncio.sleep(1)
        assert rig.status()[2] == HostError.__name__
        rig.jumped += jump
        rig.host.machine.fails.clear()
        await asyncio.sleep(1)
        assert rig.status()[0] == "Failed"
        await asyncio.sleep(3)
        assert rig.status()[0] == "Running"
