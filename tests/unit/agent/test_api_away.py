"""An API server that refuses, or does not answer, keeps no guest from being started again, and is told afterwards."""

import asyncio

import pytest

from hypernova_agent.host import DomainState
from hypernova_kube.errors import Unreachable
from support.fake_api import Trouble
from support.guests import a_bound_instance
from support.reconciling import Rig, a_rig
from support.virtual_time import now, virtual_time
from support.waiting import eventually_async

AWAY = Trouble(refused=Unreachable("connection refused"))
HANGS = Trouble(before=1e9)


async def a_running_guest(rig: Rig) -> str:
    rig.cache()
    uid = str(rig.put(a_bound_instance())["metadata"]["uid"])
    await asyncio.sleep(1)
    assert rig.status()[0] == "Running"
    return uid


async def seconds_until_it_runs(rig: Rig, uid: str) -> int:
    """Again, after it has ended by itself just now."""
    rig.host.end(uid, DomainState.CRASHED)
    ended, domain = now(), rig.host.machine.domains[uid]
    await eventually_async(lambda: domain.state is DomainState.RUNNING, "the guest to be started again")
    return round(now() - ended)


@pytest.mark.parametrize(("trouble", "late"), [(AWAY, 0), (HANGS, 10)], ids=["away", "hangs"])
@virtual_time
async def test_a_guest_that_ends_is_started_again_in_its_own_time(trouble: Trouble, late: int) -> None:
    async with a_rig() as rig:
        uid = await a_running_guest(rig)
        rig.trouble = trouble
        for wait in (1, 2, 4, 8, 16, 32):
            assert wait <= await seconds_until_it_runs(rig, uid) <= wait + late
            await asyncio.sleep(120)
        rig.trouble = None
        rig.queue.add(*rig.view)
        await asyncio.sleep(1)
        assert rig.status()[0] == "Running"
        assert rig.get()["status"]["restartCount"] == 6


@virtual_time
async def test_what_could_not_be_told_is_told_at_the_next_look_however_long_it_could_not() -> None:
    async with a_rig() as rig:
        await a_running_guest(rig)
        rig.trouble = AWAY
        rig.edit(powerState="Stopped", terminationGracePeriodSeconds=0)
        await asyncio.sleep(3600)
        assert rig.status()[0] == "Running"
        rig.trouble = None
        rig.queue.add(*rig.view)
        await asyncio.sleep(1)
        assert rig.status()[0] == "Stopped"
