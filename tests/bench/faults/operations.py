"""What users do, chosen by chance: the same for every backend, through the verbs of a client."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from hypernova_api.hypervisor import ORPHAN_ANNOTATION
from hypernova_api.meta import FINALIZER
from hypernova_kube.client import Client
from hypernova_kube.errors import AlreadyExists, Conflict, Invalid, NotFound
from hypernova_kube.resources import Object
from support.builders import an_instance
from support.operators import RESOURCES
from tests.bench.faults.ledger import Ledger

INSTANCES, ACTIONS, HYPERVISORS = RESOURCES["Instance"], RESOURCES["InstanceAction"], RESOURCES["Hypervisor"]

NAMESPACE = "shop"
POWER_STATES = ("Running", "Stopped", "Paused", "Suspended")
POLICIES = ("Always", "OnFailure", "Never")
HASH = "$6$salt$" + "x" * 86


LIFE = {
    "create": 4.0,
    "delete": 2.0,
    "force-delete": 0.5,
    "orphan": 1.0,
    "power": 4.0,
    "power-burst": 2.0,
    "policy": 1.0,
    "grace": 0.5,
    "touch": 0.5,
    "lock": 0.5,
}
"""How often which, from power states to deletion."""

CHANGES = {"resize": 1.5, "networks": 1.5}

REQUESTS = {
    "Reboot": 2.0,
    "Rebuild": 1.0,
    "Rescue": 0.7,
    "Unrescue": 0.7,
    "Snapshot": 0.7,
    "ResetState": 0.3,
    "InjectNMI": 0.7,
    "SetPassword": 0.5,
    "GetGuestInfo": 0.5,
    "GetConsoleLog": 0.5,
}
"""InstanceActions, by type."""

WEIGHTS: dict[str, float] = LIFE | CHANGES | REQUESTS


@dataclass(frozen=True, slots=True)
class Catalog:
    """What there is to choose from."""

    flavors: tuple[str, ...]
    images: tuple[str, ...]
    most: int
    """Instances at once."""


@dataclass(slots=True)
class User:
    """One who cannot make up their mind."""

    client: Client
    catalog: Catalog
    rng: random.Random
    ledger: Ledger
    weights: dict[str, float] = field(default_factory=lambda: dict(WEIGHTS))
    states: tuple[str, ...] = POWER_STATES
    _numbers: itertools.count[int] = field(default_factory=itertools.count)

    async def act(self, instances: Mapping[str, Object]) -> None:
        """Do one thing, to one of these Instances (by name) or a new one."""
        kinds = list(self.weights)
        kind = self.rng.choices(kinds, [self.weights[kind] for kind in kinds])[0]
        # What one is too late for is no fault: it has gone, or somebody was faster.
        with suppress(NotFound, Conflict, AlreadyExists, Invalid):
            if not instances or (kind == "create" and len(instances) < self.catalog.most):
                await self._create()
                return
            if kind == "orphan":
                await self._decide()
                return
            name = self.rng.choice(sorted(instances))
            await self._do(kind, name, instances[name])

    async def _do(self, kind: str, name: str, instance: Object) -> None:
        rng = self.rng
        match kind:
            case "create" | "delete":
                await self._delete(name)
            case "force-delete":
                await self._force_delete(name, instance["metadata"]["uid"])
            case "power":
                await self._edit(name, "power", powerState=rng.choice(self.states))
            case "power-burst":
                for _ in range(rng.randint(2, 4)):
                    await self._edit(name, "power", powerState=rng.choice(self.states))
            case "policy":
                await self._edit(name, kind, restartPolicy=rng.choice(POLICIES))
            case "grace":
                await self._edit(name, kind, terminationGracePeriodSeconds=rng.choice((0, 5, 30, 120)))
            case "resize":
                await self._edit(name, kind, flavor=rng.choice(self.catalog.flavors))
            case "networks":
                await self._edit(name, kind, networks=self._networks())
            case "lock":
                await self._edit(name, kind, locked=rng.choice(({"reason": "maintenance"}, None)))
            case "touch":
                await self._touch(name)
            case _:
                await self._request(kind, name)

    async def _create(self) -> None:
        rng = self.rng
        name = f"vm-{rng.randrange(2 * self.catalog.most)}"  # names are used again
        spec: dict[str, Any] = {
            "flavor": rng.choice(self.catalog.flavors),
            "image": {"name": rng.choice(self.catalog.images)},
            "powerState": rng.choices(POWER_STATES[:2], (9, 1))[0],
            "restartPolicy": rng.choices(POLICIES, (6, 2, 2))[0],
            "terminationGracePeriodSeconds": rng.choice((0, 5, 30)),
        }
        self.ledger.operated("create", f"create {name} {spec['flavor']} {spec['powerState']} {spec['restartPolicy']}")
        finalizers = {"finalizers": [FINALIZER]} if rng.random() < 0.8 else {}
        await self.client.create(INSTANCES, an_instance(name, NAMESPACE, **finalizers, **spec))

    async def _delete(self, name: str) -> None:
        self.ledger.operated("delete", f"delete {name}")
        await self.client.delete(INSTANCES, name, NAMESPACE)

    async def _force_delete(self, name: str, uid: str) -> None:
        """`kubectl delete`, then its finalizers edited away, as an impatient administrator does."""
        self.ledger.operated("force-delete", f"force-delete {name} {uid}")
        await self.client.delete(INSTANCES, name, NAMESPACE, uid=uid)
        await self.client.patch(INSTANCES, name, {"metadata": {"finalizers": None, "uid": uid}}, NAMESPACE)

    async def _decide(self) -> None:
        """An administrator looks at a Hypervisor's orphans, and says what becomes of one."""
        for hypervisor in (await self.client.list(HYPERVISORS)).items:
            for orphan in hypervisor.get("status", {}).get("orphans", []):
                says, uid, node = self.rng.choice(("adopt", "remove")), orphan["uid"], hypervisor["metadata"]["name"]
                self.ledger.operated("orphan", f"orphan {orphan['name']} {uid} on {node}: {says}")
                annotations = {f"{ORPHAN_ANNOTATION}{uid}": says}
                await self.client.patch(HYPERVISORS, node, {"metadata": {"annotations": annotations}})
                return

    async def _edit(self, name: str, kind: str, **spec: Any) -> None:
        self.ledger.operated(kind, f"edit {name} {spec}")
        await self.client.patch(INSTANCES, name, {"spec": spec}, NAMESPACE)

    async def _touch(self, name: str) -> None:
        """Something that means nothing to us: a label of somebody else's."""
        self.ledger.operated("touch", f"label {name}")
        labels = {"seen": str(self.rng.randrange(10))}
        await self.client.patch(INSTANCES, name, {"metadata": {"labels": labels}}, NAMESPACE)

    async def _request(self, type_: str, name: str) -> None:
        """An InstanceAction."""
        number = next(self._numbers)
        spec: dict[str, Any] = {"instance": name, "type": type_, "ttlSecondsAfterFinished": 3600}
        match type_:
            case "Reboot":
                spec["reboot"] = {"type": self.rng.choice(("Soft", "Hard"))}
            case "Rebuild":
                spec["rebuild"] = self.rng.choice(({}, {"image": {"name": self.rng.choice(self.catalog.images)}}))
            case "Rescue":
                spec["rescue"] = self.rng.choice(({}, {"image": {"name": self.rng.choice(self.catalog.images)}}))
            case "Snapshot":
                spec["snapshot"] = {"imageName": f"snap-{number}"}
            case "SetPassword":
                spec["setPassword"] = {"hash": HASH}
            case _:
                pass
        self.ledger.operated(type_, f"{type_} {name}: act-{number} {spec}")
        await self.client.create(
            ACTIONS,
            {
                "apiVersion": ACTIONS.api_version,
                "kind": ACTIONS.kind,
                "metadata": {"name": f"act-{number}", "namespace": NAMESPACE},
                "spec": spec,
            },
        )

    def _networks(self) -> list[Object] | None:
        cards = self.rng.choice((0, 1, 1, 2, 3))
        return [{"name": "default", "linkState": self.rng.choice(("Up", "Up", "Down"))} for _ in range(cards)] or None
