from typing import ClassVar

import pytest

from hypernova_kube.resources import EVENTS, LEASES, NODES, Key, Resource, key_of


def test_paths_of_core_and_group_resources():
    assert NODES.path() == "/api/v1/nodes"
    assert NODES.path(name="node-a", subresource="status") == "/api/v1/nodes/node-a/status"
    assert EVENTS.path("shop") == "/api/v1/namespaces/shop/events"
    assert LEASES.path() == "/apis/coordination.k8s.io/v1/leases"
    assert LEASES.path("hn", "node-a") == "/apis/coordination.k8s.io/v1/namespaces/hn/leases/node-a"


def test_a_namespaced_object_cannot_be_named_without_its_namespace():
    with pytest.raises(ValueError, match="needs a namespace"):
        LEASES.path(name="node-a")


def test_a_cluster_scoped_object_has_no_namespace():
    with pytest.raises(ValueError, match="cluster-scoped"):
        NODES.path("default", "node-a")


def test_a_resource_is_made_from_the_class_that_models_its_kind():
    class Gadget:
        group: ClassVar[str] = "example.com"
        version: ClassVar[str] = "v1"
        kind: ClassVar[str] = "Gadget"
        plural: ClassVar[str] = "gadgets"
        namespaced: ClassVar[bool] = False

    gadgets = Resource.of(Gadget)
    assert gadgets == Resource("example.com", "v1", "gadgets", "Gadget", namespaced=False)
    assert gadgets.api_version == "example.com/v1"


def test_keys_read_as_kubectl_would_take_them():
    assert str(key_of({"metadata": {"namespace": "shop", "name": "web-1"}})) == "shop/web-1"
    assert key_of({"metadata": {"name": "node-a"}}) == Key("", "node-a")
    assert str(Key("", "node-a")) == "node-a"
