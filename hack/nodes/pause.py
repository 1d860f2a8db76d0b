"""The image of Pods' first process."""

from __future__ import annotations

import subprocess
from pathlib import Path

from hack.cache import built, digest

from .oci import Image, write_archive

NAME = "localhost/hypernova-lab/pause:1"
_SOURCE = Path(__file__).with_name("pause.c")
_PACKING = Path(__file__).with_name("oci.py")


def archive() -> Path:
    """The image as an OCI archive; compiled once per machine."""

    def build(folder: Path) -> None:
        program = folder / "pause"
        subprocess.run(["gcc", "-Os", "-static", "-s", "-o", str(program), str(_SOURCE)], check=True, timeout=60)
        write_archive(Image(NAME, {"/pause": program}, ("/pause",)), folder / "pause.tar")

    return built("pause-image", digest([_SOURCE, _PACKING, NAME]), build) / "pause.tar"
