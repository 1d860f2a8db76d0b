"""The admission policies: our finalizer, and who created what."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from hack.devcluster import Cluster
from hack.devcluster.install import mutates
from hypernova_api.action import ADMINISTER
from hypernova_api.meta import CREATED_BY, FINALIZER
from hypernova_kube.errors import Forbidden, Invalid
from hypernova_kube.resources import Object
from support.builders import a_flavor, an_action, an_instance, without
from support.waiting import eventually

ADMIN = "admin"
FORGED = {CREATED_BY: "somebody-else"}


@pytest.mark.usefixtures("mutating")
@pytest.mark.parametrize(
    ("given", "kept"),
    [
        ([], [FINALIZER]),
        ([FINALIZER], [FINALIZER]),
        (["example.com/audit"], ["example.com/audit", FINALIZER]),
        ([FINALIZER, "example.com/audit"], [FINALIZER, "example.com/audit"]),
    ],
)
async def test_an_instance_has_our_finalizer_once(given: list[str], kept: list[str], objects: Any) -> None:
    instance = await objects.create(an_instance(finalizers=given) if given else an_instance())

    assert instance["metadata"]["finalizers"] == kept


@pytest.mark.usefixtures("mutating")
@pytest.mark.parametrize("annotations", [None, {}, {"a": "b"}, FORGED, FORGED | {"a": "b"}])
async def test_an_instance_says_who_created_it_whatever_they_say(
    annotations: dict[str, str] | None, objects: Any
) -> None:
    instance = await objects.create(an_instance() if annotations is None else an_instance(annotations=annotations))

    assert instance["metadata"]["annotations"] == (annotations or {}) | {CREATED_BY: ADMIN}


async def test_who_created_an_instance_cannot_be_changed(objects: Any) -> None:
    instance = await objects.create(an_instance())

    with pytest.raises(Forbidden, match=f"the annotation {CREATED_BY} cannot be added, changed or removed"):
        await objects.patch(instance, {"metadata": {"annotations": FORGED}})


@pytest.mark.usefixtures("mutating")
@pytest.mark.parametrize("annotations", [None, {CREATED_BY: None}, {CREATED_BY: None, "a": "b"}])
async def test_an_update_that_leaves_out_who_created_the_instance_does_not_lose_it(
    annotations: dict[str, str | None] | None, objects: Any
) -> None:
    instance = await objects.create(an_instance())

    patched = await objects.patch(instance, {"metadata": {"annotations": annotations}})

    assert patched["metadata"]["annotations"][CREATED_BY] == ADMIN


@pytest.mark.usefixtures("mutating")
async def test_our_finalizer_can_go_only_after_deletion_began(objects: Any) -> None:
    instance = await objects.create(an_instance(finalizers=["example.com/audit"]))
    only_theirs = {"metadata": {"finalizers": ["example.com/audit"]}}

    alive = await objects.patch(instance, only_theirs)
    await objects.delete(instance)
    deleting = await objects.patch(instance, only_theirs)

    assert alive["metadata"]["finalizers"] == ["example.com/audit", FINALIZER]
    assert deleting["metadata"]["finalizers"] == ["example.com/audit"]


@pytest.mark.usefixtures("mutating")
async def test_other_annotations_can_be_changed(objects: Any) -> None:
    instance = await objects.create(an_instance(annotations={"a": "b"}))

    patched = await objects.patch(instance, {"metadata": {"annotations": {"a": None, "c": "d"}}})

    assert patched["metadata"]["annotations"] == {"c": "d", CREATED_BY: ADMIN}


async def test_other_kinds_are_left_alone(objects: Any) -> None:
    flavor = await objects.create(a_flavor())

    assert not {"finalizers", "annotations"} & flavor["metadata"].keys()


async def test_an_action_that_names_no_instance_is_told_so_by_its_schema(objects: Any) -> None:
    with pytest.raises(Invalid, match=r"spec.instance: Required value"):
        await objects.create(without(an_action(), "spec.instance"))


def test_where_the_api_server_cannot_write_the_creator_nobody_can_lie_about_it(own_cluster: Cluster) -> None:
    """As on a Kubernetes before 1.36: without the mutating policy."""
    if mutates(own_cluster.admin):
        own_cluster.kubectl("delete", "--filename=crds/policies-mutating.yaml")

    def try_(annotations: dict[str, str], build: Callable[..., Object] = an_instance) -> Object:
        obj = build(annotations=annotations)
        path = f"/apis/{obj['apiVersion']}/namespaces/default/{obj['kind'].lower()}s?dryRun=All"
        return own_cluster.admin.create(path, obj)

    eventually(lambda: "finalizers" not in try_({})["metadata"], "the mutating policy to be gone")

    assert CREATED_BY not in try_({})["metadata"].get("annotations", {})
    assert try_({CREATED_BY: ADMIN})["metadata"]["annotations"] == {CREATED_BY: ADMIN}
    with pytest.raises(Exception, match=f"the annotation {CREATED_BY} can only name yourself"):
        try_(FORGED)
    assert ADMINISTER not in try_({}, an_action)["metadata"].get("annotations", {})
    assert try_({ADMINISTER: "true"}, an_action)["metadata"]["annotations"] == {ADMINISTER: "true"}
