"""What the consoles' page is made with, besides its own modules: noVNC and xterm.js, as npm's lock pins them.

    assets = build()
    assets / "novnc/core/rfb.js", assets / "xterm/xterm.mjs"

Needs npm and the registry it is set up for. Nothing of the packages is run: browsers load their modules as they are.
"""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from pathlib import Path

from hack.cache import built, digest

_MANIFESTS = tuple(Path(__file__).parents[2] / "console/web" / name for name in ("package.json", "package-lock.json"))
_INSTALL_SECONDS = 300.0

_PARTS = {
    "novnc/core": "@novnc/novnc/core",
    "novnc/vendor/pako": "@novnc/novnc/vendor/pako",
    "novnc/LICENSE.txt": "@novnc/novnc/LICENSE.txt",
    "novnc/AUTHORS": "@novnc/novnc/AUTHORS",
    "novnc/docs/LICENSE.MPL-2.0": "@novnc/novnc/docs/LICENSE.MPL-2.0",  # which LICENSE.txt refers to
    "xterm/xterm.mjs": "@xterm/xterm/lib/xterm.mjs",
    "xterm/xterm.css": "@xterm/xterm/css/xterm.css",
    "xterm/LICENSE": "@xterm/xterm/LICENSE",
    "xterm/addon-fit.mjs": "@xterm/addon-fit/lib/addon-fit.mjs",
    "xterm/addon-fit.LICENSE": "@xterm/addon-fit/LICENSE",
}
"""Where a file or folder goes, and where it is below node_modules."""


class WebError(RuntimeError):
    """The assets cannot be had; the message says why."""


def build() -> Path:
    """The folder with `novnc/` and `xterm/`, to be served as they are; fetched if what is pinned or wanted has changed.

    Raises:
        WebError: npm is not there, or could not install what the lock pins.
    """
    return built("web", digest([*_MANIFESTS, *(f"{to} {source}" for to, source in _PARTS.items())]), _fill)


def _fill(folder: Path) -> None:
    with tempfile.TemporaryDirectory(prefix="hypernova-web.") as scratch:
        for manifest in _MANIFESTS:
            shutil.copy(manifest, scratch)
        _install(Path(scratch))
        for to, source in _PARTS.items():
            origin, target = Path(scratch, "node_modules", source), folder / to
            target.parent.mkdir(parents=True, exist_ok=True)
            if origin.is_dir():
                shutil.copytree(origin, target)
            else:
                shutil.copy(origin, target)


def _install(folder: Path) -> None:
    """Scripts of packages are not run: a package is content here, not a program."""
    command = ["npm", "ci", "--ignore-scripts", "--no-audit", "--no-fund"]
    try:
        done = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=_INSTALL_SECONDS)
    except FileNotFoundError as error:
        raise WebError("npm is not installed") from error
    except subprocess.TimeoutExpired as error:
        raise WebError(f"{' '.join(command)}: no end after {_INSTALL_SECONDS:g} s") from error
    if done.returncode:
        raise WebError(f"{' '.join(command)}: exit status {done.returncode}: {done.stderr.strip()}")
