"""Hosts that the request itself names."""

from __future__ import annotations

from hypernova_operator.scheduler.filters.base import Filter, everywhere, only, some
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import HostTable, Mask


class RequestedHost(Filter):
    """The one host that is asked for, where one is."""

    nova = "host, hypervisor_hostname"

    def applies(self, want: Request) -> bool:
        return bool(want.node_name)

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return only(hosts, [want.node_name]) if want.node_name else everywhere(hosts)

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        unknown = ", which is no host" if hosts.row(want.node_name) is None else ""
        return f"not the node asked for ({want.node_name}{unknown})"


class ImageHost(Filter):
    """The one that has its Image, where that is a snapshot made there."""

    def applies(self, want: Request) -> bool:
        return bool(want.image_host)

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return only(hosts, [want.image_host]) if want.image_host else everywhere(hosts)

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        unknown = ", which is no host" if hosts.row(want.image_host) is None else ""
        return f"without its Image (a snapshot that is only on node {want.image_host}{unknown})"


class NotExcluded(Filter):
    """Not where a migration comes from, and not where it failed before."""

    nova = "ignore_hosts"

    def applies(self, want: Request) -> bool:
        return bool(want.excluded)

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return ~only(hosts, want.excluded)

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        return "left out, as it comes from there or failed there before"


class SameHost(Filter):
    """Where all Instances are that it must be with."""

    nova = "SameHostFilter, same_host"

    def applies(self, want: Request) -> bool:
        return bool(want.same_hosts)

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        if not want.same_hosts:
            return everywhere(hosts)
        return only(hosts, want.same_hosts if len(want.same_hosts) == 1 else ())

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        apart = ", apart from each other" if len(want.same_hosts) > 1 else ""
        return f"without all Instances it must be with (on {some(want.same_hosts)}{apart})"


class DifferentHost(Filter):
    """Without any Instance that it must not be with."""

    nova = "DifferentHostFilter, different_host"

    def applies(self, want: Request) -> bool:
        return bool(want.different_hosts)

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return ~only(hosts, want.different_hosts)

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        return f"with an Instance it must not be with (on {some(want.different_hosts)})"
