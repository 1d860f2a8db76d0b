"""The scheduler in plain Python: one host at a time, one function a rule, nothing kept that can be counted anew.

It says what hypernova_operator.scheduler should decide, and is written from what the rules promise, not from how they
are reckoned there: a fault that both have is one that was thought twice. Only the packing of one host is the real one
(`fit`), which has tests of its own against brute force.

    cloud = Cloud(); cloud.put(host); cloud.claim("uid", claim)
    decide(cloud, want, policy, order)     Chosen or Refused

RULES and WISHES have a row for each filter and weight, by its name.
"""

from __future__ import annotations

import itertools
import re
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from hypernova_operator.scheduler import (
    NO_ALLOCATION,
    NOTHING,
    Allocation,
    Claim,
    Host,
    Policy,
    Request,
    Requirement,
    Reserve,
    Resources,
    Taint,
    Toleration,
)
from hypernova_operator.scheduler.claims import Taken
from hypernova_operator.scheduler.fit import fit

TIE = 1e-9
"""Sums of weights that differ by less are equal: floats are added in some order."""


@dataclass
class Cloud:
    """What a HostTable was told, as it was told."""

    hosts: dict[str, Host] = field(default_factory=dict)
    claims: dict[str, Claim] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    fetched: set[tuple[str, str]] = field(default_factory=set)
    """Image and host, of every claim there has been."""
    reserves: dict[str, Reserve] = field(default_factory=dict)

    def put(self, host: Host) -> None:
        """A host comes or changes."""
        self.hosts[host.name] = host

    def claim(self, key: str, claim: Claim) -> None:
        """Take something of a host."""
        self.claims[key] = claim
        if claim.image:
            self.fetched.add((claim.image, claim.host))

    def claims_on(self, name: str) -> list[Claim]:
        """All claims on a host."""
        return [claim for claim in self.claims.values() if claim.host == name]

    def claimed(self, name: str) -> Resources:
        """Their sum."""
        return sum((claim.resources for claim in self.claims_on(name)), start=NOTHING)

    def free(self, name: str) -> Resources:
        """What is left of a host; negative where it is too small for what it has."""
        return self.hosts[name].total - self.claimed(name)

    def builds(self, name: str) -> int:
        """Instances on a host that are under construction."""
        return sum(claim.building for claim in self.claims_on(name))

    def members(self, name: str, group: str) -> int:
        """How many members of a group are on a host."""
        return sum(claim.group == group for claim in self.claims_on(name))

    def taken(self, name: str) -> Taken:
        """What allocations hold of a host."""
        held = Taken()
        for claim in self.claims_on(name):
            for cell in claim.allocation.cells:
                held.cpus |= {*cell.cpus, *cell.idle_cpus}
                if cell.page_size:
                    held.huge_pages[cell.cell, cell.page_size] += cell.memory
                else:
                    held.memory[cell.cell] += cell.memory
            held.devices |= {address for _, address in claim.allocation.devices}
        return held

    def dedicated_free(self, name: str) -> int:
        """Dedicated CPUs of a host that nobody has."""
        return len(self.hosts[name].dedicated - self.taken(name).cpus)

    def devices_free(self, name: str, alias: str) -> int:
        """Devices of a kind that nobody has."""
        held = self.taken(name).devices
        devices = self.hosts[name].devices
        return sum(device.alias == alias and device.address not in held for device in devices)

    def huge_pages_free(self, name: str, page_size: int) -> int:
        """Bytes of huge pages of a size that nobody has."""
        held = self.taken(name).huge_pages
        cells = self.hosts[name].cells
        return sum(cell.huge_pages.get(page_size, 0) - held[cell.id, page_size] for cell in cells)


# Rules: whether a host will do. Where the request asks for nothing of the kind, it will.


def settled(host: Host) -> bool:
    """Whether its aggregates say one thing of it."""
    return len(host.zones) < 2 and len(host.cpu_models) < 2


def usable(host: Host) -> bool:
    """Whether it takes Instances at all."""
    return host.labelled and not host.trouble and not host.disabled and not host.maintenance and settled(host)


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """As Kubernetes has it: effects match, or none is given; keys match, or none is given; Equal compares values."""
    if toleration.effect and toleration.effect != taint.effect:
        return False
    if toleration.key and toleration.key != taint.key:
        return False
    return toleration.operator == "Exists" or toleration.value == taint.value


def taints(cloud: Cloud, host: Host, want: Request) -> bool:
    """PreferNoSchedule is no more than a wish."""
    return all(
        any(tolerates(toleration, taint) for toleration in want.tolerations)
        for taint in host.taints
        if taint.effect in ("NoSchedule", "NoExecute")
    )


