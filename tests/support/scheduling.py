"""Hosts, tables and wishes for tests of the scheduler; each part replaceable."""

from __future__ import annotations

from hypernova_operator.scheduler import Host, HostTable, Request, Resources

GI = 2**30


def a_host(
    name: str = "node-a",
    *,
    labelled: bool = True,
    trouble: str = "",
    maintenance: bool = False,
    disabled: str = "",
    vcpus: int = 64,
    memory: int = 64 * GI,
    disk: int = 1000 * GI,
) -> Host:
    """A host that takes Instances, unless told otherwise."""
    return Host(name, labelled, trouble, maintenance, disabled, Resources(vcpus, memory, disk))


def a_table(*hosts: Host) -> HostTable:
    """A table of these hosts, nothing claimed."""
    table = HostTable()
    for host in hosts:
        table.put(host)
    return table


def a_want(vcpus: int = 1, memory: int = GI, disk: int = 0) -> Request:
    """What a small Instance wants."""
    return Request(vcpus, memory, disk)
