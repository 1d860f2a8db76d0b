"""What a user does with kubectl, and what they can see of it on the hosts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hack.guest import Guest
from hack.stack import POOL, Stack
from support.builders import a_flavor, an_image, an_instance
from support.processes import command_line
from support.waiting import eventually

LINUX = {"flavor": "tiny", "image": {"name": "linux"}}
KEYS = {"flavor": "sector", "image": {"name": "keys"}, "terminationGracePeriodSeconds": 0}
SECTOR = {"flavor": "sector", "image": {"name": "sector"}, "terminationGracePeriodSeconds": 0}


class User:
    """Instances in the namespace default: LINUX boots a real guest; SECTOR, and KEYS which tells what is typed, not."""

    def __init__(self, stack: Stack, url: str, images: Guest) -> None:
        self.stack = stack
        self._url = url
        self._images = images

    def prepare(self) -> None:
        """Make the flavors and images."""
        sources = {
            "linux": ("qcow2", self._images.qcow2, self._images.sha256),
            "sector": ("raw", self._images.boot_sector, self._images.boot_sector_sha256),
            "keys": ("raw", self._images.keys_sector, self._images.keys_sector_sha256),
        }
        self.apply(a_flavor("tiny", vcpus=1, memory="96Mi", rootDisk="1Gi"))
        self.apply(a_flavor("sector", vcpus=1, memory="16Mi", rootDisk="0"))
        for name, (format_, path, sha256) in sources.items():
            self.apply(an_image(name, format=format_, source={"url": f"{self._url}/{path.name}", "sha256": sha256}))

    def kubectl(self, *arguments: str) -> str:
        return self.stack.cluster.kubectl(*arguments)

    def apply(self, *objects: dict[str, Any]) -> str:
        """kubectl apply; raises ClusterError with kubectl's own words."""
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        return self.stack.cluster.kubectl("apply", "--filename=-", input=manifest)

    @contextmanager
    def having(self, *objects: dict[str, Any]) -> Iterator[None]:
        """What an administrator has applied for the time of the block."""
        self.apply(*objects)
        try:
            yield
        finally:
            for obj in reversed(objects):
                self.kubectl("delete", "--ignore-not-found", obj["kind"], obj["metadata"]["name"])

    @contextmanager
    def only(self, node: str) -> Iterator[None]:
        """New Instances go to this node for the time of the block."""
        others = [host.name for host in self.stack.lab.hosts if host.name != node]
        self.kubectl("cordon", *others)
        try:
            yield
        finally:
            self.kubectl("uncordon", *others)

    def create(self, *names: str, **spec: Any) -> None:
        self.apply(*(an_instance(name, **spec) for name in names))

    def patch(self, name: str, **spec: Any) -> str:
        return self.kubectl("patch", "instance", name, "--type=merge", "--patch", json.dumps({"spec": spec}))

    def delete(self, *names: str) -> None:
        """kubectl delete, which returns when the objects are gone."""
        self.kubectl("delete", "instance", *names)

    def get(self, name: str) -> dict[str, Any]:
        instance: dict[str, Any] = json.loads(self.kubectl("get", "instance", name, "--output=json"))
        return instance

    def instances(self) -> list[dict[str, Any]]:
        items: list[dict[str, Any]] = json.loads(self.kubectl("get", "instances", "--output=json"))["items"]
        return items

    def reset(self) -> None:
        """Delete all Instances without waiting for their guests to agree."""
        for instance in self.instances():
            self.patch(instance["metadata"]["name"], terminationGracePeriodSeconds=0)
        self.kubectl("delete", "instances", "--all")

    def wait(self, name: str, phase: str, *, seconds: float = 120) -> dict[str, Any]:
        """The Instance once it is in the phase and that is what its spec asks for now."""

        def reached() -> dict[str, Any] | None:
            instance = self.get(name)
            status = instance.get("status", {})
            current = status.get("observedGeneration") == instance["metadata"]["generation"]
            return instance if current and status.get("phase") == phase else None

        try:
            return eventually(reached, f"{name} to be {phase}", seconds)
        except AssertionError as error:
            error.add_note(self.kubectl("describe", "instance", name))
            raise

    def wait_refused(self, name: str, reason: str, *, seconds: float = 60) -> str:
        """The message of an Instance that waits for that reason."""

        def told() -> str | None:
            conditions = self.get(name).get("status", {}).get("conditions", [])
            scheduled = {each["type"]: each for each in conditions}.get("Scheduled", {})
            return str(scheduled["message"]) if scheduled.get("reason") == reason else None

        try:
            return eventually(told, f"{name} to be refused: {reason}", seconds)
        except AssertionError as error:
            error.add_note(self.kubectl("describe", "instance", name))
            raise

    def console(self, name: str) -> str:
        """All that the guest has written to its serial port."""
        instance = self.get(name)
        return self.stack.console_log(instance["status"]["nodeName"], instance["metadata"]["uid"])

    def wait_console(self, name: str, pattern: str, *, seconds: float = 180) -> re.Match[str]:
        """The first match on the serial port."""
        try:
            return eventually(
                lambda: re.search(pattern, self.console(name)), f"{pattern!r} on the console of {name}", seconds
            )
        except AssertionError as error:
            error.add_note(self.console(name))
            raise

    def qemu_pids(self, instance: dict[str, Any]) -> list[int]:
        """The QEMU processes, on any host, that run a domain with the Instance's UID."""
        uid = instance["metadata"]["uid"]
        return [pid for pid in self._host_pids() if uid in command_line(pid)]

    def leftovers(self, instance: dict[str, Any]) -> list[str]:
        """What hosts still have of an Instance: files, domains, DHCP reservations."""
        uid = instance["metadata"]["uid"]
        found = []
        for host in self.stack.lab.hosts:
            found += [path.name for path in host.path(POOL).glob(f"*{uid}*")]
            found += [path.name for path in host.path("/etc/libvirt/qemu").glob("*.xml") if uid in path.read_text()]
            for address in instance["status"]["addresses"]:
                networks = host.path("/etc/libvirt/qemu/networks").glob("*.xml")
                found += [path.name for path in networks if address["mac"] in path.read_text()]
        return found + [f"process {pid}" for pid in self.qemu_pids(instance)]

    def orphans(self, node: str) -> list[str]:
        """UIDs of the domains and disks without an Instance that a Hypervisor tells of."""
        hypervisor = json.loads(self.kubectl("get", "hypervisor", node, "--output=json"))
        return [each["uid"] for each in hypervisor["status"].get("orphans", [])]

    def _host_pids(self) -> Iterator[int]:
        for host in self.stack.lab.hosts:
            yield from host.pids()
