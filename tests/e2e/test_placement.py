"""Placement as users and administrators see it: zones, groups, quotas, dedicated CPUs, and the words for it all."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from support.builders import a_flavor, a_group, a_host_aggregate, a_quota, a_zone, an_instance
from support.user import SECTOR, User
from support.waiting import eventually


@contextmanager
def two_zones(user: User) -> Iterator[None]:
    """node-a in az1, node-b in az2, as the operator has taken note of."""
    zones = {"az1": "node-a", "az2": "node-b"}
    aggregates = [a_host_aggregate(zone, nodes=[node], availabilityZone=zone) for zone, node in zones.items()]
    with user.having(*(a_zone(zone) for zone in zones), *aggregates):
        for zone in zones:
            user.kubectl("wait", "availabilityzone", zone, "--for=condition=Available", "--timeout=60s")
        yield


def explain(user: User, *arguments: str) -> subprocess.CompletedProcess[str]:
    """hypernova-operator explain, as an administrator types it."""
    kubeconfig = str(user.stack.cluster.kubeconfig)
    command = [sys.executable, "-m", "hypernova_operator", "explain", "--kubeconfig", kubeconfig, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60)


def test_an_instance_runs_in_the_zone_it_asks_for_and_waits_for_one_that_is_not_there(user: User) -> None:
    with two_zones(user):
        user.create("web-1", **SECTOR, availabilityZone="az1")
        user.create("web-2", **SECTOR, availabilityZone="az2")
        user.create("web-3", **SECTOR, availabilityZone="az3")
        for name, node, zone in (("web-1", "node-a", "az1"), ("web-2", "node-b", "az2")):
            status = user.wait(name, "Running")["status"]
            assert (status["nodeName"], status["availabilityZone"]) == (node, zone)
        assert "az3" in user.wait_refused("web-3", "AvailabilityZoneNotFound")


def test_a_placed_instance_stays_and_says_so_when_its_host_leaves_its_zone(user: User) -> None:
    with two_zones(user):
        user.create("web-1", **SECTOR, availabilityZone="az1")
        before = user.wait("web-1", "Running")
        user.kubectl("patch", "hostaggregate", "az1", "--type=merge", "--patch", '{"spec": {"nodes": ["node-z"]}}')
        user.kubectl("wait", "instance", "web-1", "--for=condition=PlacementDrift", "--timeout=60s")
        after = user.get("web-1")
        assert after["status"]["phase"] == "Running"
        assert after["status"]["nodeName"] == "node-a"
        assert user.qemu_pids(after) == user.qemu_pids(before) != []


def test_members_of_an_anti_affinity_group_are_apart_and_one_too_many_waits(user: User) -> None:
    with user.having(a_group("web", policy="AntiAffinity")):
        names = ["web-1", "web-2", "web-3"]
        user.create(*names, **SECTOR, scheduling={"group": "web"})
        nodes = eventually(lambda: two_placed(user), "two members to be placed", 60)
        assert sorted(nodes.values()) == ["node-a", "node-b"]
        (waiting,) = set(names) - set(nodes)
        assert "group" in user.wait_refused(waiting, "NoHostFits")
        user.delete(next(iter(nodes)))
        user.wait(waiting, "Running")


def two_placed(user: User) -> dict[str, str] | None:
    placed = {
        instance["metadata"]["name"]: instance["status"]["nodeName"]
        for instance in user.instances()
        if instance.get("status", {}).get("nodeName")
    }
    return placed if len(placed) == 2 else None


def test_a_quota_is_kept_with_numbers_and_gives_way_when_something_is_deleted(user: User) -> None:
    with user.having(a_quota("project", hard={"instances": 1})):
        user.kubectl("wait", "computequota", "project", "--for=condition=Exceeded=False", "--timeout=60s")
        user.create("web-1", **SECTOR)
        user.wait("web-1", "Running")
        user.create("web-2", **SECTOR)
        message = user.wait_refused("web-2", "QuotaExceeded")
        assert "project" in message
        assert "1" in message
        user.delete("web-1")
        user.wait("web-2", "Running")


def test_a_dedicated_cpu_is_the_guests_alone(user: User) -> None:
    pinned = a_flavor("pinned", vcpus=1, memory="16Mi", rootDisk="0", cpu={"policy": "Dedicated"})
    spec = SECTOR | {"flavor": "pinned"}
    with user.having(pinned), dedicated_cpus(user, "node-b", "1"):
        user.create("web-1", **spec)
        instance = user.wait("web-1", "Running")
        assert instance["status"]["nodeName"] == "node-b"
        assert [cell["cpus"] for cell in instance["status"]["allocation"]["cells"]] == [[1]]
        assert [cpus_allowed(pid) for pid in user.qemu_pids(instance)] == ["1"]
        user.create("web-2", **spec)
        assert "dedicated CPUs" in user.wait_refused("web-2", "NoHostFits")
        user.reset()


@contextmanager
def dedicated_cpus(user: User, node: str, cpus: str) -> Iterator[None]:
    def set_to(value: str) -> None:
        patch = json.dumps({"spec": {"dedicatedCpus": value}})
        user.kubectl("patch", "hypervisor", node, "--type=merge", "--patch", patch)

    set_to(cpus)
    try:
        yield
    finally:
        set_to("")


def cpus_allowed(pid: int) -> str:
    """The CPUs that the process's first virtual CPU may run on."""
    status = Path(f"/proc/{pid}/status").read_text()
    return next(line.split()[1] for line in status.splitlines() if line.startswith("Cpus_allowed_list:"))


def test_explain_says_where_one_would_go_and_what_is_in_the_way_and_writes_nothing(user: User, tmp_path: Path) -> None:
    def asked(**spec: Any) -> subprocess.CompletedProcess[str]:
        manifest = tmp_path / "instance.yaml"
        manifest.write_text(json.dumps(an_instance("asked", **SECTOR | spec)))
        return explain(user, "-f", str(manifest))

    with user.having(a_flavor("huge", vcpus=1, memory="1024Gi", rootDisk="0")):
        fits, misfits = asked(), asked(flavor="huge")
    assert (fits.returncode, misfits.returncode) == (0, 1), fits.stderr + misfits.stderr
    assert "node-a" in fits.stdout
    assert "0/2 hosts fit: 2 lack memory (need 1Ti" in misfits.stdout
    assert user.instances() == []


def test_explain_tells_how_many_more_of_each_flavor_fit(user: User) -> None:
    with two_zones(user):
        told = explain(user, "--all").stdout
    assert "more sector in az1" in told
    assert "more tiny in az2" in told
