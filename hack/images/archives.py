"""Images as OCI archives in the user's cache, for `ctr images import`: built when what they are made from changed.

archives(["operator"])  ->  {"operator": ~/.cache/hypernova/images/KEY/operator.tar}
"""

from __future__ import annotations

import shutil
import sys
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from hack import web
from hack.cache import cache_dir
from hack.devcluster.locking import locked

from .base import base
from .engine import Engine, engine
from .inputs import REPOSITORY, Inputs, read

COMPONENTS = ("operator", "node-agent", "console")
KEPT = 3
"""How many states of the code keep their archives: each has half a gigabyte."""

BUSY_SECONDS = 3600.0
"""How long to wait for somebody else's build."""


def tag(component: str, version: str) -> str:
    """The name an archive's image gets when it is imported."""
    return f"localhost/hypernova/{component}:{version}"


def archives(components: Iterable[str] = COMPONENTS) -> dict[str, Path]:
    """The archive of each component's image, built first where it is not there.

    Cold that takes minutes, instant when nothing changed; see docs/images.md. Root is needed. Of two builders at once
    the second waits.

    Raises:
        ImageError: a program is missing, or a build failed; with the last lines it wrote.
        ClusterError: somebody else's build took an hour.
    """
    inputs = read()
    home = cache_dir() / "images"
    places = {component: home / inputs.key / f"{component}.tar" for component in components}
    if missing := [component for component, place in places.items() if not place.exists()]:
        with locked(home / "lock", seconds=BUSY_SECONDS):
            _build([component for component in missing if not places[component].exists()], inputs, home)
    return places


def _build(components: list[str], inputs: Inputs, home: Path) -> None:
    if not components:
        return
    folder = home / inputs.key
    folder.mkdir(exist_ok=True)
    with engine(home) as builder:
        with _stage("base"):
            below = base(builder)
        # In the order of the Containerfile: a target's build passes through the stages before it.
        for component in sorted(components, key=COMPONENTS.index):
            with _stage(component):
                _image(builder, component, inputs, below)
            with _stage(f"{component}.tar"):
                _archive(builder, tag(component, inputs.version), folder / f"{component}.tar")
    for old in sorted(_states(home), key=lambda state: state.stat().st_mtime)[:-KEPT]:
        shutil.rmtree(old)


def _image(builder: Engine, component: str, inputs: Inputs, below: str) -> None:
    arguments = {"BASE": below, "VERSION": inputs.version, "REVISION": inputs.revision, "SOURCE": inputs.source}
    builder.run(
        *("buildah", "build", "--isolation", "chroot", "--pull-never", "--layers", "--timestamp", _date()),
        *(part for key, value in arguments.items() for part in ("--build-arg", f"{key}={value}")),
        *("--build-context", f"web={web.build()}"),
        *("--ignorefile", REPOSITORY / "images/Containerfile.dockerignore"),
        *("--file", REPOSITORY / "images/Containerfile", "--target", component),
        *("--tag", tag(component, inputs.version), REPOSITORY),
        title=component,
    )


def _date() -> str:
    """Seconds since 1970 that all files of an image are dated: the Containerfile's, not the clock's."""
    lines = (REPOSITORY / "images/Containerfile").read_text().splitlines()
    return next(line for line in lines if line.startswith("ARG SOURCE_DATE_EPOCH=")).partition("=")[2]


def _archive(builder: Engine, name: str, place: Path) -> None:
    """Not compressed: who imports it on this machine would only have to undo that."""
    draft = place.with_suffix(".draft")
    draft.unlink(missing_ok=True)
    target = f"oci-archive:{draft}:{name}"
    command = ("skopeo", "copy", "--dest-oci-accept-uncompressed-layers", f"containers-storage:{name}", target)
    builder.run(*command, title=place.name)
    draft.rename(place)


def _states(home: Path) -> list[Path]:
    return [path for path in home.iterdir() if path.is_dir() and path.name not in ("store", "scratch")]


@contextmanager
def _stage(title: str) -> Iterator[None]:
    started = time.monotonic()
    yield
    print(f"{title}: {time.monotonic() - started:.1f} s", file=sys.stderr, flush=True)
