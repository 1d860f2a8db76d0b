"""The header of a qcow2 file, as far as it tells whether the file may be trusted with a host.

Format: https://www.qemu.org/docs/master/interop/qcow2.html. Everything that matters stands in the first 104 bytes, so
nothing else is read, and no length or offset in them is followed.
"""

from __future__ import annotations

import struct

from hypernova_agent.errors import ImageFormatMismatch, ImageHasBackingFile, ImageHasDataFile

MAGIC = b"QFI\xfb"
HEADER_SIZE = 104
"""Bytes of a version 3 header that are read; version 2 has 72."""

_V2 = struct.Struct(">4sIQIIQIIQQIIQ")
_V3 = struct.Struct(">QQQII")

_DIRTY, _CORRUPT, _DATA_FILE, _COMPRESSION, _EXTENDED_L2 = (1 << bit for bit in range(5))
_TAKEN = _COMPRESSION | _EXTENDED_L2
_CLUSTER_BITS = range(9, 22)
_LARGEST = 1 << 60
"""Bytes of virtual size. QEMU's own bound depends on the cluster size and lies below."""


def parse(head: bytes) -> int:
    """Read the beginning of a file that is said to be qcow2: the bytes a guest sees, if it is one self-contained disk.

    Raises:
        ImageFormatMismatch: it is not, or of a variant that is not taken (encrypted, damaged, of the future).
        ImageHasBackingFile: it names a file to read the rest from.
        ImageHasDataFile: its data is in another file.
    """
    if not head.startswith(MAGIC):
        raise ImageFormatMismatch("the image is declared qcow2 but is none")
    if len(head) < _V2.size:
        raise ImageFormatMismatch(f"the image ends within its qcow2 header, after {len(head)} bytes")
    _, version, backing_offset, backing_size, cluster_bits, virtual_size, encryption, *_ = _V2.unpack_from(head)
    if version not in (2, 3):
        raise ImageFormatMismatch(f"qcow2 version {version} is not supported: convert the image with qemu-img convert")
    features = 0
    if version == 3:
        if len(head) < HEADER_SIZE:
            raise ImageFormatMismatch(f"the image ends within its qcow2 header, after {len(head)} bytes")
        features, _, _, _, header_length = _V3.unpack_from(head, _V2.size)
        if header_length < HEADER_SIZE:
            raise ImageFormatMismatch(f"the qcow2 header claims to be {header_length} bytes long, which is too short")
    if backing_offset or backing_size:
        raise ImageHasBackingFile("the image needs a backing file: make it self-contained with qemu-img convert")
    if features & _DATA_FILE:
        raise ImageHasDataFile("the image keeps its data in another file: make it self-contained with qemu-img convert")
    if encryption:
        raise ImageFormatMismatch("the image is encrypted: decrypt it with qemu-img convert")
    if features & (_DIRTY | _CORRUPT):
        raise ImageFormatMismatch("the image is damaged or was not closed: repair it with qemu-img check -r all")
    if unknown := features & ~_TAKEN:
        raise ImageFormatMismatch(f"the image uses qcow2 features that are not known here (bits {unknown:#x})")
    if cluster_bits not in _CLUSTER_BITS:
        raise ImageFormatMismatch(f"the qcow2 header is damaged: clusters of 2^{cluster_bits} bytes do not exist")
    if not 0 < virtual_size <= _LARGEST:
        raise ImageFormatMismatch(f"the image's virtual size is {virtual_size} bytes")
    return int(virtual_size)
