"""The same guests made by virsh alone, for comparison: what a script would do that somebody wrote for one host."""

from __future__ import annotations

import re
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from hack.lab import Host
from hack.stack import POOL
from hypernova_agent import names

AT_ONCE = 8
"""virsh processes side by side: as many Instances as an agent works on."""

_SECONDS = 300.0


class Bare:
    """Copies of one Instance's guest: overlay, config drive, reservation, domain, each with one virsh for all of it."""

    def __init__(self, host: Host, model: str, folder: Path) -> None:
        """Take the model apart.

        Args:
            host: where it is, and its copies will be.
            model: UID of the Instance, which has been started.
            folder: scratch, which the host sees.
        """
        self._host = host
        self._folder = folder
        self._model = model
        self._xml = self._virsh(f"dumpxml --inactive {model}")
        disk = self._virsh(f"vol-dumpxml --pool {names.POOL} {names.root_disk(model)}")
        self._backing = Path(_between(disk, "<backingStore>.*?<path>", "</path>")).name
        self._capacity = _between(disk, "<capacity unit='bytes'>", "<")
        self._drive = folder / "config.iso"
        self._virsh(f"vol-download --pool {names.POOL} {names.config_drive(model)} {self._drive}")
        self._made: list[tuple[str, str, str]] = []

    def create(self, count: int) -> float:
        """Create that many at once; returns the seconds until the last one runs."""
        scripts = [self._script(len(self._made) + number) for number in range(count)]
        started = time.monotonic()
        self._run(scripts)
        return time.monotonic() - started

    def remove(self) -> None:
        """Take all of them away."""
        self._run(
            [
                f"destroy {uid}; undefine {uid}; vol-delete --pool {names.POOL} {names.root_disk(uid)}; "
                f"vol-delete --pool {names.POOL} {names.config_drive(uid)}; "
                f"net-update {names.NETWORK} delete ip-dhcp-host \"<host mac='{mac}' ip='{ip}'/>\" --live --config"
                for uid, mac, ip in self._made
            ]
        )
        for uid, _, _ in self._made:  # virtlogd's, which would be told as an orphan's
            for name in names.console_logs(uid):
                self._host.path(f"{POOL}/{name}").unlink(missing_ok=True)
        self._made.clear()

    def _script(self, number: int) -> str:
        uid, mac = str(uuid.uuid4()), f"52:54:01:00:{number // 256:02x}:{number % 256:02x}"
        ip = f"10.60.200.{number + 1}"
        self._made.append((uid, mac, ip))
        xml = self._xml.replace(self._model, uid)
        xml = re.sub(r"<name>.*?</name>", f"<name>bare-{number}</name>", xml, count=1)
        xml = re.sub(r"<mac address='.*?'/>", f"<mac address='{mac}'/>", xml, count=1)
        file = self._folder / f"{uid}.xml"
        file.write_text(xml)
        return (
            f"vol-create-as {names.POOL} {names.root_disk(uid)} {self._capacity} --format qcow2 "
            f"--backing-vol {self._backing} --backing-vol-format raw; "
            f"vol-create-as {names.POOL} {names.config_drive(uid)} {self._drive.stat().st_size} --format raw; "
            f"vol-upload --pool {names.POOL} {names.config_drive(uid)} {self._drive}; "
            f"net-update {names.NETWORK} add ip-dhcp-host \"<host mac='{mac}' name='bare-{number}' ip='{ip}'/>\" "
            f"--live --config; define {file}; start {uid}"
        )

    def _run(self, scripts: list[str]) -> None:
        with ThreadPoolExecutor(AT_ONCE) as pool:
            list(pool.map(self._virsh, scripts))

    def _virsh(self, script: str) -> str:
        return self._host.run("virsh", "--quiet", script, timeout=_SECONDS).stdout


def _between(text: str, before: str, after: str) -> str:
    found = re.search(f"{before}(.*?){after}", text, re.DOTALL)
    assert found is not None, f"no {before} in {text}"
    return found[1]
