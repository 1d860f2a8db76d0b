"""The virtual environment `.venv`: exactly what the lock files say, and this project, editable.

Each step leaves a stamp in the environment with a hash of its input, written when it was finished: a step whose stamp
is right is skipped, one that was interrupted is done again.
"""

from __future__ import annotations

import hashlib
import importlib.util
import subprocess
import sys
import sysconfig
from collections.abc import Callable
from pathlib import Path

from . import debian
from .command import run, stage

REPOSITORY = Path(__file__).parents[2]
VENV = REPOSITORY / ".venv"
STAMPS = VENV / ".stamps"
LOCK = REPOSITORY / "requirements.lock"
LIBVIRT_LOCK = REPOSITORY / "requirements-libvirt.lock"
PIP_SECONDS = 1800


def prepare(*, libvirt_python: bool) -> None:
    """Makes the environment, or what of it is missing or outdated.

    Raises:
        BootstrapError: a step failed; with pip's output.
    """
    _create()
    _once("dependencies", LOCK, lambda: _pip("--require-hashes", f"--requirement={LOCK}"))
    if libvirt_python:
        _once("libvirt-python", LIBVIRT_LOCK, _compile_libvirt_python)
    # pyproject.toml alone decides where our packages are found and which commands there are.
    _once(
        "hypernova",
        REPOSITORY / "pyproject.toml",
        lambda: _pip("--no-deps", "--no-build-isolation", f"--editable={REPOSITORY}"),
    )


def _create() -> None:
    if _works():
        return
    if importlib.util.find_spec("ensurepip") is None:  # Debian's python3 comes without
        debian.install(["python3-venv"])
    with stage("virtual environment"):
        run([sys.executable, "-m", "venv", "--clear", str(VENV)], seconds=300)


def _works() -> bool:
    """Whether there is an environment with pip, of a Python that is still there."""
    try:
        check = [str(VENV / "bin" / "python"), "-c", "import pip"]
        return subprocess.run(check, capture_output=True, timeout=60).returncode == 0
    except OSError:
        return False


def _once(name: str, source: Path, step: Callable[[], None]) -> None:
    """Does the step, unless it was done with this content of the file `source` and this environment's Python."""
    digest = hashlib.sha256((VENV / "pyvenv.cfg").read_bytes() + source.read_bytes()).hexdigest()
    stamp = STAMPS / name
    if stamp.exists() and stamp.read_text() == digest:
        return
    with stage(f"virtual environment: {name}"):
        step()
    STAMPS.mkdir(exist_ok=True)
    stamp.write_text(digest)


def _compile_libvirt_python() -> None:
    if not Path(sysconfig.get_path("include"), "Python.h").exists():  # Debian's python3 comes without
        debian.install(["python3-dev"])
    # The environment's own setuptools, pinned in requirements.lock, instead of whatever is newest.
    _pip("--require-hashes", "--no-deps", "--no-build-isolation", f"--requirement={LIBVIRT_LOCK}")


def _pip(*arguments: str) -> None:
    pip = [str(VENV / "bin" / "python"), "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    run([*pip, *arguments], seconds=PIP_SECONDS)
