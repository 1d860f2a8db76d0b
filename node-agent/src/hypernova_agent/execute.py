"""Doing one step of a plan: thin, and safe to repeat."""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable

from hypernova_agent import names
from hypernova_agent.capacity import Room
from hypernova_agent.configdrive import config_drive
from hypernova_agent.errors import ImageCacheDamaged
from hypernova_agent.guest_config import HostProfile, guest_config
from hypernova_agent.host import Host, Owner
from hypernova_agent.images.store import ImageStore
from hypernova_agent.plan import (
    CreateConfigDrive,
    CreateRootDisk,
    DefineDomain,
    DeleteVolume,
    DestroyDomain,
    EnsureImage,
    EnsureReservation,
    ReleaseReservation,
    RemoveFinalizer,
    ShutdownDomain,
    StartDomain,
    Step,
    UndefineDomain,
    Wait,
)
from hypernova_agent.xml.guest import domain_xml


class Executor:
    """Does the steps of plans on one host."""

    def __init__(
        self, host: Host, store: ImageStore, profile: HostProfile, remove_finalizer: Callable[[Owner], Awaitable[None]]
    ) -> None:
        """An executor.

        Args:
            host: where to do them.
            store: the images in its pool.
            profile: what the host is.
            remove_finalizer: lets the API server forget an Instance.
        """
        self._host = host
        self._store = store
        self._profile = profile
        self._remove_finalizer = remove_finalizer
        self._room = Room(vcpus=0, memory=0, disk=0)

    def set_room(self, room: Room) -> None:
        """What the host has to give: guests that are defined from now on keep off what is not theirs."""
        self._room = room

    async def run(self, step: Step) -> None:
        """Do a step.

        Raises:
            ImageError: the image cannot be used.
            HostFault: from the host.
            KubeError: from the API server, for the finalizer.
        """
        match step:
            case EnsureImage(image=image, limit=limit):
                await self._store.ensure(image, limit or self._profile.disk)
            case CreateRootDisk():
                await self._create_root_disk(step)
            case CreateConfigDrive(owner=owner, guest=guest):
                content = config_drive(owner, guest)
                await self._host.upload(names.config_drive(owner.uid), _once(content), size=len(content))
            case EnsureReservation(reservation=reservation):
                await self._host.reserve(reservation)
            case DefineDomain(owner=owner, guest=guest):
                config = guest_config(owner, guest, self._profile, self._room, self._host.pool_path)
                await self._host.define(domain_xml(config))
            case StartDomain(uid=uid):
                await self._host.start(uid)
            case ShutdownDomain(uid=uid):
                await self._host.shutdown(uid)
            case DestroyDomain(uid=uid):
                await self._host.destroy(uid)
            case UndefineDomain(uid=uid):
                await self._host.undefine(uid)
            case DeleteVolume(volume=volume):
                await self._host.delete_volume(volume)
            case ReleaseReservation(mac=mac):
                await self._host.release(mac)
            case RemoveFinalizer(owner=owner):
                await self._remove_finalizer(owner)
            case Wait():
                pass

    async def _create_root_disk(self, step: CreateRootDisk) -> None:
        cached = await self._store.find(step.image.sha256)
        if cached is None:
            raise ImageCacheDamaged("the image went from this node's pool while the root disk was being made")
        await self._host.create_overlay(
            step.volume,
            backing=cached.volume,
            backing_format=cached.format,
            capacity=step.size or cached.virtual_size,
        )


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
