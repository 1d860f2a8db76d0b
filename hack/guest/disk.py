"""Bootable disk images: a Linux on a FAT partition under SYSLINUX, and single boot sectors. No loop device, no root."""

from __future__ import annotations

import os
import struct
from collections.abc import Sequence
from pathlib import Path

from hack.guest.command import run

_MIB = 1 << 20
_SECTOR = 512
_FAT16, _LINUX, _NO_FILE_SYSTEM = 0x0E, 0x83, 0xDA
_DATA_MIB = 8
_RAW_MIB = 1
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
    """Make a disk that boots a kernel, and has an empty file system and some room without one in further partitions.

    Args:
        packages: where the Debian packages busybox-static, mtools, syslinux and syslinux-common are unpacked.
        kernel: the kernel.
        initramfs: its initramfs.
        options: its command line.
        qcow2: the image to make. Not compressed: a BIOS reads in small pieces, unpacking each doubles the boot time.
    """
    raw = qcow2.with_suffix(".raw")
    boot_mib = (kernel.stat().st_size + initramfs.stat().st_size) // _MIB + 3
    partitions = ((_FAT16, boot_mib), (_LINUX, _DATA_MIB), (_NO_FILE_SYSTEM, _RAW_MIB))
    data = qcow2.with_suffix(".data")
    data.touch()
    os.truncate(data, _DATA_MIB * _MIB)
    run(packages / "bin/busybox", "mke2fs", "-F", data)
    raw.write_bytes(_boot_record(packages, partitions))
    with raw.open("r+b") as file:
        file.seek((1 + boot_mib) * _MIB)
        file.write(data.read_bytes())
    data.unlink()
    os.truncate(raw, (1 + sum(mib for _, mib in partitions)) * _MIB)
    config = qcow2.with_suffix(".cfg")
    config.write_text(_CONFIG.format(options=options))

    tools = os.environ | {
        "PATH": f"{packages}/usr/bin:{os.environ['PATH']}",  # syslinux itself runs mtools
        "MTOOLS_SKIP_CHECK": "1",
    }
    drive = f"-i{raw}@@{_MIB}"
    sectors, hidden = str(boot_mib * _MIB // _SECTOR), str(_MIB // _SECTOR)
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
    run("as", "-I", source.parent, "-o", program, source)
    run("ld", "-m", "elf_x86_64", "--oformat", "binary", "-Ttext", "0x7c00", "-o", image, program)
    os.truncate(image, _MIB)
    program.unlink()


def _boot_record(packages: Path, partitions: Sequence[tuple[int, int]]) -> bytes:
    """A master boot record with partitions one after the other from 1 MiB on, the first one active.

    Args:
        packages: as above.
        partitions: the type and size in MiB of each.
    """
    code = (packages / "usr/lib/syslinux/mbr/mbr.bin").read_bytes()[:440].ljust(446, b"\0")
    # Cylinders, heads and sectors are "beyond what fits": everything of today reads the sector numbers.
    far = b"\xfe\xff\xff"
    table, begin = b"", 1
    for kind, mib in partitions:
        active = 0 if table else 0x80
        table += struct.pack("<B3sB3sII", active, far, kind, far, begin * _MIB // _SECTOR, mib * _MIB // _SECTOR)
        begin += mib
    return code + table.ljust(64, b"\0") + b"\x55\xaa"
