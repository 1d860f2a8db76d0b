"""What somebody can do who has stolen a component's token: nothing that is another's, and each refusal says why."""

from __future__ import annotations

import re
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from dataclasses import replace
from typing import Any

import pytest

from hack.devcluster import Cluster
from hack.devcluster.install import NAMESPACE
from hypernova_api.certificates import Signer
from hypernova_api.hypervisor import LEASE_PREFIX, ORPHAN_ANNOTATION
from hypernova_api.meta import FINALIZER
from hypernova_kube.client import Client, PatchType
from hypernova_kube.errors import ApiError, Forbidden
from hypernova_kube.resources import EVENTS, LEASES, NODES, Object, Resource
from hypernova_operator.controllers import reservation
from support.builders import a_condition, an_instance
from support.operators import RESOURCES
from support.reservations import LABELS, ReservationPod
from support.stolen import ACTIONS, HYPERVISORS, INSTANCES, LARGE, LAUNCHED_AT, Scene, a_scene

SECRETS, CONFIG_MAPS = Resource("", "v1", "secrets", "Secret"), Resource("", "v1", "configmaps", "ConfigMap")
PODS = Resource("", "v1", "pods", "Pod")
ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
ROLES = Resource("rbac.authorization.k8s.io", "v1", "clusterroles", "ClusterRole", namespaced=False)
POLICIES = Resource(
    "admissionregistration.k8s.io", "v1", "validatingadmissionpolicies", "ValidatingAdmissionPolicy", namespaced=False
)
LATER_EVENTS = Resource("events.k8s.io", "v1", "events", "Event")
RBAC = "cannot (get|list|create|patch|update|delete|deletecollection) resource"
"""What the API server says where the role does not have the right at all."""

POLICY = "node-agent-instances.compute.hypernova.dev"
NO_NODE = "names no node and may write nothing"
PLACED = "where an Instance is placed is the operator's to write"
FINALIZERS = "may take off compute.hypernova.dev/domain alone"
METADATA = "labels, annotations and owners of an Instance are not an agent's to write"

Act = Callable[[Scene], Awaitable[Any]]


@pytest.fixture
async def scene(cluster: Cluster, client: Client, namespace: str) -> AsyncIterator[Scene]:
    async with a_scene(cluster, client, namespace) as scene:
        yield scene


