"""`make bench-scale`: the real operator and API server under a cloud of simulated hypervisors, on this machine alone.

Instances are created as fast as the API server takes them, then at a rate, and last an operator starts on a cluster far
larger. Each bench ends with a line `RESULT {json}`. Narrowed by the environment:

    BENCH_HOSTS=1000 BENCH_INSTANCES=2000 BENCH_RATE=50     0 leaves a rate out
    BENCH_START_HOSTS=10000 BENCH_START_INSTANCES=50000     0 hosts leave the start out
    BENCH_PROFILE=DIRECTORY                                 where operator and agents write what their CPU went to
"""

from __future__ import annotations

import asyncio
import hashlib
import os
import signal
import tempfile
import time
from contextlib import aclosing
from pathlib import Path

from hack.devcluster.components import API_SERVER, CONTROLLERS, ETCD
from hack.devcluster.install import NAMESPACE
from hack.devcluster.layout import Layout
from hack.stack import Program, Stack
from hypernova_api.hypervisor import LEASE_PREFIX, Hypervisor
from hypernova_kube.client import Client
from hypernova_kube.errors import ServerError
from hypernova_kube.resources import LEASES, NODES, Resource
from tests.bench.figures import percentile, result
from tests.bench.meter import ApiWrites, resident_mib
from tests.bench.scale.agents import IMAGE, node_name
from tests.bench.scale.load import INSTANCES, Load, an_instance
from tests.bench.scale.load import NAMESPACE as USERS
from tests.bench.scale.processes import CpuSeconds
from tests.bench.scale.seed import Seed, Templates
from tests.support.waiting import eventually_async

HOSTS = int(os.environ.get("BENCH_HOSTS", "1000"))
COUNT = int(os.environ.get("BENCH_INSTANCES", "2000"))
RATE = float(os.environ.get("BENCH_RATE", "50"))
START_HOSTS = int(os.environ.get("BENCH_START_HOSTS", "10000"))
START_INSTANCES = int(os.environ.get("BENCH_START_INSTANCES", "50000"))
PROFILE = os.environ.get("BENCH_PROFILE", "")

HYPERVISORS = Resource.of(Hypervisor)
SHA256 = hashlib.sha256(IMAGE).hexdigest()
IDLE_SECONDS = 20.0
_WAIT_SECONDS = 900.0


def program(stack: Stack, name: str, module: str, *flags: str) -> Program:
    """One of ours as a process, sampled if that is asked for."""
    if PROFILE:
        flags += ("--module", module, "--samples", str(Path(PROFILE).absolute() / f"{name}.txt"))
        module = "tests.bench.scale.sampled"
    return Program(stack.folder / "logs", name, module, *flags)


