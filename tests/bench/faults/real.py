"""BACKEND=libvirt: real operators, agents, libvirtd and QEMU on two lab hosts, broken for real while their guests work.

LINUX guests prove their disks (they write blocks with checksums and read them back); the others are boot sectors that
come and go. What the guests' processes do is watched from outside all the time.
"""

from __future__ import annotations

import asyncio
import os
import random
import re
import signal
import tempfile
import time
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path

from hack import guest
from hack.guest import Guest
from hack.stack import POOL, Program, Stack
from hypernova_agent import names
from hypernova_kube.client import Client
from hypernova_kube.errors import KubeError
from hypernova_kube.resources import Object
from support.builders import a_flavor, an_image, an_instance
from support.processes import command_line
from support.user import User as Kubectl
from tests.bench.faults.ledger import Ledger, Wrong
from tests.bench.faults.operations import INSTANCES, NAMESPACE, WEIGHTS, Catalog, User
from tests.bench.faults.proofs import losses, written
from tests.bench.faults.settled import condition, domain_uid, may_be_off

NODES = ("node-a", "node-b")
LINUX, SECTORS = 8, 14
"""Guests: those that prove their disks, and the others, as they are to begin with."""

SETTLING = 420.0
"""Seconds after the last fault by which all must be right: some back-offs take minutes."""

UNHARMFUL = ("power", "power-burst", "touch", "Reboot")
"""What may befall a guest that proves its disk."""

FORGETFUL = ("Rebuild", "Rescue", "Unrescue", "Snapshot", "SetPassword", "GetGuestInfo", "orphan", "force-delete")
"""What boot sectors are spared: it takes a guest agent, or leaves what only an administrator may clear away."""

_LOOK_SECONDS = 0.3
_UID = re.compile(r"-uuid ([0-9a-f-]{36}) ")


@dataclass(slots=True)
class Watch:
    """Looks at all QEMU processes of the hosts, again and again."""

    stack: Stack
    ledger: Ledger
    _suspects: Counter[str] = field(default_factory=Counter)

    async def run(self) -> None:
        """For ever; end it by cancelling."""
        while True:
            counts = await asyncio.to_thread(self.running)
            for uid in list(self._suspects):
                if counts[uid] < 2:
                    del self._suspects[uid]
            for uid, count in counts.items():
                if count > 1:
                    self._suspects[uid] += 1
                    # A process may be seen in the moment between its fork and its exec.
                    if self._suspects[uid] > 1:
                        self.ledger.found(Wrong.DOUBLED, f"{count} QEMUs run {uid}")
            await asyncio.sleep(_LOOK_SECONDS)

    def running(self) -> Counter[str]:
        """How many QEMUs there are, by the UID of their domain."""
        counts = Counter[str]()
        for host in self.stack.lab.hosts:
            for pid in host.pids():
                if found := _UID.search(command_line(pid)):
                    counts[found[1]] += 1
        return counts


