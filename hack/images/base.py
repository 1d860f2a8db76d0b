"""A stand-in for debian:bookworm-slim, made by mmdebstrap from the machine's mirror, as there is no registry here.

It has the machine's authorities of certificates too, for pip in builder stages; images are made from scratch and have
nothing of it.
"""

from __future__ import annotations

import os
import subprocess
import tempfile
from pathlib import Path

from hack.cache import digest

from .engine import Engine
from .errors import ImageError

AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
MAKE = (
    *("mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates"),
    f"--customize-hook=upload {AUTHORITIES} /etc/machine-authorities.crt",
    "--customize-hook=printf '[global]\\ncert = /etc/machine-authorities.crt\\n' > $1/etc/pip.conf",
    "bookworm",
)
MAKE_SECONDS = 900
CONTAINERFILE = "FROM scratch\nADD base.tar /\n"


def base(engine: Engine) -> str:
    """The name of the base image, made if it is not there.

    Raises:
        ImageError: mmdebstrap is missing or failed.
    """
    name = f"localhost/hypernova/base:{digest([*MAKE, AUTHORITIES])}"
    if name in engine.run("buildah", "images", "--format", "{{.Name}}:{{.Tag}}", title="images"):
        return name
    with tempfile.TemporaryDirectory(prefix="hypernova-base.") as folder:
        context = Path(folder)
        _debian(context / "base.tar")
        (context / "Containerfile").write_text(CONTAINERFILE)
        engine.run("buildah", "build", "--isolation", "chroot", "--tag", name, context, title="base")
    return name


def _debian(archive: Path) -> None:
    command = ["setpriv", "--pdeathsig", "KILL", *MAKE, str(archive)]
    environment = os.environ | {"TMPDIR": str(archive.parent)}
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=MAKE_SECONDS, env=environment)
    except FileNotFoundError as error:
        raise ImageError(f"{error.filename} is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise ImageError(f"mmdebstrap: no end after {MAKE_SECONDS} s") from error
    if done.returncode:
        raise ImageError(f"mmdebstrap: exit status {done.returncode}\n{done.stderr.strip()}")