BY_AN_AGENT: dict[str, tuple[Act, str]] = {
    # Instances of others
    "another node's Instance is told to have stopped": (
        lambda s: s.status(s.agent, "web-there", phase="Stopped"),
        "may write its own node's Instances alone, and this one is on node-",
    ),
    "an Instance that is not placed is taken": (
        lambda s: s.status(s.agent, "web-unbound", nodeName=s.here),
        "and this one is on none",
    ),
    "another node's Instance is taken": (
        lambda s: s.status(s.agent, "web-there", nodeName=s.here),
        "may write its own node's Instances alone",
    ),
    "another node's Instance loses its finalizer": (
        lambda s: s.edit(s.agent, "web-there", metadata={"finalizers": None}),
        "may write its own node's Instances alone",
    ),
    # What is the operator's of one's own
    "an Instance is given to another node": (lambda s: s.status(s.agent, "web-here", nodeName=s.there), PLACED),
    "an Instance is given back": (lambda s: s.status(s.agent, "web-here", nodeName=None), PLACED),
    "an Instance is of another zone": (lambda s: s.status(s.agent, "web-here", availabilityZone="az9"), PLACED),
    "an Instance is another domain": (lambda s: s.status(s.agent, "web-here", domainUID="7"), PLACED),
    "an Instance has more than its flavor": (
        lambda s: s.status(s.agent, "web-here", flavor=LARGE),
        "the flavor and allocation that status.resize grants, and no other",
    ),
    "an Instance has a device": (
        lambda s: s.status(s.agent, "web-here", allocation={"devices": [{"alias": "gpu", "address": "0000:65:00.0"}]}),
        "the flavor and allocation that status.resize grants, and no other",
    ),
    "a resize grants more than was granted": (
        lambda s: s.status(s.agent, "web-resized", flavor=LARGE | {"vcpus": 64}, resize=None),
        "the flavor and allocation that status.resize grants, and no other",
    ),
    "a resize is granted": (
        lambda s: s.status(s.agent, "web-here", resize={"flavor": LARGE}),
        "may end a resize, and grant none",
    ),
    "an Instance has an address that is another's": (
        lambda s: s.status(
            s.agent, "web-here", addresses=[{"network": "default", "ip": "10.60.9.9", "mac": "52:54:00:00:00:99"}]
        ),
        "may take addresses off an Instance, and give it none",
    ),
    "an Instance was never launched": (
        lambda s: s.status(s.agent, "web-here", launchedAt=None),
        "when an Instance was launched is written once",
    ),
    # What is its user's
    "a spec": (lambda s: s.edit(s.agent, "web-here", spec={"powerState": "Stopped"}), "the spec of an Instance is its"),
    "a spec of an Instance that is going": (
        lambda s: s.edit(
            s.agent, "web-leaving", spec={"terminationGracePeriodSeconds": 0}, metadata={"finalizers": []}
        ),
        "the spec of an Instance is its user's",
    ),
    "a label": (lambda s: s.edit(s.agent, "web-here", metadata={"labels": {"app": "mine"}}), METADATA),
    "an annotation": (lambda s: s.edit(s.agent, "web-here", metadata={"annotations": {"a": "b"}}), METADATA),
    "an owner, for the garbage collector": (
        lambda s: s.edit(
            s.agent,
            "web-here",
            metadata={"ownerReferences": [{"apiVersion": "v1", "kind": "ConfigMap", "name": "none", "uid": "1"}]},
        ),
        METADATA,
    ),
    "the finalizer before deletion": (
        lambda s: s.edit(s.agent, "web-here", metadata={"finalizers": ["example.com/other"]}),
        "once the Instance is being deleted|put back",
    ),
    "somebody else's finalizer": (
        lambda s: s.edit(s.agent, "web-leaving", metadata={"finalizers": [FINALIZER]}),
        FINALIZERS,
    ),
    "all finalizers": (lambda s: s.edit(s.agent, "web-leaving", metadata={"finalizers": None}), FINALIZERS),
    "a finalizer more": (
        lambda s: s.edit(
            s.agent, "web-here", metadata={"finalizers": [FINALIZER, "example.com/other", "example.com/kept"]}
        ),
        FINALIZERS,
    ),
    "an Instance is deleted": (lambda s: s.agent.delete(INSTANCES, "web-here", s.namespace), RBAC),
    "an Instance is made": (lambda s: s.agent.create(INSTANCES, an_instance("web-mine", s.namespace)), RBAC),
    # InstanceActions
    "another node's action": (
        lambda s: s.tell(s.agent, "web-there", phase="Failed"),
        "the InstanceActions of its own node's Instances alone, and this one is for node-",
    ),
    "an action that is nobody's yet": (
        lambda s: s.tell(s.agent, "web-unbound", phase="Failed", nodeName=s.here),
        "this one is for no node yet",
    ),
    "an action is another's": (
        lambda s: s.tell(s.agent, "web-here", requestedBy="mallory"),
        "for whom and from what image is the operator's to write",
    ),
    "an action is another node's": (
        lambda s: s.tell(s.agent, "web-here", nodeName=s.there),
        "where an InstanceAction runs",
    ),
    "what an action came to is told anew": (
        lambda s: s.tell(s.agent, "web-leaving", phase="Failed"),
        "the InstanceAction is finished",
    ),
    "an action is made": (
        lambda s: s.make(s.agent, ACTIONS, s.namespace, spec={"instance": "web-here", "type": "Reboot"}),
        RBAC,
    ),
    # Hypervisors
    "another node's Hypervisor has nothing to give": (
        lambda s: s.report(s.agent, s.there, conditions=[a_condition("Ready", False, "Gone")]),
        "may write the Hypervisor of that name alone, not node-",
    ),
    "a Hypervisor of no node is made": (
        lambda s: s.make(s.agent, HYPERVISORS, name="node-of-mine", spec={}),
        "may write the Hypervisor of that name alone, not node-of-mine",
    ),
    "its own Hypervisor out of maintenance": (
        lambda s: s.agent.patch(HYPERVISORS, s.here, {"spec": {"maintenance": False}}),
        RBAC,
    ),
    "its own Hypervisor is deleted, to be made anew": (lambda s: s.agent.delete(HYPERVISORS, s.here), RBAC),
    # Leases
    "another node's heartbeat": (
        lambda s: s.hold(s.agent, LEASE_PREFIX + s.there, s.there),
        "may write the Lease hypervisor-node-[0-9a-f]+ alone, not hypervisor-node-",
    ),
    "the operator that leads": (
        lambda s: s.hold(s.agent, "hypernova-operator", s.here),
        "alone, not hypernova-operator",
    ),
    "a heartbeat of kubelet": (
        lambda s: s.make(s.agent, LEASES, "kube-node-lease", s.there, spec={"holderIdentity": s.there}),
        RBAC,
    ),
    # Certificates
    "a certificate as the console proxy": (
        lambda s: s.ask(s.agent, Signer.CONSOLE_CLIENT),
        "may ask compute.hypernova.dev/agent-serving for certificates, not compute.hypernova.dev/console-client",
    ),
    "a certificate as a client of the API server": (
        lambda s: s.ask(s.agent, "kubernetes.io/kube-apiserver-client"),
        "may ask compute.hypernova.dev/agent-serving for certificates",
    ),
    # Events
    "an Event of another node": (
        lambda s: s.event(s.agent, s.there, s.instance("web-there")),
        "says so, by its source and by reportingInstance",
    ),
    "an Event about another node's Hypervisor": (
        lambda s: s.event(
            s.agent, s.here, {"apiVersion": HYPERVISORS.api_version, "kind": "Hypervisor", "name": s.there}
        ),
        "and its own Hypervisor",
    ),
    "an Event about a Pod": (
        lambda s: s.event(
            s.agent, s.here, {"apiVersion": "v1", "kind": "Pod", "name": "web", "namespace": s.namespace}
        ),
        "are about Instances, InstanceActions and its own Hypervisor",
    ),
    "an Event by its other name": (
        lambda s: s.make(s.agent, LATER_EVENTS, s.namespace, regarding=s.instance("web-here"), action="A", reason="A"),
        RBAC,
    ),
    # All the rest
    "Secrets of a namespace": (lambda s: s.agent.list(SECRETS, namespace=s.namespace), RBAC),
    "Secrets of Hypernova": (lambda s: s.agent.get(SECRETS, "hypernova-ca", NAMESPACE), RBAC),
    "ConfigMaps of a namespace": (lambda s: s.agent.list(CONFIG_MAPS, namespace=s.namespace), RBAC),
    "whom to trust": (lambda s: s.agent.patch(CONFIG_MAPS, "hypernova-ca", {"data": {}}, NAMESPACE), RBAC),
    "a Pod": (lambda s: s.make(s.agent, PODS, NAMESPACE, spec={"containers": [{"name": "a", "image": "a"}]}), RBAC),
    "Pods": (lambda s: s.agent.list(PODS, namespace=NAMESPACE), RBAC),
    "a token of the operator": (
        lambda s: s.agent.create_at(ACCOUNTS, "hypernova-operator", _token(), NAMESPACE, "token"),
        RBAC,
    ),
    "a token of its own": (
        lambda s: s.agent.create_at(ACCOUNTS, "hypernova-node-agent", _token(), NAMESPACE, "token"),
        RBAC,
    ),
    "Nodes": (lambda s: s.agent.list(NODES), RBAC),
    "its Node": (lambda s: s.agent.patch(NODES, s.here, {"metadata": {"labels": {"a": "b"}}}), RBAC),
    "its role": (lambda s: s.agent.patch(ROLES, "hypernova-node-agent", {"rules": []}), RBAC),
    "its policy": (lambda s: s.agent.delete(POLICIES, POLICY), RBAC),
    "Images": (lambda s: s.agent.list(RESOURCES["Image"], namespace=s.namespace), RBAC),
    "who looks at guests": (lambda s: s.agent.list(RESOURCES["ConsoleSession"], namespace=s.namespace), RBAC),
}