class Bench:
    """A stack with its simulated hypervisors, and the user who loads it."""

    def __init__(self, stack: Stack, client: Client) -> None:
        self._stack = stack
        self._client = client
        self._load = Load(client, SHA256)
        self._idle: dict[str, float] = {}  # CPU seconds a second, of each process, while nothing happens
        self._logins = stack.folder / "logins"
        login = stack.cluster.service_account_kubeconfig(NAMESPACE, "hypernova-operator")
        flags = ("--kubeconfig", str(login), "--identity", "bench")
        self.operator = program(stack, "operator", "hypernova_operator", *flags)
        self.agents = program(
            stack,
            "agents",
            "tests.bench.scale.agents",
            *("--kubeconfigs", str(self._logins), "--hosts", str(HOSTS), "--image-sha256", SHA256),
        )

    async def bring_up(self) -> None:
        """Operator and agents, all of them registered."""
        nodes = [node_name(number) for number in range(HOSTS)]
        await self._load.prepare(nodes)
        await asyncio.to_thread(self._log_in, nodes)
        await asyncio.to_thread(self.operator.start)
        started, cpu = time.monotonic(), self._cpu()
        await asyncio.to_thread(self.agents.start)
        await eventually_async(self._all_ready, "all hypervisors to be registered", _WAIT_SECONDS)
        result("scale_register", {"hosts": HOSTS, "seconds": time.monotonic() - started, **_milliseconds(cpu, HOSTS)})

    def _log_in(self, nodes: list[str]) -> None:
        """A token for each node's agent: it may write what is that node's alone."""
        self._logins.mkdir(exist_ok=True)
        for node in nodes:
            login = self._stack.cluster.service_account_kubeconfig(NAMESPACE, "hypernova-node-agent", node=node)
            login.rename(self._logins / f"{node}.yaml")

    async def warm_up(self) -> None:
        """Use everything once: connections, and the API server's buffers for watches, which grow with the traffic."""
        await self._load.create(COUNT)
        await self._load.delete_all()

    async def idle(self) -> None:
        """What so many agents cost while nothing happens, CPU a second: heartbeats, nearly all of it."""
        cpu, started = self._cpu(), time.monotonic()
        await asyncio.sleep(IDLE_SECONDS)
        seconds = time.monotonic() - started
        self._idle = {name: spent / seconds for name, spent in cpu.spent().items()}
        result("scale_idle", {"hosts": HOSTS, **_milliseconds(cpu, seconds)})

    async def create(self, name: str, rate: float = 0.0) -> None:
        """Create, and measure. CPU is milliseconds an Instance of each process; `net`, less what idling takes."""
        if PROFILE:
            self.operator.signal(signal.SIGUSR2)
            self.agents.signal(signal.SIGUSR2)
        writes, cpu = ApiWrites(self._stack), self._cpu()
        run = await self._load.create(COUNT, rate=rate)
        net = {key: max(0.0, seconds - self._idle[key] * run.seconds) for key, seconds in cpu.spent().items()}
        figures = _milliseconds(cpu, COUNT) | {f"net_{key}_ms": 1000 * each / COUNT for key, each in net.items()}
        result(
            name,
            {
                "hosts": HOSTS,
                "instances": COUNT,
                "offered_per_s": rate,
                "running_per_s": COUNT / run.seconds,
                "running_p50_ms": percentile(run.latencies(), 50),
                "running_p95_ms": percentile(run.latencies(), 95),
                "api_writes_per_instance": (writes.count() - COUNT) / COUNT,  # one each is the user's create
                **figures,
                "net_all_ms": 1000 * sum(net.values()) / COUNT,
            },
        )

    async def delete(self) -> None:
        """Delete all there are."""
        cpu = self._cpu()
        seconds = await self._load.delete_all()
        result("scale_delete", {"instances": COUNT, "per_s": COUNT / seconds, **_milliseconds(cpu, COUNT)})

    async def start(self) -> None:
        """An operator starts on a large cluster, and decides."""
        (instance,) = (await self._load.create(1)).running
        templates = Templates(
            node=await self._client.get(NODES, node_name(0)),
            hypervisor=await self._client.get(HYPERVISORS, node_name(0)),
            lease=await self._client.get(LEASES, LEASE_PREFIX + node_name(0), NAMESPACE),
            instance=await self._client.get(INSTANCES, instance, USERS),
        )
        self.operator.stop()
        self.agents.stop()
        ports = Layout(self._stack.cluster.folder).read_ports()
        assert ports is not None
        seed = Seed(f"http://127.0.0.1:{ports.etcd}", templates, START_HOSTS)
        await seed.sow_hosts()
        await self._caught_up()
        beating = asyncio.create_task(seed.beat())
        await asyncio.to_thread(self.operator.start)
        await asyncio.sleep(2)
        before = self._operator_mib()
        self.operator.stop()
        await seed.sow_instances(START_INSTANCES)
        await self._caught_up()
        waiting = await self._client.create(INSTANCES, an_instance("waiting"))
        started = time.monotonic()
        since = waiting["metadata"]["resourceVersion"]
        events = self._client.watch(INSTANCES, resource_version=since, timeout_seconds=_WAIT_SECONDS)
        starting = asyncio.create_task(asyncio.to_thread(self.operator.start))
        async with asyncio.timeout(_WAIT_SECONDS), aclosing(events):
            async for event in events:
                if event.object["metadata"].get("name") == "waiting" and "nodeName" in event.object.get("status", {}):
                    break
        seconds = time.monotonic() - started
        await starting
        pid = self.operator.pid
        assert pid
        cpu = CpuSeconds({"operator": pid}).total()
        await asyncio.sleep(5)  # kopf replays what has been listed; it is no news
        after = self._operator_mib()
        result(
            "scale_start",
            {
                "hosts": START_HOSTS,
                "instances": START_INSTANCES,
                "deciding_after_s": seconds,
                "operator_cpu_s": cpu["operator"],
                "operator_rss_without_instances_mib": before,
                "operator_rss_mib": after,
                "operator_kib_per_instance": (after - before) * 1024 / max(START_INSTANCES, 1),
            },
        )
        beating.cancel()

    async def _caught_up(self) -> None:
        """Wait until the API server has heard of all that was written behind its back."""

        async def look() -> bool:
            try:
                for resource in (NODES, HYPERVISORS, LEASES, INSTANCES):
                    await self._client.current_version(resource)
            except ServerError:  # it has waited 3 s for its cache
                await asyncio.sleep(1)
                return False
            return True

        await eventually_async(look, "the API server to catch up", _WAIT_SECONDS)

    def _cpu(self) -> CpuSeconds:
        pids = self._stack.cluster.pids
        operator, agents = self.operator.pid, self.agents.pid
        assert operator
        return CpuSeconds(
            {
                "apiserver": pids[API_SERVER],
                "etcd": pids[ETCD],
                "controllers": pids[CONTROLLERS],
                "operator": operator,
                **({"agents": agents} if agents else {}),
                "load": os.getpid(),
            }
        )

    def _operator_mib(self) -> float:
        pid = self.operator.pid
        assert pid
        return resident_mib(pid)

    async def _all_ready(self) -> bool:
        """Whether the agent of each has said what it has."""
        await asyncio.sleep(1)
        listing = await self._client.list(HYPERVISORS)
        return sum("allocatable" in obj.get("status", {}) for obj in listing.items) == HOSTS


def _milliseconds(cpu: CpuSeconds, per: float) -> dict[str, float]:
    """CPU time of each process, and of all, divided."""
    spent = {f"cpu_{name}_ms": 1000 * seconds / per for name, seconds in cpu.spent().items()}
    return spent | {"cpu_all_ms": sum(spent.values())}


async def main() -> None:
    """All benches on one stack."""
    with tempfile.TemporaryDirectory(prefix="hn-bench-") as folder, Stack(Path(folder)) as stack:
        stack.start_cluster()
        async with await Client.connect(stack.cluster.kubeconfig, component="bench") as client:
            bench = Bench(stack, client)
            await bench.bring_up()
            await bench.idle()
            await bench.warm_up()
            await bench.create("scale_create")
            await bench.delete()
            if RATE:
                await bench.create(f"scale_create_at_{RATE:g}_per_s", RATE)
                await bench.delete()
            if START_HOSTS:
                await bench.start()
            bench.operator.stop()
            bench.agents.stop()


if __name__ == "__main__":
    asyncio.run(main())
