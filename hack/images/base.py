"""A stand-in for debian:bookworm-slim, made by mmdebstrap from the machine's mirror, as there is no registry here.

It has the machine's authorities of certificates too, for pip in builder stages; images are made from scratch and have
nothing of it.
"""

from __future__ import annotations

import tempfile
from pathlib import Path

from hack.cache import digest

from .engine import Engine

AUTHORITIES = Path("/etc/ssl/certs/ca-certificates.crt")
MAKE = (
    *("mmdebstrap", "--quiet", "--variant=minbase", "--include=ca-certificates"),
    f"--customize-hook=upload {AUTHORITIES} /etc/machine-authorities.crt",
    "--customize-hook=printf '[global]\\ncert = /etc/machine-authorities.crt\\n' > $1/etc/pip.conf",
    "bookworm",
)
"""The command, but for the archive that it writes."""

CONTAINERFILE = "FROM scratch\nADD base.tar /\n"


def base(engine: Engine) -> str:
    """The name of the base image, made if it is not there.

    Raises:
        ImageError: mmdebstrap is missing or failed.
    """
    name = f"localhost/hypernova/base:{digest([*MAKE, AUTHORITIES])}"
    if name in engine.run("buildah", "images", "--format", "{{.Name}}:{{.Tag}}", title="images"):
        return name
    with tempfile.TemporaryDirectory(dir=engine.configuration.parent) as folder:
        context = Path(folder)
        engine.run(*MAKE, context / "base.tar", title="base")
        (context / "Containerfile").write_text(CONTAINERFILE)
        engine.run("buildah", "build", "--isolation", "chroot", "--tag", name, context, title="base")
    return name
