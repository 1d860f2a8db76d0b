"""What users install, from images and chart, on real nodes: a guest boots, and nothing done to our Pods touches it."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from string import Template

import pytest

from hack.devcluster.install import NAMESPACE
from support.installed import RELEASE, ROOT, Installed
from support.waiting import eventually

READY_MARK = "HYPERNOVA-GUEST READY"

# The first waits for images to be loaded and Pods to roll out.
pytestmark = pytest.mark.timeout(600)


def test_the_quickstart_boots_a_guest(installed: Installed) -> None:
    example = Template((ROOT / "examples/quickstart.yaml").read_text())
    qcow2 = installed.guest.qcow2
    values = {"IMAGE_URL": f"{installed.images_url}/{qcow2.name}", "IMAGE_SHA256": installed.guest.sha256}
    installed.kubectl("apply", "--server-side", "--filename=-", manifest=example.safe_substitute(values))
    eventually(lambda: READY_MARK in installed.console_log("hello"), "the guest to be READY", 180)
    assert installed.phase("hello") == "Running"


def test_helm_test_finds_all_well(installed: Installed) -> None:
    said = installed.helm("test", RELEASE, f"--namespace={NAMESPACE}", "--timeout=90s", timeout=120)
    assert "Succeeded" in said


def test_every_node_has_a_hypervisor_that_is_ready(installed: Installed) -> None:
    installed.kubectl("wait", "hypervisors", "--all", "--for=condition=Ready", "--timeout=30s")
    names = installed.kubectl("get", "hypervisors", "--output=name").split()
    assert [name.rpartition("/")[2] for name in names] == [node.name for node in installed.lab.nodes]


def test_a_screenshot_goes_by_api_server_console_and_agent(installed: Installed, tmp_path: Path) -> None:
    installed.create("screen")
    installed.wait_running("screen")
    picture = tmp_path / "screen.png"
    command = [sys.executable, "-m", "hypernova_cli", "screenshot", "screen", f"--output={picture}"]
    eventually(
        lambda: subprocess.run(command, env=installed.environment, capture_output=True, timeout=60).returncode == 0,
        "the consoles to have their certificates",
        90,
    )
    assert picture.read_bytes().startswith(b"\x89PNG")


def test_user_data_in_a_secret_reaches_the_guest_by_the_conductor(installed: Installed) -> None:
    installed.kubectl("create", "secret", "generic", "web-init", "--from-literal=user-data=#cloud-config\n{}\n")
    reference = {"userData": {"secretKeyRef": {"name": "web-init", "key": "user-data"}}}
    installed.create("secret", **reference)
    ready = "jsonpath={.status.conditions[?(@.type=='Ready')].message}"
    eventually(
        lambda: "kubectl create rolebinding" in installed.kubectl("get", "instance", "secret", f"--output={ready}"),
        "to be told what to type",
    )
    role = ("--clusterrole=hypernova-user-data", f"--serviceaccount={NAMESPACE}:hypernova-operator")
    installed.kubectl("create", "rolebinding", "hypernova-user-data", *role)
    installed.wait_running("secret")


@pytest.mark.parametrize("what", ["agent's Pod deleted", "kubelet killed", "all our Pods deleted"])
def test_guests_run_on_whatever_becomes_of_what_looks_after_them(installed: Installed, what: str) -> None:
    name = what.replace(" ", "-").replace("'", "").lower()
    node = installed.lab.node("node-b")
    installed.create(name, scheduling={"nodeName": node.name})
    installed.wait_running(name)
    before = installed.guests()
    if what == "agent's Pod deleted":
        installed.kubectl("delete", "pod", *installed.pods("node-agent", node.name), f"--namespace={NAMESPACE}")
    elif what == "kubelet killed":
        node.kill_kubelet()
        node.start_kubelet()
    else:
        installed.kubectl("delete", "pods", "--all", f"--namespace={NAMESPACE}", "--grace-period=0", "--force")
    installed.rolled_out()
    installed.create(f"{name}-later", scheduling={"nodeName": node.name})
    installed.wait_running(f"{name}-later", name)
    assert {each: installed.guests()[each] for each in before} == before