async def test_an_agent_s_token_is_refused_what_is_not_its_node_s(scene: Scene) -> None:
    assert await _wrongly_answered(scene, BY_AN_AGENT) == {}


BY_NO_AGENT: dict[str, Act] = {
    "an Instance": lambda s: s.status(s.nowhere, "web-here", phase="Stopped"),
    "an Instance that has no node either": lambda s: s.status(s.nowhere, "web-unbound", phase="Failed"),
    "an InstanceAction": lambda s: s.tell(s.nowhere, "web-unbound", phase="Failed"),
    "a Hypervisor": lambda s: s.report(s.nowhere, s.here, conditions=[]),
    "a Lease": lambda s: s.hold(s.nowhere, LEASE_PREFIX + s.here, s.here),
    "an Event": lambda s: s.event(s.nowhere, "", s.instance("web-here")),
    "a certificate": lambda s: s.ask(s.nowhere, Signer.AGENT_SERVING),
}


async def test_an_agent_s_token_that_is_bound_to_no_node_writes_nothing(scene: Scene) -> None:
    attacks = {name: (attack, NO_NODE) for name, attack in BY_NO_AGENT.items()}
    assert await _wrongly_answered(scene, attacks) == {}


SPEC = {"spec": {"overcommit": {"cpu": 64}}}
ADOPT = {"metadata": {"annotations": {f"{ORPHAN_ANNOTATION}1": "adopt"}}}


