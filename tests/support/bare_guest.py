"""A guest without libvirt: QEMU on a boot sector, its screen, serial line and monitor as UNIX sockets in a folder."""

import contextlib
import json
import socket
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from support.waiting import eventually


@dataclass(frozen=True, slots=True)
class Picture:
    """What a screen shows: RGB, a byte each, row by row."""

    width: int
    height: int
    pixels: bytes


@dataclass(frozen=True, slots=True)
class BareGuest:
    """A running guest, by the folder of its sockets."""

    folder: Path

    @property
    def vnc(self) -> Path:
        """Where RFB is spoken."""
        return self.folder / "vnc"

    @property
    def serial(self) -> Path:
        """The serial line, for one at a time."""
        return self.folder / "serial"

    @property
    def said(self) -> str:
        """All that came out of the serial line since it was started."""
        return (self.folder / "log").read_text(errors="replace")

    def screen(self) -> Picture:
        """What QEMU itself says is on the screen."""
        dump = self.folder / "screen.ppm"
        self._ask("screendump", filename=str(dump))
        kind, size, _, pixels = dump.read_bytes().split(b"\n", 3)
        assert kind == b"P6"
        width, height = map(int, size.split())
        return Picture(width, height, pixels)

    def _ask(self, command: str, **arguments: Any) -> None:
        with socket.socket(socket.AF_UNIX) as monitor:
            monitor.settimeout(10)
            monitor.connect(str(self.folder / "qmp"))
            with monitor.makefile("rw") as lines:
                for message in ({"execute": "qmp_capabilities"}, {"execute": command, "arguments": arguments}):
                    lines.write(json.dumps(message) + "\n")
                    lines.flush()
                    while "return" not in (answer := json.loads(lines.readline())):
                        assert "error" not in answer, answer


@contextlib.contextmanager
def running(sector: Path, folder: Path) -> Iterator[BareGuest]:
    """A guest that boots a disk image, which stays as it is, until the block ends. `folder` has a short path."""
    guest = BareGuest(folder)
    command = [
        *("qemu-system-x86_64", "-accel", "tcg", "-m", "16", "-nodefaults", "-vga", "std", "-display", "none"),
        *("-drive", f"file={sector},format=raw,if=ide,snapshot=on"),
        *("-vnc", f"unix:{guest.vnc},share=force-shared"),
        *("-chardev", f"socket,id=line,path={guest.serial},server=on,wait=off,logfile={folder}/log"),
        *("-serial", "chardev:line", "-qmp", f"unix:{folder}/qmp,server=on,wait=off"),
    ]
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL)
    try:
        eventually(lambda: (folder / "log").exists() and guest.said, "the boot sector's first line")
        yield guest
    finally:
        process.kill()
        process.wait(10)
