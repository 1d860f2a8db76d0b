"""What Nodes say of themselves: labels and taints."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import numpy as np

from hypernova_operator.scheduler.filters.base import Filter, Wish, all_of, missing, some
from hypernova_operator.scheduler.host import Host, Taint
from hypernova_operator.scheduler.request import Request, Toleration
from hypernova_operator.scheduler.table import HostTable, Mask

_REPELLING = ("NoSchedule", "NoExecute")
"""Effects that keep Instances away; PreferNoSchedule is a wish."""


@dataclass(frozen=True, slots=True)
class HasLabel:
    """The Node has a label with this value."""

    key: str
    value: str

    def __call__(self, host: Host) -> bool:
        return host.labels.get(self.key) == self.value


@dataclass(frozen=True, slots=True)
class Tolerated:
    """Each taint that repels is tolerated by one of these."""

    tolerations: tuple[Toleration, ...]

    def __call__(self, host: Host) -> bool:
        return not host.taints or not any(self.repelled_by(host))

    def repelled_by(self, host: Host) -> Iterator[Taint]:
        """The taints that keep them away from a host."""
        for taint in host.taints:
            if taint.effect in _REPELLING and not any(tolerates(one, taint) for one in self.tolerations):
                yield taint


def tolerates(toleration: Toleration, taint: Taint) -> bool:
    """Whether the one is about the other, as Kubernetes has it: no key is any key, no effect any effect."""
    return (
        toleration.key in ("", taint.key)
        and toleration.effect in ("", taint.effect)
        and (toleration.operator == "Exists" or toleration.value == taint.value)
    )


class NodeSelector(Filter):
    """The Node has all labels that the Instance asks for."""

    nova = "JsonFilter, query"
    lasting = True

    def applies(self, want: Request) -> bool:
        return bool(want.node_selector)

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return all_of(hosts, self._wishes(hosts, want))

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        return f"without the node labels asked for ({missing(hosts, self._wishes(hosts, want), lost)})"

    def _wishes(self, hosts: HostTable, want: Request) -> list[Wish]:
        return [Wish(f"{key}={value}", hosts.where(HasLabel(key, value))) for key, value in want.node_selector]


class Taints(Filter):
    """The Instance tolerates the Node's taints with effect NoSchedule or NoExecute."""

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.where(Tolerated(want.tolerations))

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        repelled_by = Tolerated(want.tolerations).repelled_by
        taints = {taint for row in np.flatnonzero(lost) for taint in repelled_by(hosts.at(int(row)))}
        return f"with a taint it does not tolerate ({some(map(_in_words, taints))})"


def _in_words(taint: Taint) -> str:
    """As kubectl writes them."""
    return f"{taint.key}={taint.value}:{taint.effect}" if taint.value else f"{taint.key}:{taint.effect}"
