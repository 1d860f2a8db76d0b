"""What each image installs: the part of requirements.lock that its component needs, with the lock's own lines.

pip checks no hashes of constraints, and has no way to install one extra from a lock of all. So each image has a lock of
its own in images/locks, made from the common one and committed; a test tells when one is not what would be made now.
"""

from __future__ import annotations

import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from importlib.metadata import requires
from pathlib import Path

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

REPOSITORY = Path(__file__).parents[2]
LOCKS = REPOSITORY / "images/locks"
EXTRAS = {"operator": "operator", "node-agent": "agent", "console": "console"}
"""The extra of pyproject.toml that each image has."""

APART = frozenset({"libvirt-python"})
"""Compiled, and so in a lock of their own: requirements-libvirt.lock."""

DEBIAN_PYTHON = {"python_version": "3.11", "python_full_version": "3.11.2"}
"""What the markers of requirements are about: Debian 12's Python, not the one that runs this."""

HEADER = "# Made from requirements.lock by `python -m hack.images locks`.\n"


def closure(wanted: Iterable[str], needs: Callable[[str], Iterable[str] | None]) -> set[str]:
    """The names of all distributions that the requirements `wanted` lead to.

    Args:
        wanted: Requirements, e.g. `kopf>=1.45,<2`.
        needs: What a distribution requires, as its metadata says it, e.g. `foo[bar]>=1; extra == "baz"`.
    """
    extras: dict[str, set[str]] = {}
    ahead = [Requirement(text) for text in wanted]
    while ahead:
        one = ahead.pop()
        name = canonicalize_name(one.name)
        if name in extras and one.extras <= extras[name]:
            continue
        extras.setdefault(name, set()).update(one.extras)
        ahead += [found for found in map(Requirement, needs(name) or ()) if _applies(found, one.extras)]
    return set(extras)


def _applies(requirement: Requirement, extras: Iterable[str]) -> bool:
    marker = requirement.marker
    return marker is None or any(marker.evaluate({**DEBIAN_PYTHON, "extra": extra}) for extra in {"", *extras})


def part(lock: str, names: set[str]) -> str:
    """The entries of a lock for `names`: each a line `NAME==VERSION ...`, and those below it that are indented.

    Raises:
        KeyError: the lock lacks some of the names.
    """
    entries = re.findall(r"^([\w.-]+)==(.*\n(?:[ ]+--hash.*\n)*)", lock, re.MULTILINE)
    if missing := names - {canonicalize_name(name) for name, _ in entries}:
        raise KeyError(f"not in the lock: {', '.join(sorted(missing))}")
    return "".join(f"{name}=={rest}" for name, rest in entries if canonicalize_name(name) in names)


def locks() -> Mapping[str, str]:
    """For each component, what its lock should have; read from what is installed here, all of the common lock."""
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    common = (REPOSITORY / "requirements.lock").read_text()
    made = {}
    for component, extra in EXTRAS.items():
        wanted = [*project["dependencies"], *project["optional-dependencies"][extra]]
        wanted = [text for text in wanted if Requirement(text).name not in APART]
        made[component] = HEADER + part(common, closure(wanted, requires))
    return made


def write() -> None:
    """Writes images/locks anew, but for what the builder itself needs: tools.lock, made by uv from tools.in."""
    for component, text in locks().items():
        (LOCKS / f"{component}.lock").write_text(text)
