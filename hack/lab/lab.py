"""A lab: some hosts on one machine, in one folder."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType
from typing import Self

from hack.lab.errors import LabError
from hack.lab.host import Host
from hack.lab.namespaces import Namespaces
from hack.lab.underlay import Underlay

_NAME = re.compile(r"[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?")
_HIDDEN = ("/proc", "/run", "/sys", *Host.PRIVATE)
"""Paths of the machine that a host does not see."""


class Lab:
    """Hosts that reach each other and nothing else. Any number of labs can be up at once, each in its folder.

    `with Lab(folder) as lab:` takes the lab down at the end of the block, and even when this program is killed in it.
    Without `with`, hosts stay up until somebody calls `down`.
    """

    def __init__(self, folder: Path):
        self.folder = folder.resolve()
        if any(self.folder.is_relative_to(hidden) for hidden in _HIDDEN):
            raise LabError(f"lab folder {self.folder} must not be under any of {', '.join(_HIDDEN)}")
        self._underlay = Underlay(self.folder / ".lab")

    def __enter__(self) -> Self:
        self._underlay.tie()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            self.down()
        finally:
            self._underlay.untie()

    @property
    def hosts(self) -> list[Host]:
        """All hosts, up or not, in the order they were added."""
        return [Host(name, number, self.folder / name, self._underlay) for number, name in self._names().items()]

    def host(self, name: str) -> Host:
        """The host of this name; a new one, which is down, if there is none yet.

        Args:
            name: a DNS label; becomes the host name.
        """
        with self._underlay.locked():
            for host in self.hosts:
                if host.name == name:
                    return host
            if not _NAME.fullmatch(name):
                raise LabError(f"{name!r} is no host name: use lower case letters, digits and dashes")
            names = self._names()
            number = len(names) + 1
            if number > Underlay.HOSTS:
                raise LabError(f"a lab has room for {Underlay.HOSTS} hosts")
            host = Host(name, number, self.folder / name, self._underlay)
            (host.folder / "lab").mkdir(parents=True)
            (host.folder / "lab" / "number").write_text(f"{number}\n")
            self._underlay.name_hosts(names | {number: name})
            return host

    def switch(self) -> Namespaces:
        """What joins the hosts, made if it is not there: all of them reach its network at `Underlay.OWN_ADDRESS`."""
        with self._underlay.locked():
            return self._underlay.switch()

    def up(self, *names: str) -> list[Host]:
        """Power on the named hosts (all, if none is named) and start their libvirtd. What is up stays as it is."""
        hosts = [self.host(name) for name in names] or self.hosts
        for host in hosts:
            host.up()
            host.start_libvirtd()
        return hosts

    def down(self) -> None:
        """Cut all power. No process, namespace, interface or mount stays; the folder, with disks and logs, does.

        Works from any program, after a crash of the one that called `up`, and twice.
        """
        for host in self.hosts:
            host.power_cut()
        with self._underlay.locked():
            self._underlay.down()

    def _names(self) -> dict[int, str]:
        """Number and name of each host, by number."""
        found = {int(file.read_text()): file.parent.parent.name for file in self.folder.glob("*/lab/number")}
        return dict(sorted(found.items()))
