"""InstanceGroups whose policy is hard; soft ones are weights."""

from __future__ import annotations

from hypernova_operator.scheduler.filters.base import Filter, everywhere, only, some
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import HostTable, Mask


class GroupAffinity(Filter):
    """Where members of the Instance's group are, if any are anywhere and its policy is Affinity."""

    nova = "ServerGroupAffinityFilter, affinity"

    def applies(self, want: Request) -> bool:
        return want.group is not None and want.group.policy == "Affinity"

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        members = hosts.members(want.group.key) if want.group and self.applies(want) else ()
        return only(hosts, members) if members else everywhere(hosts)

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        key = want.group.key if want.group else ""
        return f"without a member of group {key} (they are on {some(hosts.members(key))})"


class GroupAntiAffinity(Filter):
    """With fewer members of the Instance's group than maxPerHost, if its policy is AntiAffinity."""

    nova = "ServerGroupAntiAffinityFilter, anti-affinity, max_server_per_host"

    def applies(self, want: Request) -> bool:
        return want.group is not None and want.group.policy == "AntiAffinity"

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        if want.group is None or not self.applies(want):
            return everywhere(hosts)
        full = want.group.max_per_host
        return ~only(hosts, (host for host, members in hosts.members(want.group.key).items() if members >= full))

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        key, most = (want.group.key, want.group.max_per_host) if want.group else ("", 0)
        return f"with enough members of group {key} (at most {most} on a host)"
