"""What the images are made from, and the name that it has in the cache."""

from __future__ import annotations

import subprocess
import tomllib
from dataclasses import dataclass
from pathlib import Path

from hack.cache import digest

REPOSITORY = Path(__file__).parents[2]
PATHS = (
    *("images", "README.md", "pyproject.toml", "requirements-libvirt.lock", "console/web/package-lock.json"),
    *(f"{folder}/src" for folder in ("api", "kube", "operator", "node-agent", "console", "cli")),
)
"""The files and folders of the repository that go into a build."""


@dataclass(frozen=True, slots=True)
class Inputs:
    """One state of the repository, as far as images show it."""

    version: str
    """Of our distribution, e.g. `0.1.0`."""

    revision: str
    """The last commit that touched what the images are made from; with `-changed` if it is not what is there."""

    source: str
    """Where the code is at home, if pyproject.toml says so; else empty."""

    key: str
    """The same for the same files, whatever else was committed."""


def read() -> Inputs:
    """The inputs as they are in the work tree, but for what git ignores."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    listed = _git("ls-files", "--cached", "--others", "--exclude-standard", "-z", "--", *PATHS).split("\0")
    files = [REPOSITORY / name for name in sorted(set(listed)) if name and (REPOSITORY / name).is_file()]
    changed = "-changed" if _git("status", "--porcelain", "--", *PATHS) else ""
    return Inputs(
        version=project["version"],
        revision=(_git("log", "-1", "--format=%H", "--", *PATHS).strip() or "none") + changed,
        source=project.get("urls", {}).get("Source", ""),
        key=digest([item for file in files for item in (str(file.relative_to(REPOSITORY)), file)]),
    )


def _git(*arguments: str) -> str:
    command = ["git", "-C", str(REPOSITORY), *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True, timeout=60).stdout
