"""What a host's libvirt says it can do: https://libvirt.org/formatcaps.html and formatdomaincaps.html"""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_agent.xml.element import parse


@dataclass(frozen=True, slots=True)
class Cpu:
    """A processor as libvirt names it; empty where it doesn't know."""

    model: str
    vendor: str


@dataclass(frozen=True, slots=True)
class Capabilities:
    """The host itself."""

    architecture: str
    cpu: Cpu
    domain_types: frozenset[str]
    """For guests of the host's own architecture."""


def parse_capabilities(xml: str) -> Capabilities:
    """The host, from virConnectGetCapabilities."""
    root = parse(xml)
    architecture = root.findtext("./host/cpu/arch", "")
    types = root.iterfind(f"./guest/arch[@name='{architecture}']/domain[@type]")
    return Capabilities(
        architecture=architecture,
        cpu=Cpu(model=root.findtext("./host/cpu/model", ""), vendor=root.findtext("./host/cpu/vendor", "")),
        domain_types=frozenset(found.attrib["type"] for found in types),
    )


def parse_host_model(xml: str) -> Cpu | None:
    """The processor that guests get with `host-model`, from virConnectGetDomainCapabilities; None if they can't."""
    mode = parse(xml).find("./cpu/mode[@name='host-model'][@supported='yes']")
    if mode is None:
        return None
    return Cpu(model=mode.findtext("./model", ""), vendor=mode.findtext("./vendor", ""))