class Breaker:
    """Breaks one thing at a time, and leaves it mended: what comes of it is the others' to mend."""

    def __init__(self, stack: Stack, ledger: Ledger, rng: random.Random) -> None:
        self._stack = stack
        self._ledger = ledger
        self._rng = rng
        self._faults: dict[str, tuple[float, Callable[[str], Awaitable[None]]]] = {
            "agent-killed": (5.0, self._agent_killed),
            "agent-hangs": (1.0, self._agent_hangs),
            "operator-killed": (2.0, self._operator_killed),
            "libvirtd-killed": (2.0, self._libvirtd_killed),
            "libvirtd-hangs": (1.0, self._libvirtd_hangs),
            "qemu-killed": (4.0, self._qemu_killed),
            "domain-destroyed": (1.0, self._domain_destroyed),
            "api-killed": (1.0, self._api_killed),
            "power-cut": (0.7, self._power_cut),
        }

    async def strike(self) -> None:
        """One fault, by chance."""
        kinds = list(self._faults)
        kind = self._rng.choices(kinds, [self._faults[each][0] for each in kinds])[0]
        await self._faults[kind][1](kind)

    async def _agent_killed(self, kind: str) -> None:
        node = self._rng.choice(NODES)
        self._ledger.failed(kind, node)
        await self._again(self._stack.agent(node))

    async def _agent_hangs(self, kind: str) -> None:
        node = self._rng.choice(NODES)
        self._ledger.failed(kind, node)
        agent = self._stack.agent(node)
        agent.signal(signal.SIGSTOP)
        await asyncio.sleep(self._rng.uniform(1, 12))
        agent.signal(signal.SIGCONT)

    async def _operator_killed(self, kind: str) -> None:
        name = self._rng.choice(("operator", "operator-standby"))
        self._ledger.failed(kind, name)
        await self._again(self._stack.operator(name))

    async def _libvirtd_killed(self, kind: str) -> None:
        host = self._stack.lab.host(self._rng.choice(NODES))
        self._ledger.failed(kind, host.name)
        await asyncio.to_thread(host.kill_libvirtd)
        await asyncio.sleep(self._rng.uniform(0, 5))
        await asyncio.to_thread(host.start_libvirtd)

    async def _libvirtd_hangs(self, kind: str) -> None:
        host = self._stack.lab.host(self._rng.choice(NODES))
        self._ledger.failed(kind, host.name)
        await asyncio.to_thread(host.pause_libvirtd)
        await asyncio.sleep(self._rng.uniform(1, 25))
        await asyncio.to_thread(host.resume_libvirtd)

    async def _qemu_killed(self, kind: str) -> None:
        for host in self._rng.sample(list(self._stack.lab.hosts), len(NODES)):
            pids = [pid for pid in host.pids() if _UID.search(command_line(pid))]
            if pids:
                pid = self._rng.choice(pids)
                self._ledger.failed(kind, f"pid {pid} on {host.name}")
                os.kill(pid, signal.SIGKILL)
                return

    async def _domain_destroyed(self, kind: str) -> None:
        host = self._stack.lab.host(self._rng.choice(NODES))
        uids = (await asyncio.to_thread(host.run, "virsh", "list", "--uuid", check=False)).stdout.split()
        if uids:
            uid = self._rng.choice(uids)
            self._ledger.failed(kind, f"{uid} on {host.name}")
            await asyncio.to_thread(host.run, "virsh", "destroy", uid, check=False)

    async def _api_killed(self, kind: str) -> None:
        self._ledger.failed(kind, "the API server")
        await asyncio.to_thread(self._stack.cluster.stop_apiserver, kill=True)
        await asyncio.sleep(self._rng.uniform(0, 15))
        await asyncio.to_thread(self._stack.cluster.start_apiserver)

    async def _power_cut(self, kind: str) -> None:
        node = self._rng.choice(NODES)
        self._ledger.failed(kind, node)
        agent = self._stack.agent(node)
        await asyncio.to_thread(self._stack.lab.host(node).power_cut)
        await asyncio.to_thread(agent.stop, kill=True)
        await asyncio.sleep(self._rng.uniform(0, 10))
        await asyncio.to_thread(self._stack.lab.up, node)
        await asyncio.to_thread(agent.start)

    async def _again(self, program: Program) -> None:
        await asyncio.to_thread(program.stop, kill=True)
        await asyncio.sleep(self._rng.uniform(0, 3))
        await asyncio.to_thread(program.start)


