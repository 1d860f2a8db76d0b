"""What the host is: one blocking call of `Connection.call`."""

from __future__ import annotations

import libvirt

from hypernova_agent.host import Abilities, HostCell, HostFacts, PciDevice
from hypernova_agent.libvirt.errors import says
from hypernova_agent.traits import cpu_traits, device_traits, firmware_traits, host_traits, security_traits
from hypernova_agent.xml.board import machine_of
from hypernova_agent.xml.capabilities import parse_capabilities
from hypernova_agent.xml.cpu import EMULATED_CPU
from hypernova_agent.xml.domain_capabilities import (
    DomainCapabilities,
    model_xml,
    parse_domain_capabilities,
    parse_features,
)
from hypernova_agent.xml.node_device import parse_pci_device
from hypernova_api.architecture import Firmware


def facts(virt: libvirt.virConnect, pool: str) -> HostFacts:
    """The host's facts; `disk` is that of the named pool."""
    host = parse_capabilities(virt.getCapabilities())
    offers = {type_: _offer(virt, host.architecture, type_) for type_ in sorted(host.domain_types)}
    kvm = offers.get("kvm")
    # As guests get it under KVM: closer to the truth than the host's own, which matches every flag.
    cpu = (kvm.host_model if kvm is not None else None) or host.cpu
    libvirt_version, qemu_version = versions(virt)
    return HostFacts(
        architecture=host.architecture,
        cpu_model=cpu.model,
        cpu_vendor=cpu.vendor,
        cpus=virt.getInfo()[2],
        memory=virt.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)["total"] * 1024,
        disk=virt.storagePoolLookupByName(pool).info()[1],
        abilities={type_: _abilities(virt, type_, offer, host.cells) for type_, offer in offers.items()},
        libvirt_version=libvirt_version,
        qemu_version=qemu_version,
        cells=host.cells,
        devices=pci_devices(virt) if any(offer.passthrough for offer in offers.values()) else (),
    )


def versions(virt: libvirt.virConnect) -> tuple[str, str]:
    """Of libvirt, and of the QEMU that it has found."""
    return _version(virt.getLibVersion()), _version(virt.getVersion())


def pci_devices(virt: libvirt.virConnect) -> tuple[PciDevice, ...]:
    """The host's PCI devices by address, bridges left out."""
    found = []
    for node in virt.listAllDevices(libvirt.VIR_CONNECT_LIST_NODE_DEVICES_CAP_PCI_DEV):
        try:
            device = parse_pci_device(node.XMLDesc())
        except libvirt.libvirtError as error:
            if not says(error, libvirt.VIR_ERR_NO_NODE_DEVICE):
                raise
            continue  # pulled out meanwhile
        if device is not None:
            found.append(device)
    return tuple(sorted(found, key=lambda device: device.address))


def _offer(virt: libvirt.virConnect, architecture: str, type_: str) -> DomainCapabilities:
    return parse_domain_capabilities(virt.getDomainCapabilities(None, architecture, machine_of(architecture), type_))


def _abilities(
    virt: libvirt.virConnect, type_: str, offer: DomainCapabilities, cells: tuple[HostCell, ...]
) -> Abilities:
    # A PC without UEFI's firmware boots by QEMU's own BIOS, which libvirt does not tell of; other machines have none.
    firmware: set[Firmware] = {"BIOS"} if offer.architecture == "x86_64" else set()
    if offer.uefi:
        firmware.add("UEFI")
    traits = (
        cpu_traits(_cpu_features(virt, type_, offer)),
        device_traits(offer.devices),
        firmware_traits(firmware),
        security_traits(offer.devices, secure_boot=offer.secure_boot),
        host_traits(offer.architecture, cells),
    )
    return Abilities(
        firmware=frozenset(firmware),
        traits=frozenset().union(*traits),
        # libvirt tells of them under emulation, too, where QEMU has none.
        hyperv=offer.hyperv if type_ == "kvm" else frozenset(),
    )


def _cpu_features(virt: libvirt.virConnect, type_: str, offer: DomainCapabilities) -> frozenset[str]:
    """What the processor has that guests get; libvirt itself tells what a model stands for. Empty but on x86."""
    if offer.architecture != "x86_64":
        return frozenset()
    cpu = offer.host_model_xml if type_ == "kvm" else model_xml(offer.architecture, EMULATED_CPU)
    if not cpu:
        return frozenset()
    try:
        expanded = virt.baselineHypervisorCPU(
            None, offer.architecture, None, type_, [cpu], libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES
        )
    except libvirt.libvirtError as error:
        if says(error, libvirt.VIR_ERR_NO_SUPPORT, libvirt.VIR_ERR_CONFIG_UNSUPPORTED):
            return frozenset()  # a QEMU or model it can tell nothing about: no feature is promised
        raise
    return parse_features(expanded)


def _version(number: int) -> str:
    """9000000 is 9.0.0."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
