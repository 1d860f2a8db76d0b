"""libvirt's errors as ours.

HostFault
├── HostUnreachable   the connection is gone
└── HostError         libvirt refused
"""

from __future__ import annotations

import libvirt

from hypernova_agent.host import HostError, HostFault, HostUnreachable

MESSAGE_LIMIT = 200
"""Characters of a message: what fits a condition that people read."""


def host_fault(error: libvirt.libvirtError, *, alive: bool) -> HostFault:
    """What an error of a call means, given whether the connection it was made on still lives."""
    return (HostError if alive else HostUnreachable)(shortened(str(error)))


def shortened(message: str) -> str:
    """The message on one line of at most MESSAGE_LIMIT characters; QEMU's own can be a page."""
    line = " ".join(message.split())
    return line if len(line) <= MESSAGE_LIMIT else line[: MESSAGE_LIMIT - 1] + "…"


def says(error: libvirt.libvirtError, *codes: int) -> bool:
    """Whether the error is one of these VIR_ERR_ codes."""
    return error.get_error_code() in codes