class Course:
    """One soak on real parts."""

    def __init__(self, stack: Stack, client: Client, images: Guest, url: str, ledger: Ledger, seed: int) -> None:
        rng = random.Random(seed)
        self._stack = stack
        self._client = client
        self._images = images
        self._url = url
        self._ledger = ledger
        self._rng = rng
        self._watch = Watch(stack, ledger)
        self._breaker = Breaker(stack, ledger, rng)
        spared = {kind: weight for kind, weight in WEIGHTS.items() if kind not in FORGETFUL}
        catalog = Catalog(("sector", "sector-2"), ("sector",), SECTORS + 4)
        self._users = [
            User(client, catalog, random.Random(rng.random()), ledger, spared),
            User(
                client,
                Catalog(("tiny",), ("linux",), LINUX),
                random.Random(rng.random()),
                ledger,
                {kind: WEIGHTS[kind] for kind in UNHARMFUL},
                ("Running", "Running", "Running", "Paused", "Suspended", "Stopped"),
            ),
        ]

    async def run(self, faults: int) -> None:
        """All of it: guests, faults and operations in turn, then peace, then everything must be right."""
        await self._furnish()
        watching = asyncio.create_task(self._watch.run())
        try:
            while self._ledger.faults.total() < faults:
                await self._operate()
                await asyncio.sleep(self._rng.uniform(0, 2))
                await self._breaker.strike()
            await self._settle()
            await self._all_run()
            await self._delete_all()
        finally:
            watching.cancel()

    async def _operate(self) -> None:
        for _ in range(self._rng.randint(1, 4)):
            try:
                instances = await self._instances()
                linux = {name: each for name, each in instances.items() if name.startswith("linux-")}
                user, own = self._rng.choices(
                    [
                        (self._users[0], {n: each for n, each in instances.items() if n not in linux}),
                        (self._users[1], linux),
                    ],
                    (3, 1),
                )[0]
                await user.act(own)
            except KubeError as error:
                self._ledger.note(f"not done: {error}")  # the API server is away

    async def _settle(self) -> None:
        deadline, problems = time.monotonic() + SETTLING, ["not looked yet"]
        while problems and time.monotonic() < deadline:
            await asyncio.sleep(2)
            problems = await self._problems()
        for problem in problems:
            self._ledger.found(Wrong.STUCK, problem)

    async def _problems(self) -> list[str]:
        counts = await asyncio.to_thread(self._watch.running)
        found = []
        for name, instance in (await self._instances()).items():
            if why := _unsettled(instance, counts[domain_uid(instance)]):
                found.append(f"{name} {domain_uid(instance)}: {why}: {instance['spec']} {instance.get('status')}")
        return found

    async def _all_run(self) -> None:
        """Every guest that proves its disk does so again, and has never seen anything wrong."""
        before = {}
        for name, instance in (await self._instances()).items():
            if name.startswith("linux-"):
                before[name] = written(self._console(instance))
                spec = {"powerState": "Running", "restartPolicy": "Always"}
                await self._client.patch(INSTANCES, name, {"spec": spec}, NAMESPACE)
        deadline = time.monotonic() + SETTLING
        for name, count in before.items():
            while True:
                instance = await self._client.get(INSTANCES, name, NAMESPACE)
                if written(self._console(instance)) > count:
                    break
                if time.monotonic() > deadline:
                    self._ledger.found(Wrong.STUCK, f"{name} does not go on: {instance.get('status')}")
                    break
                await asyncio.sleep(1)
            for loss in losses(self._console(instance)):
                self._ledger.found(Wrong.LOST, f"{name}: {loss}")
        if len(before) < LINUX:
            self._ledger.found(Wrong.LOST, f"{LINUX - len(before)} Instances that nobody has deleted")

    async def _delete_all(self) -> None:
        for name in await self._instances():
            spec = {"terminationGracePeriodSeconds": 0, "locked": None}
            await self._client.patch(INSTANCES, name, {"spec": spec}, NAMESPACE)
            await self._client.delete(INSTANCES, name, NAMESPACE)
        deadline = time.monotonic() + SETTLING
        while left := list(await self._instances()):
            if time.monotonic() > deadline:
                self._ledger.found(Wrong.STUCK, f"not deleted: {left}")
                break
            await asyncio.sleep(1)
        for host in self._stack.lab.hosts:
            domains = (await asyncio.to_thread(host.run, "virsh", "list", "--all", "--uuid")).stdout.split()
            volumes = [path.name for path in host.path(POOL).iterdir() if names.instance_of(path.name)]
            for orphan in [*domains, *volumes]:
                self._ledger.found(Wrong.ORPHANED, f"{host.name}: {orphan}")

    async def _instances(self) -> dict[str, Object]:
        found = (await self._client.list(INSTANCES, namespace=NAMESPACE)).items
        return {each["metadata"]["name"]: each for each in found}

    def _console(self, instance: Object) -> str:
        node, uid = instance.get("status", {}).get("nodeName"), domain_uid(instance)
        if not node:
            return ""
        # The newest part and those before it, which are kept when the log is full.
        parts = sorted(self._stack.lab.host(node).path(POOL).glob(f"{names.console_log(uid)}*"), reverse=True)
        return "".join(part.read_text(errors="replace") for part in parts)

    async def _furnish(self) -> None:
        kubectl = Kubectl(self._stack, self._url, self._images)
        kubectl.kubectl("create", "namespace", NAMESPACE)
        kubectl.apply(a_flavor("tiny", vcpus=1, memory="96Mi", rootDisk="1Gi"))
        kubectl.apply(a_flavor("sector", vcpus=1, memory="16Mi", rootDisk="0"))
        kubectl.apply(a_flavor("sector-2", vcpus=2, memory="24Mi", rootDisk="4Mi"))
        for name, format_, path, sha256 in (
            ("linux", "qcow2", self._images.qcow2, self._images.sha256),
            ("sector", "raw", self._images.boot_sector, self._images.boot_sector_sha256),
        ):
            source = {"url": f"{self._url}/{path.name}", "sha256": sha256}
            kubectl.apply(an_image(name, NAMESPACE, format=format_, source=source))
        linux = {"flavor": "tiny", "image": {"name": "linux"}, "terminationGracePeriodSeconds": 5}
        sector = {"flavor": "sector", "image": {"name": "sector"}, "terminationGracePeriodSeconds": 0}
        proves = {"userData": {"inline": "#!/bin/sh\nchecksum &\n"}}
        for number in range(LINUX):
            await self._create(f"linux-{number}", linux | proves)
        for number in range(SECTORS):
            await self._create(f"vm-{number}", sector)
        await self._settle()

    async def _create(self, name: str, spec: Object) -> None:
        await self._client.create(INSTANCES, an_instance(name, NAMESPACE, **spec))


