"""Bootable disk images: a Linux on a FAT partition under SYSLINUX, and single boot sectors. No loop device, no root."""

from __future__ import annotations

import os
import struct
from pathlib import Path

from hack.guest.command import run

_MIB = 1 << 20
_SECTOR = 512
_FAT16 = 0x0E
_CONFIG = """\
DEFAULT linux
PROMPT 0
TIMEOUT 0
LABEL linux
  LINUX kernel
  INITRD initramfs
  APPEND {options}
"""


def linux_disk(packages: Path, kernel: Path, initramfs: Path, options: str, qcow2: Path) -> None:
    """Make a disk that boots a kernel.

    Args:
        packages: where the Debian packages mtools, syslinux and syslinux-common are unpacked.
        kernel: the kernel.
        initramfs: its initramfs.
        options: its command line.
        qcow2: the image to make. Not compressed: a BIOS reads in small pieces, unpacking each doubles the boot time.
    """
    raw = qcow2.with_suffix(".raw")
    partition_mib = (kernel.stat().st_size + initramfs.stat().st_size) // _MIB + 3
    raw.write_bytes(_boot_record(packages, partition_mib))
    os.truncate(raw, (1 + partition_mib) * _MIB)
    config = qcow2.with_suffix(".cfg")
    config.write_text(_CONFIG.format(options=options))

    tools = os.environ | {
        "PATH": f"{packages}/usr/bin:{os.environ['PATH']}",  # syslinux itself runs mtools
        "MTOOLS_SKIP_CHECK": "1",
    }
    drive = f"-i{raw}@@{_MIB}"
    sectors, hidden = str(partition_mib * _MIB // _SECTOR), str(_MIB // _SECTOR)
    run("mformat", drive, "-T", sectors, "-h", "16", "-s", "63", "-H", hidden, "-c", "4", "::", env=tools)
    for path, name in ((config, "syslinux.cfg"), (kernel, "kernel"), (initramfs, "initramfs")):
        run("mcopy", drive, path, f"::{name}", env=tools)
    run("syslinux", "--offset", str(_MIB), "--install", raw, env=tools)
    run("qemu-img", "convert", "-f", "raw", "-O", "qcow2", raw, qcow2)
    raw.unlink()
    config.unlink()


def sector_disk(source: Path, image: Path) -> None:
    """Assemble a boot sector into a raw disk image of 1 MiB: a BIOS boots nothing smaller than a cylinder (504 KiB)."""
    program = image.with_suffix(".o")
    run("as", "-o", program, source)
    run("ld", "-m", "elf_x86_64", "--oformat", "binary", "-Ttext", "0x7c00", "-o", image, program)
    os.truncate(image, _MIB)
    program.unlink()


def _boot_record(packages: Path, partition_mib: int) -> bytes:
    """A master boot record with one active partition, which begins at 1 MiB."""
    code = (packages / "usr/lib/syslinux/mbr/mbr.bin").read_bytes()[:440].ljust(446, b"\0")
    # Cylinders, heads and sectors are "beyond what fits": everything of today reads the sector numbers.
    far = b"\xfe\xff\xff"
    first, count = _MIB // _SECTOR, partition_mib * _MIB // _SECTOR
    partition = struct.pack("<B3sB3sII", 0x80, far, _FAT16, far, first, count)
    return code + partition.ljust(64, b"\0") + b"\x55\xaa"
