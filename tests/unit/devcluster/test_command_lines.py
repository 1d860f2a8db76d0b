from __future__ import annotations

import re
from pathlib import Path

import pytest

from hack.devcluster.build import Recipe
from hack.devcluster.components import command_lines
from hack.devcluster.layout import Layout, Ports
from hack.devcluster.network import Network

LAYOUT = Layout(Path("/clusters/mine"))
PORTS = Ports(api=20001, etcd=20002, etcd_peer=20003)
NETWORK = Network(Path("/proc/4711/ns/net"), "10.99.0.254")
LOOPBACK = command_lines(LAYOUT, PORTS, None)


@pytest.mark.parametrize("name", LOOPBACK)
def test_a_component_keeps_to_its_clusters_folder_ports_and_loopback(name: str) -> None:
    program, *flags = LOOPBACK[name]
    assert program == name
    line = " ".join(flags)
    assert all(path.startswith("/clusters/mine/") for path in re.findall(r"(?<==)/\S+", line))
    assert set(re.findall(r"127\.0\.0\.1:(\d+)", line)) <= {"20002", "20003"}
    assert "0.0.0.0" not in line


def test_components_start_with_what_the_others_need() -> None:
    assert list(LOOPBACK) == ["etcd", "kube-apiserver", "kube-controller-manager"]


def test_in_a_network_of_nodes_pods_are_scheduled_and_lost_nodes_noticed() -> None:
    lines = command_lines(LAYOUT, PORTS, NETWORK)
    assert list(lines) == ["etcd", "kube-apiserver", "kube-controller-manager", "kube-scheduler"]
    assert lines["kube-apiserver"].index("--bind-address=0.0.0.0") > lines["kube-apiserver"].index(
        "--bind-address=127.0.0.1"
    )
    assert "--advertise-address=10.99.0.254" in lines["kube-apiserver"]
    assert any("-node-lifecycle-controller" in flag for flag in LOOPBACK["kube-controller-manager"])
    assert not any("-node-lifecycle-controller" in flag for flag in lines["kube-controller-manager"])


def test_ports_are_kept(tmp_path: Path) -> None:
    layout = Layout(tmp_path)
    assert layout.read_ports() is None
    layout.write_ports(PORTS)
    assert layout.read_ports() == PORTS


def test_everything_a_cluster_makes_is_in_its_folder_and_known_to_delete() -> None:
    made = {getattr(LAYOUT, name) for name, value in vars(Layout).items() if isinstance(value, property)}
    assert made == set(LAYOUT.contents())
    assert all(path.parent == LAYOUT.folder for path in made)


def test_the_binary_is_stamped_with_the_version_of_its_modules() -> None:
    ldflags = Recipe(kubernetes="v1.36.3", go="go1.26.8").ldflags
    assert "-X k8s.io/component-base/version.gitVersion=v1.36.3" in ldflags
    assert "-X k8s.io/component-base/version.gitMinor=36" in ldflags


def test_another_go_or_kubernetes_makes_another_binary() -> None:
    recipes = [
        Recipe(kubernetes="v1.36.3", go="go1.26.8"),
        Recipe(kubernetes="v1.36.4", go="go1.26.8"),
        Recipe(kubernetes="v1.36.3", go="go1.26.9"),
    ]
    assert len({recipe.key for recipe in recipes}) == 3
    assert recipes[0].key == Recipe(kubernetes="v1.36.3", go="go1.26.8").key
