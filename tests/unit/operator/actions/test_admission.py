"""Which InstanceActions may go to their node and with what, which wait, and which are refused."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import pytest

from hypernova_api.action import ADMINISTER
from hypernova_api.instance import Instance as InstanceKind
from hypernova_api.meta import CREATED_BY
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import Cache, records
from hypernova_operator.controllers.actions import admission
from hypernova_operator.controllers.actions.admission import Admitted, Refused, Verdict, Waits
from hypernova_operator.controllers.ledger import Ledger
from hypernova_operator.controllers.waiting import Named
from support.builders import (
    EPOCH,
    a_hypervisor_status,
    a_key_pair,
    an_action,
    an_image,
    an_instance,
    stored,
)
from support.caches import a_host_of, sees

CREATED = datetime.fromisoformat(EPOCH)
SOON, LATE = CREATED + timedelta(seconds=10), CREATED + timedelta(seconds=61)
FLAVOR = {"name": "m1.small", "vcpus": 1, "memory": "512Mi", "rootDisk": "4Gi"}
IMAGE = {"name": "debian-12", "namespace": "default", "url": "http://x", "sha256": "ab" * 32, "format": "qcow2"}
OPS = {"name": "ops", "publicKey": "ssh-ed25519 AAAA ops"}
STATUS = {"phase": "Running", "nodeName": "node-a", "flavor": FLAVOR, "image": IMAGE, "keyPairs": [OPS]}
LOCKED = {"locked": {"reason": "audit"}}
BOUND = an_instance(status=STATUS)
UID = stored(BOUND)["metadata"]["uid"]


def verdict(action: Object, *objects: Object, rivals: tuple[Object, ...] = (), now: datetime = SOON) -> Verdict:
    """What becomes of an action, among these objects."""
    cache = Cache()
    ledger = Ledger(cache, lambda: None)
    instance = next((obj for obj in objects if obj["kind"] == "Instance"), None)
    sees(cache, *objects)
    record = records.instance_action(stored(action))
    known = cache.instance(record.instance)
    if against := admission.before_admission(record, known, now):
        return against
    assert known is not None
    assert instance is not None
    others = [records.instance_action(stored(rival)) for rival in rivals]
    return admission.admit(record, known, InstanceKind.parse(stored(instance)), cache, ledger.table, others, now)


def rebuild(**parts: Any) -> Object:
    return an_action("Rebuild", rebuild=parts)


def snapshot(name: str = "act-1") -> Object:
    return an_action("Snapshot", name, snapshot={"imageName": "sunday"})


@dataclass(frozen=True)
class Turned:
    """A verdict that is no admission."""

    verdict: type[Refused] | type[Waits]
    reason: str
    words: str


HOST = a_host_of()
ARM = an_image("arm", properties={"architecture": "aarch64"})
TURNED: dict[str, tuple[Object, list[Object], datetime, Turned]] = {
    "there is no Instance yet": (
        an_action(),
        [],
        SOON,
        Turned(
            Waits,
            "InstanceNotFound",
            'there is no Instance "web-1" in namespace default; the action fails if there is none at '
            "2026-01-01T00:01:00Z",
        ),
    ),
    "there is no Instance, and has been none for long": (
        an_action(),
        [],
        LATE,
        Turned(Refused, "InstanceNotFound", 'there is no Instance "web-1" in namespace default: create it, then'),
    ),
    "its Instance has no node": (
        an_action(),
        [an_instance()],
        LATE,
        Turned(Waits, "InstanceNotBound", 'Instance "web-1" has no node yet; once it has, this goes on by itself'),
    ),
    "the image to rebuild from is not there yet": (
        rebuild(image={"name": "arm", "namespace": "images"}),
        [BOUND, *HOST, ARM],
        SOON,
        Turned(Waits, "ImageNotFound", 'there is no Image "arm" in namespace images; the action fails if'),
    ),
    "the image to rescue with never came": (
        an_action("Rescue", rescue={"image": {"name": "rescue"}}),
        [BOUND, *HOST],
        LATE,
        Turned(Refused, "ImageNotFound", 'there is no Image "rescue" in namespace default'),
    ),
    "a key pair is not there yet": (
        rebuild(keyPairs=["dev"]),
        [BOUND, *HOST, a_key_pair("ops")],
        SOON,
        Turned(Waits, "KeyPairNotFound", 'there is no KeyPair "dev" in namespace default'),
    ),
    "an image that needs more than the Instance has": (
        rebuild(image={"name": "big"}),
        [BOUND, *HOST, an_image("big", minMemory="1Gi", minDisk="5Gi")],
        SOON,
        Turned(
            Refused,
            "FlavorTooSmall",
            'the Instance is too small for Image "big" in memory (has 512Mi, needs 1Gi) and disk (has 4Gi, needs 5Gi)',
        ),
    ),
    "a rescue image that needs more memory": (
        an_action("Rescue", rescue={"image": {"name": "big"}}),
        [BOUND, *HOST, an_image("big", minMemory="1Gi", minDisk="5Gi")],
        SOON,
        Turned(Refused, "FlavorTooSmall", 'too small for Image "big" in memory (has 512Mi, needs 1Gi): resize'),
    ),
    "an image for another architecture": (
        rebuild(image={"name": "arm"}),
        [BOUND, *HOST, ARM],
        SOON,
        Turned(
            Refused,
            "ImageNotForNode",
            'the Instance\'s node node-a won\'t do for Image "arm": unable to run its Image (need aarch64)',
        ),
    ),
    "an image that is on another node": (
        rebuild(image={"name": "theirs"}),
        [BOUND, *HOST, an_image("theirs", source={"nodeName": "node-b", "sha256": "cd" * 32})],
        SOON,
        Turned(Refused, "ImageNotForNode", "a snapshot that is only on node node-b, which is no host"),
    ),
    "an image that is not known any more": (
        rebuild(),
        [an_instance(status={key: value for key, value in STATUS.items() if key != "image"}), *HOST],
        SOON,
        Turned(Refused, "ImageUnknown", "name an Image in spec.rebuild.image"),
    ),
    "an Image of the snapshot's name is there": (
        snapshot(),
        [BOUND, *HOST, an_image("sunday")],
        SOON,
        Turned(Refused, "ImageExists", 'there is an Image "sunday" already'),
    ),
    "a locked Instance": (
        an_action(annotations={CREATED_BY: "bob"}),
        [an_instance(status=STATUS, **LOCKED), *HOST],
        SOON,
        Turned(Refused, "Locked", "the Instance is locked (audit): only who may `administer` it can act on it, which "
               "bob may not"),
    ),
    "a locked Instance, and nobody knows who asks": (
        an_action(),
        [an_instance(status=STATUS, **LOCKED), *HOST],
        SOON,
        Turned(Refused, "Locked", 'create the action anew with the annotation compute.hypernova.dev/administer: "tr'),
    ),
}  # fmt: skip


@pytest.mark.parametrize(("action", "objects", "now", "expected"), list(TURNED.values()), ids=list(TURNED))
def test_what_is_not_admitted_is_told_why(
    action: Object, objects: list[Object], now: datetime, expected: Turned
) -> None:
    found = verdict(action, *objects, now=now)

    assert isinstance(found, expected.verdict)
    assert found.reason == expected.reason
    assert expected.words in found.message


DEBIAN = InstanceKind.parse(stored(BOUND)).status.image
NEW = an_image("new", properties={"architecture": "x86_64"}, minDisk="4Gi")
NEW_IMAGE = records.image(stored(NEW)).bound
NEW_KEY = records.key_pair(stored(a_key_pair("dev"))).bound
KEYS = InstanceKind.parse(stored(BOUND)).status.key_pairs


@pytest.mark.parametrize(
    ("action", "image", "key_pairs"),
    [
        (an_action("Rebuild"), DEBIAN, KEYS),
        (rebuild(), DEBIAN, KEYS),
        (rebuild(image={"name": "new"}), NEW_IMAGE, KEYS),
        (rebuild(keyPairs=["dev"]), DEBIAN, [NEW_KEY]),
        (rebuild(keyPairs=[], userData={"inline": "#cloud-config"}), DEBIAN, []),
    ],
    ids=["no word about it", "nothing new", "a new image", "other keys", "no keys, and user data"],
)
def test_a_rebuild_keeps_what_it_does_not_name(action: Object, image: Any, key_pairs: list[Any]) -> None:
    found = verdict(action, BOUND, *HOST, NEW, a_key_pair("dev"))

    assert isinstance(found, Admitted)
    assert found.rebuild is not None
    assert (found.node, found.instance_uid) == ("node-a", UID)
    assert (found.rebuild.image, found.rebuild.key_pairs) == (image, key_pairs)


def test_a_rescue_boots_the_instances_own_image_unless_another_is_named() -> None:
    own = verdict(an_action("Rescue"), BOUND, *HOST)
    other = verdict(an_action("Rescue", rescue={"image": {"name": "new"}}), BOUND, *HOST, NEW)

    assert isinstance(own, Admitted)
    assert isinstance(other, Admitted)
    assert (own.rescue_image, other.rescue_image) == (DEBIAN, NEW_IMAGE)


def test_a_snapshot_remembers_what_its_disk_was_made_from() -> None:
    found = verdict(snapshot(), BOUND, *HOST)

    assert isinstance(found, Admitted)
    assert found.snapshot is not None
    assert found.snapshot.image == DEBIAN


def test_two_snapshots_of_one_name_are_not_begun() -> None:
    found = verdict(snapshot(), BOUND, *HOST, rivals=(snapshot("act-2"),))

    assert isinstance(found, Refused)
    assert (found.reason, 'InstanceAction "act-2" makes' in found.message) == ("ImageExists", True)


@pytest.mark.parametrize(
    "action",
    [
        an_action(annotations={ADMINISTER: "true"}),
        an_action("ResetState"),
        an_action("GetConsoleLog"),
        an_action("GetGuestInfo"),
    ],
    ids=["of who may administer it", "to reset its state", "to read its log", "to ask its guest"],
)
def test_a_lock_lets_administrators_and_readers_pass(action: Object) -> None:
    assert isinstance(verdict(action, an_instance(status=STATUS, **LOCKED), *HOST), Admitted)


def test_a_claim_to_administer_that_is_not_true_is_none() -> None:
    found = verdict(an_action(annotations={ADMINISTER: "false"}), an_instance(status=STATUS, **LOCKED), *HOST)

    assert isinstance(found, Refused)


def test_an_instance_on_a_host_that_is_busy_or_unknown_is_acted_on_all_the_same() -> None:
    full = a_host_of(maintenance=True, status=a_hypervisor_status(vcpus=0))

    assert isinstance(verdict(rebuild(image={"name": "new"}), BOUND, *full, NEW), Admitted)
    assert isinstance(verdict(rebuild(image={"name": "arm"}), BOUND, ARM), Admitted)


def test_an_instance_that_is_being_deleted_is_not_acted_on() -> None:
    cache = Cache()
    going = stored(BOUND, deletionTimestamp=EPOCH)
    cache.instances.put(going)
    action = records.instance_action(stored(an_action()))

    found = admission.before_admission(action, cache.instance(action.instance), SOON)
    assert isinstance(found, Refused)
    assert found.reason == "InstanceDeleted"


@pytest.mark.parametrize(
    ("action", "expected"),
    [
        (an_action(), []),
        (snapshot(), [("Image", Key("default", "sunday"))]),
        (rebuild(image={"name": "new", "namespace": "images"}), [("Image", Key("images", "new"))]),
        (rebuild(keyPairs=["dev"]), [("KeyPair", Key("default", "dev"))]),
        (an_action("Rescue", rescue={"image": {"name": "r"}}), [("Image", Key("default", "r"))]),
    ],
)
def test_what_an_action_waits_for_is_what_it_names(action: Object, expected: list[tuple[Any, Key]]) -> None:
    found = admission.needs(records.instance_action(stored(action)))

    assert found == {Named("Instance", Key("default", "web-1")), *(Named(kind, key) for kind, key in expected)}