@pytest.mark.parametrize("parts", [SPEC, ADOPT, {"spec": {"maintenance": True}}], ids=str)
async def test_an_agent_makes_its_hypervisor_with_nothing_in_it(scene: Scene, parts: dict[str, Any]) -> None:
    await scene.admin.delete(HYPERVISORS, scene.here)
    with pytest.raises(Forbidden, match="makes its Hypervisor with nothing in it"):
        await scene.make(scene.agent, HYPERVISORS, name=scene.here, **{"spec": {}} | parts)


async def test_a_status_carries_neither_spec_nor_metadata(scene: Scene) -> None:
    before = await scene.admin.get(INSTANCES, "web-here", scene.namespace)
    patch = {
        "metadata": {"labels": {"app": "mine"}, "finalizers": None},
        "spec": {"powerState": "Stopped"},
        "status": {"phase": "Paused"},
    }
    after = await scene.agent.patch(INSTANCES, "web-here", patch, scene.namespace, subresource="status")
    assert after["status"]["phase"] == "Paused"
    assert after["spec"] == before["spec"]
    own = ("resourceVersion", "managedFields")
    assert after["metadata"] == before["metadata"] | {name: after["metadata"][name] for name in own}


async def test_an_event_of_another_node_is_not_added_to(scene: Scene) -> None:
    about = scene.instance("web-there")
    event = await scene.event(scene.admin, scene.there, about)
    fields = {"source": {"host": scene.here}, "reportingInstance": scene.here, "message": "not so"}
    with pytest.raises(Forbidden, match="may add to its own node's Events alone"):
        await scene.agent.patch(EVENTS, event["metadata"]["name"], fields, scene.namespace)


