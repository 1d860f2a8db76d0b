"""The test guest, built once per machine."""

from __future__ import annotations

import hashlib
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Self

from hack.cache import built, digest
from hack.guest import initramfs, packages
from hack.guest.command import run
from hack.guest.disk import linux_disk, sector_disk

_HERE = Path(__file__).parent
_MODULES = (
    *("virtio_ring", "virtio", "virtio_pci_modern_dev", "virtio_pci_legacy_dev", "virtio_pci"),
    *("failover", "net_failover", "virtio_net", "virtio_blk"),
    *("scsi_common", "scsi_mod", "virtio_scsi", "cdrom", "sr_mod", "isofs"),
    *("evdev", "button"),
)
"""What every guest loads, in this order."""

_FURTHER_MODULES = ("virtio_console", "virtio-rng", "virtio_balloon", "virtio_mem", "pvpanic", "pvpanic-mmio")
"""What `root/bin/plug` loads where their devices are. (The cloud kernel has no watchdog's driver.)"""

_LIBRARIES = ("libc", "libglib-2.0", "libgmodule-2.0", "libm", "libnuma", "libpcre2-8", "libudev", "liburing")
"""What the guest agent needs; nothing else in the guest needs any."""

_LIBRARY_FOLDER = "lib/x86_64-linux-gnu"

_SECTORS = ("serial", "halt", "flood", "end", "keys")
"""Boot sectors, in the order of `Guest`'s fields."""

# The serial console comes last: that is the one /dev/console is. The rest only saves time under emulation.
_OPTIONS = "console=tty0 console=ttyS0 quiet mitigations=off nokaslr tsc=unstable no_timer_check cryptomgr.notests"
# Memory that is plugged in is used, and can be unplugged; that there could be any takes no 64 MiB for bounce
# buffers, which virtio never needs.
_OPTIONS += " memhp_default_state=online_movable swiotlb=noforce"
# An NMI out of the blue is from an administrator who wants a panic.
_OPTIONS += " unknown_nmi_panic"


@dataclass(frozen=True, slots=True)
class Guest:
    """The built images; each as a file and its SHA-256 in hex."""

    qcow2: Path
    """Linux: boots in about 5 s of CPU under emulation, wants 96 MiB of memory. Format qcow2."""

    sha256: str

    boot_sector: Path
    """One boot sector that prints a line a second: boots at once, wants 16 MiB. Format raw."""

    boot_sector_sha256: str

    halt_sector: Path
    """One boot sector that sleeps for good. Format raw."""

    halt_sector_sha256: str

    flood_sector: Path
    """One boot sector that writes to its serial port as fast as it can. Format raw."""

    flood_sector_sha256: str

    end_sector: Path
    """One boot sector that powers itself off after a second. Format raw."""

    end_sector_sha256: str

    keys_sector: Path
    """One boot sector that shows, on its screen and its serial port, what is typed on either. Format raw."""

    keys_sector_sha256: str

    @classmethod
    def load(cls, folder: Path) -> Self:
        """The guest built into a folder."""
        images = (folder / name for name in ("linux.qcow2", *(f"{sector}.raw" for sector in _SECTORS)))
        qcow2, serial, halt, flood, end, keys = ((image, _sha256(image)) for image in images)
        return cls(*qcow2, *serial, *halt, *flood, *end, *keys)


def build() -> Guest:
    """The test guest; built if these sources or the Debian packages it is made from changed since it was.

    Takes 1 s if there is nothing to build, else some seconds and 34 MB from the Debian mirror.

    Raises:
        CommandError: the packages can't be fetched, or a tool failed.
    """
    versions = packages.versions()
    sources = [_HERE / name for name in ("disk.py", "image.py", "initramfs.py")]
    for folder in ("root", "sectors"):
        sources += sorted(path for path in (_HERE / folder).rglob("*") if path.is_file())

    def fill(folder: Path) -> None:
        content = packages.unpacked(versions)
        (kernel,) = content.glob("boot/vmlinuz-*")
        archive = folder / "initramfs"
        archive.write_bytes(initramfs.archive(_entries(content)))
        linux_disk(content, kernel, archive, _OPTIONS, folder / "linux.qcow2")
        archive.unlink()
        for name in _SECTORS:
            sector_disk(_HERE / "sectors" / f"{name}.S", folder / f"{name}.raw")

    return Guest.load(built("guest", digest([*sources, *versions]), fill))


def _entries(content: Path) -> list[initramfs.Entry]:
    """What is in the initramfs: busybox under all its names, the modules, the guest agent, and our own `root/`."""
    busybox = content / "bin/busybox"
    applets = run(busybox, "--list").split()
    names = ("bin", "dev", "lib", _LIBRARY_FOLDER, "lib64", "modules", "proc", "root", "sys")
    folders = [initramfs.folder(name) for name in names]
    return [
        *folders,
        initramfs.character_device("dev/console", 5, 1),
        initramfs.file("bin/busybox", busybox.read_bytes()),
        *(initramfs.link(f"bin/{name}", "busybox") for name in applets if name != "busybox"),
        *_modules(content),
        initramfs.file("modules/order", "".join(f"{name}\n" for name in _MODULES).encode()),
        *_agent(content),
        *initramfs.tree(_HERE / "root"),
    ]


def _modules(content: Path) -> list[initramfs.Entry]:
    """The kernel modules, without their debugging information, which is most of them."""
    found = {path.stem: path for path in content.glob("lib/modules/*/kernel/**/*.ko")}
    entries = []
    with tempfile.TemporaryDirectory() as scratch:
        for name in (*_MODULES, *_FURTHER_MODULES):
            small = Path(scratch, name)
            run("strip", "--strip-debug", "-o", small, found[name])
            entries.append(initramfs.file(f"modules/{name}.ko", small.read_bytes()))
    return entries


def _agent(content: Path) -> list[initramfs.Entry]:
    """QEMU's guest agent with its libraries, each under the name it is looked for by."""
    found = {path.name.partition(".so.")[0]: path for path in content.glob(f"**/{_LIBRARY_FOLDER}/lib*.so.*")}
    libraries = [found[name] for name in _LIBRARIES]
    return [
        initramfs.file("bin/qemu-ga", (content / "usr/sbin/qemu-ga").read_bytes()),
        initramfs.file("lib64/ld-linux-x86-64.so.2", (content / "lib64/ld-linux-x86-64.so.2").read_bytes()),
        *(initramfs.file(f"{_LIBRARY_FOLDER}/{_soname(path)}", path.read_bytes()) for path in libraries),
    ]


def _soname(library: Path) -> str:
    """The name programs look for a library by."""
    (line,) = (line for line in run("objdump", "-p", library).splitlines() if "SONAME" in line)
    return line.split()[-1]


def _sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
