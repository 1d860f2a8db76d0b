"""Domains and disks without an Instance: told, and touched only when an administrator says so."""

from collections.abc import Mapping

import pytest

from hypernova_agent import names
from hypernova_agent.capacity import Room
from hypernova_agent.guest_config import HostProfile, guest_config
from hypernova_agent.host import DomainState, HostError, Owner, Reservation
from hypernova_agent.orphans import Orphans, unowned
from hypernova_agent.xml.guest import domain_xml
from hypernova_api.hypervisor import ORPHAN_ANNOTATION
from support.guests import GIB, OWNER, UID, a_guest
from support.memory_host import MemoryHost, MemoryVolume

OTHER = "99999999-6c3d-4a3e-9f0e-2f3d5c1b7a10"
OWNED = "77777777-6c3d-4a3e-9f0e-2f3d5c1b7a10"


def test_what_has_no_instance_is_found_by_domains_and_by_volumes_and_nothing_else_is() -> None:
    volumes = [
        names.root_disk(OTHER),
        names.config_drive(OTHER, "build"),
        names.root_disk(OWNED),
        names.image("a" * 64),
        names.image_marker("a" * 64),
        names.snapshot(OTHER),
        "an-administrator-s-own.iso",
    ]
    assert unowned([UID, OWNED], volumes, OWNED.__eq__) == [UID, OTHER]


async def a_host() -> MemoryHost:
    """A host with a running guest of OWNER, and one that must stay."""
    host = MemoryHost()
    await host.connect(lambda _: None, lambda _: None)
    host.machine.volumes["image"] = MemoryVolume(b"x")
    profile, room = HostProfile("qemu", "x86_64", GIB), Room(vcpus=4, memory=GIB, disk=GIB)
    for owner in (OWNER, Owner(OWNED, "shop", "web-2")):
        for volume in (names.root_disk(owner.uid), names.config_drive(owner.uid)):
            await host.create_overlay(volume, backing="image", backing_format="raw", capacity=GIB)
        await host.define(domain_xml(guest_config(owner, a_guest(), profile, room, host.pool_path)))
        await host.start(owner.uid)
    await host.reserve(a_guest().reservation)
    return host


def orphans(host: MemoryHost, annotations: Mapping[str, str] | None = None) -> Orphans:
    return Orphans(host, OWNED.__eq__, lambda: annotations or {})


async def test_an_orphan_is_told_and_runs_on() -> None:
    host = await a_host()
    (orphan,) = await orphans(host).settle()
    assert (orphan.uid, orphan.namespace, orphan.name, orphan.running) == (UID, "shop", "web-1", True)
    assert host.machine.domains[UID].state is DomainState.RUNNING


async def test_disks_without_a_domain_are_told_too() -> None:
    host = await a_host()
    await host.destroy(UID)
    await host.undefine(UID)
    (orphan,) = await orphans(host).settle()
    assert (orphan.uid, orphan.name, orphan.running) == (UID, "", False)


@pytest.mark.parametrize("annotation", [{ORPHAN_ANNOTATION + OTHER: "remove"}, {ORPHAN_ANNOTATION + UID: "adopt"}])
async def test_only_what_is_named_for_removal_is_removed(annotation: Mapping[str, str]) -> None:
    host = await a_host()
    assert len(await orphans(host, annotation).settle()) == 1
    assert UID in host.machine.domains


async def test_removal_leaves_nothing_of_the_orphan_and_all_of_the_others() -> None:
    host = await a_host()
    before = set(host.machine.volumes)
    assert await orphans(host, {ORPHAN_ANNOTATION + UID: "remove"}).settle() == ()
    assert set(host.machine.domains) == {OWNED}
    assert {name for name in before if not name.startswith(UID)} == set(host.machine.volumes)
    assert host.machine.reservations == {}
    assert host.machine.domains[OWNED].state is DomainState.RUNNING


async def test_removal_frees_the_address_of_a_card_it_was_still_to_be_given_and_no_namesakes() -> None:
    host = await a_host()
    await host.reserve(Reservation("52:54:00:00:00:08", "10.60.0.8", "web-1.shop.net1"))
    await host.reserve(Reservation("52:54:00:00:00:09", "10.60.0.9", "web-1.shop-2"))
    await orphans(host, {ORPHAN_ANNOTATION + UID: "remove"}).settle()
    assert [each.hostname for each in await host.reservations()] == ["web-1.shop-2"]


@pytest.mark.parametrize("call", ["destroy", "release", "undefine", "delete_volume"])
async def test_a_removal_that_fails_half_way_is_finished_by_the_next_look(call: str) -> None:
    host = await a_host()
    host.machine.fails = {call}
    look = orphans(host, {ORPHAN_ANNOTATION + UID: "remove"})
    with pytest.raises(HostError):
        await look.settle()
    host.machine.fails = set()
    assert await look.settle() == ()
    assert not [name for name in host.machine.volumes if name.startswith(UID)]


async def test_an_instance_s_own_domain_is_no_orphan_whatever_the_annotation_says() -> None:
    host = await a_host()
    await orphans(host, {ORPHAN_ANNOTATION + OWNED: "remove"}).settle()
    assert host.machine.domains[OWNED].state is DomainState.RUNNING
