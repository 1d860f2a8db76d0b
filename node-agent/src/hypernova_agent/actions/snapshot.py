"""Making an image of a root disk: copied by the host, read once for its digest, and then an image where it lies."""

from __future__ import annotations

import hashlib
from collections.abc import Callable
from contextlib import suppress

from hypernova_agent import names
from hypernova_agent.actions.report import Done, Failed, Result
from hypernova_agent.errors import ImageError
from hypernova_agent.host import Host, HostError, HostFault, HostUnreachable, Volume
from hypernova_agent.images.formats import HEAD_SIZE, check
from hypernova_agent.images.store import CachedImage, ImageStore
from hypernova_agent.sizes import size
from hypernova_api.action import SnapshotResult
from hypernova_api.quantity import Quantity

COPY, CHECKSUM = "CopyDisk", "ComputeChecksum"
"""Its steps."""

_COPYING = 0.75
"""The part of the whole that copying is said to be."""

_PIECE = 1 << 20
"""Bytes read at a time: what hashing holds the event loop up for a millisecond or two with."""


async def take(
    host: Host, store: ImageStore, action: str, *, disk: str, uid: str, tell: Callable[[str, float], None]
) -> Result:
    """Make a snapshot, or go on with one that a crash has cut short.

    The volume is nobody's until the store's marker names it. A crash before that leaves what is made anew, or is
    cleared away when the action has gone; a crash after it leaves the finished image, which is found.

    Args:
        host: where the disk is.
        store: the images beside it.
        action: UID of the action.
        disk: the volume to copy.
        uid: the domain it belongs to.
        tell: hears the step that goes on, and what part of all is done.

    Raises:
        HostUnreachable: it can be called again when the host is back.
    """
    volume = names.snapshot(action)
    try:
        sha256 = await store.digest_of(volume)
        if sha256 is None:
            if (why := await _lacks_room(host, disk)) is not None:
                return why
            sha256 = await _make(host, store, volume, disk, uid, tell)
        image = await store.find(sha256)
    except HostUnreachable:
        raise
    except ImageError as error:
        return Failed(error.reason, str(error))
    except HostError as error:
        return Failed("HostError", str(error))
    if image is None:
        return Failed("SnapshotLost", "the snapshot vanished from this node's pool as soon as it was there")
    return Done({"snapshot": _result(sha256, image).to_wire()})


async def _make(
    host: Host, store: ImageStore, volume: str, disk: str, uid: str, tell: Callable[[str, float], None]
) -> str:
    try:
        tell(COPY, 0.0)
        await host.copy_volume(disk, volume, uid=uid, on_progress=lambda part: tell(COPY, part * _COPYING))
        tell(CHECKSUM, _COPYING)
        virtual_size = check(await host.read(volume, limit=HEAD_SIZE), "qcow2") or 0
        sha256 = await _digest(host, volume, lambda part: tell(CHECKSUM, _COPYING + part * (1 - _COPYING)))
        await store.take_in(CachedImage(volume, "qcow2", virtual_size), sha256)
    except BaseException:  # being cancelled is among what can happen here
        with suppress(HostFault):
            if await store.digest_of(volume) is None:
                await host.delete_volume(volume)
        raise
    return sha256


async def _digest(host: Host, volume: str, tell: Callable[[float], None]) -> str:
    digest, offset = hashlib.sha256(), 0
    found = await host.volume(volume)
    expected = max(found.allocation, 1) if found is not None else 1
    while piece := await host.read(volume, offset=offset, limit=_PIECE):
        digest.update(piece)
        offset += len(piece)
        tell(min(1.0, offset / expected))
    return digest.hexdigest()


async def _lacks_room(host: Host, disk: str) -> Failed | None:
    """Why the copy would fill the pool: that would stall every guest on it."""
    volumes = {volume.name: volume for volume in await host.volumes()}
    needed, available = _bytes_of(volumes, disk), (await host.space()).available
    if needed <= available:
        return None
    return Failed(
        "PoolFull",
        f"the snapshot may take {size(needed)}, but only {size(available)} are free in this node's pool: delete "
        "Instances or images there, or have it enlarged",
    )


def _bytes_of(volumes: dict[str, Volume], disk: str) -> int:
    """What a disk and all that it lies on take: no less than a copy of it, holes aside."""
    total, name, seen = 0, disk, set[str]()
    while name in volumes and name not in seen:
        seen.add(name)
        total += volumes[name].allocation
        name = volumes[name].backing or ""
    return total


def _result(sha256: str, image: CachedImage) -> SnapshotResult:
    return SnapshotResult(sha256=sha256, format=image.format, size=Quantity.of_bytes(image.virtual_size))
