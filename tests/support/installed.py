"""Hypernova installed by Helm on the nodes of a lab, as its users have it: kubectl, helm, and what is on the hosts."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

from hack.devcluster.install import NAMESPACE, wait_installed
from hack.guest import Guest
from hack.helm import Helm
from hack.images.archives import COMPONENTS, tag
from hack.images.inputs import read
from hack.nodes import KubeLab
from support.builders import a_flavor, an_image, an_instance
from support.libvirt_subject import qemus
from support.waiting import eventually

ROOT = Path(__file__).parents[2]
CHART = str(ROOT / "charts/hypernova")
RELEASE = "hypernova"
WORKLOADS = ("deployment/hypernova-operator", "deployment/hypernova-console", "daemonset/hypernova-node-agent")
WAIT_SECONDS = 400
"""For all Pods to be ready: 20 s on a machine that does nothing else."""

IMAGE_SERVER, IMAGES_PORT = "image-server", 8000

KUBECTL_SECONDS = 150
"""More than any `--timeout` it is given."""

VALUES = {
    "image": {"registry": "localhost/hypernova", "pullPolicy": "Never"},
    # The machine's KVM, if it has any, boots no Linux guest; emulation does everywhere.
    "agent": {"libvirt": {"group": KubeLab.LIBVIRT_GROUP}, "settings": {"domainType": "qemu"}},
}


@dataclass(frozen=True, slots=True)
class Installed:
    """A cluster with our release, as a user with kubectl and helm has it."""

    lab: KubeLab
    helm: Helm
    values: Path
    images_url: str
    guest: Guest

    @classmethod
    def beside(cls, lab: KubeLab, guest: Guest, folder: Path) -> Self:
        """With nothing installed yet; the guest's images, which a user would have on some server, are on a node.

        Args:
            lab: its nodes are up, with our images.
            guest: what is to boot.
            folder: for the user's files.
        """
        host = lab.nodes[0].host
        where = (f"--bind={host.address}", f"--directory={guest.qcow2.parent}", str(IMAGES_PORT))
        host.start_service(IMAGE_SERVER, ["python3", "-m", "http.server", *where])
        helm, url = Helm(folder, lab.cluster.kubeconfig), f"http://{host.address}:{IMAGES_PORT}"
        installed = cls(lab, helm, folder / "values.json", url, guest)
        installed.change()
        return installed

    def remove(self) -> None:
        """Guests, release and image server."""
        self.kubectl("delete", "instances", "--all", "--timeout=120s")
        self.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--ignore-not-found")
        self.lab.nodes[0].host.stop_service(IMAGE_SERVER)

    def furnish(self) -> None:
        """Have what `create` needs, and room for it, once it is installed."""
        wait_installed(self.lab.cluster)
        self.overcommit()
        boot = {"url": f"{self.images_url}/{self.guest.boot_sector.name}", "sha256": self.guest.boot_sector_sha256}
        self.apply(a_flavor("m1.boot", memory="16Mi", rootDisk="0"), an_image("boot", format="raw", source=boot))

    def overcommit(self) -> None:
        """Small machines hold many guests that do nothing."""
        for node in self.lab.nodes:
            wanted = '--patch={"spec": {"overcommit": {"cpu": 64}}}'
            self.kubectl("patch", "hypervisor", node.name, "--type=merge", wanted)

    # Helm

    def install(self, chart: str | Path = CHART) -> None:
        """Install or upgrade, and return when all Pods are the new ones, and ready."""
        self._roll("upgrade", "--install", RELEASE, str(chart), "--create-namespace", f"--values={self.values}")

    def upgrade(self, chart: Path) -> None:
        """Upgrade as docs/install.md has it, to another chart with the values that were given before."""
        self._roll("upgrade", RELEASE, str(chart), "--reset-then-reuse-values")

    def rollback(self, revision: int) -> None:
        """Go back to a revision, and return when all Pods are its, and ready."""
        self._roll("rollback", RELEASE, str(revision))

    def _roll(self, *arguments: str) -> None:
        waiting = (f"--namespace={NAMESPACE}", "--wait", f"--timeout={WAIT_SECONDS}s")
        self.helm(*arguments, *waiting, timeout=WAIT_SECONDS + 30)

    @property
    def revision(self) -> int:
        """Of the release, as it is now."""
        history = json.loads(self.helm("history", RELEASE, f"--namespace={NAMESPACE}", "--output=json"))
        return max(int(each["revision"]) for each in history)

    def change(self, **values: Any) -> None:
        """Values of the next `install`, beside those a lab needs."""
        self.values.write_text(json.dumps(VALUES | values))

    # kubectl

    @property
    def environment(self) -> dict[str, str]:
        """Of a user's programs; what kubectl keeps at home is kept with the test."""
        home = {"HOME": str(self.values.parent), "PATH": "/usr/bin:/bin"}
        return home | {"KUBECONFIG": str(self.lab.cluster.kubeconfig)}

    def kubectl(self, *arguments: str, manifest: str = "") -> str:
        return self.lab.cluster.kubectl(*arguments, input=manifest, timeout=KUBECTL_SECONDS)

    def apply(self, *objects: dict[str, Any]) -> None:
        manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": list(objects)})
        self.kubectl("apply", "--server-side", "--filename=-", manifest=manifest)

    def get(self, kind: str, name: str) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.kubectl("get", kind, name, "--output=json"))
        return found

    def phase(self, name: str) -> str:
        return str(self.get("instance", name).get("status", {}).get("phase", ""))

    def create(self, name: str, image: str = "boot", **spec: Any) -> None:
        """An Instance of the smallest flavor there is."""
        spec = {"flavor": "m1.boot", "image": {"name": image}, "terminationGracePeriodSeconds": 0} | spec
        self.kubectl("create", "--filename=-", manifest=json.dumps(an_instance(name, **spec)))

    def wait_running(self, *names: str, seconds: float = 90) -> None:
        for name in names:
            eventually(lambda name=name: self.phase(name) == "Running", f"{name} to run", seconds)

    def pods(self, component: str, node: str = "") -> list[str]:
        """Names of the Pods of a component; on one node, if it is given."""
        flags = [f"--field-selector=spec.nodeName={node}"] if node else []
        selector = f"--selector=app.kubernetes.io/component={component}"
        names = self.kubectl("get", "pods", f"--namespace={NAMESPACE}", selector, "--output=name", *flags)
        return [name.removeprefix("pod/") for name in names.split()]

    def rolled_out(self) -> None:
        """Return when every Pod of ours is as its workload wants it."""
        for workload in WORKLOADS:
            self.kubectl("rollout", "status", workload, f"--namespace={NAMESPACE}", "--timeout=120s")

    # What is on the hosts

    def tag(self, version: str) -> None:
        """Have our images on all nodes under another version too, as if that had been released."""
        loaded = read().version
        for node in self.lab.nodes:
            for component in COMPONENTS:
                names = tag(component, loaded), tag(component, version)
                node.host.run("ctr", "--namespace=k8s.io", "images", "tag", "--force", *names)
            node.load()  # nothing more: kubelet comes to know what is there

    def boot_id(self, name: str) -> str:
        """By which a Linux guest tells each boot from all others; its node asks it, by its address."""
        status = self.get("instance", name)["status"]
        program = "import sys, urllib.request as u; print(u.urlopen(sys.argv[1], timeout=20).read().decode())"
        url = f"http://{status['addresses'][0]['ip']}/cgi-bin/state"
        state = self.lab.node(status["nodeName"]).host.run("python3", "-c", program, url).stdout
        return next(line for line in state.splitlines() if line.startswith("boot_id=")).partition("=")[2]

    def guests(self) -> dict[str, int]:
        """The QEMU of each Instance that has one, by the Instance's name."""
        found = {}
        for instance in json.loads(self.kubectl("get", "instances", "--output=json"))["items"]:
            node, uid = instance.get("status", {}).get("nodeName"), instance["metadata"]["uid"]
            for pid in qemus(self.lab.node(node).host, uid) if node else []:
                found[instance["metadata"]["name"]] = pid
        return found

    def console_log(self, name: str) -> str:
        """What the guest has written to its serial port; empty before it is bound."""
        log = self.console_file(name)
        return log.read_text(errors="replace") if log and log.exists() else ""

    def console_file(self, name: str) -> Path | None:
        """Where that is kept, as the machine sees it; None before it is bound."""
        instance = self.get("instance", name)
        node, uid = instance.get("status", {}).get("nodeName"), instance["metadata"]["uid"]
        return self.lab.node(node).host.path(f"/var/lib/libvirt/hypernova/{uid}.console.log") if node else None
