"""The images in a host's pool. Each is fetched once, whoever wants it, and kept.

An image is a volume, and counts only when the marker `image-<sha256>.json` says which it is and that it is complete:
`image-<sha256>` for one that was fetched, `snapshot-<action>.qcow2` for one that was made here, as libvirt cannot
rename volumes. A crash at any point leaves at worst a volume without marker, which is deleted at the next start or try.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import get_args

import aiohttp

from hypernova_agent import names
from hypernova_agent.errors import ImageCacheDamaged, ImageError, ImageFormatMismatch, ImageTooLarge
from hypernova_agent.host import Host, HostFault, Volume
from hypernova_agent.images.download import Download, download
from hypernova_agent.images.formats import HEAD_SIZE, check, raw_size
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.outcome import Progress
from hypernova_agent.sizes import size
from hypernova_api.image import Format
from hypernova_api.instance import BoundImage
from hypernova_kube.process.logs import get_logger

log = get_logger(__name__)

_MARKER_LIMIT = 4096
"""Bytes of a marker that are read."""

_TABLES = 64 << 20
"""Bytes that a qcow2 file may have over its virtual size and an eighth of it, for its own tables."""


@dataclass(frozen=True, slots=True)
class CachedImage:
    """A complete, verified image in the pool."""

    volume: str
    format: Format
    virtual_size: int
    """Bytes a guest sees."""


class _Fetch:
    """One download under way, and those who wait for it."""

    def __init__(self, image: BoundImage) -> None:
        self.image = image
        self.task: asyncio.Task[CachedImage]
        self.limits: list[int] = []
        """The largest disk of each who waits, in bytes."""
        self.looked = asyncio.Event()
        """Set when the beginning has been looked at, or there is nothing to look at."""
        self.virtual_size: int | None = None
        """What the beginning tells of it."""
        self.body: Download | None = None

    def bound(self) -> int:
        """The most bytes the file may have: what the largest disk of those who wait may take."""
        limit = max(self.limits, default=0)
        return limit if self.image.format == "raw" else limit + limit // 8 + _TABLES

    def same_source(self, image: BoundImage) -> bool:
        """Whether another would have done the very same."""
        return (self.image.url, self.image.format) == (image.url, image.format)


class ImageStore:
    """The images in one host's pool."""

    def __init__(self, host: Host, session: aiohttp.ClientSession, metrics: AgentMetrics | None = None) -> None:
        self._host = host
        self._session = session
        self._metrics = metrics or AgentMetrics()
        self._fetches: dict[str, _Fetch] = {}  # by sha256

    def progress(self, sha256: str) -> Progress | None:
        """How far the download of an image is; None when there is none, or no bytes yet."""
        fetch = self._fetches.get(sha256)
        body = fetch.body if fetch is not None else None
        return Progress(body.received, body.size) if body is not None else None

    async def find(self, sha256: str) -> CachedImage | None:
        """The image if it is there, complete."""
        if await self._host.volume(names.image_marker(sha256)) is None:
            return None
        marked = _read_marker(sha256, await self._host.read(names.image_marker(sha256), limit=_MARKER_LIMIT))
        if marked is None or await self._host.volume(marked.volume) is None:
            return None
        return marked

    async def ensure(self, image: BoundImage, limit: int) -> CachedImage:
        """The image, fetched if need be. Many may wait for one download; it ends when the last of them is cancelled.

        Args:
            image: as it was at binding.
            limit: the most bytes of disk that a guest of it may see.

        Raises:
            ImageError: it cannot be used; nothing of it is left.
            HostFault: from the host.
        """
        while True:
            fetch = self._fetches.get(image.sha256)
            if fetch is None:
                cached = await self.find(image.sha256)
                if cached is not None:
                    return _fitting(cached, image, limit)
                if image.sha256 in self._fetches:
                    continue
                fetch = self._begin(image)
            elif not fetch.limits:
                # All who waited have gone. It is being cleared away: let it, then start afresh.
                await asyncio.wait({fetch.task})
                continue
            try:
                return _fitting(await self._join(fetch, limit), image, limit)
            except ImageError:
                # Who waits for another's download does not fail with it: an Image with the same digest may have
                # a wrong url or format.
                if fetch.same_source(image) or not fetch.task.done():
                    raise

    async def digest_of(self, volume: str) -> str | None:
        """The SHA-256 by which a snapshot's volume is an image; None if it is none, or not there."""
        if await self._host.volume(volume) is None:
            return None
        complete = await self._complete(await self._host.volumes())
        return next((sha256 for sha256, image in complete.items() if image == volume), None)

    async def take_in(self, image: CachedImage, sha256: str) -> None:
        """Have a finished volume of the pool be the image of its digest, where it lies.

        If there is one of that digest the volume is deleted, as nobody needs it twice.
        """
        if await self.find(sha256) is not None:
            await self._host.delete_volume(image.volume)
            return
        await self._host.delete_volume(names.image_marker(sha256))
        await self._mark(sha256, image, source="snapshot")
        log.info("snapshot is an image", volume=image.volume)

    async def clean(self) -> None:
        """Delete what crashes have left: volumes without marker, markers without volume. What guests run on stays.

        No snapshot is being made when this is called: those that a crash has cut short are made anew.
        """
        volumes = await self._host.volumes()
        complete = await self._complete(volumes)
        fetched = {sha256: names.image(sha256) for sha256 in self._fetches}
        for name in leftovers(volumes, complete | fetched):
            log.info("leftover of an image deleted", volume=name)
            await self._host.delete_volume(name)

    async def close(self) -> None:
        """Give up all downloads, leaving nothing of them."""
        tasks = [fetch.task for fetch in self._fetches.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _begin(self, image: BoundImage) -> _Fetch:
        fetch = self._fetches[image.sha256] = _Fetch(image)
        fetch.task = asyncio.create_task(self._fetch(fetch), name=f"fetch-{image.sha256[:12]}")
        fetch.task.add_done_callback(lambda _: self._ended(fetch))
        return fetch

    def _ended(self, fetch: _Fetch) -> None:
        del self._fetches[fetch.image.sha256]
        fetch.looked.set()
        if not fetch.task.cancelled():
            fetch.task.exception()  # whoever waited has it; nobody may have

    async def _join(self, fetch: _Fetch, limit: int) -> CachedImage:
        fetch.limits.append(limit)
        try:
            await fetch.looked.wait()
            if fetch.virtual_size is not None:
                _check_size(fetch.virtual_size, limit)
            return await asyncio.shield(fetch.task)
        finally:
            fetch.limits.remove(limit)
            if not fetch.limits:
                fetch.task.cancel()

    async def _complete(self, volumes: Iterable[Volume]) -> dict[str, str]:
        """The volume of each complete image, by its SHA-256."""
        marked = [names.sha256_of(volume.name) for volume in volumes if names.is_marker(volume.name)]
        return {sha256: found.volume for sha256 in marked if (found := await self.find(sha256)) is not None}

    async def _mark(self, sha256: str, image: CachedImage, source: str) -> None:
        facts = {"format": image.format, "virtualSize": image.virtual_size, "source": source}
        if image.volume != names.image(sha256):
            facts["volume"] = image.volume
        content = json.dumps(facts).encode()
        await self._host.upload(names.image_marker(sha256), _once(content), size=len(content))

    async def _fetch(self, fetch: _Fetch) -> CachedImage:
        image = fetch.image
        volume = names.image(image.sha256)
        async with download(self._session, image, fetch.bound) as body:
            await self._remove_leftover(image)
            size_told = check(await body.head(HEAD_SIZE), image.format)
            if size_told is None and body.size is not None:
                size_told = raw_size(body.size)
            fetch.virtual_size, fetch.body = size_told, body
            fetch.looked.set()
            await self._host.upload(volume, body.chunks(), size=body.size)
        cached = CachedImage(volume, image.format, size_told if size_told is not None else raw_size(body.received))
        try:
            await self._mark(image.sha256, cached, source=body.server)
        except BaseException:  # being cancelled is among what can happen here
            with suppress(HostFault):
                await self._host.delete_volume(volume)
            raise
        self._metrics.image_bytes.inc(body.received)
        log.info("image fetched", image=image.name, volume=volume, bytes=body.received)
        return cached

    async def _remove_leftover(self, image: BoundImage) -> None:
        volume = names.image(image.sha256)
        if any(other.backing == volume for other in await self._host.volumes()):
            raise ImageCacheDamaged(
                "this node's copy of the image has lost the mark of its completeness while guests run on it, so it is "
                f"neither used nor replaced: restore the volume {names.image_marker(image.sha256)} of the pool"
            )
        await self._host.delete_volume(names.image_marker(image.sha256))
        await self._host.delete_volume(volume)


def leftovers(volumes: Iterable[Volume], complete: Mapping[str, str]) -> list[str]:
    """The volumes of images that are not complete and that no guest's disk lies on, markers among them. Pure.

    Args:
        volumes: all of the pool.
        complete: the volumes of complete images, by SHA-256.
    """
    volumes = list(volumes)
    kept = {*complete.values(), *(volume.backing for volume in volumes)}
    kept |= {names.image_marker(sha256) for sha256 in complete}
    kept |= {names.image_marker(names.sha256_of(name)) for name in kept if name and names.is_image(name)}
    ours = [volume.name for volume in volumes if names.is_image(volume.name) or names.is_snapshot(volume.name)]
    return [name for name in ours if name not in kept]


def _fitting(cached: CachedImage, image: BoundImage, limit: int) -> CachedImage:
    if cached.format != image.format:
        raise ImageFormatMismatch(f"the image is declared {image.format} but is {cached.format}: correct its format")
    _check_size(cached.virtual_size, limit)
    return cached


def _check_size(virtual_size: int, limit: int) -> None:
    if virtual_size > limit:
        raise ImageTooLarge(
            f"the image is a disk of {size(virtual_size)}, but at most {size(limit)} fit: choose a flavor with a "
            "larger root disk"
        )


def _read_marker(sha256: str, content: bytes) -> CachedImage | None:
    """What a marker says; None for one that a crash has cut short."""
    try:
        marker = json.loads(content)
        format_, virtual_size = marker["format"], int(marker["virtualSize"])
        volume = str(marker.get("volume", names.image(sha256)))
    except (ValueError, TypeError, KeyError, AttributeError):
        return None
    return CachedImage(volume, format_, virtual_size) if format_ in get_args(Format) else None


async def _once(content: bytes) -> AsyncIterator[bytes]:
    yield content
