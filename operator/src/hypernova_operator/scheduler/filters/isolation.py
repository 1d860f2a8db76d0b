"""Aggregates kept for some namespaces or Images, and namespaces and Images kept to some aggregates."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import ClassVar, Literal

from hypernova_operator.scheduler.combinations import Aggregates
from hypernova_operator.scheduler.filters.base import Filter, everywhere, some
from hypernova_operator.scheduler.host import Aggregate, Isolation
from hypernova_operator.scheduler.request import Labels, Request
from hypernova_operator.scheduler.table import HostTable, Mask

Side = Literal["projects", "images"]
"""Which isolation of an aggregate: of namespaces, or of Images."""


def isolation_of(aggregate: Aggregate, side: Side) -> Isolation | None:
    """Whom an aggregate's hosts are kept for; None: for all."""
    return aggregate.projects if side == "projects" else aggregate.images


@dataclass(frozen=True, slots=True)
class Admit:
    """All aggregates take those with such labels."""

    side: Side
    labels: Labels

    def __call__(self, aggregates: Aggregates) -> bool:
        return not any(self.refusing(aggregates))

    def refusing(self, aggregates: Aggregates) -> Iterator[str]:
        """Those that don't, by name."""
        labels = dict(self.labels)
        for aggregate in aggregates:
            isolation = isolation_of(aggregate, self.side)
            if isolation and not isolation.selector.matches(labels):
                yield aggregate.name


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of the aggregates has one of these names."""

    names: frozenset[str]

    def __call__(self, aggregates: Aggregates) -> bool:
        return any(aggregate.name in self.names for aggregate in aggregates)


class _Isolation(Filter):
    lasting = True
    whom: ClassVar[str]

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.where_aggregates(self._admit(want))

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        refusing = self._admit(want).refusing
        names = {name for aggregates in hosts.aggregates_of(lost) for name in refusing(aggregates)}
        return f"kept for other {self.whom} (by {_aggregates(names)})"

    @abstractmethod
    def _admit(self, want: Request) -> Admit: ...


class _Confinement(Filter):
    lasting = True
    whom: ClassVar[str]

    def applies(self, want: Request) -> bool:
        return self._confined_to(want) is not None

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        names = self._confined_to(want)
        return everywhere(hosts) if names is None else hosts.where_aggregates(OneOf(names))

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        return f"outside what its {self.whom} is confined to ({_aggregates(self._confined_to(want) or ())})"

    @abstractmethod
    def _confined_to(self, want: Request) -> frozenset[str] | None: ...


class ProjectIsolation(_Isolation):
    """Its aggregates that are kept for some namespaces all take the Instance's."""

    nova = "AggregateMultiTenancyIsolation, filter_tenant_id, require_tenant_aggregate"
    whom = "namespaces"

    def _admit(self, want: Request) -> Admit:
        return Admit("projects", want.namespace_labels)


class ProjectConfinement(_Confinement):
    """In an aggregate that confines the Instance's namespace, if one does."""

    nova = "require_tenant_aggregate, limit_tenants_to_placement_aggregate"
    whom = "namespace"

    def _confined_to(self, want: Request) -> frozenset[str] | None:
        return want.confined_to


class ImageIsolation(_Isolation):
    """Its aggregates that are kept for some Images all take the Instance's."""

    nova = "AggregateImagePropertiesIsolation, IsolatedHostsFilter, isolate_aggregates"
    whom = "Images"

    def _admit(self, want: Request) -> Admit:
        return Admit("images", want.image_labels)


class ImageConfinement(_Confinement):
    """In an aggregate that confines the Instance's Image, if one does."""

    nova = "IsolatedHostsFilter, isolated_images"
    whom = "Image"

    def _confined_to(self, want: Request) -> frozenset[str] | None:
        return want.image_confined_to


def _aggregates(names: Iterable[str]) -> str:
    names = list(names)
    return f"{'aggregate' if len(names) == 1 else 'aggregates'} {some(names)}"
