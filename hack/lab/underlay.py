"""What joins the hosts of a lab: a bridge in a network namespace of its own, and one cable to each host."""

from __future__ import annotations

import contextlib
import fcntl
import os
from collections.abc import Iterator
from pathlib import Path

from hack.lab.errors import LabError
from hack.lab.namespaces import Namespaces

_TIMEOUT_S = 20.0


class Underlay:
    """The lab's switch. Hosts are numbered; number N has port `portN` and address 10.99.0.N.

    Nothing leads out of it, so that all labs use the same addresses.
    """

    HOSTS = 250
    OWN_ADDRESS = "10.99.0.254"
    """The switch's own, for what is everywhere reachable because it runs in the switch's network namespace."""

    def __init__(self, folder: Path):
        self._folder = folder
        self.hosts_file = folder / "hosts"
        """/etc/hosts of every host."""
        self.ties: list[int] | None = None
        """File descriptors on which namespaces made by this program depend; None: they outlive it."""

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """One program, and one thread of it, at a time changes which hosts there are and which are up."""
        self._folder.mkdir(parents=True, exist_ok=True)
        with (self._folder / "lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)  # goes with us, however we end
            yield

    @staticmethod
    def address(number: int) -> str:
        """IPv4 address of a host's cable."""
        return f"10.99.0.{number}"

    def name_hosts(self, names: dict[int, str]) -> None:
        """Let all hosts, also those up already, know each other's names."""
        lines = ["127.0.0.1 localhost", *(f"{self.address(number)} {name}" for number, name in names.items())]
        # Written in place: hosts that are up have this very file mounted.
        self.hosts_file.write_text("".join(f"{line}\n" for line in lines))

    def plug(self, number: int, host: Namespaces) -> None:
        """Give a host its cable: `eth0` inside, connected. The underlay is made if it is not there. Needs the lock."""
        port = _port(number)
        switch = self.switch()
        # An old cable goes with the host's old namespace, but not at once.
        switch.run("ip", "link", "delete", port, timeout=_TIMEOUT_S, check=False)
        _ip(
            switch,
            f"link add {port} type veth peer name eth0 netns /proc/{host.init.pid}/ns/net",
            f"link set {port} master br0 up",
        )
        _ip(host, f"address add {self.address(number)}/24 dev eth0", "link set eth0 up")

    def switch(self) -> Namespaces:
        """The switch's namespaces; made if it is not there. Needs the lock."""
        return self._namespaces() or self._create()

    def set_link(self, number: int, *, up: bool) -> None:
        """Connect or disconnect a host's cable."""
        switch = self._namespaces()
        if not switch:
            raise LabError("the lab is down")
        _ip(switch, f"link set {_port(number)} {'up' if up else 'down'}")

    def tie(self) -> None:
        """Let what this program powers on from now on end with it, however it ends."""
        self.ties = []

    def untie(self) -> None:
        """Close what `tie` opened; ends what is still up by it."""
        for tie in self.ties or []:
            os.close(tie)
        self.ties = None

    def down(self) -> None:
        """End it, cables included. Does nothing if it is not there. Needs the lock."""
        switch = self._namespaces()
        if switch:
            switch.kill()

    def _namespaces(self) -> Namespaces | None:
        return Namespaces.load(self._folder / "init")

    def _create(self) -> Namespaces:
        switch = Namespaces.create(f"lab-underlay:{self._folder.parent}", self._folder / "init", self.ties)
        own = f"address add {self.OWN_ADDRESS}/24 dev br0"
        _ip(switch, "link set lo up", "link add br0 type bridge", own, "link set br0 up")
        return switch


def _port(number: int) -> str:
    return f"port{number}"


def _ip(where: Namespaces, *commands: str) -> None:
    where.run("ip", "-batch", "-", timeout=_TIMEOUT_S, stdin="".join(f"{line}\n" for line in commands))
