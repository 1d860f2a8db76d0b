"""Domains and disks of ours on the host that have no Instance: found, told, and removed only when somebody says so.

An Instance may have been removed by force, or the API server's store been lost or put back to an old copy. What runs
on a host is never ended on a guess.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set

from hypernova_agent import names
from hypernova_agent.host import Domain, Host
from hypernova_agent.observed import ALIVE
from hypernova_api.hypervisor import ORPHAN_ANNOTATION, Orphan
from hypernova_kube.process.logs import get_logger

log = get_logger(__name__)

REMOVE = "remove"
"""What the annotation says of an orphan that is to be deleted. (Adoption is the operator's.)"""

MOST_TOLD = 64
"""As many as the API takes."""


class Orphans:
    """Those of one host."""

    def __init__(self, host: Host, owned: Callable[[str], bool], annotations: Callable[[], Mapping[str, str]]) -> None:
        """Nothing is known yet.

        Args:
            host: where they are.
            owned: whether an Instance bound to this node has the domain of a UID.
            annotations: of this node's Hypervisor.
        """
        self._host = host
        self._owned = owned
        self._annotations = annotations

    async def settle(self) -> tuple[Orphan, ...]:
        """Remove those that are to be, and return the others, by UID.

        Raises:
            HostFault: from the host.
        """
        domains = {domain.owner.uid: domain for domain in await self._host.domains()}
        volumes = [volume.name for volume in await self._host.volumes()]
        annotations = self._annotations()
        left = []
        for uid in unowned(domains, volumes, self._owned):
            domain = domains.get(uid)
            if annotations.get(f"{ORPHAN_ANNOTATION}{uid}") == REMOVE:
                others = {link.mac for each in domains.values() if each is not domain for link in each.defined.links}
                await self._remove(uid, domain, volumes, others)
            else:
                left.append(await self._told(uid, domain))
        return tuple(left)

    async def _remove(self, uid: str, domain: Domain | None, volumes: Iterable[str], others: Set[str]) -> None:
        """The domain first: while it is there, a crash leaves an orphan that says whose it was.

        Args:
            uid: of its Instance.
            domain: if it has one.
            volumes: of the pool.
            others: MAC addresses of other domains, one of which may be of a namesake.
        """
        if domain is not None:
            await self._host.destroy(uid)
            for mac in await self._reserved_for(domain, others):
                await self._host.release(mac)
            await self._host.undefine(uid)
        for volume in volumes:
            if names.is_of(uid, volume):
                await self._host.delete_volume(volume)
        log.info("orphan removed", uid=uid, instance=_name(domain))

    async def _reserved_for(self, domain: Domain, others: Set[str]) -> list[str]:
        """The MAC addresses it has reservations for: of its cards, and of those it was still to be given."""
        own, owner = {link.mac for link in domain.defined.links}, domain.owner
        return sorted(
            each.mac
            for each in await self._host.reservations()
            if each.mac in own
            or (each.mac not in others and names.is_hostname_of(owner.namespace, owner.name, each.hostname))
        )

    async def _told(self, uid: str, domain: Domain | None) -> Orphan:
        if domain is None:
            return Orphan(uid=uid, namespace="", name="", running=False)
        return Orphan(
            uid=uid,
            namespace=domain.owner.namespace,
            name=domain.owner.name,
            running=domain.state in ALIVE,
            record=await self._host.record(uid),
        )


def unowned(domains: Iterable[str], volumes: Iterable[str], owned: Callable[[str], bool]) -> list[str]:
    """UIDs that have a domain or volumes here, and no Instance. Pure."""
    found = {*domains, *(uid for name in volumes if (uid := names.instance_of(name)) is not None)}
    return sorted(uid for uid in found if not owned(uid))


def _name(domain: Domain | None) -> str:
    return f"{domain.owner.namespace}/{domain.owner.name}" if domain is not None else ""
