"""Domains as a whole: each function is one blocking call of `Connection.call`."""

from __future__ import annotations

from collections.abc import Callable

import libvirt

from hypernova_agent.host import Definition, Domain, Run
from hypernova_agent.libvirt.errors import detailed, says
from hypernova_agent.libvirt.states import OFF, domain_state
from hypernova_agent.xml.cpu import without_shares
from hypernova_agent.xml.definition import definition_of
from hypernova_agent.xml.element import parse
from hypernova_agent.xml.metadata import RUN_NAMESPACE, RUN_PREFIX, metadata_of, parse_metadata, run_xml

_UNDEFINE_WITH_ALL_IT_KEEPS = (
    libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE
    | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_CHECKPOINTS_METADATA
    | libvirt.VIR_DOMAIN_UNDEFINE_NVRAM
)


def domains(virt: libvirt.virConnect) -> list[Domain]:
    """All domains of ours: a handful of quick calls for each.

    (getAllDomainStats has all states in one; but libvirt-python crashes in it when the connection is lost meanwhile.)
    """
    return [domain for found in virt.listAllDomains() if (domain := _domain(found)) is not None]


def domain(virt: libvirt.virConnect, uid: str) -> Domain | None:
    """The domain, if it's there and ours."""
    found = find(virt, uid)
    return None if found is None else _domain(found)


def find(virt: libvirt.virConnect, uid: str) -> libvirt.virDomain | None:
    """The domain as libvirt has it, if it's there."""
    try:
        return detailed(lambda: virt.lookupByUUIDString(uid))
    except libvirt.libvirtError as error:
        if says(error, libvirt.VIR_ERR_NO_DOMAIN):
            return None
        raise


def record(virt: libvirt.virConnect, uid: str) -> str | None:
    """The record in the domain's definition, if there is one."""
    found = find(virt, uid)
    metadata = None if found is None else parse_metadata(found.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))
    return (metadata.record or None) if metadata is not None else None


def define(virt: libvirt.virConnect, xml: str) -> None:
    """Make the domain, or change what it will be at its next start."""
    virt.defineXML(xml)


def mark(virt: libvirt.virConnect, uid: str, run: Run) -> None:
    """Note the run in the definition. What runs keeps what it was started with."""
    virt.lookupByUUIDString(uid).setMetadata(
        libvirt.VIR_DOMAIN_METADATA_ELEMENT,
        run_xml(run),
        RUN_PREFIX,
        RUN_NAMESPACE,
        libvirt.VIR_DOMAIN_AFFECT_CONFIG,
    )


def start(virt: libvirt.virConnect, uid: str, *, paused: bool) -> bool:
    """Start the domain unless it runs; whether it goes on from what was saved."""
    found = virt.lookupByUUIDString(uid)
    saved = bool(found.hasManagedSaveImage())
    try:
        _power_on(virt, found, libvirt.VIR_DOMAIN_START_PAUSED if paused else libvirt.VIR_DOMAIN_NONE)
    except libvirt.libvirtError as error:
        if not (says(error, libvirt.VIR_ERR_OPERATION_INVALID) and found.isActive()):
            raise
        return False
    return saved


def _power_on(virt: libvirt.virConnect, found: libvirt.virDomain, flags: int) -> None:
    """Start it; without its weight on a host that cannot weigh guests, as libvirt tells only now."""
    try:
        found.createWithFlags(flags)
    except libvirt.libvirtError as error:
        if not says(error, libvirt.VIR_ERR_CONFIG_UNSUPPORTED):
            raise
        unweighed = without_shares(found.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE | libvirt.VIR_DOMAIN_XML_SECURE))
        if unweighed is None:
            raise
        virt.defineXML(unweighed)
        found.createWithFlags(flags)


def pause(virt: libvirt.virConnect, uid: str) -> None:
    """Stop the CPUs, if they run."""
    virt.lookupByUUIDString(uid).suspend()


def resume(virt: libvirt.virConnect, uid: str) -> None:
    """Have the CPUs go on, if they stand still."""
    found = virt.lookupByUUIDString(uid)
    try:
        found.resume()
    except libvirt.libvirtError as error:
        running = says(error, libvirt.VIR_ERR_OPERATION_INVALID) and found.state()[0] == libvirt.VIR_DOMAIN_RUNNING
        if not running:
            raise


def save(virt: libvirt.virConnect, uid: str) -> None:
    """Write the guest's memory to disk and end it, as long as that takes; one that is saved stays so."""
    found = virt.lookupByUUIDString(uid)
    try:
        found.managedSave(libvirt.VIR_DOMAIN_SAVE_RUNNING)
    except libvirt.libvirtError as error:
        saved = not found.isActive() and found.hasManagedSaveImage()
        if not (says(error, libvirt.VIR_ERR_OPERATION_INVALID) and saved):
            raise


def discard_saved(virt: libvirt.virConnect, uid: str) -> None:
    """Forget what was saved, if anything was."""
    found = find(virt, uid)
    if found is not None and found.hasManagedSaveImage():
        found.managedSaveRemove()


def discard_stale(virt: libvirt.virConnect) -> None:
    """Forget what was saved of guests that run on: libvirtd died when it had saved them, and before it ended them.

    They would go on from there at their next start, on disks that have gone on without them.
    """
    for found in virt.listAllDomains():
        try:
            # In this order: one that is being saved has nothing saved as long as it runs.
            if found.hasManagedSaveImage() and found.isActive() and _domain(found) is not None:
                found.managedSaveRemove()
        except libvirt.libvirtError as error:
            if not says(error, libvirt.VIR_ERR_NO_DOMAIN):
                raise


def abort_job(virt: libvirt.virConnect, uid: str) -> None:
    """Have libvirt give up what it does with the guest for long: saving it, copying its disk."""
    _unless_down(virt, uid, lambda found: found.abortJob())


def shutdown(virt: libvirt.virConnect, uid: str) -> None:
    """Press the power button. (A guest's agent may take a minute to answer, and hold up whoever waits for it.)"""
    _unless_down(virt, uid, lambda found: found.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_ACPI_POWER_BTN))


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
        defined = parse(detailed(lambda: found.XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)))
        metadata = metadata_of(defined)
        if metadata is None or metadata.owner.uid != found.UUIDString():
            return None
        running = detailed(found.XMLDesc)
        persistent = detailed(found.isPersistent)
        saved = _saved(found)
        # Last: of one that starts or ends meanwhile it says what is, and an event of that is on its way.
        state, reason = detailed(found.state)
    except libvirt.libvirtError as error:
        if says(error, libvirt.VIR_ERR_NO_DOMAIN):
            return None
        raise
    seen = domain_state(state, reason, metadata.run, saved=saved)
    return Domain(
        metadata.owner,
        seen,
        # Undefined by hand while its guest runs: nothing is left of it once that ends. The power-on was the same.
        defined=definition_of(defined) if persistent else Definition(boot=metadata.boot),
        running=None if seen in OFF else definition_of(parse(running)),
        saved=saved and seen in OFF,
        run=metadata.run,
    )


def _saved(found: libvirt.virDomain) -> bool:
    """Whether its guest's memory is on disk, all of it: if libvirtd dies as it saves a guest, it leaves what it has."""
    if not detailed(found.hasManagedSaveImage):
        return False
    try:
        detailed(found.managedSaveGetXMLDesc)
    except libvirt.libvirtError as error:
        if says(error, libvirt.VIR_ERR_OPERATION_FAILED):
            return False
        raise
    return True
