"""Every CEL rule of every kind, with good and bad input, on the real API server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, get_args

import pytest
from pydantic import BaseModel

from hypernova_api.flavor import FlavorSpec
from hypernova_api.image import ImageSpec
from hypernova_api.instance import Instance, InstanceSpec, UserData
from hypernova_api.keypair import KeyPairSpec
from hypernova_api.kinds import KINDS
from hypernova_api.meta import Model, Rule
from hypernova_kube.errors import Invalid
from hypernova_kube.resources import Object
from support.builders import a_flavor, a_key_pair, an_image, an_instance

PREFIX = {
    "FieldValueInvalid": "Invalid value: ",
    "FieldValueForbidden": "Forbidden: ",
    "FieldValueRequired": "Required value: ",
}
"""What the API server writes before a rule's own message."""


@dataclass(frozen=True, slots=True)
class AtCreation:
    """Objects that a rule lets pass or refuses as they come."""

    model: type[Model]
    message: str
    field: str
    good: Object
    bad: Object


@dataclass(frozen=True, slots=True)
class AtUpdate:
    """Merge patches of the object `before` that a rule lets pass or refuses."""

    model: type[Model]
    message: str
    field: str
    before: Object
    good: dict[str, Any]
    bad: dict[str, Any]


Case = AtCreation | AtUpdate

LABEL = {"metadata": {"labels": {"team": "web"}}}
HINT = "rebuild the Instance, or delete and create it anew"
AT_CREATION = [
    AtCreation(
        FlavorSpec, "memory must be at least 1Mi, e.g. 2Gi", "spec.memory",
        good=a_flavor(memory="1Mi"), bad=a_flavor(memory="-1Mi"),
    ),
    AtCreation(
        FlavorSpec, "memory must be a whole number of MiB: 2Gi or 2048Mi, not 2G", "spec.memory",
        good=a_flavor(memory=1073741824), bad=a_flavor(memory="2G"),
    ),
    AtCreation(
        FlavorSpec, "rootDisk must be at least 0, e.g. 20Gi", "spec.rootDisk",
        good=a_flavor(rootDisk="0"), bad=a_flavor(rootDisk=-1),
    ),
    AtCreation(
        ImageSpec, "minDisk must be at least 0, e.g. 4Gi", "spec.minDisk",
        good=an_image(minDisk="4Gi"), bad=an_image(minDisk="-4Gi"),
    ),
    AtCreation(
        ImageSpec, "minMemory must be at least 0, e.g. 512Mi", "spec.minMemory",
        good=an_image(minMemory="0"), bad=an_image(minMemory="-1"),
    ),
    AtCreation(
        UserData, "give exactly one of inline and secretKeyRef", "spec.userData",
        good=an_instance(userData={"secretKeyRef": {"name": "web", "key": "user-data"}}),
        bad=an_instance(userData={"inline": "#!/bin/sh", "secretKeyRef": {"name": "web", "key": "user-data"}}),
    ),
    AtCreation(
        UserData, "give exactly one of inline and secretKeyRef", "spec.userData",
        good=an_instance(userData={"inline": ""}), bad=an_instance(userData={}),
    ),
    AtCreation(
        UserData, "user data is over 64 KiB: let the guest fetch the rest itself", "spec.userData.inline",
        good=an_instance(userData={"inline": "x" * 65536}), bad=an_instance(userData={"inline": "x" * 65537}),
    ),
    AtCreation(
        UserData, "user data is over 64 KiB: let the guest fetch the rest itself", "spec.userData.inline",
        good=an_instance(userData={"inline": "é" * 32768}), bad=an_instance(userData={"inline": "é" * 32769}),
    ),
    AtCreation(
        Instance,
        "the name becomes the guest's host name: at most 63 lower-case letters, digits and dashes, no dots",
        "metadata.name",
        good=an_instance("a" * 63), bad=an_instance("a" * 64),
    ),
    AtCreation(
        Instance,
        "the name becomes the guest's host name: at most 63 lower-case letters, digits and dashes, no dots",
        "metadata.name",
        good=an_instance("0-9"), bad=an_instance("web.1"),
    ),
]  # fmt: skip
AT_UPDATE = [
    AtUpdate(
        FlavorSpec, "a Flavor cannot be edited: make a new one", "spec",
        before=a_flavor(), good=LABEL, bad={"spec": {"vcpus": 2}},
    ),
    AtUpdate(
        ImageSpec, "an Image's content cannot change: make a new Image (its url may move)", "spec.source",
        before=an_image(),
        good={"spec": {"source": {"url": "https://mirror.example.com/debian-12.qcow2"}}},
        bad={"spec": {"source": {"sha256": "0" * 64}}},
    ),
    AtUpdate(
        ImageSpec, "an Image's content cannot change: make a new Image (its url may move)", "spec.source",
        before=an_image(), good={"spec": {"minDisk": "1Gi"}}, bad={"spec": {"format": "raw"}},
    ),
    AtUpdate(
        KeyPairSpec, "a KeyPair cannot be edited: make a new one", "spec",
        before=a_key_pair(), good=LABEL, bad={"spec": {"publicKey": "ssh-ed25519 AAAA other"}},
    ),
    AtUpdate(
        InstanceSpec,
        "the image of an Instance cannot be edited: rebuild it (an InstanceAction of type Rebuild), "
        "or delete and create it anew",
        "spec.image",
        before=an_instance(), good={"spec": {"powerState": "Stopped"}}, bad={"spec": {"image": {"name": "other"}}},
    ),
    AtUpdate(
        InstanceSpec,
        "the flavor of an Instance cannot be edited in this version: delete and create it anew",
        "spec.flavor",
        before=an_instance(), good={"spec": {"terminationGracePeriodSeconds": 0}}, bad={"spec": {"flavor": "other"}},
    ),
    AtUpdate(
        InstanceSpec, f"user data is read at the first boot only and cannot be edited: {HINT}", "spec.userData",
        before=an_instance(userData={"inline": "a"}), good=LABEL, bad={"spec": {"userData": {"inline": "b"}}},
    ),
    AtUpdate(
        InstanceSpec, f"user data is read at the first boot only and cannot be edited: {HINT}", "spec.userData",
        before=an_instance(), good=LABEL, bad={"spec": {"userData": {"inline": "b"}}},
    ),
    AtUpdate(
        InstanceSpec, f"user data is read at the first boot only and cannot be edited: {HINT}", "spec.userData",
        before=an_instance(userData={"inline": "a"}), good=LABEL, bad={"spec": {"userData": None}},
    ),
    AtUpdate(
        InstanceSpec, f"key pairs are read at the first boot only and cannot be edited: {HINT}", "spec.keyPairs",
        before=an_instance(keyPairs=["ops"]), good=LABEL, bad={"spec": {"keyPairs": ["ops", "dev"]}},
    ),
    AtUpdate(
        InstanceSpec, f"key pairs are read at the first boot only and cannot be edited: {HINT}", "spec.keyPairs",
        before=an_instance(), good={"spec": {"keyPairs": []}}, bad={"spec": {"keyPairs": ["ops"]}},
    ),
]  # fmt: skip