async def test_what_an_agent_writes_of_its_own_passes(scene: Scene) -> None:
    agent, here = scene.agent, scene.here
    ready = [a_condition("Scheduled"), a_condition("Ready")]
    await scene.status(agent, "web-here", phase="Running", conditions=ready, restartCount=1, build="7")
    one = (await scene.admin.get(INSTANCES, "web-here", scene.namespace))["status"]["addresses"][:1]
    await scene.status(agent, "web-here", addresses=one, rescue=None, launchedAt=LAUNCHED_AT)
    await scene.status(agent, "web-resized", flavor=LARGE, resize=None)
    await scene.edit(agent, "web-leaving", metadata={"finalizers": ["example.com/other"]})
    await scene.tell(agent, "web-here", phase="Succeeded", conditions=[a_condition("Complete")])
    await scene.report(agent, here, conditions=[a_condition("Ready")])
    await scene.admin.delete(HYPERVISORS, here)
    await scene.make(agent, HYPERVISORS, name=here, spec={})
    assert (await agent.get(HYPERVISORS, here))["metadata"]["name"] == here  # as when another has made it first
    for _ in range(2):
        await scene.hold(agent, LEASE_PREFIX + here, here)
    await scene.ask(agent, Signer.AGENT_SERVING)
    event = await scene.event(agent, here, scene.instance("web-here"))
    await agent.patch(EVENTS, event["metadata"]["name"], {"count": 2}, scene.namespace)
    await scene.event(agent, here, {"apiVersion": HYPERVISORS.api_version, "kind": "Hypervisor", "name": here})


async def test_what_the_console_proxy_writes_for_its_users_passes(scene: Scene) -> None:
    asked_by = {"annotations": {"compute.hypernova.dev/requested-by": "ann"}}
    spec = {"instance": "web-here", "type": "Reboot"}
    await scene.make(scene.console, ACTIONS, scene.namespace, spec=spec, metadata=asked_by)


BY_THE_OPERATOR: dict[str, tuple[Act, str]] = {
    "a spec": (
        lambda s: s.edit(s.operator, "web-here", spec={"powerState": "Stopped"}),
        "the spec of an Instance is its user's",
    ),
    "a label": (
        lambda s: s.edit(s.operator, "web-here", metadata={"labels": {"app": "mine"}}),
        "are not the operator's to write",
    ),
    "somebody else's finalizer": (
        lambda s: s.edit(s.operator, "web-leaving", metadata={"finalizers": None}),
        "put on and take off compute.hypernova.dev/domain alone",
    ),
    "an Instance that nobody had": (
        lambda s: s.operator.create(INSTANCES, an_instance("web-new", s.namespace)),
        "makes Instances of adopted domains alone",
    ),
    "an Instance is deleted": (lambda s: s.operator.delete(INSTANCES, "web-here", s.namespace), RBAC),
    "a Hypervisor's spec": (
        lambda s: s.operator.patch(HYPERVISORS, s.here, {"spec": {"maintenance": True}}),
        "the spec of a Hypervisor is the administrators'",
    ),
    "a Hypervisor's annotation": (
        lambda s: s.operator.patch(HYPERVISORS, s.here, ADOPT),
        "may take annotations off, and write nothing",
    ),
    "a heartbeat": (
        lambda s: s.make(s.operator, LEASES, NAMESPACE, f"hypervisor-{s.there}", spec={"holderIdentity": s.there}),
        "of leases the operator may create hypernova-operator alone",
    ),
    "a Secret of another name": (
        lambda s: s.make(s.operator, SECRETS, NAMESPACE),
        "of secrets the operator may create hypernova-ca alone",
    ),
    "a token, by a Secret": (
        lambda s: s.make(
            s.operator,
            SECRETS,
            NAMESPACE,
            type="kubernetes.io/service-account-token",
            metadata={"annotations": {"kubernetes.io/service-account.name": "hypernova-console"}},
        ),
        "of secrets the operator may create hypernova-ca alone",
    ),
    "a ConfigMap of another name": (
        lambda s: s.make(s.operator, CONFIG_MAPS, NAMESPACE),
        "of configmaps the operator may create hypernova-ca alone",
    ),
    "Secrets of Hypernova": (lambda s: s.operator.list(SECRETS, namespace=NAMESPACE), RBAC),
    "a Secret of a namespace": (lambda s: s.operator.get(SECRETS, "web", s.namespace), RBAC),
    "a certificate as the console proxy": (
        lambda s: s.ask(s.operator, Signer.CONSOLE_CLIENT),
        "may ask compute.hypernova.dev/conductor-serving for certificates",
    ),
    "a Node": (lambda s: s.operator.patch(NODES, s.here, {"metadata": {"labels": {"a": "b"}}}), RBAC),
    "a Pod": (lambda s: s.make(s.operator, PODS, NAMESPACE, spec={"containers": [{"name": "a", "image": "a"}]}), RBAC),
    "what another Pod requests": (
        lambda s: _resized(s, {"app.kubernetes.io/name": "hypernova", "app.kubernetes.io/component": "console"}),
        "may resize Pods with app.kubernetes.io/component=reservation alone",
    ),
    "its policy": (lambda s: s.operator.delete(POLICIES, POLICY), RBAC),
}


