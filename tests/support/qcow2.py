"""qcow2 files, byte by byte."""

import struct
from typing import Any

GIB = 1 << 30


def header(**parts: Any) -> bytes:
    """A qcow2 header, as qemu-img makes one of 10 GiB."""
    fields: dict[str, Any] = {
        "magic": b"QFI\xfb",
        "version": 3,
        "backing_offset": 0,
        "backing_size": 0,
        "cluster_bits": 16,
        "size": 10 * GIB,
        "encryption": 0,
        "l1_size": 20,
        "l1_offset": 0x30000,
        "refcount_offset": 0x10000,
        "refcount_clusters": 1,
        "snapshots": 0,
        "snapshots_offset": 0,
        "incompatible": 0,
        "compatible": 0,
        "autoclear": 0,
        "refcount_order": 4,
        "length": 112,
    }
    assert parts.keys() <= fields.keys()
    return struct.pack(">4sIQIIQIIQQIIQQQQII", *(fields | parts).values()).ljust(4096, b"\0")
