"""Writes an initramfs: a gzipped cpio archive. In Python, so that device nodes need no root."""

from __future__ import annotations

import gzip
import stat
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Entry:
    """One file, folder, symbolic link or device of the archive."""

    path: str
    """Without a leading slash."""

    mode: int
    """Type and permissions, as in `stat`."""

    data: bytes = b""
    """Content of a file, target of a symbolic link."""

    device: tuple[int, int] = (0, 0)
    """Major and minor number of a device."""


def file(path: str, data: bytes, permissions: int = 0o755) -> Entry:
    """A regular file."""
    return Entry(path, stat.S_IFREG | permissions, data)


def folder(path: str) -> Entry:
    """A folder. Parents must come before what is in them."""
    return Entry(path, stat.S_IFDIR | 0o755)


def link(path: str, target: str) -> Entry:
    """A symbolic link."""
    return Entry(path, stat.S_IFLNK | 0o777, target.encode())


def character_device(path: str, major: int, minor: int) -> Entry:
    """A character device."""
    return Entry(path, stat.S_IFCHR | 0o600, device=(major, minor))


def tree(root: Path) -> list[Entry]:
    """All that is in a folder of this machine."""
    found = []
    for path in sorted(root.rglob("*")):
        name = str(path.relative_to(root))
        found.append(folder(name) if path.is_dir() else file(name, path.read_bytes(), path.stat().st_mode & 0o777))
    return found


def archive(entries: list[Entry]) -> bytes:
    """The initramfs. The same entries give the same bytes."""
    parts = [_member(number, entry) for number, entry in enumerate([*entries, Entry("TRAILER!!!", 0)], start=1)]
    return gzip.compress(b"".join(parts), mtime=0)


def _member(number: int, entry: Entry) -> bytes:
    """One member in cpio's `newc` format: 13 fields of 8 hex digits, name, data, each padded to 4 bytes."""
    name = entry.path.encode() + b"\0"
    fields = (number, entry.mode, 0, 0, 1, 0, len(entry.data), 0, 0, *entry.device, len(name), 0)
    header = b"070701" + b"".join(b"%08X" % field for field in fields)
    return _padded(header + name) + _padded(entry.data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)
