"""The status of an InstanceGroup. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from datetime import datetime

from hypernova_api.group import GroupMember, InstanceGroupStatus
from hypernova_kube.resources import Key
from hypernova_operator.cache.records import InstanceGroup
from hypernova_operator.controllers.observed import Observed, only

MOST_MEMBERS = 1024
"""Members that a status takes."""


def status(group: InstanceGroup, members: Mapping[Key, str], now: datetime) -> InstanceGroupStatus:
    """Who is in a group and where.

    Args:
        group: the group.
        members: the node of each member that has one.
        now: when.
    """
    hosts = Counter(members.values())
    named = sorted((key.name, node) for key, node in members.items())
    satisfied = _satisfied(group, hosts)
    return InstanceGroupStatus(
        observed_generation=group.generation,
        members=[GroupMember(name=name, node_name=node) for name, node in named[:MOST_MEMBERS]],
        count=len(members),
        hosts=len(hosts),
        conditions=only(group.status.conditions, group.generation, now, satisfied),
    )


def _satisfied(group: InstanceGroup, hosts: Counter[str]) -> Observed:
    """The soft policies are judged as the hard ones: what is asked for is had, or not."""
    if group.policy in ("Affinity", "SoftAffinity"):
        if len(hosts) <= 1:
            return Observed("Satisfied", "True", "Together", "")
        return Observed("Satisfied", "False", "Apart", f"its members are on {len(hosts)} nodes, not on one")
    most = group.max_per_host if group.policy == "AntiAffinity" else 1
    crowded = sorted(node for node, number in hosts.items() if number > most)
    if not crowded:
        return Observed("Satisfied", "True", "Apart", "")
    more = f" and on {len(crowded) - 1} more" if len(crowded) > 1 else ""
    message = f"{hosts[crowded[0]]} of its members are on node {crowded[0]}{more}, where at most {most} should be"
    return Observed("Satisfied", "False", "Together", message)
