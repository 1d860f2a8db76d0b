"""libvirt's errors as ours.

HostFault
├── HostUnreachable   the connection is gone
└── HostError         libvirt refused
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import libvirt

from hypernova_agent.host import HostError, HostFault, HostUnreachable

T = TypeVar("T")

MESSAGE_LIMIT = 200
"""Characters of a message: what fits a condition that people read."""

_END = 150
"""Characters of a message's end that are always told."""

_LOOKS = 5


def host_fault(error: libvirt.libvirtError, *, alive: bool) -> HostFault:
    """What an error of a call means, given whether the connection it was made on still lives."""
    return (HostError if alive else HostUnreachable)(shortened(str(error)))


def shortened(message: str) -> str:
    """The message on one line of at most MESSAGE_LIMIT characters, without its middle: QEMU's own can be a page.

    Of a program that failed, as qemu-img does in a full pool, libvirt first tells the command line, and why at the end.
    """
    line = " ".join(message.split())
    return line if len(line) <= MESSAGE_LIMIT else f"{line[: MESSAGE_LIMIT - _END - 1]}…{line[-_END:]}"


def says(error: libvirt.libvirtError, *codes: int) -> bool:
    """Whether the error is one of these VIR_ERR_ codes."""
    return error.get_error_code() in codes


def detailed(look: Callable[[], T]) -> T:
    """Look at something that may well not be there, and again if all that is known of an error is that there was one.

    libvirt-python asks for an error's details only once it has made the exception. If Python's garbage collector frees
    an object of libvirt's just then, libvirt has forgotten them, and what is not there looks like what is broken.
    """
    for _ in range(_LOOKS - 1):
        try:
            return look()
        except libvirt.libvirtError as error:
            if error.get_error_code() is not None:
                raise
    return look()
