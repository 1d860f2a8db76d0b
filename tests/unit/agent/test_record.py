"""What a domain remembers of its Instance is enough to make the Instance again, is no secret, and is not too much."""

import json
from typing import Any

import pytest

from hypernova_agent.record import LIMIT, record_of
from hypernova_api.instance import InstanceSpec, InstanceStatus
from support.builders import AN_ED25519_KEY
from support.guests import a_bound_instance, parsed

SECRET = {"secretKeyRef": {"name": "web-init", "key": "user-data"}}
KEYS = [{"name": f"key-{number}", "publicKey": AN_ED25519_KEY} for number in range(16)]


def record(**parts: Any) -> dict[str, Any]:
    text = record_of(parsed(a_bound_instance(**parts)))
    assert len(text.encode()) <= LIMIT
    return dict(json.loads(text))


def test_all_that_was_asked_for_and_resolved_is_remembered() -> None:
    said = record(
        powerState="Stopped",
        status={"launchedAt": "2026-11-21T10:00:00Z", "keyPairs": KEYS[:1], "restartCount": 3},
        metadata={"labels": {"app": "web"}},
    )
    spec, status = InstanceSpec.model_validate(said["spec"]), InstanceStatus.model_validate(said["status"])
    assert said["labels"] == {"app": "web"}
    assert (spec.power_state, spec.image.name) == ("Stopped", "debian-12")
    assert status.flavor is not None
    assert (status.flavor.name, status.addresses[0].ip) == ("m1.small", "10.60.0.7")
    assert (status.launched_at, status.key_pairs[0].name) == ("2026-11-21T10:00:00Z", "key-0")


def test_what_is_of_the_moment_is_not_remembered() -> None:
    assert not record()["status"].keys() & {"phase", "nodeName", "conditions", "observedGeneration", "restartCount"}


@pytest.mark.parametrize(("user_data", "kept"), [({"inline": "#cloud-config"}, None), (SECRET, SECRET)])
def test_user_data_is_remembered_only_where_it_stands_elsewhere(user_data: Any, kept: Any) -> None:
    assert record(userData=user_data, status={"userData": "#cloud-config"})["spec"].get("userData") == kept
    assert "userData" not in record(status={"userData": "#cloud-config"})["status"]


def test_of_one_that_is_too_large_what_can_be_done_without_is_left_out() -> None:
    labels = {f"label-{number}": "x" * 60 for number in range(300)}
    said = record(metadata={"labels": labels}, status={"keyPairs": KEYS})
    assert ("labels" in said, len(said["status"]["keyPairs"])) == (False, 16)
    long = [{"name": f"key-{number}", "publicKey": f"ssh-rsa {'A' * 2000}"} for number in range(16)]
    assert "keyPairs" not in record(status={"keyPairs": long})["status"]


def test_one_that_cannot_be_made_small_enough_is_none() -> None:
    image = {"name": "x", "namespace": "y", "url": "http://x/" + "a" * LIMIT, "sha256": "0" * 64, "format": "raw"}
    assert record_of(parsed(a_bound_instance(status={"image": image}))) == ""
