"""The initramfs archive is cpio as the kernel reads it."""

import gzip
import stat
from pathlib import Path

from hack.guest.initramfs import archive, character_device, file, folder, link, tree


def members(data: bytes) -> list[tuple[str, int, bytes]]:
    """Name, mode and data of each member, read as cpio(5) says."""
    found: list[tuple[str, int, bytes]] = []
    at = 0
    while True:
        assert at % 4 == 0
        assert data[at : at + 6] == b"070701"
        fields = [int(data[at + 6 + 8 * i : at + 14 + 8 * i], 16) for i in range(13)]
        mode, size, name_size = fields[1], fields[6], fields[11]
        name = data[at + 110 : at + 110 + name_size - 1].decode()
        start = (at + 110 + name_size + 3) & ~3
        if name == "TRAILER!!!":
            return found
        found.append((name, mode, data[start : start + size]))
        at = (start + size + 3) & ~3


def test_what_goes_in_comes_out() -> None:
    entries = [folder("bin"), file("bin/x", b"12345"), link("bin/y", "x"), character_device("console", 5, 1)]
    assert members(gzip.decompress(archive(entries))) == [
        ("bin", stat.S_IFDIR | 0o755, b""),
        ("bin/x", stat.S_IFREG | 0o755, b"12345"),
        ("bin/y", stat.S_IFLNK | 0o777, b"x"),
        ("console", stat.S_IFCHR | 0o600, b""),
    ]


def test_a_tree_comes_parents_first_with_its_permissions(tmp_path: Path) -> None:
    (tmp_path / "etc").mkdir()
    (tmp_path / "etc" / "conf").write_text("x")
    (tmp_path / "etc" / "conf").chmod(0o640)
    assert [(entry.path, entry.mode & 0o777) for entry in tree(tmp_path)] == [("etc", 0o755), ("etc/conf", 0o640)]


def test_the_same_entries_give_the_same_bytes() -> None:
    assert archive([file("x", b"1")]) == archive([file("x", b"1")])
