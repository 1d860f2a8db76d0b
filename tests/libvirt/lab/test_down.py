"""`down` leaves nothing on the machine, whoever calls it and whatever happened before."""

import contextlib
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.lab import Lab
from hack.lab.process import Process
from support.waiting import eventually

BROKEN_UP = """
import os, signal, sys
from pathlib import Path
from hack.lab import Lab, namespaces, underlay
from hack.lab.host import Host

def die(*args, **kwargs):
    os.kill(os.getpid(), signal.SIGKILL)

owner, name = {"record": (namespaces.Process, "save"), "setup": (namespaces.Namespaces, "run"),
               "cable": (underlay.Underlay, "plug"), "libvirtd": (Host, "start_service")}[sys.argv[2]]
setattr(owner, name, die)
Lab(Path(sys.argv[1])).up("host-a")
"""


@pytest.fixture
def machine(lab: Lab) -> Iterator[None]:
    """After the test no mount of the lab is left in any namespace, and the machine has no new network."""
    before = _networks()
    yield
    assert not any(str(lab.folder) in mounts for mounts in _read_all("mountinfo"))
    assert _networks() == before


def processes_of(lab: Lab) -> list[str]:
    """Command lines that name the lab's folder; each of its pid 1 does, and nothing lives without one."""
    return [line for line in _read_all("cmdline") if line.startswith("lab-") and str(lab.folder) in line]


def _read_all(name: str) -> Iterator[str]:
    """This file of each process."""
    for file in Path("/proc").glob(f"[0-9]*/{name}"):
        with contextlib.suppress(OSError):  # ended meanwhile
            yield file.read_bytes().replace(b"\0", b" ").decode(errors="replace")


def _networks() -> tuple[set[str], str]:
    """Names of the machine's interfaces and of its network namespaces."""
    named = subprocess.run(["ip", "netns", "list"], capture_output=True, text=True, check=True, timeout=10)
    return {path.name for path in Path("/sys/class/net").iterdir()}, named.stdout


@pytest.mark.usefixtures("machine")
def test_down_leaves_nothing_and_may_be_called_twice(lab: Lab) -> None:
    hosts = lab.up("host-a", "host-b")
    inside = [process for host in hosts for process in host.processes()]
    assert len(inside) == 6
    assert len(processes_of(lab)) == 3  # two hosts and what joins them

    lab.down()
    assert not any(process.alive for process in inside)
    assert processes_of(lab) == []
    lab.down()


@pytest.mark.usefixtures("machine")
def test_another_program_takes_it_down(lab: Lab) -> None:
    lab.up("host-a")
    subprocess.run([sys.executable, "-m", "hack.lab", "down", str(lab.folder)], check=True, timeout=60)
    assert processes_of(lab) == []
    assert not lab.host("host-a").is_up


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("at", ["record", "setup", "cable", "libvirtd"])
def test_down_after_up_was_killed_on_its_way(lab: Lab, at: str) -> None:
    killed = subprocess.run([sys.executable, "-c", BROKEN_UP, str(lab.folder), at], timeout=60)
    assert killed.returncode == -signal.SIGKILL

    lab.down()
    eventually(lambda: not processes_of(lab), "what was not yet written down to end by itself")


@pytest.mark.parametrize("at", ["record", "setup", "cable", "libvirtd"])
def test_up_after_up_was_killed_on_its_way(lab: Lab, at: str) -> None:
    killed = subprocess.run([sys.executable, "-c", BROKEN_UP, str(lab.folder), at], timeout=60)
    assert killed.returncode == -signal.SIGKILL

    (host,) = lab.up("host-a")
    assert len(host.pids()) == 3


@pytest.mark.usefixtures("machine")
@pytest.mark.parametrize("by", [signal.SIGINT, signal.SIGTERM, signal.SIGKILL], ids=lambda by: by.name)
def test_a_block_takes_the_lab_down_however_its_program_ends(lab: Lab, by: signal.Signals) -> None:
    script = "\n".join(
        (
            "import sys, time",
            "from pathlib import Path",
            "from hack.lab import Lab",
            "with Lab(Path(sys.argv[1])) as lab:",
            "    lab.up('host-a')",
            "    print('up', flush=True)",
            "    time.sleep(600)",
        )
    )
    program = subprocess.Popen(
        [sys.executable, "-c", script, str(lab.folder)], stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    )
    with program:
        assert program.stdout
        assert program.stdout.readline() == "up\n"
        inside = lab.host("host-a").processes()
        assert len(inside) == 3
        program.send_signal(by)
        assert program.wait(30) != 0
    eventually(lambda: not any(process.alive for process in inside), "the host to end")
    eventually(lambda: not processes_of(lab), "the underlay to end")


def test_without_a_block_hosts_outlive_the_program_that_powered_them_on(lab: Lab) -> None:
    subprocess.run([sys.executable, "-m", "hack.lab", "up", str(lab.folder), "host-a"], check=True, timeout=60)
    assert len(lab.host("host-a").pids()) == 3


def test_a_power_cut_of_a_stopped_host_does_not_hang(lab: Lab) -> None:
    (host,) = lab.up("host-a")
    inside = host.processes()
    for process in inside:
        process.signal(signal.SIGSTOP)
    host.power_cut()
    assert not any(process.alive for process in inside)


def test_a_record_of_a_reused_pid_harms_nobody(lab: Lab) -> None:
    host = lab.host("host-a")
    bystander = subprocess.Popen(["sleep", "600"])
    try:
        stale = Process(bystander.pid, Process.of(bystander.pid).started - 1)
        stale.save(host.folder / "lab" / "init")
        lab.down()
        assert bystander.poll() is None
    finally:
        bystander.kill()
        bystander.wait()
