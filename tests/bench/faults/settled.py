"""What is still wrong when nothing has broken for long: what is asked for and not so, what is left and nobody's."""

from __future__ import annotations

from collections.abc import Iterator

from hypernova_agent import names
from hypernova_agent.host import DomainState, Owner, Reservation
from hypernova_api.action import FINISHED
from hypernova_api.meta import FINALIZER
from hypernova_kube.resources import Object
from support.machine import ALIVE, Machine, MemoryDomain
from tests.bench.faults.ledger import Wrong
from tests.bench.faults.operations import ACTIONS, INSTANCES
from tests.bench.faults.world import World

Problem = tuple[Wrong, str]

AFTER_RESTORE = {"DiskLost", "OutOfResources"}
"""What may be said of an Instance that an old backup has brought back."""


def problems(world: World) -> list[Problem]:
    """All that is wrong now."""
    return [*_unsettled(world), *_leftovers(world), *_unfinished(world)]


def _unsettled(world: World) -> Iterator[Problem]:
    for name, instance in sorted(world.instances().items()):
        if why := _why_unsettled(world, instance):
            yield Wrong.STUCK, f"{name} {instance['metadata']['uid']}: {why}: {_words(instance)}"
        if why := _loss(world, instance):
            yield Wrong.LOST, f"{name} {instance['metadata']['uid']}: {why}: {_words(instance)}"


def _why_unsettled(world: World, instance: Object) -> str:
    metadata, spec, status = instance["metadata"], instance["spec"], instance.get("status", {})
    if "deletionTimestamp" in metadata:
        return "is being deleted"
    if FINALIZER not in metadata.get("finalizers", []):
        return "has no finalizer"
    if not status.get("nodeName"):
        return "has no node"
    ready = condition(instance, "Ready")
    if status.get("observedGeneration") != metadata["generation"]:
        return f"is of generation {metadata['generation']}, its status of {status.get('observedGeneration')}"
    domain = world.agents[status["nodeName"]].machine.domains.get(domain_uid(instance))
    phase, is_, power_state = status.get("phase"), _state(domain), spec.get("powerState", "Running")
    if status.get("rescue"):
        power_state = "Rescued" if power_state == "Running" else power_state
    if (phase, is_) == ("Stopped", "Stopped") and may_be_off(instance, power_state, ready):
        return ""
    if world.restored and ready.get("reason") in AFTER_RESTORE:
        return ""  # it is told that something of it is gone, or of somebody else by now
    if ready.get("status") != "True":
        return "is not ready"
    wanted = "Running" if power_state == "Rescued" else power_state
    if power_state == "Paused" and is_ == DomainState.STALLED:
        is_ = "Paused"  # it stands still
    if (phase, is_) != (power_state, wanted):
        return f"should be {power_state}, its domain is {is_}, its phase {phase}"
    return ""


def may_be_off(instance: Object, power_state: str, ready: Object) -> bool:
    """Whether a guest that should not be off has a reason to be: its policy, or that it was off before."""
    if power_state == "Suspended":
        return bool(ready.get("reason") == "NothingToSuspend")
    policy, reason = instance["spec"]["restartPolicy"], ready.get("reason")
    return (policy, reason) in (("OnFailure", "Completed"), ("Never", "Completed"), ("Never", "Failed"))


def _loss(world: World, instance: Object) -> str:
    status, uid = instance.get("status", {}), domain_uid(instance)
    if not status.get("nodeName") or status.get("phase") in ("Pending", "Building"):
        return ""
    volumes = world.agents[status["nodeName"]].machine.volumes
    root = names.root_disk(uid, status.get("build") or "")
    if world.restored and condition(instance, "Ready").get("reason") in AFTER_RESTORE:
        return ""
    return "" if root in volumes else f"has no root disk {root}"


def _leftovers(world: World) -> Iterator[Problem]:
    instances = {domain_uid(obj): obj for obj in world.api.objects.get(INSTANCES.plural, {}).values()}
    for node, machine in world.machines():
        hypervisor = next(iter(each for key, each in world.api.objects["hypervisors"].items() if key.name == node))
        reported = {orphan["uid"] for orphan in hypervisor.get("status", {}).get("orphans", [])}
        owned = {uid for uid, obj in instances.items() if obj.get("status", {}).get("nodeName") == node}
        for uid, what in _belongings(machine):
            if uid not in owned and uid not in reported:
                yield Wrong.ORPHANED, f"{node}: {what} of {uid}, which has no Instance there and is not reported"
        # A guest that is off keeps the cards that its domain has until it is defined anew; an orphan may have lost its
        # Instance just before it was given one more.
        known = {mac for uid in owned for mac in _macs(instances[uid])}
        for uid, domain in machine.domains.items():
            if uid in reported | owned:
                known |= {link.mac for link in domain.defined.links}
            if uid in reported:
                known |= {each.mac for each in machine.reservations.values() if _is_of(domain.owner, each)}
        for mac in sorted(machine.reservations):
            if mac not in known:
                yield Wrong.ORPHANED, f"{node}: reservation of {mac}"


def _is_of(owner: Owner, reservation: Reservation) -> bool:
    return names.is_hostname_of(owner.namespace, owner.name, reservation.hostname)


def _belongings(machine: Machine) -> Iterator[tuple[str, str]]:
    for uid in machine.domains:
        yield uid, "domain"
    for volume in machine.volumes:
        owner = names.instance_of(volume)
        if owner is not None:
            yield owner, f"volume {volume}"


def _unfinished(world: World) -> Iterator[Problem]:
    for key, action in sorted(world.api.objects.get(ACTIONS.plural, {}).items()):
        if action.get("status", {}).get("phase") not in FINISHED:
            yield Wrong.STUCK, f"action {key.name} {action['spec']}: {action.get('status')}"


def condition(obj: Object, type_: str) -> Object:
    """A condition; empty if there is none."""
    return next((each for each in obj.get("status", {}).get("conditions", []) if each["type"] == type_), {})


def domain_uid(instance: Object) -> str:
    """The UUID of an Instance's domain."""
    return str(instance.get("status", {}).get("domainUID") or instance["metadata"]["uid"])


def _state(domain: MemoryDomain | None) -> str:
    """What a domain does, in the words of powerState."""
    if domain is None:
        return "absent"
    if domain.state in ALIVE:
        return {DomainState.RUNNING: "Running", DomainState.PAUSED: "Paused"}.get(domain.state, str(domain.state))
    return "Suspended" if domain.saved is not None else "Stopped"


def _macs(instance: Object) -> set[str]:
    return {address["mac"] for address in instance.get("status", {}).get("addresses", [])}


def _words(instance: Object) -> str:
    status = instance.get("status", {})
    return f"{instance['spec']} {status.get('phase')} on {status.get('nodeName')}, Ready {condition(instance, 'Ready')}"
