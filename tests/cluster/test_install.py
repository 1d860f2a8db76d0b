"""What users install, from images and chart, on real nodes: a guest boots, and nothing done to our Pods touches it."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from string import Template
from typing import Any

import pytest

from hack import images
from hack.devcluster.install import NAMESPACE, wait_installed
from hack.guest import Guest
from hack.helm import Helm
from hack.nodes import KubeLab
from support.libvirt_subject import qemus
from support.waiting import eventually

ROOT = Path(__file__).parents[2]
CHART = str(ROOT / "charts/hypernova")
RELEASE = "hypernova"
PORT = 8000
WORKLOADS = ("deployment/hypernova-operator", "deployment/hypernova-console", "daemonset/hypernova-node-agent")
READY_MARK = "HYPERNOVA-GUEST READY"
VALUES = {
    "image": {"registry": "localhost/hypernova", "pullPolicy": "Never"},
    # The machine's KVM, if it has any, boots no Linux guest; emulation does everywhere.
    "agent": {"libvirt": {"group": KubeLab.LIBVIRT_GROUP}, "settings": {"domainType": "qemu"}},
}

# The first waits for images to be loaded and Pods to roll out.
pytestmark = pytest.mark.timeout(600)


@dataclass(frozen=True, slots=True)
class Installed:
    """A cluster with our release, as a user with kubectl and helm has it."""

    lab: KubeLab
    helm: Helm
    values: Path
    images_url: str
    guest: Guest

    # Helm

    def install(self) -> None:
        """Install or upgrade, and return when all Pods are the new ones, and ready."""
        self.helm(
            *("upgrade", "--install", RELEASE, CHART, f"--namespace={NAMESPACE}", "--create-namespace"),
            *(f"--values={self.values}", "--wait", "--timeout=240s"),
            timeout=270,
        )

    def change(self, **values: Any) -> None:
        self.values.write_text(json.dumps(VALUES | values))

    # kubectl

    @property
    def environment(self) -> dict[str, str]:
        """Of a user's programs; what kubectl keeps at home is kept with the test."""
        home = {"HOME": str(self.values.parent), "PATH": "/usr/bin:/bin"}
        return home | {"KUBECONFIG": str(self.lab.cluster.kubeconfig)}

    def kubectl(self, *arguments: str, manifest: str = "") -> str:
        return self.lab.cluster.kubectl(*arguments, input=manifest)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "--output=json"))
        return found

    def phase(self, name: str) -> str:
        return str(self.get("instance", name).get("status", {}).get("phase", ""))

    def create(self, name: str, image: str = "boot", **spec: Any) -> None:
        """An Instance of the smallest flavor there is."""
        spec = {"flavor": "m1.boot", "image": {"name": image}, "terminationGracePeriodSeconds": 0} | spec
        body = {
            "apiVersion": "compute.hypernova.dev/v1alpha1",
            "kind": "Instance",
            "metadata": {"name": name},
            "spec": spec,
        }
        self.kubectl("create", "--filename=-", manifest=json.dumps(body))

    def wait_running(self, *names: str, seconds: float = 90) -> None:
        for name in names:
            eventually(lambda name=name: self.phase(name) == "Running", f"{name} to run", seconds)

    def pods(self, component: str, node: str = "") -> list[str]:
        """Names of the Pods of a component; on one node, if it is given."""
        flags = [f"--field-selector=spec.nodeName={node}"] if node else []
        selector = f"--selector=app.kubernetes.io/component={component}"
        names = self.kubectl("get", "pods", f"--namespace={NAMESPACE}", selector, "--output=name", *flags)
        return [name.removeprefix("pod/") for name in names.split()]

    # What is on the hosts

    def guests(self) -> dict[str, int]:
        """The QEMU of each Instance that has one, by the Instance's name."""
        found = {}
        for instance in json.loads(self.kubectl("get", "instances", "--output=json"))["items"]:
            node, uid = instance.get("status", {}).get("nodeName"), instance["metadata"]["uid"]
            for pid in qemus(self.lab.node(node).host, uid) if node else []:
                found[instance["metadata"]["name"]] = pid
        return found

    def console_log(self, name: str) -> str:
        instance = self.get("instance", name)
        host = self.lab.node(instance["status"]["nodeName"]).host
        log = host.path(f"/var/lib/libvirt/hypernova/{instance['metadata']['uid']}.console.log")
        return log.read_text(errors="replace") if log.exists() else ""


