"""One node with its agent and without an operator: Instances are bound, and actions admitted, by hand.

A `Scene` is what is on its disks and in the API server at one moment, without anything that runs: as many lives as a
test likes can begin from it.
"""

from __future__ import annotations

import asyncio
import copy
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from hypernova_api.action import InstanceAction
from hypernova_api.hypervisor import ORPHAN_ANNOTATION, Hypervisor
from hypernova_api.instance import BoundImage, Instance
from hypernova_api.meta import FINALIZER
from hypernova_kube.resources import Key, Object, Resource
from support.builders import a_condition, a_hypervisor, an_action, an_instance
from support.guests import NODE
from support.machine import FACTS, Machine
from support.memory_host import MemoryHost
from support.soak_agent import Agent, Surroundings
from support.soak_api import ApiServer, Backup
from support.soak_client import Fate
from support.soak_host import Call, HostFate, Witness
from support.soak_images import URL, ImageSite
from support.soak_process import Process, as_processes
from support.virtual_time import VirtualTimeLoop

INSTANCES, ACTIONS, HYPERVISORS = Resource.of(Instance), Resource.of(InstanceAction), Resource.of(Hypervisor)
WEB = Key("shop", "web-1")
ONE_CARD = ({"name": "default"},)

QUIET_SECONDS = 50.0
"""A node on which nothing has been written or changed for so long has come to rest: longer than a grace, and than the
patience with a guest that is to take something."""


@dataclass(frozen=True, slots=True)
class Scene:
    """A moment."""

    machine: Machine
    backup: Backup


class Cut(Witness):
    """Kills the agent at its n-th effect (call that changes something, or write), before or after it is done.

    Effects are all that a crash can come between: looks leave nothing behind.
    """

    def __init__(self, number: int | None = None, *, after: bool = False) -> None:
        self.effects: list[str] = []
        self.armed = False
        """Whether it counts yet."""
        self._number = number
        self._after = after

    def begins(self, process: Process, call: Call) -> HostFate | None:
        if not call.changes or not self._now(str(call)):
            return None
        return HostFate.KILLED_AFTER if self._after else HostFate.KILLED_BEFORE

    def requested(self, process: Process, verb: str, resource: Resource) -> Fate | None:
        """What becomes of a request."""
        writes = verb in ("create", "patch", "update", "delete") and resource.plural not in ("leases", "events")
        if not writes or not self._now(f"{verb} {resource.plural}"):
            return None
        return Fate.KILLED_AFTER if self._after else Fate.KILLED_BEFORE

    def _now(self, effect: str) -> bool:
        if not self.armed:
            return False
        self.effects.append(effect)
        return len(self.effects) - 1 == self._number


