"""Nodes that cannot carry guests: each says in a sentence what to do, takes none, and does once that is done."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator

import pytest

from hack.devcluster.install import NAMESPACE
from hack.lab import Host
from hack.lab.libvirtd import SOCKET
from support.installed import CHART, RELEASE, Installed
from support.waiting import eventually

GOOD, BAD = "node-a", "node-b"
LABEL = "compute.hypernova.dev/hypervisor"

# The first waits for images to be loaded and Pods to roll out.
pytestmark = pytest.mark.timeout(600)


@pytest.fixture
def no_instances_after(installed: Installed) -> Iterator[None]:
    yield
    installed.kubectl("delete", "instances", "--all", "--timeout=120s")


def condition(installed: Installed, kind: str, name: str, type_: str) -> tuple[str, str]:
    """Status and message of a condition; empty while there is none."""
    path = f"{{.status.conditions[?(@.type=='{type_}')]['status', 'message']}}"
    found = installed.kubectl("get", kind, name, "--ignore-not-found", f"--output=jsonpath={path}")
    status, _, message = found.partition(" ")
    return status, message


def says(installed: Installed, kind: str, name: str, type_: str, words: str) -> str:
    """The message of a condition that is False, once it has these words."""

    def look() -> str:
        status, message = condition(installed, kind, name, type_)
        return message if status == "False" and words in message else ""

    return eventually(look, f"{type_}=False of {kind} {name} to say {words!r}", 90)


def takes_guests_again(installed: Installed, node: str) -> None:
    eventually(lambda: condition(installed, "hypervisor", node, "Ready")[0] == "True", f"{node} to be Ready", 90)


def restart_agent(installed: Installed, node: str) -> None:
    """One that has never seen its host."""
    old = installed.pods("node-agent", node)
    installed.kubectl("delete", "pod", *old, f"--namespace={NAMESPACE}", "--timeout=60s")


def has_no_libvirt(host: Host) -> None:
    host.stop_libvirtd()
    for name in (SOCKET, f"{SOCKET}-ro"):
        host.path(name).unlink(missing_ok=True)


def has_libvirt(host: Host) -> None:
    host.start_libvirtd()


def keeps_its_socket_to_itself(host: Host) -> None:
    host.path(SOCKET).chmod(0o700)


def opens_its_socket(host: Host) -> None:
    host.path(SOCKET).chmod(0o770)


@pytest.mark.usefixtures("no_instances_after")
@pytest.mark.parametrize(
    ("spoil", "cure", "words", "advice"),
    [
        pytest.param(
            has_no_libvirt,
            has_libvirt,
            "No such file or directory",
            "install libvirt and QEMU on this node (on Debian: apt-get install libvirt-daemon-system",
            id="no-libvirt",
        ),
        pytest.param(
            keeps_its_socket_to_itself,
            opens_its_socket,
            "Permission denied",
            "set agent.libvirt.group of the chart to the number of the group that may open libvirt's socket",
            id="another-group",
        ),
    ],
)
def test_a_node_whose_libvirt_cannot_be_used_says_what_to_do_takes_no_instance_and_recovers(
    installed: Installed,
    request: pytest.FixtureRequest,
    spoil: Callable[[Host], None],
    cure: Callable[[Host], None],
    words: str,
    advice: str,
) -> None:
    host = installed.lab.node(BAD).host
    takes_guests_again(installed, BAD)
    spoil(host)
    try:
        # As on a node that was labelled before libvirt was there: nobody knows what it has.
        restart_agent(installed, BAD)
        installed.kubectl("delete", "hypervisor", BAD)
        message = says(installed, "hypervisor", BAD, "Ready", words)
        assert advice in message
        assert "allocatable" not in installed.get("hypervisor", BAD)["status"]

        pinned, free = (f"{kind}-{request.node.callspec.id}" for kind in ("pinned", "free"))
        installed.create(pinned, scheduling={"nodeName": BAD})
        installed.create(free)
        refused = says(installed, "instance", pinned, "Scheduled", BAD)
        assert f"without a working agent (not ready, LibvirtUnreachable: {BAD})" in refused
        installed.wait_running(free)
        assert installed.get("instance", free)["status"]["nodeName"] == GOOD
        assert "nodeName" not in installed.get("instance", pinned)["status"]
    finally:
        cure(host)
    takes_guests_again(installed, BAD)
    installed.wait_running(pinned)


@pytest.mark.usefixtures("no_instances_after")
def test_without_a_labelled_node_notes_and_instances_say_what_to_type(installed: Installed) -> None:
    nodes = [node.name for node in installed.lab.nodes]
    installed.kubectl("label", "nodes", *nodes, f"{LABEL}-")
    try:
        eventually(lambda: not installed.pods("node-agent"), "the agents to go", 90)
        installed.kubectl("delete", "hypervisors", *nodes)
        tried = ("upgrade", RELEASE, CHART, f"--namespace={NAMESPACE}", f"--values={installed.values}")
        notes = installed.helm(*tried, "--dry-run=server", timeout=90)
        assert "No node is labelled as a hypervisor yet" in notes
        assert f"kubectl label node NODE {LABEL}=true" in notes

        installed.create("early")
        message = says(installed, "instance", "early", "Scheduled", "there are no hosts")
        (command,) = re.findall(r"`kubectl (.*?)`", message)
        installed.kubectl(*shlex.split(command.replace("NODE", GOOD)))
        installed.wait_running("early")
        assert installed.get("instance", "early")["status"]["nodeName"] == GOOD
    finally:
        installed.kubectl("label", "nodes", *nodes, f"{LABEL}=true", "--overwrite")
    for node in nodes:
        takes_guests_again(installed, node)
