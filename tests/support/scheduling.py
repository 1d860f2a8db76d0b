"""Hosts, tables, claims and wishes for tests of the scheduler; each part replaceable.

a_host("node-a", memory=8 * GI)          any field of Host by its name; vcpus, memory, disk make up `total`
a_want(zone="az1")                       any field of Request
a_cell(0, (0, 4), (1, 5))                a NUMA cell of two cores with two threads each
a_claim("node-a", a_want())              what such an Instance takes there
"""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from hypernova_operator.scheduler import Cell, Claim, Host, HostTable, Request, Resources

GI = 2**30
MI = 2**20


def a_host(
    name: str = "node-a", *, vcpus: int = 64, memory: int = 64 * GI, disk: int = 1000 * GI, **fields: Any
) -> Host:
    """A host that takes Instances, unless told otherwise."""
    plain = Host(name, labelled=True, trouble="", maintenance=False, disabled="", total=Resources(vcpus, memory, disk))
    return replace(plain, **fields)


def a_cell(number: int, *cores: tuple[int, ...], memory: int = 8 * GI, **fields: Any) -> Cell:
    """A NUMA cell of these cores."""
    return Cell(number, cores, memory, **fields)


def a_table(*hosts: Host) -> HostTable:
    """A table of these hosts, nothing claimed."""
    table = HostTable()
    for host in hosts:
        table.put(host)
    return table


def a_want(vcpus: int = 1, memory: int = GI, disk: int = 0, **fields: Any) -> Request:
    """What a small Instance wants."""
    return Request(vcpus, memory, disk, **fields)


def a_claim(host: str, want: Request | None = None, **fields: Any) -> Claim:
    """What an Instance takes of a host that wants this."""
    want = want or a_want()
    return replace(Claim(host, want.resources, want.group.key if want.group else "", want.image), **fields)