def same_hosts(cloud: Cloud, host: Host, want: Request) -> bool:
    """With all of them: who are on two hosts already are nowhere together."""
    return all(name == host.name for name in want.same_hosts)


def requirements(cloud: Cloud, host: Host, want: Request) -> bool:
    """The metadata of its aggregates says what is asked for."""
    return all(metadata_holds(requirement, host) for requirement in want.requirements)


def metadata_holds(requirement: Requirement, host: Host) -> bool:
    """The values of the key are those of all aggregates together; without the key only != and NotIn hold."""
    values: set[str] = set()
    for aggregate in host.aggregates:
        values |= aggregate.metadata.get(requirement.key, frozenset())
    asked = set(requirement.values)
    match requirement.operator:
        case "=" | "In":
            return bool(values & asked)
        case "!=" | "NotIn":
            return not values & asked
        case "AllIn":
            return asked <= values
    bound = float(requirement.values[0])
    compare: dict[str, Callable[[float], bool]] = {
        "<": lambda number: number < bound,
        "<=": lambda number: number <= bound,
        ">": lambda number: number > bound,
        ">=": lambda number: number >= bound,
    }
    return any(compare[requirement.operator](number) for number in map(_number, values) if number is not None)


def _number(word: str) -> float | None:
    return float(word) if re.fullmatch(r"[+-]?\d+(\.\d+)?", word) else None


def admits_project(cloud: Cloud, host: Host, want: Request) -> bool:
    """All aggregates that are kept for some projects are kept for this one."""
    kept = [aggregate.projects for aggregate in host.aggregates if aggregate.projects]
    return all(isolation.selector.matches(dict(want.namespace_labels)) for isolation in kept)


def where_project_is_confined(cloud: Cloud, host: Host, want: Request) -> bool:
    """On a host of one of the aggregates that confine it, if any does."""
    return want.confined_to is None or any(aggregate.name in want.confined_to for aggregate in host.aggregates)


def admits_image(cloud: Cloud, host: Host, want: Request) -> bool:
    """All aggregates that are kept for some Images are kept for this one."""
    kept = [aggregate.images for aggregate in host.aggregates if aggregate.images]
    return all(isolation.selector.matches(dict(want.image_labels)) for isolation in kept)


def where_image_is_confined(cloud: Cloud, host: Host, want: Request) -> bool:
    """On a host of one of the aggregates that confine it, if any does."""
    confined_to = want.image_confined_to
    return confined_to is None or any(aggregate.name in confined_to for aggregate in host.aggregates)


def image_properties(cloud: Cloud, host: Host, want: Request) -> bool:
    """Architecture, domain type and firmware, where the Image cares."""
    return (
        want.architecture in ("", host.architecture)
        and want.domain_type in ("", host.domain_type)
        and (not want.firmware or want.firmware in host.firmware)
    )


def group_affinity(cloud: Cloud, host: Host, want: Request) -> bool:
    """Where a member is; the first is free to go anywhere."""
    if want.group is None or want.group.policy != "Affinity":
        return True
    key = want.group.key
    alone = not any(claim.group == key for claim in cloud.claims.values())
    return alone or cloud.members(host.name, key) > 0


def group_anti_affinity(cloud: Cloud, host: Host, want: Request) -> bool:
    """One more member is not too many."""
    if want.group is None or want.group.policy != "AntiAffinity":
        return True
    return cloud.members(host.name, want.group.key) + 1 <= want.group.max_per_host


def dedicated_cpus(cloud: Cloud, host: Host, want: Request) -> bool:
    """A CPU for each virtual one."""
    return not want.dedicated or cloud.dedicated_free(host.name) >= want.vcpus


def huge_pages(cloud: Cloud, host: Host, want: Request) -> bool:
    """Enough of them on all cells together."""
    return not want.page_size or cloud.huge_pages_free(host.name, want.page_size) >= want.memory


def devices(cloud: Cloud, host: Host, want: Request) -> bool:
    """Enough of each kind."""
    return all(cloud.devices_free(host.name, device.alias) >= device.count for device in want.devices)


def reserves_hold(cloud: Cloud, host: Host, want: Request) -> bool:
    """With the Instance on it, any n hosts of each reserve that it is in could fail.

    Whatever n hosts those are: the others have at least as much free as is claimed of these. An amount that is not
    asked for is not made worse. Who flees from a host that failed is whom it is kept for.
    """
    return want.evacuated or all(
        survives(cloud, reserve, amount, host.name, getattr(want.resources, amount))
        for reserve in cloud.reserves.values()
        if reserve.member(host)
        for amount in ("vcpus", "memory", "disk")
        if getattr(want.resources, amount)
    )


