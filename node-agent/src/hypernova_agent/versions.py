"""Which libvirt and QEMU a host may have."""

from __future__ import annotations

from hypernova_agent.host import HostTooOld

OLDEST_LIBVIRT = "8.0.0"
"""The first release with all that we call and write: a guest's addresses by its agent came with 7.10, memory that is
plugged in, and the events about it, with 7.9. (9.0 is what is tested.)"""

OLDEST_QEMU = "5.1.0"
"""The first with free page reporting, which each guest has, and memory that is plugged in. (7.2 is what is tested.)"""


def refuse_too_old(libvirt: str, qemu: str) -> None:
    """See that a host is new enough. Pure.

    Args:
        libvirt: its version, as `9.0.0`.
        qemu: that of the QEMU it has found.

    Raises:
        HostTooOld: it is not.
    """
    for program, version, oldest in (("libvirt", libvirt, OLDEST_LIBVIRT), ("QEMU", qemu, OLDEST_QEMU)):
        if _parts(version) < _parts(oldest):
            raise HostTooOld(
                f"{program} {version} is too old: Hypernova needs {oldest} or newer; upgrade it on this node"
            )


def _parts(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in version.split("."))
