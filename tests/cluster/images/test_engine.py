"""Nothing stays behind, whatever the builder dies of."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from hack.images.engine import Engine
from hack.images.errors import ImageError
from hack.images.locks import REPOSITORY
from support.waiting import eventually

BUILDER = """
import sys
from pathlib import Path
from hack.images.engine import Engine
script = 'mount -t tmpfs none "$0" && { sleep 600 & setsid sleep 600 & } && touch "$0/../begun" && wait'
Engine(Path("none")).run("sh", "-c", script, sys.argv[1], title="test")
"""


def test_a_killed_builder_leaves_no_process_and_no_mount(tmp_path: Path) -> None:
    work = tmp_path / "mounted"
    work.mkdir()
    builder = subprocess.Popen([sys.executable, "-c", BUILDER, str(work)], cwd=REPOSITORY)
    try:
        eventually(lambda: (tmp_path / "begun").exists(), "the builder's work")
        inside = _descendants(builder.pid)
        assert len(inside) >= 4
    finally:
        builder.send_signal(signal.SIGKILL)
        builder.wait()

    eventually(lambda: not any(Path(f"/proc/{pid}").exists() for pid in inside), "the end of what it had started")
    assert str(work) not in Path("/proc/self/mountinfo").read_text()


def test_a_command_that_fails_is_told_of_with_its_last_words() -> None:
    with pytest.raises(ImageError, match=r"(?s)trial: sh ended with status 3.*no room"):
        Engine(Path("none")).run("sh", "-c", "echo no room >&2; exit 3", title="trial")


def _descendants(pid: int) -> set[int]:
    parents: dict[int, int] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                parents[int(entry)] = int(Path(f"/proc/{entry}/stat").read_text().rpartition(")")[2].split()[1])
            except FileNotFoundError:
                continue
    found = {pid}
    while more := {child for child, parent in parents.items() if parent in found} - found:
        found |= more
    return found - {pid}
