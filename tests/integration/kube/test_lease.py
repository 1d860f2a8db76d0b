"""Leases on a real API server: electors that die and hang, and heartbeats."""

import asyncio
from contextlib import asynccontextmanager, suppress

import pytest

from hypernova_kube.client import Client
from hypernova_kube.errors import LeadershipLost
from hypernova_kube.lease import Elector, Heartbeat, LeaseObserver
from hypernova_kube.resources import LEASES
from support.proxy import proxied, proxy_of
from support.waiting import eventually_async


def an_elector(client: Client, namespace: str, identity: str) -> Elector:
    return Elector(client, namespace, "leader", identity, duration=3, renew_deadline=2, retry=0.3)


@asynccontextmanager
async def running(coroutine):
    task = asyncio.create_task(coroutine)
    try:
        yield task
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError, LeadershipLost):
            await task


@asynccontextmanager
async def never_two(*electors: Elector):
    """Fails if two lead at any moment inside the block."""
    both = []

    async def watch() -> None:
        while True:
            if sum(elector.is_leader() for elector in electors) > 1:
                both.append(True)
            await asyncio.sleep(0.005)

    async with running(watch()):
        yield
    assert not both


async def test_of_two_one_leads_and_the_other_takes_over_when_it_dies(client, namespace):
    one, two = an_elector(client, namespace, "one"), an_elector(client, namespace, "two")
    async with never_two(one, two), running(one.run()) as first:
        await eventually_async(one.is_leader, "the first leader")
        async with running(two.run()):
            first.cancel()
            await eventually_async(two.is_leader, "the second leader")
            assert not one.is_leader()
    lease = await client.get(LEASES, "leader", namespace)
    assert (lease["spec"]["holderIdentity"], lease["spec"]["leaseTransitions"]) == ("two", 1)


async def test_a_leader_whose_requests_hang_stops_before_another_takes_over(cluster, client, namespace, tmp_path):
    async with proxy_of(cluster) as proxy, await Client.connect(proxied(cluster, proxy, tmp_path)) as behind:
        one, two = an_elector(behind, namespace, "one"), an_elector(client, namespace, "two")
        async with never_two(one, two), running(one.run()) as first:
            await eventually_async(one.is_leader, "the first leader")
            async with running(two.run()):
                proxy.hang()
                with pytest.raises(LeadershipLost, match="not renewed"):
                    await first
                assert not two.is_leader()
                await eventually_async(two.is_leader, "the second leader")


async def test_after_a_release_another_takes_over_without_waiting_for_the_lease_to_run_out(client, namespace):
    one = Elector(client, namespace, "leader", "one", duration=3600, renew_deadline=60, retry=0.3)
    two = Elector(client, namespace, "leader", "two", duration=3600, renew_deadline=60, retry=0.3)
    async with never_two(one, two):
        async with running(one.run()):
            await eventually_async(one.is_leader, "the first leader")
            async with running(two.run()):
                pass
        await one.release()
        async with running(two.run()):
            await eventually_async(two.is_leader, "the second leader")


async def test_heartbeats_are_seen_for_as_long_as_they_beat(cluster, client, namespace):
    leases = LeaseObserver()

    async def look(now: float) -> None:
        for lease in (await client.list(LEASES, namespace=namespace, label_selector="of=test")).items:
            leases.observe(lease, now)

    async def beat() -> None:
        # One that is late has its client make all connections anew; ours are not to be cut by that.
        async with await Client.connect(cluster.kubeconfig, component="test") as own:
            await Heartbeat(own, namespace, "node-a", "node-a", duration=40, interval=0.2, labels={"of": "test"}).run()

    async with running(beat()):

        async def alive() -> bool:
            await look(now=100.0)
            return leases.is_alive("node-a", 100.0)

        await eventually_async(alive, "a first sign of life")
        before = (await client.get(LEASES, "node-a", namespace))["spec"]["renewTime"]

        async def renewed() -> bool:
            return (await client.get(LEASES, "node-a", namespace))["spec"]["renewTime"] != before

        await eventually_async(renewed, "a renewal")
        await look(now=120.0)
    assert leases.is_alive("node-a", 159.0)
    await look(now=160.0)  # nothing new, or one last renewal
    await look(now=200.0)
    assert not leases.is_alive("node-a", 200.0)
    assert leases.is_dead("node-a", 200.0)
