"""Exactly what is written to Instances."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from ipaddress import IPv4Address
from typing import Any

from hypernova_api.meta import FINALIZER
from hypernova_api.overcommit import Ratios
from hypernova_operator.addresses import Assignment
from hypernova_operator.cache import records
from hypernova_operator.controllers import patches
from hypernova_operator.controllers.resolve import Resolved, Unmet
from hypernova_operator.scheduler import AllocatedCell, Allocation, Candidate, Placement
from support.builders import AN_ED25519_KEY, a_condition, a_flavor, a_key_pair, an_image, an_instance, stored
from support.scheduling import a_host

NOW = datetime(2026, 11, 21, 8, 30, tzinfo=UTC)
WHY = Unmet("NoHostFits", "0/1 hosts fit: 1 in maintenance", frozenset())


def an_unbound(**parts: object) -> records.Instance:
    return records.instance(stored(an_instance(**parts), generation=3, resourceVersion="42"))


def a_decision(**placement: Any) -> patches.Decision:
    flavor, image = records.flavor(stored(a_flavor())), records.image(stored(an_image(namespace="images")))
    resolved = Resolved(flavor, image, (records.key_pair(stored(a_key_pair())),), flavor.want)
    best = Candidate("node-a", 5 / 3, {"freeMemory": 1.0, "freeDisk": 2 / 3})
    candidates = (best, Candidate("node-b", 0.0, {}))
    host = a_host("node-a", zones=("az1",), cpu_models=("EPYC-Milan",), ratios=Ratios(2, 1, 1.5))
    assignments = (Assignment(IPv4Address("10.60.0.7"), "52:54:00:00:00:01"),)
    return patches.Decision(resolved, Placement("node-a", 9, 2, candidates, **placement), host, assignments, 0.001)


def test_a_bind_is_everything_an_agent_needs_in_one_patch() -> None:
    assert patches.bound(an_unbound(), a_decision(), NOW) == {
        "metadata": {"resourceVersion": "42"},
        "status": {
            "phase": "Building",
            "nodeName": "node-a",
            "availabilityZone": "az1",
            "placement": {
                "time": "2026-11-21T08:30:00Z",
                "hostsConsidered": 9,
                "hostsPassed": 2,
                "candidates": [
                    {"nodeName": "node-a", "weight": 1.667, "parts": {"freeMemory": 1, "freeDisk": 0.667}},
                    {"nodeName": "node-b", "weight": 0, "parts": {}},
                ],
                "overcommit": {"cpu": 2, "memory": 1, "disk": 1.5},
                "cpuModel": "EPYC-Milan",
            },
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
            "restartCount": 0,
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


def test_what_was_packed_for_an_instance_is_written_as_it_is_read() -> None:
    allocation = Allocation((AllocatedCell(1, (0, 1), (4, 6), 2**30, 2**21, (5, 7)),), (("gpu", "0000:65:00.0"),))
    status = patches.bound(an_unbound(), a_decision(allocation=allocation), NOW)["status"]
    assert status["allocation"] == {
        "cells": [
            {"cell": 1, "vcpus": [0, 1], "cpus": [4, 6], "idleCpus": [5, 7], "memory": "1Gi", "hugePageSize": "2Mi"}
        ],
        "devices": [{"alias": "gpu", "address": "0000:65:00.0"}],
    }
    assert records.instance(stored(an_instance(status=status))).allocation == allocation


def test_what_the_flavor_says_of_placement_is_bound_with_it() -> None:
    flavor = a_flavor(cpu={"policy": "Dedicated"}, traits={"required": ["CUSTOM_A"]})
    decision = a_decision()
    resolved = replace(decision.resolved, flavor=records.flavor(stored(flavor)))
    status = patches.bound(an_unbound(), replace(decision, resolved=resolved), NOW)["status"]
    assert status["flavor"] == flavor["spec"] | {"name": "m1.small"}


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
