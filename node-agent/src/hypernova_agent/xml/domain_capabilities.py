"""What libvirt and QEMU can give guests of one domain type: https://libvirt.org/formatdomaincaps.html"""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent.xml.capabilities import Cpu
from hypernova_agent.xml.element import E, parse, serialize


@dataclass(frozen=True, slots=True)
class DomainCapabilities:
    """What can stand in a domain of one type."""

    architecture: str
    uefi: bool
    """Whether libvirt finds UEFI's firmware on the host."""

    secure_boot: bool
    """Whether that firmware can boot only what is signed."""

    hyperv: frozenset[str]
    """Interfaces of Hyper-V, in libvirt's words."""

    passthrough: bool
    """Whether guests can have PCI devices of the host: it has an IOMMU, and VFIO."""

    devices: frozenset[tuple[str, str, str]]
    """What enums say can be, as element, enum and value: `("disk", "bus", "virtio")`."""

    host_model: Cpu | None
    """The processor that guests get with `host-model`; None if they can't."""

    host_model_xml: str
    """The same as <cpu>, features and all; empty if they can't."""


def parse_domain_capabilities(xml: str) -> DomainCapabilities:
    """The answer of virConnectGetDomainCapabilities."""
    root = parse(xml)
    devices = frozenset(
        (device.tag, enum.get("name", ""), value.text or "")
        for device in root.iterfind("./devices/*[@supported='yes']")
        for enum in device.iterfind("./enum")
        for value in enum.iterfind("./value")
    )
    mode = root.find("./cpu/mode[@name='host-model'][@supported='yes']")
    uefi = any(value.text == "efi" for value in root.iterfind("./os/enum[@name='firmware']/value"))
    secure = any(value.text == "yes" for value in root.iterfind("./os/loader/enum[@name='secure']/value"))
    hyperv = root.iterfind("./features/hyperv[@supported='yes']/enum[@name='features']/value")
    return DomainCapabilities(
        architecture=root.findtext("./arch", ""),
        uefi=uefi,
        secure_boot=uefi and secure,
        hyperv=frozenset(value.text or "" for value in hyperv),
        passthrough={("hostdev", "subsysType", "pci"), ("hostdev", "pciBackend", "vfio")} <= devices,
        devices=devices,
        host_model=None if mode is None else Cpu(mode.findtext("./model", ""), mode.findtext("./vendor", "")),
        host_model_xml="" if mode is None else serialize(E.cpu(*mode)),
    )


def model_xml(architecture: str, model: str) -> str:
    """A <cpu> of a named model as it is."""
    return serialize(E.cpu(E.arch(architecture), E.model(model)))


def parse_features(xml: str) -> frozenset[str]:
    """The features that a <cpu> has, from virConnectBaselineHypervisorCPU with all of them written out."""
    return frozenset(found.attrib["name"] for found in parse(xml).iterfind("./feature[@policy='require']"))
