"""Doing one step of a plan: thin, and safe to repeat."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable
from dataclasses import replace

from hypernova_agent import names
from hypernova_agent.capacity import Room
from hypernova_agent.configdrive import config_drive
from hypernova_agent.definition import digest
from hypernova_agent.desired import Guest
from hypernova_agent.errors import ImageCacheDamaged
from hypernova_agent.guest_config import HostProfile, guest_config
from hypernova_agent.host import Host, Owner
from hypernova_agent.images.store import ImageStore
from hypernova_agent.steps import (
    AttachInterface,
    Change,
    CreateConfigDrive,
    CreateDisk,
    DefineDomain,
    DeleteVolume,
    DestroyDomain,
    DetachInterface,
    DiscardSaved,
    EnsureImage,
    EnsureReservation,
    MarkRun,
    PauseDomain,
    ReleaseReservation,
    RemoveFinalizer,
    ResizeDisk,
    ResumeDomain,
    SaveDomain,
    SetLink,
    SetMemory,
    SetVcpus,
    ShutdownDomain,
    StartDomain,
    Step,
    UndefineDomain,
)
from hypernova_agent.user_data import FetchUserData, InSecret
from hypernova_agent.xml.guest import domain_xml, interface_xml


class Executor:
    """Does the steps of plans on one host."""

    def __init__(
        self,
        host: Host,
        store: ImageStore,
        profile: HostProfile,
        remove_finalizer: Callable[[RemoveFinalizer], Awaitable[None]],
        fetch_user_data: FetchUserData,
    ) -> None:
        """An executor.

        Args:
            host: where to do them.
            store: the images in its pool.
            profile: what the host is.
            remove_finalizer: lets the API server forget an Instance.
            fetch_user_data: gets what is in a Secret.
        """
        self._host = host
        self._store = store
        self._profile = profile
        self._remove_finalizer = remove_finalizer
        self._fetch_user_data = fetch_user_data
        self._room = Room(vcpus=0, memory=0, disk=0)

    def set_room(self, room: Room) -> None:
        """What the host has to give: guests that are defined from now on keep off what is not theirs."""
        self._room = room

    async def run(self, step: Step) -> None:
        """Do a step.

        Raises:
            ImageError: the image cannot be used.
            UserDataUnavailable: the conductor does not hand it out.
            HostFault: from the host.
            KubeError: from the API server, for the finalizer.
        """
        host = self._host
        match step:
            case EnsureImage(image=image, limit=limit):
                await self._store.ensure(image, limit or self._profile.disk)
            case CreateDisk():
                await self._create_disk(step)
            case CreateConfigDrive(owner=owner, guest=guest):
                await self._create_config_drive(owner, guest)
            case EnsureReservation(reservation=reservation):
                await host.reserve(reservation)
            case DefineDomain():
                await self._define(step)
            case StartDomain(uid=uid, paused=paused):
                await host.start(uid, paused=paused)
            case PauseDomain(uid=uid):
                await host.pause(uid)
            case ResumeDomain(uid=uid):
                await host.resume(uid)
            case SaveDomain(uid=uid):
                await host.save(uid)
            case DiscardSaved(uid=uid):
                await host.discard_saved(uid)
            case MarkRun(uid=uid, run=run):
                await host.mark(uid, run)
            case SetVcpus() | SetMemory() | AttachInterface() | DetachInterface() | SetLink() | ResizeDisk():
                await self._change(step)
            case ShutdownDomain(uid=uid):
                await host.shutdown(uid)
            case DestroyDomain(uid=uid):
                await host.destroy(uid)
            case UndefineDomain(uid=uid):
                await host.undefine(uid)
            case DeleteVolume(volume=volume):
                await host.delete_volume(volume)
            case ReleaseReservation(mac=mac):
                await host.release(mac)
            case RemoveFinalizer():
                await self._remove_finalizer(step)
            case _:
                pass

    async def _change(self, change: Change) -> None:
        host = self._host
        match change:
            case SetVcpus(uid=uid, count=count):
                await host.set_vcpus(uid, count)
            case SetMemory(uid=uid, size=size):
                await host.set_memory(uid, size)
            case AttachInterface():
                await self._attach(change)
            case DetachInterface(uid=uid, mac=mac):
                await host.detach_interface(uid, mac)
            case SetLink(uid=uid, link=link):
                await host.set_link(uid, link)
            case ResizeDisk(uid=uid, volume=volume, size=size):
                await host.resize_volume(volume, size, uid=uid)

    async def _define(self, step: DefineDomain) -> None:
        config = guest_config(step.owner, step.guest, self._profile, self._room, self._host.pool_path)
        said = replace(config, digest=digest(step.guest), boot=step.boot, record=step.record)
        await self._host.define(domain_xml(said))

    async def _attach(self, step: AttachInterface) -> None:
        config = guest_config(step.owner, step.guest, self._profile, self._room, self._host.pool_path)
        card = next(card for card in config.interfaces if card.mac == step.nic.reservation.mac)
        await self._host.attach_interface(step.owner.uid, interface_xml(card, config.vcpus))

    async def _create_config_drive(self, owner: Owner, guest: Guest) -> None:
        # What the conductor hands out goes from here into the drive, and is kept nowhere else.
        given = guest.user_data
        user_data = await self._fetch_user_data(given) if isinstance(given, InSecret) else given.encode()
        content = config_drive(owner, guest, user_data)
        await self._host.upload(names.config_drive(owner.uid, guest.build), _once(content), size=len(content))

    async def _create_disk(self, step: CreateDisk) -> None:
        cached = await self._store.find(step.image.sha256)
        if cached is None:
            raise ImageCacheDamaged("the image went from this node's pool while a disk was being made")
        await self._host.create_overlay(
            step.volume,
            backing=cached.volume,
            backing_format=cached.format,
            capacity=step.size or cached.virtual_size,
        )


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
