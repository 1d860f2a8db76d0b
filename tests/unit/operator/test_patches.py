"""Exactly what is written to Instances."""

from __future__ import annotations

from datetime import UTC, datetime
from ipaddress import IPv4Address

from hypernova_api.meta import FINALIZER
from hypernova_operator.addresses import Assignment
from hypernova_operator.cache import records
from hypernova_operator.controllers import patches
from hypernova_operator.controllers.resolve import Resolved, Unmet
from support.builders import AN_ED25519_KEY, a_condition, a_flavor, a_key_pair, an_image, an_instance, stored

NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
WHY = Unmet("NoHostFits", "0/1 hosts fit: 1 in maintenance", frozenset())


def an_unbound(**parts: object) -> records.Instance:
    return records.instance(stored(an_instance(**parts), generation=3, resourceVersion="42"))


def test_a_bind_is_everything_an_agent_needs_in_one_patch() -> None:
    resolved = Resolved(
        records.flavor(stored(a_flavor())),
        records.image(stored(an_image(namespace="images"))),
        (records.key_pair(stored(a_key_pair())),),
    )
    assignment = Assignment(IPv4Address("10.60.0.7"), "52:54:00:00:00:01")
    assert patches.bound(an_unbound(), "node-a", resolved, assignment, NOW) == {
        "metadata": {"resourceVersion": "42"},
        "status": {
            "phase": "Building",
            "nodeName": "node-a",
            "flavor": {"name": "m1.small", "vcpus": 1, "memory": "512Mi", "rootDisk": "4Gi"},
            "image": {
                "name": "debian-12",
                "namespace": "images",
                "url": "http://images.example.com/debian-12.qcow2",
                "sha256": "cae66afe3057e4eb553d161dd813fb8e53fc3493d0b0804fdc40214a589247de",
                "format": "qcow2",
            },
            "keyPairs": [{"name": "ops", "publicKey": AN_ED25519_KEY}],
            "addresses": [{"network": "default", "ip": "10.60.0.7", "mac": "52:54:00:00:00:01"}],
            "observedGeneration": 3,
            "conditions": [
                {
                    "type": "Scheduled",
                    "status": "True",
                    "reason": "Bound",
                    "message": "bound to node node-a",
                    "observedGeneration": 3,
                    "lastTransitionTime": "2026-11-21T08:30:00Z",
                },
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": "Building",
                    "message": "node node-a is building it",
                    "observedGeneration": 3,
                    "lastTransitionTime": "2026-11-21T08:30:00Z",
                },
            ],
        },
    }


def test_a_refusal_says_why_and_leaves_other_conditions() -> None:
    other = a_condition("Audited")
    assert patches.refused(an_unbound(status={"conditions": [other]}), WHY, NOW) == {
        "metadata": {"resourceVersion": "42"},
        "status": {
            "phase": "Pending",
            "observedGeneration": 3,
            "conditions": [
                other,
                {
                    "type": "Scheduled",
                    "status": "False",
                    "reason": "NoHostFits",
                    "message": "0/1 hosts fit: 1 in maintenance",
                    "observedGeneration": 3,
                    "lastTransitionTime": "2026-11-21T08:30:00Z",
                },
                {
                    "type": "Ready",
                    "status": "False",
                    "reason": "NoHostFits",
                    "message": "not bound to a node",
                    "observedGeneration": 3,
                    "lastTransitionTime": "2026-11-21T08:30:00Z",
                },
            ],
        },
    }


def test_what_was_told_of_an_older_spec_is_not_told() -> None:
    old = patches.refused(an_unbound(), WHY, NOW)["status"]
    assert patches.told(an_unbound(status=old)) is not None
    old["conditions"][0]["observedGeneration"] = 2
    assert patches.told(an_unbound(status=old)) is None
    assert patches.told(an_unbound()) is None


def test_only_our_finalizer_comes_and_goes() -> None:
    plain, ours = an_unbound(finalizers=["other"]), an_unbound(finalizers=["other", FINALIZER])
    assert patches.protected(plain)["metadata"] == {"resourceVersion": "42", "finalizers": ["other", FINALIZER]}
    assert patches.released(ours)["metadata"] == {"resourceVersion": "42", "finalizers": ["other"]}
