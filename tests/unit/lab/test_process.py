"""A process that was written down is found again, and never mistaken for another."""

import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.lab.process import Process


@pytest.fixture
def child() -> Iterator[subprocess.Popen[bytes]]:
    """A program that runs until it is killed."""
    with subprocess.Popen(["sleep", "600"]) as child:
        yield child
        child.kill()


def test_a_living_process_is_found_again(child: subprocess.Popen[bytes], tmp_path: Path) -> None:
    Process.of(child.pid).save(tmp_path / "record")
    found = Process.load(tmp_path / "record")
    assert found == Process.of(child.pid)
    assert found.alive


def test_an_ended_process_is_not_found_even_while_it_is_a_zombie(
    child: subprocess.Popen[bytes], tmp_path: Path
) -> None:
    process = Process.of(child.pid)
    process.save(tmp_path / "record")
    assert process.signal(signal.SIGKILL)
    assert process.wait(10)  # it ended, but nobody has asked for its status: a zombie
    assert Process.load(tmp_path / "record") is None
    with pytest.raises(ProcessLookupError):
        Process.of(child.pid)
    assert not process.signal(signal.SIGKILL)


def test_a_process_with_the_pid_of_an_older_one_is_left_alone(child: subprocess.Popen[bytes]) -> None:
    older = Process(child.pid, Process.of(child.pid).started - 1)
    assert not older.alive
    assert not older.signal(signal.SIGKILL)
    assert older.wait(0)
    assert child.poll() is None


def test_waiting_for_a_process_that_lives_on_ends_in_time(child: subprocess.Popen[bytes]) -> None:
    assert not Process.of(child.pid).wait(0.01)


def test_there_is_nothing_to_find_without_a_record(tmp_path: Path) -> None:
    assert Process.load(tmp_path / "record") is None
