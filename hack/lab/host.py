"""A lab host: a machine as libvirt, and later kubelet, would find it, made of namespaces."""

from __future__ import annotations

import shutil
import signal
import subprocess
from pathlib import Path

from hack.lab import libvirtd
from hack.lab.errors import LabError
from hack.lab.namespaces import Namespaces
from hack.lab.process import Process
from hack.lab.underlay import Underlay

_SETUP = Path(__file__).with_name("setup.sh")
_LOG_TAIL_LINES = 15
_LONGEST_SOCKET_PATH = 107
"""bytes: the kernel's sun_path less its closing zero."""

_SPAWN = """\
name=$0
setsid "$@" </dev/null >>/var/log/$name.log 2>&1 &
echo $!
"""


class Host:
    """One host of a lab. Its state is in its folder: any program that opens the same lab sees the same host.

    Its disks, configuration and logs outlive a power cut; /run, processes and interfaces do not, as on any machine.
    """

    PRIVATE = (*libvirtd.PRIVATE, "/var/log")
    """Paths that are the host's own. All others are the machine's."""

    def __init__(self, name: str, number: int, folder: Path, underlay: Underlay):
        self.name = name
        self.number = number
        """1, 2, ...: its place on the underlay."""
        self.folder = folder
        self._underlay = underlay
        longest = len(str(self.path(libvirtd.SOCKET)).encode())
        if longest > _LONGEST_SOCKET_PATH:
            raise LabError(
                f"lab folder too long: libvirt's socket {self.path(libvirtd.SOCKET)} has {longest} bytes, "
                f"a socket's path at most {_LONGEST_SOCKET_PATH}"
            )

    def __repr__(self) -> str:
        return f"Host({self.name!r}, folder={str(self.folder)!r})"

    # The machine

    @property
    def address(self) -> str:
        """Its IPv4 address on the underlay, where the lab's hosts reach each other."""
        return self._underlay.address(self.number)

    @property
    def is_up(self) -> bool:
        """Whether it has power and was set up whole."""
        return self._record("ready").exists() and self._if_up() is not None

    def path(self, inside: str) -> Path:
        """Where the machine sees a path of the host's own, such as `/var/lib/libvirt/images/x.qcow2`."""
        if not any(Path(inside).is_relative_to(private) for private in self.PRIVATE):
            raise ValueError(f"{inside} is not one of the host's own paths: {', '.join(self.PRIVATE)}")
        return self.folder / inside.lstrip("/")

    def up(self) -> None:
        """Power on. Nothing runs in it yet. Does nothing if it is up already."""
        with self._underlay.locked():
            if self.is_up:
                return
            self._power_off()  # what a creator killed half way left
            first = not self._record("init").exists()
            shutil.rmtree(self.folder / "run", ignore_errors=True)
            for path in self.PRIVATE:
                self.path(path).mkdir(parents=True, exist_ok=True)
            if first:
                libvirtd.seed_cache(self.path("/var/cache/libvirt"))
            libvirtd.configure(self.path("/etc/libvirt"), identity=str(self.folder))
            spaces = Namespaces.create(f"lab-host:{self.folder}", self._record("init"), self._underlay.ties)
            spaces.run(
                *("sh", "-s", self.name, str(self._underlay.hosts_file), str(self.folder), *self.PRIVATE),
                timeout=20,
                stdin=_SETUP.read_text(),
            )
            self._underlay.plug(self.number, spaces)
            self._record("ready").touch()

    def power_cut(self) -> None:
        """End everything in it at once, guests included, as pulling the plug does. `up` powers it on again."""
        with self._underlay.locked():
            self._power_off()

    def disconnect(self) -> None:
        """Pull its network cable: nobody on the underlay reaches it, what runs in it goes on."""
        self._underlay.set_link(self.number, up=False)

    def reconnect(self) -> None:
        """Put the network cable back."""
        self._underlay.set_link(self.number, up=True)

    # What runs in it

    def argv(self, *command: str) -> list[str]:
        """The command line that runs a command in it, for `subprocess` and `exec`."""
        return self._namespaces().argv(*command)

    def run(self, *command: str, timeout: float = 30, check: bool = True) -> subprocess.CompletedProcess[str]:
        """Run a command in it and wait for it, at most `timeout` seconds.

        Raises:
            LabError: the host is down, or the command failed (`check`) or took too long.
        """
        return self._namespaces().run(*command, timeout=timeout, check=check)

    def processes(self) -> list[Process]:
        """All that runs in it, numbered as on the machine; nothing when it is down."""
        spaces = self._if_up()
        return spaces.processes() if spaces else []

    def pids(self) -> list[int]:
        """The pids, on the machine, of all that runs in it."""
        return [process.pid for process in self.processes()]

    def start_service(self, name: str, argv: list[str]) -> Process:
        """Start a program that stays, as a child of the host's pid 1, with its output in `log(name)`.

        Nothing of ours stays around it: it lives on when we end, and ends with the host.

        Raises:
            LabError: it runs already, or ended at once.
        """
        if self.service(name):
            raise LabError(f"{name} runs already on {self.name}")
        spaces = self._namespaces()
        inner = int(spaces.run("sh", "-c", _SPAWN, name, *argv, timeout=20).stdout)
        process = spaces.process(inner)
        if not process:
            raise self._failed(name, f"{name} ended at once")
        process.save(self._record(name))
        return process

    def service(self, name: str) -> Process | None:
        """The process `start_service` started, if it still runs."""
        return Process.load(self._record(name))

    def stop_service(self, name: str, timeout: float = 30) -> None:
        """End a service with SIGTERM and wait for its end. Does nothing if it does not run.

        Raises:
            LabError: it still runs after `timeout` seconds.
        """
        process = self.service(name)
        if process and process.signal(signal.SIGTERM) and not process.wait(timeout):
            raise self._failed(name, f"{name} did not end in {timeout:g} s")

    def log(self, name: str) -> Path:
        """Where a service's output goes."""
        return self.path(f"/var/log/{name}.log")

    # libvirt

    @property
    def libvirt_uri(self) -> str:
        """URI of the host's libvirtd, for clients on the machine: they need none of its namespaces."""
        return libvirtd.uri(self.path(libvirtd.SOCKET))

    def start_libvirtd(self, timeout: float = 30) -> None:
        """Start libvirtd, if it does not run, and wait until it answers. Before it virtlogd: no guest starts without.

        Raises:
            LabError: one is not ready after `timeout` seconds; the message has its log's end.
        """
        self.start_virtlogd(timeout)
        socket = self.path(libvirtd.SOCKET)
        try:
            libvirtd.wait_ready(self._libvirtd(), socket, timeout)
        except LabError as error:
            if self.service("libvirtd"):
                raise self._failed("libvirtd", str(error)) from error
            # Seen once after a kill: it ended without a word. systemd would start it anew, too.
            try:
                libvirtd.wait_ready(self._libvirtd(), socket, timeout)
            except LabError as again:
                raise self._failed("libvirtd", str(again)) from again
        libvirtd.keep_cache(self.path("/var/cache/libvirt"))

    def _libvirtd(self) -> Process:
        """The process of libvirtd, started if it does not run."""
        daemon = self.service("libvirtd")
        if not daemon:
            self.path(libvirtd.SOCKET).unlink(missing_ok=True)  # of a killed one: it would look ready
            daemon = self.start_service("libvirtd", ["libvirtd"])
        return daemon

    def start_virtlogd(self, timeout: float = 30) -> None:
        """Start virtlogd, if it does not run, and wait until it listens. It outlives every libvirtd of the host.

        Raises:
            LabError: it does not listen after `timeout` seconds; the message has its log's end.
        """
        if self.service("virtlogd"):
            return
        socket = self.path(libvirtd.LOG_SOCKET)
        socket.unlink(missing_ok=True)  # of a killed one
        daemon = self.start_service("virtlogd", ["virtlogd"])
        try:
            libvirtd.wait_socket(daemon, "virtlogd", socket, timeout)
        except LabError as error:
            raise self._failed("virtlogd", str(error)) from error

    def stop_libvirtd(self) -> None:
        """End libvirtd in good order. Guests live on."""
        self.stop_service("libvirtd")

    def kill_libvirtd(self) -> None:
        """Kill libvirtd, as a crash does. Guests live on."""
        daemon = self._running("libvirtd")
        daemon.signal(signal.SIGKILL)
        daemon.wait(10)

    def kill_virtlogd(self) -> None:
        """Kill virtlogd, as a crash does. Guests live on; what they write is lost until they are powered off and on."""
        daemon = self._running("virtlogd")
        daemon.signal(signal.SIGKILL)
        daemon.wait(10)

    def pause_libvirtd(self) -> None:
        """Let libvirtd hang: connections stay open, no answer comes."""
        self._running("libvirtd").signal(signal.SIGSTOP)

    def resume_libvirtd(self) -> None:
        """Let it go on."""
        self._running("libvirtd").signal(signal.SIGCONT)

    # Inside

    def _power_off(self) -> None:
        """Without the lock, which the caller holds."""
        self._record("ready").unlink(missing_ok=True)
        spaces = self._if_up()
        if spaces:
            spaces.kill()

    def _if_up(self) -> Namespaces | None:
        return Namespaces.load(self._record("init"))

    def _namespaces(self) -> Namespaces:
        spaces = self._if_up()
        if not spaces:
            raise LabError(f"host {self.name} is down")
        return spaces

    def _running(self, service: str) -> Process:
        process = self.service(service)
        if not process:
            raise LabError(f"{service} does not run on {self.name}")
        return process

    def _record(self, name: str) -> Path:
        """The file that says which process is `init` or a service, and that the host is `ready`."""
        return self.folder / "lab" / name

    def _failed(self, service: str, why: str) -> LabError:
        log = self.log(service)
        lines = log.read_text(errors="replace").splitlines() if log.exists() else []
        tail = "\n".join(lines[-_LOG_TAIL_LINES:]) or "(empty)"
        return LabError(f"{self.name}: {why}; the end of {log}:\n{tail}")
