"""Aggregates kept for some namespaces or Images, and namespaces and Images kept to some aggregates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from hypernova_operator.scheduler.combinations import Aggregates
from hypernova_operator.scheduler.filters.base import Filter, everywhere, some
from hypernova_operator.scheduler.request import Labels, Request
from hypernova_operator.scheduler.table import HostTable, Mask


@dataclass(frozen=True, slots=True)
class AdmitNamespace:
    """All aggregates take Instances of namespaces with such labels."""

    labels: Labels

    def __call__(self, aggregates: Aggregates) -> bool:
        return not any(self.refusing(aggregates))

    def refusing(self, aggregates: Aggregates) -> Iterator[str]:
        """Those that don't, by name."""
        labels = dict(self.labels)
        for aggregate in aggregates:
            if aggregate.projects and not aggregate.projects.selector.matches(labels):
                yield aggregate.name


@dataclass(frozen=True, slots=True)
class AdmitImage:
    """All aggregates take Images with such labels."""

    labels: Labels

    def __call__(self, aggregates: Aggregates) -> bool:
        return not any(self.refusing(aggregates))

    def refusing(self, aggregates: Aggregates) -> Iterator[str]:
        """Those that don't, by name."""
        labels = dict(self.labels)
        for aggregate in aggregates:
            if aggregate.images and not aggregate.images.selector.matches(labels):
                yield aggregate.name


@dataclass(frozen=True, slots=True)
class OneOf:
    """One of the aggregates has one of these names."""

    names: frozenset[str]

    def __call__(self, aggregates: Aggregates) -> bool:
        return any(aggregate.name in self.names for aggregate in aggregates)


class ProjectIsolation(Filter):
    """Its aggregates that are kept for some namespaces all take the Instance's."""

    nova = "AggregateMultiTenancyIsolation, filter_tenant_id, require_tenant_aggregate"
    lasting = True

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.where_aggregates(AdmitNamespace(want.namespace_labels))

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        refusing = AdmitNamespace(want.namespace_labels).refusing
        names = {name for aggregates in hosts.aggregates_of(lost) for name in refusing(aggregates)}
        return f"kept for other namespaces (by {_aggregates(names)})"


class ProjectConfinement(Filter):
    """In an aggregate that confines the Instance's namespace, if one does."""

    nova = "require_tenant_aggregate, limit_tenants_to_placement_aggregate"
    lasting = True

    def applies(self, want: Request) -> bool:
        return want.confined_to is not None

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return everywhere(hosts) if want.confined_to is None else hosts.where_aggregates(OneOf(want.confined_to))

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        return f"outside what its namespace is confined to ({_aggregates(want.confined_to or ())})"


class ImageIsolation(Filter):
    """Its aggregates that are kept for some Images all take the Instance's."""

    nova = "AggregateImagePropertiesIsolation, IsolatedHostsFilter, isolate_aggregates"
    lasting = True

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.where_aggregates(AdmitImage(want.image_labels))

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        refusing = AdmitImage(want.image_labels).refusing
        names = {name for aggregates in hosts.aggregates_of(lost) for name in refusing(aggregates)}
        return f"kept for other Images (by {_aggregates(names)})"


class ImageConfinement(Filter):
    """In an aggregate that confines the Instance's Image, if one does."""

    nova = "IsolatedHostsFilter, isolated_images"
    lasting = True

    def applies(self, want: Request) -> bool:
        return want.image_confined_to is not None

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        confined_to = want.image_confined_to
        return everywhere(hosts) if confined_to is None else hosts.where_aggregates(OneOf(confined_to))

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        return f"outside what its Image is confined to ({_aggregates(want.image_confined_to or ())})"


def _aggregates(names: Iterable[str]) -> str:
    names = list(names)
    return f"{'aggregate' if len(names) == 1 else 'aggregates'} {some(names)}"
