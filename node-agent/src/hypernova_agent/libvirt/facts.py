"""What the host is: one blocking call of `Connection.call`."""

from __future__ import annotations

import libvirt

from hypernova_agent.host import HostFacts
from hypernova_agent.xml.capabilities import Capabilities, Cpu, parse_capabilities, parse_host_model


def facts(virt: libvirt.virConnect, pool: str) -> HostFacts:
    """The host's facts; `disk` is that of the named pool."""
    host = parse_capabilities(virt.getCapabilities())
    cpu = _cpu(virt, host)
    return HostFacts(
        architecture=host.architecture,
        cpu_model=cpu.model,
        cpu_vendor=cpu.vendor,
        cpus=virt.getInfo()[2],
        memory=virt.getMemoryStats(libvirt.VIR_NODE_MEMORY_STATS_ALL_CELLS)["total"] * 1024,
        disk=virt.storagePoolLookupByName(pool).info()[1],
        domain_types=host.domain_types,
        libvirt_version=_version(virt.getLibVersion()),
        qemu_version=_version(virt.getVersion()),
    )


def _cpu(virt: libvirt.virConnect, host: Capabilities) -> Cpu:
    """The processor as guests get it under KVM: closer to the truth than the host's own, which matches every flag."""
    if "kvm" in host.domain_types:
        model = parse_host_model(virt.getDomainCapabilities(None, host.architecture, None, "kvm"))
        if model is not None:
            return model
    return host.cpu


def _version(number: int) -> str:
    """9000000 is 9.0.0."""
    return f"{number // 1_000_000}.{number // 1000 % 1000}.{number % 1000}"
