"""How long nobody leads when a leader dies, in the worst case of many."""

from __future__ import annotations

import asyncio
import random

import pytest

from hypernova_kube.lease import Elector
from hypernova_operator.controllers.writes import WRITE_SECONDS
from hypernova_operator.operator import LEADER_LEASE, LEADER_RETRY_SECONDS
from support.fake_api import FakeApi
from support.virtual_time import now, virtual_time

PROMISE_SECONDS = 20


def an_elector(api: FakeApi, name: str, seed: int) -> Elector:
    return Elector(
        api.client(), "hn", LEADER_LEASE, name, retry=LEADER_RETRY_SECONDS, clock=now, rng=random.Random(seed)
    )


@pytest.mark.parametrize("seed", range(50))
def test_a_standby_leads_in_less_than_20_s_and_never_before_a_write_of_the_dead_has_ended(seed: int) -> None:
    @virtual_time
    async def test() -> None:
        api, rng = FakeApi(), random.Random(seed)
        leader, standby = an_elector(api, "leader", seed), an_elector(api, "standby", seed + 1)
        leading = asyncio.create_task(leader.run())
        await leader.elected.wait()
        waiting = asyncio.create_task(standby.run())
        await asyncio.sleep(rng.uniform(5, 10))
        leading.cancel()
        died = now()
        last_write_ends = await _end_of_leadership(leader) + WRITE_SECONDS
        await standby.elected.wait()
        assert last_write_ends < now() < died + PROMISE_SECONDS - 2, "2 s are for the first sweep"
        waiting.cancel()

    test()


async def _end_of_leadership(leader: Elector) -> float:
    """When it would have stopped writing by itself, had it only hung."""
    for _ in range(2000):
        if not leader.is_leader():
            break
        await asyncio.sleep(0.01)
    return now()
