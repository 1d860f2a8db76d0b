"""`make bench`: what Hypernova costs and how fast it is, on one lab host with boot-sector guests.

Each bench ends with a line `RESULT {json}`: `name`, and figures with their unit in the key. BENCH_STEADY_SECONDS
(default 300) is how long nothing may be written. Figures are for this machine; compare ratios.
"""

from __future__ import annotations

import asyncio
import os
import tempfile
import time
from pathlib import Path

from hack import guest
from hack.stack import Stack
from hypernova_kube.client import Client
from tests.bench.bare import Bare
from tests.bench.cloud import Cloud
from tests.bench.figures import percentile, result
from tests.bench.meter import ApiWrites, StepSeconds, cpu_seconds, resident_mib

NODE = "bench-a"
STEADY_SECONDS = float(os.environ.get("BENCH_STEADY_SECONDS", "300"))


async def bench_create(cloud: Cloud, stack: Stack, name: str, batches: list[int]) -> None:
    """Create Instances batch by batch, each when the one before runs: latency, its parts, and our writes."""
    writes, steps = ApiWrites(stack), StepSeconds(stack.agent(NODE))
    runs = [run for size in batches for run in await cloud.create(size)]
    bind = [1000 * (run.bound - run.created) for run in runs]
    total = [1000 * (run.running - run.created) for run in runs]
    result(
        name,
        {
            "instances": len(runs),
            "running_p50_ms": percentile(total, 50),
            "running_p95_ms": percentile(total, 95),
            "bind_p50_ms": percentile(bind, 50),
            "bind_p95_ms": percentile(bind, 95),
            **{f"{step}_mean_ms": 1000 * seconds for step, seconds in steps.mean().items()},
            "api_writes_per_instance": (writes.count() - len(runs)) / len(runs),  # one each is the user's create
        },
    )


async def bench_memory(stack: Stack, instances: int) -> None:
    """Resident memory of operator and agent."""
    operator, agent = stack.operator().pid, stack.agent(NODE).pid
    assert operator
    assert agent
    result(
        f"memory_{instances}_instances",
        {"operator_rss_mib": resident_mib(operator), "agent_rss_mib": resident_mib(agent)},
    )


async def bench_steady(stack: Stack, instances: int) -> None:
    """Writes while nothing changes, Leases left out, and what the agent spends on it."""
    writes, agent = ApiWrites(stack), stack.agent(NODE).pid
    assert agent
    before = cpu_seconds(agent)
    await asyncio.sleep(STEADY_SECONDS)
    result(
        "steady_state",
        {
            "instances": instances,
            "seconds": STEADY_SECONDS,
            "api_writes": writes.count(),
            "agent_cpu_percent_of_a_core": 100 * (cpu_seconds(agent) - before) / STEADY_SECONDS,
        },
    )


async def bench_beside_virsh(cloud: Cloud, stack: Stack, folder: Path, count: int) -> None:
    """That many at once, beside bare virsh doing the same to the same host, in turn: A B A B."""
    ours, bare = [], []
    virsh = Bare(stack.lab.host(NODE), await cloud.uid(cloud.names[0]), folder)
    for _ in range(2):
        runs = await cloud.create(count)
        ours.append(max(run.running for run in runs) - min(run.created for run in runs))
        await cloud.delete(cloud.names[-count:])
        bare.append(await asyncio.to_thread(virsh.create, count))
        await asyncio.to_thread(virsh.remove)
    result(
        f"create_{count}_beside_virsh",
        {"ours_s": min(ours), "virsh_s": min(bare), "ratio": min(ours) / min(bare)},
    )


async def bench_power_event(cloud: Cloud, stack: Stack, times: int) -> None:
    """From the end of a guest to the API saying so."""
    host, name = stack.lab.host(NODE), cloud.names[0]
    uid, delays = await cloud.uid(name), []
    for _ in range(times):
        await cloud.phase(name, "Running")
        ended = asyncio.create_task(cloud.phase(name, "Stopped"))
        await asyncio.sleep(1)
        await asyncio.to_thread(host.run, "virsh", "--quiet", "destroy", uid)
        before = time.monotonic()
        delays.append(1000 * (await ended - before))
    result("guest_end_seen", {"p50_ms": percentile(delays, 50), "max_ms": max(delays)})


async def main() -> None:
    """All benches, on one stack, in the order that lets each start from what the last left."""
    images = guest.build()
    with tempfile.TemporaryDirectory(prefix="hn-bench-") as folder, Stack(Path(folder)) as stack:
        stack.start_cluster()
        stack.start_host(NODE)
        url = stack.serve(images.boot_sector.parent)
        stack.operator().start()
        stack.agent(NODE).start()
        stack.overcommit(NODE, cpu=64)  # boot sectors halt most of the time: a hundred fit any machine
        async with await Client.connect(stack.cluster.kubeconfig, component="bench") as client:
            cloud = Cloud(client, f"{url}/{images.boot_sector.name}", images.boot_sector_sha256)
            await cloud.prepare()
            await bench_memory(stack, 0)
            await cloud.create(1)  # the image is downloaded for the first only
            await bench_create(cloud, stack, "create_one_by_one", [1] * 10)
            await bench_create(cloud, stack, "create_20_at_once", [20])
            await bench_power_event(cloud, stack, 5)
            await bench_beside_virsh(cloud, stack, Path(folder), 50)
            await cloud.create(100 - len(cloud.names))
            await bench_memory(stack, 100)
            await bench_steady(stack, 100)
            await cloud.delete_all()


if __name__ == "__main__":
    asyncio.run(main())
