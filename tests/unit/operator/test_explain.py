"""What `hypernova-operator explain` answers, from objects as the API server keeps them."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from hypernova_kube.resources import LEASES, Object
from hypernova_operator.cache import Cache
from hypernova_operator.controllers.ledger import Ledger
from hypernova_operator.explain.answers import capacities, explained
from hypernova_operator.explain.command import Unusable, as_created, parser
from hypernova_operator.explain.snapshot import snapshot
from hypernova_operator.scheduler import Policy
from hypernova_operator.settings import Settings
from support.builders import (
    a_flavor,
    a_host_aggregate,
    a_hypervisor,
    a_hypervisor_status,
    a_namespace,
    a_node,
    a_quota,
    a_zone,
    an_image,
    an_instance,
    stored,
)

NOW = datetime(2026, 1, 1, tzinfo=UTC)


class Listing:
    """A client that can do nothing but list."""

    def __init__(self, *objects: Object) -> None:
        self._objects = objects

    async def list(self, resource: Any, **_: Any) -> Any:
        items = [obj for obj in self._objects if obj["kind"] == resource.kind]
        return type("Page", (), {"items": items})


def a_lease(node: str, renewed: str = "2025-12-31T23:59:50.000000Z") -> Object:
    metadata = {"name": f"hypervisor-{node}", "namespace": "hypernova-system"}
    spec = {"renewTime": renewed, "leaseDurationSeconds": 40}
    return {"apiVersion": LEASES.api_version, "kind": "Lease", "metadata": metadata, "spec": spec}


def a_host(name: str, memory: str = "16Gi") -> list[Object]:
    status = a_hypervisor_status(vcpus=8, memory=memory)
    return [stored(a_node(name)), stored(a_hypervisor(name) | {"status": status}), a_lease(name)]


CATALOG = [stored(a_namespace()), stored(a_flavor()), stored(an_image())]


async def books(*objects: Object) -> tuple[Cache, Ledger]:
    return await snapshot(Listing(*CATALOG, *objects), Settings(), NOW)


def asked(**spec: Any) -> Object:
    return as_created(an_instance("asked", **spec), "")


async def test_it_says_where_one_would_go_and_why() -> None:
    answer = explained(asked(), *await books(*a_host("node-a"), *a_host("node-b", memory="32Gi")))
    assert answer.fits
    first, second, head, best, *_ = answer.text.splitlines()
    assert first == "default/asked (m1.small: 1 vCPU, 512Mi memory, 4Gi disk) fits, and would go to node-b"
    assert second == "2 of 2 hosts would do; the best of them:"
    assert head.split()[:3] == ["HOST", "WEIGHT", "freeMemory"]
    assert best.split()[0] == "node-b"


async def test_it_goes_by_the_operators_settings() -> None:
    cloud = await books(*a_host("node-a"), *a_host("node-b", memory="32Gi"))
    assert "would go to node-a" in explained(asked(), *cloud, Policy(strategy="Stack")).text


async def test_it_says_what_is_in_the_way_of_the_others() -> None:
    answer = explained(asked(), *await books(*a_host("node-a"), *a_host("node-b", memory="256Mi")))
    assert answer.text.splitlines()[-1] == "the others: 1 lacks memory (need 512Mi, most free 256Mi)"


async def test_it_says_why_nothing_fits() -> None:
    answer = explained(asked(), *await books(*a_host("node-a", memory="256Mi")))
    assert not answer.fits
    assert "does not fit: 0/1 hosts fit: 1 lacks memory" in answer.text


async def test_an_agent_whose_lease_is_over_is_dead() -> None:
    node, hypervisor, _ = a_host("node-a")
    answer = explained(asked(), *await books(node, hypervisor, a_lease("node-a", "2025-12-31T23:00:00.000000Z")))
    assert "no heartbeat" in answer.text


async def test_it_says_what_is_missing() -> None:
    answer = explained(asked(flavor="m1.huge"), *await books(*a_host("node-a")))
    assert not answer.fits
    assert 'there is no Flavor "m1.huge"' in answer.text


async def test_it_minds_quotas() -> None:
    answer = explained(asked(), *await books(*a_host("node-a"), stored(a_quota(hard={"instances": 0}))))
    assert not answer.fits
    assert "allows 0 instances" in answer.text


async def test_one_that_has_a_node_is_judged_as_if_it_had_none() -> None:
    status = {"nodeName": "node-a", "phase": "Running", "flavor": {"name": "m1.small", "vcpus": 8, "memory": "16Gi"}}
    placed = stored(an_instance("web-1", status=status))
    answer = explained(placed, *await books(*a_host("node-a"), placed))
    assert answer.fits
    assert answer.text.startswith("default/web-1 is on node-a. Were it placed now: ")


async def test_capacity_is_told_by_flavor_and_zone() -> None:
    aggregate = a_host_aggregate("hall-1", nodes=["node-a"], availabilityZone="az1")
    huge = stored(a_flavor("m1.huge", memory="1Ti"))
    cloud = await books(*a_host("node-a"), *a_host("node-b"), stored(aggregate), stored(a_zone("az1")), huge)
    none, in_zone, outside = sorted(capacities(*cloud), key=lambda line: (line[0] != "n", "no zone" in line))
    assert none == "no more m1.huge: 0/2 hosts fit: 2 lack memory (need 1Ti, most free 16Gi)"
    assert (in_zone, outside) == ("25 more m1.small in az1", "25 more m1.small in no zone")  # of 100Gi of disk


@pytest.mark.parametrize(
    ("obj", "namespace", "why"),
    [
        pytest.param(an_instance(namespace="shop"), "other", "the file says namespace shop", id="two namespaces"),
        pytest.param(an_instance(flavor=5), "", "spec.flavor", id="a field of the wrong type"),
        pytest.param({"kind": "Instance"}, "", "spec", id="no spec"),
    ],
)
def test_what_cannot_be_asked_about_is_refused_in_words(obj: Object, namespace: str, why: str) -> None:
    with pytest.raises(Unusable, match=why):
        as_created(obj, namespace)


@pytest.mark.parametrize("arguments", [[], ["web-1", "--all"], ["-f", "x", "--all"]], ids=" ".join)
def test_one_thing_is_asked_at_a_time(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        parser().parse_args(arguments)
    assert "usage: hypernova-operator explain" in capsys.readouterr().err
