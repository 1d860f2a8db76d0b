"""`make demo` as a newcomer runs it, in a temporary folder of its own."""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.console_user import redeem
from support.waiting import eventually

MINUTES = 60.0


@pytest.fixture
def folder() -> Iterator[Path]:
    """A folder with a path so short that libvirt's socket fits below it."""
    with tempfile.TemporaryDirectory(prefix="hn-") as folder:
        yield Path(folder)


def demo(verb: str, folder: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "hack.demo", verb],
        env=os.environ | {"TMPDIR": str(folder)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def traces(folder: Path) -> list[str]:
    """What the machine still has of a demo: files, and processes and mounts that name its folder."""
    found = [str(path) for path in folder.iterdir()]
    for process in Path("/proc").glob("[0-9]*"):
        for what in ("cmdline", "environ", "mountinfo"):
            with contextlib.suppress(OSError):  # ended meanwhile
                if f"{folder}/hypernova-demo" in (process / what).read_bytes().decode(errors="replace"):
                    found.append(f"{process.name}/{what}")
    return found


def networks() -> set[str]:
    """Names of the machine's interfaces and network namespaces."""
    namespaces = Path("/run/netns")
    return {
        path.name for parent in (Path("/sys/class/net"), namespaces) if parent.exists() for path in parent.iterdir()
    }


def test_the_demo_boots_a_guest_twice_in_a_row_says_what_to_try_and_leaves_nothing(folder: Path) -> None:
    before = networks()
    try:
        for _ in range(2):
            with demo("up", folder) as up:
                output, _ = up.communicate(timeout=5 * MINUTES)
            assert up.returncode == 0, output
            assert "HYPERNOVA-GUEST READY hostname=hello" in output
            assert "hello from hello, started by kubectl apply" in output
            assert "Running" in output
            assert "export KUBECONFIG=" in output
            assert redeem(output.split()[-1]).status == 200
    finally:
        with demo("down", folder) as down:
            output, _ = down.communicate(timeout=MINUTES)
    assert down.returncode == 0, output
    assert traces(folder) == []
    assert networks() == before


@pytest.mark.parametrize(
    "stage", ["test guest", "control plane", "host node-a", "operator, node agent", "console proxy"]
)
def test_a_demo_interrupted_after_any_stage_cleans_up_by_itself(folder: Path, stage: str) -> None:
    before = networks()
    with demo("up", folder) as up:
        assert up.stdout
        for line in up.stdout:
            if line.startswith(f"==> {stage}:"):
                up.send_signal(signal.SIGINT)
                break
        output, _ = up.communicate(timeout=2 * MINUTES)
    assert up.returncode == 130, output
    # A kubectl that was cut short is killed, and gone a moment later.
    eventually(lambda: traces(folder) == [], "the last process to be gone", 10)
    assert networks() == before
