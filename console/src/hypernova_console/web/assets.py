"""What the page is made of: read once, and served from memory by exact path, so that no path leads to another file."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path
from typing import Self

_TYPES = {
    ".html": "text/html; charset=utf-8",
    ".css": "text/css; charset=utf-8",
    ".js": "text/javascript; charset=utf-8",
    ".mjs": "text/javascript; charset=utf-8",
    ".svg": "image/svg+xml",
    ".png": "image/png",
    ".woff2": "font/woff2",
}
_OTHER = "text/plain; charset=utf-8"
"""For licences and the like."""

_PARTS = ("novnc", "xterm")
_INDEX = "index.html"


@dataclass(frozen=True, slots=True)
class Asset:
    """One file."""

    body: bytes
    content_type: str
    etag: str
    """With its quotes."""

    @classmethod
    def read(cls, path: Path) -> Self:
        body = path.read_bytes()
        return cls(body, _TYPES.get(path.suffix, _OTHER), f'"{hashlib.sha256(body).hexdigest()[:32]}"')


@dataclass(frozen=True, slots=True)
class Assets:
    """All files."""

    page: Asset
    """The one page there is."""

    static: Mapping[str, Asset]
    """By their path below /static/, e.g. `js/main.js` or `novnc/core/rfb.js`."""

    @classmethod
    def read(cls, folder: Path) -> Self:
        """The page's own files, and those in `novnc/` and `xterm/` of a folder.

        Raises:
            FileNotFoundError: a part is not there.
        """
        own = Path(str(files("hypernova_console"))) / "page"
        static = {path: asset for path, asset in _below(own).items() if path != _INDEX}
        for part in _PARTS:
            found = _below(folder / part)
            if not found:
                raise FileNotFoundError(f"{folder / part}: the page's assets are not there")
            static |= {f"{part}/{path}": asset for path, asset in found.items()}
        return cls(Asset.read(own / _INDEX), static)


def _below(folder: Path) -> dict[str, Asset]:
    return {
        path.relative_to(folder).as_posix(): Asset.read(path)
        for path in sorted(folder.rglob("*"))
        # A link could lead out of the folder.
        if path.is_file() and not path.is_symlink()
    }
