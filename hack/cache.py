"""Things that take long to build are built once per machine, and again when what they are made from changes."""

from __future__ import annotations

import hashlib
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable
from pathlib import Path


def cache_dir() -> Path:
    """`${XDG_CACHE_HOME:-~/.cache}/hypernova`."""
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "hypernova"


def digest(inputs: Iterable[Path | str]) -> str:
    """16 hex digits over the content of files, and strings as they are."""
    sha = hashlib.sha256()
    for item in inputs:
        data = item.read_bytes() if isinstance(item, Path) else item.encode()
        sha.update(len(data).to_bytes(8, "big") + data)
    return sha.hexdigest()[:16]


def built(kind: str, key: str, build: Callable[[Path], None]) -> Path:
    """The cached folder `kind/key`, made by `build(folder)` if it is not there yet.

    It appears whole or not at all: it is built beside its place and then renamed. Of two builders at
    once the first wins.
    """
    place = cache_dir() / kind / key
    if place.is_dir():
        return place
    place.parent.mkdir(parents=True, exist_ok=True)
    draft = Path(tempfile.mkdtemp(prefix=f".{key}.", dir=place.parent))
    try:
        build(draft)
        draft.chmod(0o755)  # mkdtemp's 0700 would keep other users' QEMU and servers out
        try:
            draft.rename(place)
        except OSError:
            if not place.is_dir():
                raise
    finally:
        shutil.rmtree(draft, ignore_errors=True)
    return place