def survives(cloud: Cloud, reserve: Reserve, amount: str, on: str = "", more: int = 0) -> bool:
    """Whether any n usable hosts could fail and the others have room for what is claimed of these, `more` on one."""
    among = [host for host in cloud.hosts.values() if usable(host) and reserve.member(host)]
    claimed, free = {}, {}
    for host in among:
        extra = more if host.name == on else 0
        claimed[host.name] = getattr(cloud.claimed(host.name), amount) + extra
        free[host.name] = max(getattr(cloud.free(host.name), amount) - extra, 0)
    return all(
        sum(free[name] for name in free if name not in failing) >= sum(claimed[name] for name in failing)
        for failing in itertools.combinations(claimed, min(reserve.hosts, len(claimed)))
    )


Rule = Callable[[Cloud, Host, Request], bool]

RULES: dict[str, Rule] = {
    "NodeLabelled": lambda cloud, host, want: host.labelled,
    "AgentAlive": lambda cloud, host, want: not host.trouble,
    "Enabled": lambda cloud, host, want: not host.disabled,
    "NotInMaintenance": lambda cloud, host, want: not host.maintenance,
    "NoConflict": lambda cloud, host, want: settled(host),
    "RequestedHost": lambda cloud, host, want: want.node_name in ("", host.name),
    "ImageHost": lambda cloud, host, want: want.image_host in ("", host.name),
    "NotExcluded": lambda cloud, host, want: host.name not in want.excluded,
    "SameHost": same_hosts,
    "DifferentHost": lambda cloud, host, want: host.name not in want.different_hosts,
    "Zone": lambda cloud, host, want: not want.zone or host.zones == (want.zone,),
    "NodeSelector": lambda cloud, host, want: set(want.node_selector) <= set(host.labels.items()),
    "Taints": taints,
    "ImageProperties": image_properties,
    "ProjectIsolation": admits_project,
    "ProjectConfinement": where_project_is_confined,
    "ImageIsolation": admits_image,
    "ImageConfinement": where_image_is_confined,
    "AggregateRequirements": requirements,
    "RequiredTraits": lambda cloud, host, want: want.required_traits <= host.traits,
    "ForbiddenTraits": lambda cloud, host, want: not want.forbidden_traits & host.traits,
    "InstancesPerHost": lambda cloud, host, want: len(cloud.claims_on(host.name)) < host.max_instances,
    "BuildsPerHost": lambda cloud, host, want: cloud.builds(host.name) < host.max_builds,
    "GroupAffinity": group_affinity,
    "GroupAntiAffinity": group_anti_affinity,
    "EnoughVcpus": lambda cloud, host, want: (
        want.dedicated or not want.vcpus or cloud.free(host.name).vcpus >= want.vcpus
    ),
    "EnoughMemory": lambda cloud, host, want: (
        bool(want.page_size) or not want.memory or cloud.free(host.name).memory >= want.memory
    ),
    "EnoughDisk": lambda cloud, host, want: not want.disk or cloud.free(host.name).disk >= want.disk,
    "EnoughCells": lambda cloud, host, want: len(host.cells) >= want.cells,
    "EnoughDedicatedCpus": dedicated_cpus,
    "EnoughHugePages": huge_pages,
    "EnoughDevices": devices,
    "KeepsReserve": reserves_hold,
}

LASTING = frozenset(
    {
        "Zone",
        "NodeSelector",
        "ImageProperties",
        "RequiredTraits",
        "ForbiddenTraits",
        "ProjectIsolation",
        "ProjectConfinement",
        "ImageIsolation",
        "ImageConfinement",
        "AggregateRequirements",
    }
)
"""Rules that an Instance is shown to break when its host changes: those about labels, aggregates, zones and what the
host can do."""


# Wishes: how well a host does beside the others that will do.


Score = Callable[[Cloud, Host, Request, Sequence[Host]], float]


@dataclass(frozen=True)
class Wish:
    """How one weight is reckoned."""

    score: Score
    """Of a host, among all that will do."""
    multiplier: float
    from_zero: bool = False
    """Normalised from 0 to the best; from the worst to the best otherwise."""
    room: bool = False
    """Counts the other way round when the strategy is to stack."""


def device_thrift(cloud: Cloud, host: Host, want: Request, among: Sequence[Host]) -> float:
    """Who needs none keeps away from devices; who needs some, from where there are more of them than needed."""
    if not want.devices:
        return -len(host.devices)
    return -sum(cloud.devices_free(host.name, device.alias) for device in want.devices)


def _group_wish(policy: str, sign: int) -> Score:
    def score(cloud: Cloud, host: Host, want: Request, among: Sequence[Host]) -> float:
        if want.group is None or want.group.policy != policy:
            return 0
        return sign * cloud.members(host.name, want.group.key)

    return score


