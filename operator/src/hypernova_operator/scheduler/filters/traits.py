"""What hosts can do."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_operator.scheduler.filters.base import Filter, Wish, all_of, lack, missing, some
from hypernova_operator.scheduler.host import Host
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import HostTable, Mask


@dataclass(frozen=True, slots=True)
class HasTrait:
    """The host has a trait."""

    name: str

    def __call__(self, host: Host) -> bool:
        return self.name in host.traits


class RequiredTraits(Filter):
    """It has all traits that flavor and image require."""

    nova = "trait:NAME=required, transform_image_metadata, ComputeCapabilitiesFilter, capabilities:KEY"
    lasting = True
    in_place = True

    def applies(self, want: Request) -> bool:
        return bool(want.required_traits)

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return all_of(hosts, self._wishes(hosts, want))

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        return f"{lack(lost)} traits ({missing(hosts, self._wishes(hosts, want), lost)})"

    def _wishes(self, hosts: HostTable, want: Request) -> list[Wish]:
        return [Wish(name, hosts.where(HasTrait(name))) for name in want.required_traits]


class ForbiddenTraits(Filter):
    """It has no trait that flavor or image forbid."""

    nova = "trait:NAME=forbidden"
    lasting = True
    in_place = True

    def applies(self, want: Request) -> bool:
        return bool(want.forbidden_traits)

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return all_of(hosts, (Wish(name, ~hosts.where(HasTrait(name))) for name in want.forbidden_traits))

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        had = [name for name in want.forbidden_traits if hosts.where(HasTrait(name))[lost].any()]
        return f"with forbidden traits ({some(had)})"
