"""User data in a Secret: asked for when a drive is made, shown to nobody, and not needed for guests that are built."""

from __future__ import annotations

import asyncio
import json
from typing import Any

import pytest

from hypernova_agent import names
from hypernova_agent.errors import UserDataUnavailable
from hypernova_agent.user_data import InSecret, user_data_of
from hypernova_kube.resources import Object
from support.acting import a_world, an_agent
from support.guests import a_bound_instance, parsed
from support.memory_host import MemoryHost
from support.reconciling import Rig, a_rig
from support.virtual_time import virtual_time

REFERENCE: Object = {"secretKeyRef": {"name": "web-init", "key": "user-data"}}
INLINE: Object = {"inline": "#own"}
SOURCE: Object = {"action": "act-1", "uid": "act-uid"}
FORBIDDEN = UserDataUnavailable("UserDataForbidden", "Hypernova may not read Secrets of namespace shop")

WHOSE: dict[str, tuple[Object, Object, Any]] = {
    "none": ({}, {}, ""),
    "its own": ({"userData": INLINE}, {}, "#own"),
    "that of its rebuild": ({"userData": INLINE}, {"userData": "#new"}, "#new"),
    "its own, in a Secret": ({"userData": REFERENCE}, {}, InSecret("shop", "web-1", "uid-1")),
    "that of its rebuild, instead of a Secret": ({"userData": REFERENCE}, {"userData": "#new"}, "#new"),
    "that of its rebuild, in a Secret": (
        {"userData": INLINE},
        {"userDataFrom": SOURCE},
        InSecret("shop", "web-1", "uid-1", "act-1", "act-uid"),
    ),
}


@pytest.mark.parametrize(("spec", "status", "expected"), WHOSE.values(), ids=WHOSE)
def test_a_guest_is_given_the_last_user_data_that_was_brought(spec: Object, status: Object, expected: Any) -> None:
    assert user_data_of(parsed(a_bound_instance(**spec, status=status, metadata={"uid": "uid-1"}))) == expected


def drive(rig: Rig, uid: str) -> bytes:
    return rig.host.machine.volumes[names.config_drive(uid)].content


@virtual_time
async def test_what_the_conductor_hands_out_is_in_the_drive_and_nowhere_else() -> None:
    async with a_rig() as rig:
        rig.cache()
        uid = rig.put(a_bound_instance(userData=REFERENCE))["metadata"]["uid"]
        await asyncio.sleep(1)
        assert rig.status()[:2] == ("Running", "True")
        assert rig.secrets.content in drive(rig, uid)
        assert rig.secrets.asked == [InSecret("shop", "web-1", uid)]
        told = json.dumps([rig.get(), rig.events.warnings]) + repr(rig.host.machine.domains[uid])
        assert "echo of a Secret" not in told


@virtual_time
async def test_a_conductor_that_refuses_is_quoted_and_asked_again() -> None:
    async with a_rig() as rig:
        rig.cache()
        rig.secrets.refuses = FORBIDDEN
        uid = rig.put(a_bound_instance(userData=REFERENCE))["metadata"]["uid"]
        await asyncio.sleep(1)
        phase, _, reason, message = rig.status()
        assert (phase, reason) == ("Failed", "UserDataForbidden")
        assert message.startswith("Hypernova may not read Secrets of namespace shop; next try at ")
        assert rig.events.warnings[0][0] == "UserDataForbidden"
        assert uid not in rig.host.machine.domains
        rig.secrets.refuses = None
        await asyncio.sleep(60)
        assert rig.status()[:2] == ("Running", "True")
        assert rig.secrets.content in drive(rig, uid)


@virtual_time
async def test_an_agent_that_begins_anew_adopts_and_starts_guests_without_the_conductor() -> None:
    async with a_rig() as rig:
        rig.cache()
        uid = rig.put(a_bound_instance(userData=REFERENCE))["metadata"]["uid"]
        await asyncio.sleep(1)
    async with a_rig(MemoryHost(rig.host.machine), rig.api) as later:
        later.secrets.refuses = FORBIDDEN
        later.edit(powerState="Stopped", terminationGracePeriodSeconds=0)
        await asyncio.sleep(1)
        assert later.status()[0] == "Stopped"
        later.edit(powerState="Running")
        await asyncio.sleep(1)
        assert later.status()[:2] == ("Running", "True")
        assert later.host.machine.domains[uid].starts == 2
        assert later.secrets.asked == []


@virtual_time
async def test_a_rebuild_is_given_what_its_action_names() -> None:
    world = await a_world()
    async with an_agent(world):
        uid = world.ask("Rebuild", rebuild={"userData": REFERENCE})
        assert await world.done() == ("Succeeded", "Rebuilt")
        source = InSecret("shop", "web-1", world.uid, "act-1", uid)
        # Once before the guest is stopped, to know that it can be had; and once for the drive.
        assert world.secrets.asked == [source, source]
        assert world.secrets.content in world.machine.volumes[names.config_drive(world.uid, uid)].content
        assert world.instance()["status"]["userDataFrom"] == {"action": "act-1", "uid": uid}


@virtual_time
async def test_a_rebuild_whose_secret_cannot_be_had_fails_before_anything_is_touched() -> None:
    world = await a_world()
    async with an_agent(world):
        before = world.instance()
        world.secrets.refuses = FORBIDDEN
        world.ask("Rebuild", rebuild={"userData": REFERENCE})
        assert await world.done() == ("Failed", "UserDataForbidden")
        assert world.message() == str(FORBIDDEN)
        assert world.instance() == before
        assert world.starts == 0


@virtual_time
async def test_a_rebuild_that_brings_no_user_data_asks_for_what_there_was() -> None:
    world = await a_world(userData=REFERENCE)
    async with an_agent(world):
        world.secrets.asked.clear()
        world.ask("Rebuild")
        assert await world.done() == ("Succeeded", "Rebuilt")
        assert set(world.secrets.asked) == {InSecret("shop", "web-1", world.uid)}
