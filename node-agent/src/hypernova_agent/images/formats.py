"""Whether the first bytes of a file are what its Image declares: looked at before the host sees any of them."""

from __future__ import annotations

from hypernova_agent.errors import ImageFormatMismatch
from hypernova_agent.images import qcow2
from hypernova_api.image import Format

HEAD_SIZE = 4096
"""Bytes of the beginning that a check wants to see, if the file has so many."""

SECTOR = 512

_FOREIGN = {
    qcow2.MAGIC: "a qcow2 image",
    b"KDMV": "a VMDK image",
    b"vhdxfile": "a VHDX image",
    b"conectix": "a VHD image",
    b"LUKS\xba\xbe": "a LUKS container",
    b"\x1f\x8b": "compressed with gzip",
    b"BZh": "compressed with bzip2",
    b"\xfd7zXZ\x00": "compressed with xz",
    b"\x28\xb5\x2f\xfd": "compressed with zstd",
    b"PK\x03\x04": "a zip archive",
}
"""What a file that is no plain disk starts with, for a better message than the guest's "no bootable device"."""


def check(head: bytes, declared: Format) -> int | None:
    """The virtual size in bytes if `head` tells it (qcow2); None where the file's own size is it (raw).

    Raises:
        ImageError: the file is not what is declared, or reaches beyond itself.
    """
    if declared == "qcow2":
        _refuse({magic: what for magic, what in _FOREIGN.items() if magic != qcow2.MAGIC}, head, declared)
        return qcow2.parse(head)
    _refuse(_FOREIGN, head, declared)
    return None


def raw_size(file_size: int) -> int:
    """The size QEMU gives a raw file's disk: whole sectors."""
    return -(-file_size // SECTOR) * SECTOR


def _refuse(foreign: dict[bytes, str], head: bytes, declared: Format) -> None:
    for magic, what in foreign.items():
        if head.startswith(magic):
            raise ImageFormatMismatch(
                f"the image is declared {declared} but is {what}: correct the Image's format or its file"
            )
