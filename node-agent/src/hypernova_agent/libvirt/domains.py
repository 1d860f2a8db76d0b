"""Domains: each function is one blocking call of `Connection.call`."""

from __future__ import annotations

from collections.abc import Callable

import libvirt

from hypernova_agent.host import Domain
from hypernova_agent.libvirt.errors import detailed, says
from hypernova_agent.libvirt.states import OFF, domain_state
from hypernova_agent.xml.definition import parse_definition
from hypernova_agent.xml.metadata import parse_metadata

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
        defined = detailed(lambda: found.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
        active = bool(detailed(found.isActive))
        running = detailed(found.XMLDesc) if active else None
        saved = bool(detailed(found.hasManagedSaveImage))
        state, reason = detailed(found.state)
    except libvirt.libvirtError as error:
        if says(error, libvirt.VIR_ERR_NO_DOMAIN):
            return None
        raise
    metadata = parse_metadata(defined)
    if metadata is None or metadata.owner.uid != found.UUIDString():
        return None
    seen = domain_state(state, reason, metadata.run, saved=saved)
    return Domain(
        metadata.owner,
        seen,
        defined=parse_definition(defined),
        # It may have started or ended between two of these calls; the state was asked last, and a look follows.
        running=parse_definition(running) if running is not None and seen not in OFF else None,
        saved=saved,
        run=metadata.run,
    )