async def soak(faults: int, seed: int) -> Ledger:
    """One soak with so many faults; chance is the seed's, the timing is the machine's."""
    began = time.monotonic()
    ledger = Ledger(lambda: time.monotonic() - began)
    images = guest.build()
    with tempfile.TemporaryDirectory(prefix="hn-faults-") as folder, Stack(Path(folder)) as stack:
        stack.start_cluster()
        for node in NODES:
            stack.start_host(node)
        url = stack.serve(images.qcow2.parent)
        for program in (stack.operator(), stack.operator("operator-standby"), *map(stack.agent, NODES)):
            program.start()
        for node in NODES:
            stack.overcommit(node, cpu=64)
        async with await Client.connect(stack.cluster.kubeconfig, component="bench") as client:
            await Course(stack, client, images, url, ledger, seed).run(faults)
    return ledger


def _unsettled(instance: Object, running: int) -> str:
    metadata, spec, status = instance["metadata"], instance["spec"], instance.get("status", {})
    if "deletionTimestamp" in metadata:
        return "is being deleted"
    if status.get("observedGeneration") != metadata["generation"]:
        return "its status is of yesterday"
    ready, phase = condition(instance, "Ready"), status.get("phase")
    if phase == "Stopped" and running == 0 and may_be_off(instance, spec["powerState"], ready):
        return ""
    if ready.get("status") != "True" or phase != spec["powerState"]:
        return f"is {phase}"
    should = int(phase in ("Running", "Paused"))
    return "" if running == should else f"is {phase}, and {running} QEMUs run it"
