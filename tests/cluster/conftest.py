"""One lab of two nodes for all tests of a cluster: who breaks a node mends it."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hack.nodes import KubeLab

NODES = ("node-a", "node-b")


@pytest.fixture(scope="session")
def kubelab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[KubeLab]:
    """A control plane and two nodes that are labelled as hypervisors."""
    with KubeLab(tmp_path_factory.mktemp("kubelab")) as lab:
        for node in NODES:
            lab.add_node(node, {"compute.hypernova.dev/hypervisor": "true"})
        yield lab
