"""One lab of two nodes for all tests of a cluster: who breaks a node mends it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator

import pytest

from hack import images
from hack.devcluster.install import NAMESPACE, wait_installed
from hack.guest import Guest
from hack.helm import Helm
from hack.nodes import KubeLab
from support.builders import a_flavor, an_image
from support.installed import RELEASE, Installed

NODES = ("node-a", "node-b")
PORT = 8000


@pytest.fixture(scope="session")
def kubelab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeLab]:
    """A control plane and two nodes that are labelled as hypervisors."""
    with KubeLab(tmp_path_factory.mktemp("kubelab")) as lab:
        for node in NODES:
            lab.add_node(node, {"compute.hypernova.dev/hypervisor": "true"})
        yield lab


@pytest.fixture(scope="session")
def loaded(kubelab: KubeLab) -> KubeLab:
    """With our images on its nodes, where a cluster's kubelets would pull them."""
    began = time.monotonic()
    for archive in images.archives().values():
        kubelab.load(archive)
    print(f"images loaded in {time.monotonic() - began:.1f} s", file=sys.stderr)
    return kubelab


@pytest.fixture(scope="module")
def installed(loaded: KubeLab, guest: Guest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Installed]:
    """Our release, ready; images that a user would have on some server are on a node."""
    began = time.monotonic()
    folder = tmp_path_factory.mktemp("release")
    host = loaded.node("node-a").host
    server = ["python3", "-m", "http.server", f"--bind={host.address}", f"--directory={guest.qcow2.parent}", str(PORT)]
    host.start_service("image-server", server)
    installed = Installed(
        loaded,
        Helm(folder, loaded.cluster.kubeconfig),
        folder / "values.json",
        f"http://{host.address}:{PORT}",
        guest,
    )
    installed.change()
    installed.install()
    wait_installed(loaded.cluster)
    for node in loaded.nodes:  # small machines hold many guests that do nothing
        installed.kubectl(
            "patch", "hypervisor", node.name, "--type=merge", '--patch={"spec": {"overcommit": {"cpu": 64}}}'
        )
    boot = {"url": f"{installed.images_url}/{guest.boot_sector.name}", "sha256": guest.boot_sector_sha256}
    installed.apply(
        a_flavor("m1.boot", memory="16Mi", rootDisk="0"),
        an_image("boot", format="raw", source=boot),
    )
    print(f"installed in {time.monotonic() - began:.1f} s", file=sys.stderr)
    yield installed
    installed.kubectl("delete", "instances", "--all", "--timeout=120s")
    installed.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}", "--ignore-not-found")
    host.stop_service("image-server")
