"""One lab of two nodes for all tests of a cluster: who breaks a node mends it."""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from typing import Any

import pytest

from hack import images
from hack.guest import Guest
from hack.nodes import KubeLab
from support.installed import Installed

NODES = ("node-a", "node-b")


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
def values() -> dict[str, Any]:
    """Those of the chart that a module wants other than they are."""
    return {}


@pytest.fixture(scope="module")
def installed(
    loaded: KubeLab, guest: Guest, values: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Installed]:
    """Our release, ready; images that a user would have on some server are on a node."""
    began = time.monotonic()
    installed = Installed.beside(loaded, guest, tmp_path_factory.mktemp("release"))
    installed.change(**values)
    installed.install()
    installed.furnish()
    print(f"installed in {time.monotonic() - began:.1f} s", file=sys.stderr)
    yield installed
    installed.remove()
