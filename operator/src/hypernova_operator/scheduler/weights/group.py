"""Where the other members of an InstanceGroup are."""

from __future__ import annotations

from typing import ClassVar

import numpy as np

from hypernova_operator.scheduler.request import Policy, Request
from hypernova_operator.scheduler.table import Amounts, HostTable
from hypernova_operator.scheduler.weights.base import Rows, Weight


class _Members(Weight):
    policy: ClassVar[Policy]

    def applies(self, hosts: HostTable, want: Request) -> bool:
        return want.group is not None and want.group.policy == self.policy and bool(hosts.members(want.group.key))

    def score(self, hosts: HostTable, want: Request, rows: Rows) -> Amounts:
        members: Amounts = np.zeros(len(hosts), np.int64)
        for name, number in hosts.members(want.group.key if want.group else "").items():
            row = hosts.row(name)
            if row is not None:
                members[row] = number
        return members[rows]


class SoftAffinity(_Members):
    """The host with the most members of the Instance's group wins, if the group is for soft affinity."""

    name = "softAffinity"
    multiplier = 1.0
    nova = "ServerGroupSoftAffinityWeigher"
    policy = "SoftAffinity"


class SoftAntiAffinity(_Members):
    """The host with the fewest members of the Instance's group wins, if the group is for soft anti-affinity."""

    name = "softAntiAffinity"
    multiplier = 1.0
    nova = "ServerGroupSoftAntiAffinityWeigher"
    policy = "SoftAntiAffinity"

    def score(self, hosts: HostTable, want: Request, rows: Rows) -> Amounts:
        return -super().score(hosts, want, rows)
