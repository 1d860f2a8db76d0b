"""What a real QEMU sends a viewer who types, update by update. Recorded anew by each run: there is no blob to keep."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from socket import AF_UNIX, socket

from hack.guest.disk import sector_disk
from tests.support.waiting import eventually

_SECTOR = Path(__file__).parents[3] / "hack/guest/sectors/keys.S"
_SECONDS = 60.0

_RAW, _ZRLE, _DESKTOP_SIZE = 0, 16, -223
_TEXT = "the quick brown fox jumps over the lazy dog "
_REDRAWN_EVERY = 50
"""Keys after which the viewer wants the whole screen anew and uncompressed, 1.1 MB: the worst there is."""


def recorded(keys: int) -> list[bytes]:
    """Updates of a screen on which `keys` keys are typed: most are a character, some scroll it, a few are all of it."""
    with tempfile.TemporaryDirectory(prefix="hn-bench-") as folder:
        disk, path = Path(folder, "keys.raw"), Path(folder, "vnc")
        sector_disk(_SECTOR, disk)
        command = ["qemu-system-x86_64", "-nodefaults", "-machine", "pc,accel=tcg", "-m", "16", "-vga", "std"]
        command += ["-display", "none", "-vnc", f"unix:{path}", "-drive", f"file={disk},format=raw"]
        with subprocess.Popen(command) as qemu:
            try:
                eventually(path.exists, "QEMU's VNC socket")
                with socket(AF_UNIX) as connection:
                    connection.settimeout(_SECONDS)
                    connection.connect(str(path))
                    return _typed(_Screen(connection), keys)
            finally:
                qemu.kill()


class _Screen:
    """As much of RFB 3.8 as it takes: https://www.rfc-editor.org/rfc/rfc6143"""

    def __init__(self, connection: socket) -> None:
        self._socket = connection
        self._read(12)
        self._socket.sendall(b"RFB 003.008\n")
        self._read(self._read(1)[0])  # the kinds of security; QEMU on a Unix socket has None
        self._socket.sendall(b"\x01")
        self._read(4)
        self._socket.sendall(b"\x01")
        head = self._read(24)
        self.width, self.height = int.from_bytes(head[:2], "big"), int.from_bytes(head[2:4], "big")
        self._read(int.from_bytes(head[20:], "big"))

    def want(self, encoding: int) -> None:
        wanted = b"".join(each.to_bytes(4, "big", signed=True) for each in (encoding, _DESKTOP_SIZE))
        self._socket.sendall(b"\x02\x00\x00\x02" + wanted)

    def press(self, key: int) -> None:
        for down in (1, 0):
            self._socket.sendall(bytes((4, down, 0, 0)) + key.to_bytes(4, "big"))

    def update(self, *, whole: bool) -> bytes:
        """Ask for one, and wait for it."""
        size = self.width.to_bytes(2, "big") + self.height.to_bytes(2, "big")
        self._socket.sendall(bytes((3, 0 if whole else 1, 0, 0, 0, 0)) + size)
        update = self._read(4)
        if update[0] != 0:
            raise ValueError(f"QEMU sent a message of type {update[0]}, no update")
        for _ in range(int.from_bytes(update[2:], "big")):
            head = self._read(12)
            update += head + self._rectangle(head)
        return update

    def _rectangle(self, head: bytes) -> bytes:
        width, height = int.from_bytes(head[4:6], "big"), int.from_bytes(head[6:8], "big")
        encoding = int.from_bytes(head[8:], "big", signed=True)
        if encoding == _ZRLE:
            length = self._read(4)
            return length + self._read(int.from_bytes(length, "big"))
        if encoding == _RAW:
            return self._read(width * height * 4)
        if encoding == _DESKTOP_SIZE:
            self.width, self.height = width, height
            return b""
        raise ValueError(f"QEMU sent a rectangle in encoding {encoding}")

    def _read(self, count: int) -> bytes:
        data = bytearray()
        while len(data) < count:
            piece = self._socket.recv(count - len(data))
            if not piece:
                raise EOFError("QEMU closed the connection")
            data += piece
        return bytes(data)


def _typed(screen: _Screen, keys: int) -> list[bytes]:
    screen.want(_ZRLE)
    updates = [screen.update(whole=True)]
    for number in range(keys):
        whole = number % _REDRAWN_EVERY == _REDRAWN_EVERY - 1
        screen.want(_RAW if whole else _ZRLE)
        screen.press(0xFF0D if number % 40 == 39 else ord(_TEXT[number % len(_TEXT)]))
        updates.append(screen.update(whole=whole))
    return updates
