"""Domains: each function is one blocking call of `Connection.call`."""

from __future__ import annotations

from collections.abc import Callable

import libvirt

from hypernova_agent.host import Domain, DomainState
from hypernova_agent.libvirt.errors import detailed, says
from hypernova_agent.xml.metadata import NAMESPACE, parse_owner

_STATES = {
    libvirt.VIR_DOMAIN_NOSTATE: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_RUNNING: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_BLOCKED: DomainState.RUNNING,
    libvirt.VIR_DOMAIN_PAUSED: DomainState.PAUSED,
    libvirt.VIR_DOMAIN_PMSUSPENDED: DomainState.PAUSED,
    libvirt.VIR_DOMAIN_SHUTDOWN: DomainState.SHUTTING_DOWN,
    libvirt.VIR_DOMAIN_SHUTOFF: DomainState.SHUT_OFF,
    libvirt.VIR_DOMAIN_CRASHED: DomainState.CRASHED,
}

_UNDEFINE_WITH_ALL_IT_KEEPS = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


def domains(virt: libvirt.virConnect) -> list[Domain]:
    """All domains of ours: two quick calls for each.

    (getAllDomainStats has all states in one; but libvirt-python crashes in it when the connection is lost meanwhile.)
    """
    return [domain for found in virt.listAllDomains() if (domain := _domain(found)) is not None]


def domain(virt: libvirt.virConnect, uid: str) -> Domain | None:
    """The domain, if it's there and ours."""
    try:
        found = detailed(lambda: virt.lookupByUUIDString(uid))
    except libvirt.libvirtError as error:
        if says(error, libvirt.VIR_ERR_NO_DOMAIN):
            return None
        raise
    return _domain(found)


def define(virt: libvirt.virConnect, xml: str) -> None:
    """Make the domain, or change what it will be at its next start."""
    virt.defineXML(xml)


def start(virt: libvirt.virConnect, uid: str) -> None:
    """Start the domain unless it runs."""
    found = virt.lookupByUUIDString(uid)
    try:
        found.create()
    except libvirt.libvirtError as error:
        if not (says(error, libvirt.VIR_ERR_OPERATION_INVALID) and found.isActive()):
            raise


def shutdown(virt: libvirt.virConnect, uid: str) -> None:
    """Ask the guest to shut down: by its agent if it has one, else by the power button."""
    _unless_down(virt, uid, lambda found: found.shutdown())


def destroy(virt: libvirt.virConnect, uid: str) -> None:
    """End the domain, as a power cut would."""
    _unless_down(virt, uid, lambda found: found.destroy())


def undefine(virt: libvirt.virConnect, uid: str) -> None:
    """Forget the domain and everything libvirt keeps for it."""
    try:
        virt.lookupByUUIDString(uid).undefineFlags(_UNDEFINE_WITH_ALL_IT_KEEPS)
    except libvirt.libvirtError as error:
        if not says(error, libvirt.VIR_ERR_NO_DOMAIN):
            raise


def _unless_down(virt: libvirt.virConnect, uid: str, act: Callable[[libvirt.virDomain], object]) -> None:
    """Act on a running domain; one that is down or gone, or goes just now, is fine as it is."""
    try:
        found = virt.lookupByUUIDString(uid)
        try:
            act(found)
        except libvirt.libvirtError as error:
            if not (says(error, libvirt.VIR_ERR_OPERATION_INVALID) and not found.isActive()):
                raise
    except libvirt.libvirtError as error:
        if not says(error, libvirt.VIR_ERR_NO_DOMAIN):
            raise


def _domain(found: libvirt.virDomain) -> Domain | None:
    """The domain; None for one that just went, isn't ours, or is a copy of ours that someone made by hand."""
    try:
        owner = parse_owner(detailed(lambda: found.metadata(libvirt.VIR_DOMAIN_METADATA_ELEMENT, NAMESPACE)))
        state = _state(*detailed(found.state))
    except libvirt.libvirtError as error:
        if says(error, libvirt.VIR_ERR_NO_DOMAIN_METADATA, libvirt.VIR_ERR_NO_DOMAIN):
            return None
        raise
    except KeyError:
        return None
    return Domain(owner, state) if owner.uid == found.UUIDString() else None


def _state(state: int, reason: int) -> DomainState:
    # A QEMU that died leaves a domain that is shut off, and says so only in the reason.
    if state == libvirt.VIR_DOMAIN_SHUTOFF and reason == libvirt.VIR_DOMAIN_SHUTOFF_CRASHED:
        return DomainState.CRASHED
    return _STATES[state]