async def _resized(scene: Scene, labels: Mapping[str, str]) -> Object:
    """A Pod of these labels, by the operator's token."""
    pod = ReservationPod(scene.admin, scene.here, "resized", labels)
    await pod.create()
    try:
        want = reservation.Requests(2, 32 << 20)
        # As kubelet has admitted it, for what is to be written; the API server does not mind if it has not.
        known = replace(reservation.read(await pod.get()), running=True)
        return await scene.operator.patch(
            *(PODS, pod.name, reservation.patch(known, want), NAMESPACE), subresource="resize", kind=PatchType.JSON
        )
    finally:
        await pod.remove()


async def test_the_operator_s_token_resizes_the_pods_that_are_for_it(scene: Scene) -> None:
    resized = await _resized(scene, LABELS)

    assert resized["spec"]["containers"][0]["resources"]["requests"] == {"cpu": "2m", "memory": "32Mi"}


async def test_the_operator_s_token_is_refused_what_is_users_and_administrators(scene: Scene) -> None:
    assert await _wrongly_answered(scene, BY_THE_OPERATOR) == {}


BY_THE_CONSOLE: dict[str, tuple[Act, str]] = {
    "an Instance": (lambda s: s.edit(s.console, "web-here", spec={"powerState": "Stopped"}), RBAC),
    "an Instance's status": (lambda s: s.status(s.console, "web-here", phase="Stopped"), RBAC),
    "a rebuild": (
        lambda s: s.make(
            s.console,
            ACTIONS,
            s.namespace,
            spec={"instance": "web-here", "type": "Rebuild", "rebuild": {}},
            metadata={"annotations": {"compute.hypernova.dev/requested-by": "ann"}},
        ),
        "of type Reboot alone, not Rebuild",
    ),
    "a reboot that nobody asked for": (
        lambda s: s.make(s.console, ACTIONS, s.namespace, spec={"instance": "web-here", "type": "Reboot"}),
        "says for whom",
    ),
    "a certificate as an agent": (
        lambda s: s.ask(s.console, Signer.AGENT_SERVING),
        "may ask compute.hypernova.dev/console-client and console-serving for certificates",
    ),
    "Secrets": (lambda s: s.console.list(SECRETS, namespace=NAMESPACE), RBAC),
    "Nodes": (lambda s: s.console.list(NODES), RBAC),
    "a Lease": (lambda s: s.hold(s.console, LEASE_PREFIX + s.here, s.here), RBAC),
}


async def test_the_console_proxy_s_token_is_refused_all_but_consoles_and_reboots(scene: Scene) -> None:
    assert await _wrongly_answered(scene, BY_THE_CONSOLE) == {}


async def _wrongly_answered(scene: Scene, attacks: Mapping[str, tuple[Act, str]]) -> dict[str, str]:
    """What came of those attacks that were not refused with the reason that they should be."""
    before, wrong = await scene.everything(), dict[str, str]()
    for name, (attack, why) in attacks.items():
        try:
            wrong[name] = f"was let through: {await attack(scene)}"
        except Forbidden as refusal:
            if not re.search(why, str(refusal)):
                wrong[name] = str(refusal)
        except ApiError as error:
            wrong[name] = repr(error)
        if (after := await scene.everything()) != before:
            wrong[name] = f"has changed something: {wrong.get(name)}"
            before = after
    return wrong


def _token() -> dict[str, Any]:
    return {"apiVersion": "authentication.k8s.io/v1", "kind": "TokenRequest", "spec": {"audiences": []}}