def models(annotation: Any) -> Iterator[type[Model]]:
    """The models that an annotation leads to, itself included."""
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        yield annotation
        for field in annotation.model_fields.values():
            yield from models(field.annotation)
    for argument in get_args(annotation):
        yield from models(argument)


def rules() -> dict[tuple[str, str], Rule]:
    return {(model.__name__, rule.message): rule for kind in KINDS for model in models(kind) for rule in model.rules}


def test_every_rule_of_every_kind_has_a_case() -> None:
    assert {(case.model.__name__, case.message) for case in [*AT_CREATION, *AT_UPDATE]} == set(rules())


def name_of(case: Case) -> str:
    return f"{case.model.__name__}: {case.message}"


def refusal(case: Case) -> list[tuple[str, str, str]]:
    """Field, reason and message, as they are to be in the API server's answer."""
    reason = rules()[case.model.__name__, case.message].reason
    return [(case.field, reason, PREFIX[reason] + case.message)]


def causes(error: Invalid) -> list[tuple[str, str, str]]:
    return [(cause["field"], cause["reason"], cause["message"]) for cause in error.details["causes"]]


@pytest.mark.parametrize("case", AT_CREATION, ids=name_of)
async def test_at_creation(case: AtCreation, objects: Any) -> None:
    await objects.create(case.good)

    with pytest.raises(Invalid) as refused:
        await objects.create(case.bad)

    assert causes(refused.value) == refusal(case)


@pytest.mark.parametrize("case", AT_UPDATE, ids=name_of)
async def test_at_update(case: AtUpdate, objects: Any) -> None:
    stored = await objects.create(case.before)
    await objects.patch(stored, case.good)

    with pytest.raises(Invalid) as refused:
        await objects.patch(stored, case.bad)

    assert causes(refused.value) == refusal(case)
