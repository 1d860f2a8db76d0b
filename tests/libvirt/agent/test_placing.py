"""What the scheduler packed becomes part of the domain: seen from the host, on real libvirt and QEMU."""

import os

import pytest

from hypernova_agent.registration import HYPERVISORS
from hypernova_kube.resources import Object
from support.agents import BootImage, Node
from support.threads import cpus_allowed
from support.waiting import eventually, eventually_async

pytestmark = pytest.mark.skipif(len(os.sched_getaffinity(0)) < 2, reason="one CPU cannot be dedicated and shared")

FIRST, LAST = min(os.sched_getaffinity(0)), max(os.sched_getaffinity(0))
DEDICATED = {"cpu": {"policy": "Dedicated"}}


def a_cell(cpu: int) -> Object:
    return {"cells": [{"cell": 0, "vcpus": [0], "cpus": [cpu], "memory": "16Mi"}]}


async def with_dedicated(node: Node, cpus: str) -> Object:
    """The Hypervisor, once its agent has taken up which CPUs are dedicated."""
    edited = await node.client.patch(HYPERVISORS, node.name, {"spec": {"dedicatedCpus": cpus}})

    async def taken_up() -> Object | None:
        found = await node.hypervisor()
        told = (found or {}).get("status", {}).get("observedGeneration")
        return found if told == edited["metadata"]["generation"] else None

    return await eventually_async(taken_up, "the agent to take up spec.dedicatedCpus")


def ready_of(hypervisor: Object) -> Object:
    return next(each for each in hypervisor["status"]["conditions"] if each["type"] == "Ready")


async def test_a_pinned_guest_gets_its_cpu_and_others_keep_off_it(node: Node, boot_image: BootImage) -> None:
    hypervisor = await with_dedicated(node, str(LAST))
    status = hypervisor["status"]
    assert status["allocatable"]["vcpus"] == status["capacity"]["vcpus"] - 1

    pinned = await node.create("pinned", boot_image, flavor=DEDICATED, allocation=a_cell(LAST))
    plain = await node.create("plain", boot_image)
    for name in ("pinned", "plain"):
        await node.shows(name, "Running", "Running")
    uid, other = pinned["metadata"]["uid"], plain["metadata"]["uid"]
    eventually(lambda: "HYPERNOVA-GUEST SECTOR" in node.console(uid), "the pinned guest to boot", seconds=60)
    (pid,) = node.qemus(uid)
    assert {cpus for allowed in cpus_allowed(pid).values() for cpus in allowed} == {str(LAST)}
    (pid,) = node.qemus(other)
    assert all(str(LAST) not in cpus for allowed in cpus_allowed(pid).values() for cpus in allowed)

    again = await node.create("again", boot_image, flavor=DEDICATED, allocation=a_cell(LAST))
    await node.shows("again", "Failed", "OutOfResources", message=f"CPUs {LAST} (other Instances have them)")
    await node.create("shared", boot_image, flavor=DEDICATED, allocation=a_cell(FIRST))
    await node.shows("shared", "Failed", "OutOfResources", message="spec.dedicatedCpus")
    await node.edit("pinned", terminationGracePeriodSeconds=0)
    await node.delete("pinned")
    await node.shows("again", "Running", "Running")
    (pid,) = node.qemus(again["metadata"]["uid"])
    assert cpus_allowed(pid)["CPU 0/TCG"] == {str(LAST)}


async def test_dedicated_cpus_that_are_none_are_said_and_guests_run_on(node: Node, boot_image: BootImage) -> None:
    created = await node.create("web-1", boot_image)
    await node.shows("web-1", "Running", "Running")
    hypervisor = await with_dedicated(node, f"{LAST},4000")
    assert ready_of(hypervisor)["reason"] == "DedicatedCpusUnknown"
    assert "names CPUs 4000, which this node does not have" in ready_of(hypervisor)["message"]
    assert len(node.qemus(created["metadata"]["uid"])) == 1
    assert ready_of(await with_dedicated(node, ""))["status"] == "True"
    await node.shows("web-1", "Running", "Running")
