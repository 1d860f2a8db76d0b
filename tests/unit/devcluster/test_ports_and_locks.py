from __future__ import annotations

import os
import signal
import socket
from pathlib import Path

import pytest

from hack.devcluster import ClusterError
from hack.devcluster.locking import locked
from hack.devcluster.ports import CHOICE, reserved


def test_two_reservations_never_share_a_port() -> None:
    with reserved(50) as first, reserved(50) as second:
        assert len({*first, *second}) == 100
        assert all(port in CHOICE for port in first)


def test_the_owner_of_a_reserved_port_can_listen_on_it() -> None:
    with reserved(1) as (port,), socket.create_server(("127.0.0.1", port)):
        socket.create_connection(("127.0.0.1", port), timeout=5).close()


def test_a_port_somebody_listens_on_is_not_given_out(monkeypatch: pytest.MonkeyPatch) -> None:
    with reserved(2) as (taken, free), socket.create_server(("127.0.0.1", taken)):
        pass
    with socket.create_server(("127.0.0.1", taken)):
        monkeypatch.setattr("hack.devcluster.ports.random.sample", lambda *_: [taken, free])
        with reserved(1) as (port,):
            assert port == free


def test_a_lock_that_stays_held_is_an_error_with_its_name(tmp_path: Path) -> None:
    lock = tmp_path / "new" / "lock"
    with (
        locked(lock, seconds=1),
        pytest.raises(ClusterError, match=f"in vain for the process that holds {lock}"),
        locked(lock, seconds=0),
    ):
        pass


def test_a_lock_goes_with_its_holder(tmp_path: Path) -> None:
    lock = tmp_path / "lock"
    read, write = os.pipe()
    holder = os.fork()
    if holder == 0:
        with locked(lock, seconds=5):
            os.write(write, b"held")
            signal.pause()
    assert os.read(read, 4) == b"held"
    os.kill(holder, signal.SIGKILL)
    os.waitpid(holder, 0)
    os.close(read)
    os.close(write)
    with locked(lock, seconds=5):
        pass
