"""The answers, as text for people. Pure: from cache and books."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace

from hypernova_kube.resources import Object
from hypernova_operator.cache import Cache, records
from hypernova_operator.controllers.ledger import Ledger, charge_of
from hypernova_operator.controllers.resolve import Resolved, Unmet, resolve
from hypernova_operator.scheduler import DEFAULT_POLICY, Candidate, HostTable, Policy, Refusal, Request, decide, explain
from hypernova_operator.scheduler.capacity import MOST, capacity
from hypernova_operator.scheduler.decide import verdicts
from hypernova_operator.scheduler.resources import needed


@dataclass(frozen=True, slots=True)
class Answer:
    """Whether an Instance fits, and the words for it."""

    fits: bool
    text: str


def explained(obj: Object, cache: Cache, ledger: Ledger, policy: Policy = DEFAULT_POLICY) -> Answer:
    """Where an Instance would go now, one that has a node as if it had none; or what is in its way.

    That is the best host: where chance has a say, it may be another of the best.
    """
    instance = records.instance(obj)
    ledger.release(instance.uid)
    now = f"{instance.key} is on {instance.node}. Were it placed now: " if instance.node else ""
    resolved = resolve(instance, cache, ledger.host_of)
    if isinstance(resolved, Unmet):
        return Answer(False, f"{now}{instance.key} does not fit: {resolved.message}")
    if exceeded := ledger.quotas.exceeded(charge_of(instance, resolved.want)):
        return Answer(False, f"{now}{instance.key} does not fit: {exceeded.message}")
    decision = decide(ledger.table, resolved.want, replace(policy, choose_among=1))
    if isinstance(decision, Refusal):
        return Answer(False, f"{now}{instance.key} does not fit: {explain(decision)}")
    zone = cache.hosts[decision.host].zone
    to = f"{decision.host} in {zone}" if zone else decision.host
    lines = [
        f"{now}{instance.key} ({_size(resolved)}) fits, and would go to {to}",
        f"{decision.passed} of {decision.considered} hosts would do; the best of them:",
        *_table(decision.candidates),
    ]
    if losses := verdicts(ledger.table, resolved.want):
        lines.append("the others: " + ", ".join(f"{each.hosts} {each.reason}" for each in losses))
    return Answer(True, "\n".join(lines))


def capacities(cache: Cache, ledger: Ledger) -> Iterator[str]:
    """A line for each flavor and zone: `12 more m1.small in az1`."""
    for flavor in sorted(cache.flavors.store, key=lambda each: each.key.name):
        zones = capacity(ledger.table, flavor.want)
        for zone, number in sorted(zones.items()):
            many = "any number of" if number >= MOST else f"{number} more"
            yield f"{many} {flavor.key.name} in {zone or 'no zone'}"
        if not zones:
            yield f"no more {flavor.key.name}: {_why_none(ledger.table, flavor.want)}"


def _why_none(table: HostTable, want: Request) -> str:
    decision = decide(table, want)
    return explain(decision) if isinstance(decision, Refusal) else "hosts are full"


def _size(resolved: Resolved) -> str:
    want = resolved.want
    vcpus = "1 vCPU" if want.vcpus == 1 else f"{want.vcpus} vCPUs"
    return f"{resolved.flavor.key.name}: {vcpus}, {needed(want.memory)} memory, {needed(want.disk)} disk"


def _table(candidates: Iterable[Candidate]) -> Iterator[str]:
    candidates = list(candidates)
    names = list(dict.fromkeys(name for candidate in candidates for name in candidate.parts))
    rows = [["  HOST", "WEIGHT", *names]]
    for candidate in candidates:
        parts = [f"{candidate.parts.get(name, 0.0):.2f}" for name in names]
        rows.append([f"  {candidate.host}", f"{candidate.weight:.2f}", *parts])
    widths = [max(len(row[column]) for row in rows) for column in range(len(rows[0]))]
    for row in rows:
        yield "   ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)).rstrip()
