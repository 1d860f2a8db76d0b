"""A Python that has Nova: a virtual environment of its own, made once per machine.

Nova and all it needs are pinned in `nova.lock`. To update, with uv in a throw-away environment:
`echo nova==VERSION | uv pip compile - --python-version 3.11 --universal --generate-hashes --no-header -o nova.lock`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from hack.bootstrap.command import run, stage
from hack.cache import built, digest

LOCK = Path(__file__).with_name("nova.lock")
VENV_SECONDS = 60
PIP_SECONDS = 1800


def python() -> Path:
    """Its interpreter; the first time this takes a minute and 400 MB, and says how long.

    Raises:
        BootstrapError: a step failed; with pip's output.
    """
    return built("nova", digest([LOCK, sys.version, sys.base_prefix]), _make) / "bin" / "python"


def _make(folder: Path) -> None:
    """Fills the folder, which gets its name later: only `python` works there, as pip's scripts know the first name."""
    with stage("virtual environment: nova", str(LOCK.name)):
        run([sys.executable, "-m", "venv", "--without-pip", str(folder)], seconds=VENV_SECONDS)
        pip = [sys.executable, "-m", "pip", f"--python={folder / 'bin' / 'python'}", "install", "--quiet"]
        run([*pip, "--disable-pip-version-check", "--require-hashes", f"--requirement={LOCK}"], seconds=PIP_SECONDS)