@pytest.fixture(scope="module")
def installed(kubelab: KubeLab, guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Our release, ready; images that a user would have on some server are on a node."""
    began = time.monotonic()
    for archive in images.archives().values():
        kubelab.load(archive)
    loaded = time.monotonic()
    folder = tmp_path_factory.mktemp("release")
    host = kubelab.node("node-a").host
    server = ["python3", "-m", "http.server", f"--bind={host.address}", f"--directory={guest.qcow2.parent}", str(PORT)]
    host.start_service("image-server", server)
    installed = Installed(
        kubelab,
        Helm(folder, kubelab.cluster.kubeconfig),
        folder / "values.json",
        f"http://{host.address}:{PORT}",
        guest,
    )
    installed.change()
    installed.install()
    wait_installed(kubelab.cluster)
    for node in kubelab.nodes:  # small machines hold many guests that do nothing
        installed.kubectl(
            "patch", "hypervisor", node.name, "--type=merge", '--patch={"spec": {"overcommit": {"cpu": 64}}}'
        )
    nano = {"vcpus": 1, "memory": "16Mi", "rootDisk": "0"}
    boot = {"source": {"url": f"{installed.images_url}/{guest.boot_sector.name}", "sha256": guest.boot_sector_sha256}}
    for kind, name, spec in (("Flavor", "m1.boot", nano), ("Image", "boot", boot | {"format": "raw"})):
        body = {"apiVersion": "compute.hypernova.dev/v1alpha1", "kind": kind, "metadata": {"name": name}, "spec": spec}
        installed.kubectl("apply", "--server-side", "--filename=-", manifest=json.dumps(body))
    print(f"images loaded in {loaded - began:.1f} s, installed in {time.monotonic() - loaded:.1f} s", file=sys.stderr)
    yield installed
    installed.kubectl("delete", "instances", "--all", "--timeout=120s")
    installed.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--ignore-not-found")
    host.stop_service("image-server")


def test_the_quickstart_boots_a_guest(installed: Installed) -> None:
    example = Template((ROOT / "examples/quickstart.yaml").read_text())
    qcow2 = installed.guest.qcow2
    values = {"IMAGE_URL": f"{installed.images_url}/{qcow2.name}", "IMAGE_SHA256": installed.guest.sha256}
    installed.kubectl("apply", "--server-side", "--filename=-", manifest=example.safe_substitute(values))
    eventually(lambda: READY_MARK in _log(installed, "hello"), "the guest to be READY", 180)
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
    _rolled_out(installed)
    installed.create(f"{name}-later", scheduling={"nodeName": node.name})
    installed.wait_running(f"{name}-later", name)
    assert {each: installed.guests()[each] for each in before} == before


def test_an_upgrade_and_a_rollback_restart_no_guest_and_lose_no_creation(installed: Installed) -> None:
    installed.create("before")
    installed.wait_running("before")
    before = installed.guests()
    created = []

    def creating(step: Callable[[], object]) -> None:
        """Do it while Instances are created all the time."""
        installed_by = subprocess.Popen(
            [sys.executable, "-c", _CREATOR, str(installed.lab.cluster.bin_dir), str(len(created))],
            env=installed.environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        try:
            step()
        finally:
            said, _ = installed_by.communicate("", timeout=60)
        assert installed_by.returncode == 0
        created.extend(said.split())

    history = json.loads(installed.helm("history", RELEASE, f"--namespace={NAMESPACE}", "--output=json"))
    installed.change(logLevel="debug")
    creating(installed.install)
    back = ("rollback", RELEASE, str(history[-1]["revision"]), f"--namespace={NAMESPACE}", "--wait", "--timeout=240s")
    creating(lambda: installed.helm(*back, timeout=270))
    assert len(created) >= 4
    installed.wait_running(*created, seconds=180)
    assert {each: installed.guests()[each] for each in before} == before


def test_an_uninstall_leaves_guests_and_objects_and_the_next_install_takes_them_up(installed: Installed) -> None:
    installed.create("kept")
    installed.wait_running("kept")
    before, uid = installed.guests(), installed.get("instance", "kept")["metadata"]["uid"]
    installed.change()
    installed.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}")
    for component in ("operator", "node-agent", "console"):
        eventually(lambda component=component: not installed.pods(component), f"no {component} to be left", 90)
    assert installed.guests() == before
    installed.install()
    assert installed.get("instance", "kept")["metadata"]["uid"] == uid
    installed.kubectl("delete", "instance", "kept", "--timeout=60s")
    del before["kept"]
    assert installed.guests() == before


_CREATOR = """
import json, subprocess, sys, select
kubectl, number = sys.argv[1] + "/kubectl", int(sys.argv[2])
while not select.select([sys.stdin], [], [], 3)[0]:
    name = f"during-{number}"
    body = {
        "apiVersion": "compute.hypernova.dev/v1alpha1", "kind": "Instance", "metadata": {"name": name},
        "spec": {"flavor": "m1.boot", "image": {"name": "boot"}, "terminationGracePeriodSeconds": 0},
    }
    command = [kubectl, "create", "--filename=-"]
    subprocess.run(command, input=json.dumps(body), text=True, check=True, stdout=sys.stderr, timeout=30)
    print(name, flush=True)
    number += 1
"""
"""What a pipeline of users does: creates an Instance every three seconds until its standard input closes, and prints
their names."""


def _log(installed: Installed, name: str) -> str:
    return installed.console_log(name) if installed.get("instance", name).get("status", {}).get("nodeName") else ""


def _rolled_out(installed: Installed) -> None:
    for workload in WORKLOADS:
        installed.kubectl("rollout", "status", workload, f"--namespace={NAMESPACE}", "--timeout=120s")