class OneNode:
    """The node, its agent, and what users and operator do."""

    def __init__(self, cut: Cut, scene: Scene | None = None) -> None:
        rng = random.Random(0)
        self.api = ApiServer(rng)
        self.site = ImageSite(rng)
        self.images = {name: self._image(name) for name in ("debian", "fedora")}
        self.machine = copy.deepcopy(scene.machine) if scene else Machine(facts=FACTS, obedient=True, has_agent=True)
        around = Surroundings(self.api, self.site, cut, rng, cut.requested)
        self.agent = Agent(NODE, self.machine, around)
        self.cut = cut
        if scene is not None:
            self.api.load(scene.backup)
        else:
            self.api.create(HYPERVISORS, a_hypervisor(NODE))

    def scene(self) -> Scene:
        """This moment."""
        return Scene(copy.deepcopy(self.machine), self.api.backup())

    @property
    def memory(self) -> MemoryHost:
        """What befalls the host, and is told to its agent."""
        if self.agent.host is None:
            raise AssertionError("the agent has not been started")
        return self.agent.host.memory

    def bind(self, flavor: Object | None = None, networks: Sequence[Object] = ONE_CARD, **spec: Any) -> None:
        """A user creates the Instance, and the operator binds it."""
        spec = {"terminationGracePeriodSeconds": 5, "image": {"name": "debian"}, "networks": [*networks]} | spec
        self.api.create(INSTANCES, an_instance("web-1", "shop", finalizers=[FINALIZER], **spec))
        self.write(
            {
                "phase": "Pending",
                "nodeName": NODE,
                "flavor": {"name": "m1.small", "vcpus": 1, "memory": "512Mi", "rootDisk": "4Gi"} | (flavor or {}),
                "image": self.images["debian"],
                "addresses": [an_address(number) for number, _ in enumerate(networks)],
                "conditions": [a_condition("Scheduled")],
            }
        )

    def edit(self, **spec: Any) -> None:
        """A user edits the Instance."""
        self.api.patch(INSTANCES, WEB, {"spec": spec}, "")

    def write(self, status: Object) -> None:
        """The operator, or a hand, writes the Instance's status."""
        self.api.patch(INSTANCES, WEB, {"status": status}, "status")

    def delete(self) -> None:
        """A user deletes the Instance."""
        self.api.delete(INSTANCES, WEB)

    def act(self, type_: str, **spec: Any) -> None:
        """A user asks for an action, and the operator admits it."""
        self.api.create(ACTIONS, an_action(type_, namespace="shop", **spec))
        facts: Object = {
            "Rebuild": {"rebuild": {"image": self.images["fedora"], "keyPairs": []}},
            "Rescue": {"rescueImage": self.images["fedora"]},
        }.get(type_, {})
        uid = self.instance()["metadata"]["uid"]
        status = {"phase": "Pending", "nodeName": NODE, "instanceUID": uid, "requestedBy": "ops"} | facts
        self.api.patch(ACTIONS, Key("shop", "act-1"), {"status": status}, "status")

    def orphan(self, says: str) -> None:
        """An administrator takes the finalizer away, and says what becomes of the orphan."""
        uid = self.uid
        self.api.patch(INSTANCES, WEB, {"metadata": {"finalizers": None}}, "")
        self.delete()
        self.api.patch(
            HYPERVISORS, Key("", NODE), {"metadata": {"annotations": {f"{ORPHAN_ANNOTATION}{uid}": says}}}, ""
        )

    def prune(self) -> None:
        """The action has been kept for long enough."""
        self.api.delete(ACTIONS, Key("shop", "act-1"))

    def instance(self) -> Object:
        """The Instance. Raises NotFound."""
        return self.api.get(INSTANCES, WEB)

    @property
    def uid(self) -> str:
        """The Instance's."""
        return str(self.instance()["metadata"]["uid"])

    async def live(self) -> None:
        """Run an agent, and another if that one dies, until all has come to rest."""
        if not self.agent.process.alive:
            self.agent.start()
        quiet, seen = 0.0, None
        while quiet < QUIET_SECONDS:
            await asyncio.sleep(5)
            quiet += 5
            if not self.agent.process.alive:
                await self.agent.process.buried()
                self.agent.start()
            now = (len(self.cut.effects), self.agent.process.name, self.agent.process.main)
            if now != seen:
                quiet, seen = 0.0, now

    async def rest(self) -> None:
        """End the agent."""
        self.agent.kill()
        await self.agent.process.buried()

    def _image(self, name: str) -> Object:
        sha256 = self.site.publish(name)
        return BoundImage(name=name, namespace="shop", url=URL + name, sha256=sha256, format="qcow2").to_wire()


def an_address(number: int) -> Object:
    """Of the n-th network card."""
    return {"network": "default", "ip": f"10.60.0.{7 + number}", "mac": f"52:54:00:00:00:{7 + number:02x}"}


def play(cut: Cut, scene: Scene | None, act: Callable[[OneNode], None], *, ready: bool = True) -> OneNode:
    """Have something done on a node, and return it when it has come to rest and its agent has ended.

    Args:
        cut: when the agent dies; it counts from `act` on.
        scene: what to begin with.
        act: what is done, while an agent runs there.
        ready: whether the agent has come to rest before that.
    """

    async def main() -> OneNode:
        with as_processes():
            node = OneNode(cut, scene)
            if ready and scene is not None:
                node.agent.start()
                await asyncio.sleep(2)
            cut.armed = True
            act(node)
            await node.live()
            await node.rest()
            return node

    with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
        return runner.run(main())
