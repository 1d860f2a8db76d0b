"""The guest's processor: https://libvirt.org/formatdomain.html#cpu-allocation"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from hypernova_agent.xml.element import E, Element, parse, serialize
from hypernova_agent.xml.numa import Numa, NumaCell, cpus_of
from hypernova_api.architecture import DomainType
from hypernova_api.cpuset import format_cpuset

EMULATED_CPU = "qemu64"
"""Emulated anyhow: the smallest model boots fastest, and is the same on every host."""

_PERIOD = 100_000
"""Microseconds in which a limit on CPU time holds; the kernel's own default."""


@dataclass(frozen=True, slots=True)
class Topology:
    """How a guest sees its virtual CPUs; their product is how many it can have."""

    sockets: int
    cores: int
    threads: int


@dataclass(frozen=True, slots=True)
class Vcpus:
    """<vcpu>: https://libvirt.org/formatdomain.html#cpu-allocation"""

    count: int
    maximum: int
    """How many it can have without being started anew."""

    cpuset: str
    """The CPUs of the host that it may run on, all its threads; empty: all."""

    def xml(self) -> Element:
        current = self.count if self.count < self.maximum else None
        return E.vcpu(str(self.maximum), current=current, cpuset=self.cpuset or None)


@dataclass(frozen=True, slots=True)
class IoThreads:
    """<iothreads>: https://libvirt.org/formatdomain.html#iothreads-allocation"""

    count: int
    """Disks name them by number, from 1."""

    def xml(self) -> Element:
        return E.iothreads(str(self.count))


@dataclass(frozen=True, slots=True)
class Cpu:
    """<cpu>: https://libvirt.org/formatdomain.html#cpu-model-and-topology"""

    type: DomainType
    architecture: str
    model: str | None
    """As libvirt names it; None: all that the host has under KVM, EMULATED_CPU else."""

    topology: Topology | None
    numa: Numa | None

    def xml(self) -> Element:
        shape = (
            E.topology(sockets=self.topology.sockets, cores=self.topology.cores, threads=self.topology.threads)
            if self.topology
            else None,
            self.numa.xml() if self.numa else None,
        )
        if self.type == "kvm" and self.model is None:
            # A guest with an invariant TSC cannot be migrated live.
            invtsc = E.feature(policy="disable", name="invtsc") if self.architecture == "x86_64" else None
            return E.cpu(*shape, invtsc, mode="host-model", check="partial")
        model = E.model(self.model or EMULATED_CPU, fallback="forbid")
        # Under emulation a model only has what QEMU can emulate of it: to check that would refuse the most of them.
        check = "partial" if self.type == "kvm" else "none"
        return E.cpu(model, *shape, mode="custom", match="exact", check=check)


@dataclass(frozen=True, slots=True)
class CpuTune:
    """<cputune>: https://libvirt.org/formatdomain.html#cpu-tuning

    QEMU's own threads stay on the guest's CPUs: they disturb nobody but this guest. (Nova does so, too, unless a flavor
    says otherwise.) All of it holds under emulation as well: each virtual CPU has a thread of its own there.
    """

    shares: int
    """Weight beside other guests when CPUs are short."""

    limit: int
    """CPU time that each virtual CPU gets at most, in thousandths of a CPU; 0: no limit."""

    cells: Sequence[NumaCell]

    def xml(self) -> Element:
        pins = {
            vcpu: format_cpuset(cpus) for cell in self.cells for vcpu, cpus in zip(cell.vcpus, cell.cpus, strict=True)
        }
        return E.cputune(
            E.shares(str(self.shares)),
            E.period(str(_PERIOD)) if self.limit else None,
            E.quota(str(self.limit * _PERIOD // 1000)) if self.limit else None,
            *(E.vcpupin(vcpu=vcpu, cpuset=cpuset) for vcpu, cpuset in sorted(pins.items())),
            E.emulatorpin(cpuset=format_cpuset(cpus_of(self.cells))) if self.cells else None,
        )


def without_shares(xml: str) -> str | None:
    """The XML of a domain without its weight beside other guests; None if it has none."""
    root = parse(xml)
    tune = root.find("./cputune")
    shares = tune.find("./shares") if tune is not None else None
    if tune is None or shares is None:
        return None
    tune.remove(shares)
    return serialize(root)
