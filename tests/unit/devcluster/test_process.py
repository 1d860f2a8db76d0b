from __future__ import annotations

import os
import signal
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.devcluster import ClusterError
from hack.devcluster.process import Component, end, running
from hack.devcluster.waiting import wait_until


def a_component(folder: Path, script: str, *, ready_seconds: float = 60) -> Component:
    """A shell script as a component; ready when it has made the file `ready`."""
    return Component(
        name="script",
        folder=folder,
        binary=Path("/bin/sh"),
        arguments=["sh", "-c", script],
        log=folder / "script.log",
        ready=(folder / "ready").exists,
        ready_seconds=ready_seconds,
    )


@pytest.fixture
def sleeper(tmp_path: Path) -> Component:
    return a_component(tmp_path, f"touch {tmp_path}/ready; exec sleep 600")


@pytest.fixture(autouse=True)
def _nothing_left(tmp_path: Path) -> Iterator[None]:
    yield
    for pid, _ in running(tmp_path):
        end(pid)


def test_start_returns_when_ready_and_stop_when_gone(sleeper: Component) -> None:
    sleeper.start()
    pid = sleeper.pid
    assert pid is not None
    assert dict(running(sleeper.folder)) == {pid: "script"}
    sleeper.stop()
    assert sleeper.pid is None
    assert not Path(f"/proc/{pid}").exists(), "not even a zombie"


def test_start_of_a_running_component_starts_no_second_one(sleeper: Component) -> None:
    sleeper.start()
    first = sleeper.pid
    sleeper.start()
    assert sleeper.pid == first
    assert len(list(running(sleeper.folder))) == 1


def test_components_outlive_an_interrupted_terminal(sleeper: Component) -> None:
    sleeper.start()
    assert sleeper.pid is not None
    assert os.getsid(sleeper.pid) == sleeper.pid


def test_stop_of_what_does_not_run_does_nothing(sleeper: Component) -> None:
    sleeper.stop()
    sleeper.stop(kill=True)


def test_a_component_that_ignores_sigterm_is_killed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("hack.devcluster.process.GRACE_SECONDS", 0.2)
    stubborn = a_component(tmp_path, f"trap '' TERM; touch {tmp_path}/ready; while :; do sleep 600; done")
    stubborn.start()
    stubborn.stop()
    assert stubborn.pid is None


def test_a_component_that_ends_at_once_shows_its_last_words(tmp_path: Path) -> None:
    failing = a_component(tmp_path, "echo no such option >&2; exit 3")
    with pytest.raises(ClusterError, match=rf"script ended before it was ready\n{tmp_path}/script.log:\n  no such opt"):
        failing.start()


def test_a_component_that_never_gets_ready_is_not_waited_for_forever(tmp_path: Path) -> None:
    with pytest.raises(ClusterError, match="script not ready after 0 s"):
        a_component(tmp_path, "exec sleep 600", ready_seconds=0.1).start()


def test_a_process_that_is_no_component_is_never_ended(tmp_path: Path) -> None:
    stranger = os.posix_spawn("/bin/sleep", ["sleep", "600"], {})
    try:
        end(stranger)
        assert os.waitpid(stranger, os.WNOHANG) == (0, 0), "it lives"
    finally:
        os.kill(stranger, signal.SIGKILL)
        os.waitpid(stranger, 0)


def test_components_of_another_folder_are_not_ours(sleeper: Component, tmp_path: Path) -> None:
    sleeper.start()
    assert list(running(tmp_path / "elsewhere")) == []
    assert list(running(tmp_path.parent)) == []


def test_a_crashed_component_counts_as_not_running(sleeper: Component) -> None:
    sleeper.start()
    assert sleeper.pid is not None
    os.kill(sleeper.pid, signal.SIGKILL)
    wait_until(lambda: sleeper.pid is None, seconds=30, what="the crash")
    sleeper.start()
    assert sleeper.pid is not None


def test_stop_takes_the_children_along(tmp_path: Path) -> None:
    parent = a_component(tmp_path, f"sleep 600 & touch {tmp_path}/ready; wait")
    parent.start()
    assert len(list(running(tmp_path))) == 2
    parent.stop(kill=True)
    assert list(running(tmp_path)) == []


def test_a_child_that_is_left_over_does_not_pass_for_the_component(tmp_path: Path) -> None:
    parent = a_component(tmp_path, f"sleep 600 & touch {tmp_path}/ready; wait")
    parent.start()
    assert parent.pid is not None
    end(parent.pid)
    assert len(list(running(tmp_path))) == 1
    assert parent.pid is None
