"""What an Instance asks for, read from the object."""

from typing import Any

import pytest

from hypernova_agent.desired import Guest, desired_of
from hypernova_agent.errors import BindingIncomplete
from hypernova_agent.user_data import InSecret
from support.builders import AN_ED25519_KEY, EPOCH, without
from support.guests import GIB, MIB, RESERVATION, a_bound_image, a_bound_instance, parsed


def test_a_bound_instance_says_all_that_its_guest_is_made_of() -> None:
    obj = a_bound_instance(
        userData={"inline": "#cloud-config"},
        terminationGracePeriodSeconds=5,
        status={"keyPairs": [{"name": "ops", "publicKey": AN_ED25519_KEY}]},
    )
    desired = desired_of(parsed(obj))
    assert (desired.owner.uid, desired.owner.namespace, desired.owner.name) == (obj["metadata"]["uid"], "shop", "web-1")
    assert (desired.power_state, desired.grace, desired.deleting, desired.finalizer) == ("Running", 5.0, False, True)
    assert isinstance(desired.guest, Guest)
    assert (desired.guest.vcpus, desired.guest.memory, desired.guest.disk) == (1, 512 * MIB, 4 * GIB)
    assert desired.guest.image == a_bound_image()
    assert desired.guest.reservation == RESERVATION
    assert [pair.public_key for pair in desired.guest.key_pairs] == [AN_ED25519_KEY]
    assert desired.guest.user_data == "#cloud-config"


def test_deletion_and_finalizer_are_seen() -> None:
    obj = a_bound_instance(metadata={"deletionTimestamp": EPOCH, "finalizers": ["others.example.com/x"]})
    desired = desired_of(parsed(obj))
    assert (desired.deleting, desired.finalizer) == (True, False)


@pytest.mark.parametrize("missing", ["flavor", "image", "addresses"])
def test_a_binding_that_lacks_something_builds_nothing_and_says_so(missing: str) -> None:
    fault = desired_of(parsed(without(a_bound_instance(), f"status.{missing}"))).guest
    assert isinstance(fault, BindingIncomplete)
    assert fault.reason == "BindingIncomplete"


def test_user_data_in_a_secret_is_the_conductors_to_hand_out() -> None:
    spec: dict[str, Any] = {"secretKeyRef": {"name": "web-init", "key": "user-data"}}
    obj = a_bound_instance(userData=spec)
    guest = desired_of(parsed(obj)).guest
    assert isinstance(guest, Guest)
    assert guest.user_data == InSecret("shop", "web-1", obj["metadata"]["uid"])