def zone_spread(cloud: Cloud, host: Host, want: Request, among: Sequence[Host]) -> float:
    """The share of memory that is free in its zone, on hosts that will do; no zone is a zone too."""
    if want.zone:
        return 0
    neighbours = [other for other in among if other.zone == host.zone]
    total = sum(other.total.memory for other in neighbours)
    return sum(cloud.free(other.name).memory for other in neighbours) / total if total else 0


WISHES: dict[str, Wish] = {
    "freeMemory": Wish(lambda cloud, host, want, among: cloud.free(host.name).memory, 1, from_zero=True, room=True),
    "freeVcpus": Wish(lambda cloud, host, want, among: cloud.free(host.name).vcpus, 1, from_zero=True, room=True),
    "freeDisk": Wish(lambda cloud, host, want, among: cloud.free(host.name).disk, 1, from_zero=True, room=True),
    "builds": Wish(lambda cloud, host, want, among: cloud.builds(host.name), -1, from_zero=True),
    "instances": Wish(lambda cloud, host, want, among: len(cloud.claims_on(host.name)), 0),
    "deviceThrift": Wish(device_thrift, 1),
    "softAffinity": Wish(_group_wish("SoftAffinity", 1), 1),
    "softAntiAffinity": Wish(_group_wish("SoftAntiAffinity", -1), 1),
    "buildFailures": Wish(lambda cloud, host, want, among: cloud.failures[host.name], -1_000_000, from_zero=True),
    "hypervisorVersion": Wish(lambda cloud, host, want, among: host.qemu_version, 1),
    "imageCached": Wish(lambda cloud, host, want, among: (want.image, host.name) in cloud.fetched, 0.1),
    "zoneSpread": Wish(zone_spread, 1),
}


def weights(cloud: Cloud, want: Request, policy: Policy, among: Sequence[Host]) -> dict[str, dict[str, float]]:
    """What each wish gives each of these hosts, by host and wish."""
    given: dict[str, dict[str, float]] = {host.name: {} for host in among}
    for name, wish in WISHES.items():
        scores = {host.name: float(wish.score(cloud, host, want, among)) for host in among}
        least = 0.0 if wish.from_zero else min(scores.values())
        span = max(scores.values()) - least
        for host in among:
            share = max(scores[host.name] - least, 0.0) / span if span > 0 else 0.0
            multiplier = host.multipliers.get(name, policy.multipliers.get(name, wish.multiplier))
            stacked = wish.room and policy.strategy == "Stack"
            given[host.name][name] = share * multiplier * (-1 if stacked else 1)
    return given


# The decision


@dataclass(frozen=True)
class Chosen:
    """The host it goes to."""

    host: str
    ties: frozenset[str]
    """Hosts that are as good, but for the order in which floats are added; the chosen one among them."""
    counts: tuple[tuple[str, int], ...]
    """How many others were ruled out by which filter, in order."""
    passed: frozenset[str]
    misfits: Counter[str]
    """Those of them that it could not be packed into, by why not."""
    parts: dict[str, dict[str, float]]
    """What each wish gave each host that passed."""


@dataclass(frozen=True)
class Refused:
    """No host will do: how many were ruled out by which filter, in order, and how many could not be packed."""

    counts: tuple[tuple[str, int], ...]
    misfits: Counter[str]


def verdict(cloud: Cloud, host: Host, want: Request, order: Sequence[str]) -> str | None:
    """The first filter that a host fails."""
    return next((name for name in order if not RULES[name](cloud, host, want)), None)


def decide(cloud: Cloud, want: Request, policy: Policy, order: Sequence[str]) -> Chosen | Refused:
    """The best host that will do, the first by name among equals; `order` is that of the filters."""
    verdicts = {host.name: verdict(cloud, host, want, order) for host in cloud.hosts.values()}
    passed = [host for host in cloud.hosts.values() if verdicts[host.name] is None]
    lost = Counter(name for name in verdicts.values() if name)
    counts = tuple((name, lost[name]) for name in order if lost[name])
    packed, misfits = packing(cloud, want, passed)
    if not packed:
        return Refused(counts, misfits)
    parts = weights(cloud, want, policy, passed)
    sums = {host.name: sum(parts[host.name].values()) for host in packed}
    best = max(sums.values())
    ties = frozenset(name for name, total in sums.items() if best - total < TIE * max(1.0, abs(best)))
    return Chosen(min(ties), ties, counts, frozenset(host.name for host in passed), misfits, parts)


def packing(cloud: Cloud, want: Request, among: Sequence[Host]) -> tuple[list[Host], Counter[str]]:
    """Those it can be packed into, and why not into the others."""
    packed, misfits = [], Counter[str]()
    for host in among:
        found = fit(host, cloud.taken(host.name), want) if want.packed else NO_ALLOCATION
        if isinstance(found, Allocation):
            packed.append(host)
        else:
            misfits[found.reason] += 1
    return packed, misfits
