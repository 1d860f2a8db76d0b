"""The test guest: a tiny Linux made from Debian packages, and guests of one boot sector.

    guest = build()
    guest.qcow2, guest.sha256

Needs no root. Needs the Debian packages binutils and qemu-utils, apt's package lists, and the mirror they name.
"""

from hack.guest.command import CommandError
from hack.guest.image import Guest, build

__all__ = ["CommandError", "Guest", "build"]
