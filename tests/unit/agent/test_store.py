"""The images in a pool: one download for all, checked before the host sees a byte, whole or not there at all."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import pytest

from hypernova_agent import names
from hypernova_agent.errors import (
    ImageCacheDamaged,
    ImageChecksumMismatch,
    ImageDownloadFailed,
    ImageError,
    ImageFormatMismatch,
    ImageHasBackingFile,
    ImageHasDataFile,
    ImageTooLarge,
)
from hypernova_agent.host import HostError, HostUnreachable
from hypernova_agent.images.download import new_session
from hypernova_agent.images.store import CachedImage, ImageStore, leftovers
from hypernova_agent.outcome import Progress
from hypernova_api.instance import BoundImage
from support.guests import GIB, MIB, a_bound_image
from support.image_server import ImageServer
from support.memory_host import MemoryHost, MemoryVolume, lost_at
from support.qcow2 import header
from support.waiting import eventually_async

RAW = b"\xfa\x31\xc0" + bytes(200_000) + b"boot!"
RAW_SIZE = 200_192


@pytest.fixture
async def host() -> MemoryHost:
    host = MemoryHost()
    await host.connect(lambda uid: None, lambda why: None)
    return host


@pytest.fixture
async def store(host: MemoryHost) -> AsyncIterator[ImageStore]:
    async with new_session() as session:
        store = ImageStore(host, session)
        yield store
        await store.close()


def served(
    server: ImageServer, content: bytes = RAW, name: str = "x.img", *, behaviour: Any = None, **image: Any
) -> BoundImage:
    """An image with the digest of `content`, on the server."""
    url = server.add(name, content, **(behaviour or {}))
    return a_bound_image("x", content, **{"url": url, "format": "raw"} | image)


def pool(host: MemoryHost) -> set[str]:
    return set(host.machine.volumes)


async def test_an_image_is_fetched_once_marked_complete_and_found_from_then_on(
    host: MemoryHost, store: ImageStore, image_server: ImageServer
) -> None:
    image = served(image_server)
    expected = CachedImage(names.image(image.sha256), "raw", RAW_SIZE)
    assert await store.find(image.sha256) is None
    assert await store.ensure(image, GIB) == expected
    assert await store.find(image.sha256) == expected
    assert await store.ensure(image, GIB) == expected
    assert image_server.requests["x.img"] == 1
    assert host.machine.volumes[names.image(image.sha256)].content == RAW
    marker = json.loads(host.machine.volumes[names.image_marker(image.sha256)].content)
    assert marker == {"format": "raw", "virtualSize": RAW_SIZE, "source": image_server.url.removeprefix("http://")}


@pytest.mark.parametrize("chunked", [False, True], ids=["length-told", "length-not-told"])
async def test_an_image_arrives_whole_whether_or_not_its_length_is_told(
    host: MemoryHost, store: ImageStore, image_server: ImageServer, chunked: bool
) -> None:
    image = served(image_server, behaviour={"chunked": chunked})
    assert (await store.ensure(image, GIB)).virtual_size == RAW_SIZE
    assert host.machine.volumes[names.image(image.sha256)].content == RAW


async def test_a_qcow2_image_is_as_large_as_its_header_says(store: ImageStore, image_server: ImageServer) -> None:
    image = served(image_server, header(size=10 * GIB), format="qcow2")
    assert (await store.ensure(image, 10 * GIB)).virtual_size == 10 * GIB


BAD: dict[str, tuple[dict[str, Any], type[ImageError], str]] = {
    "404": ({"behaviour": {"status": 404}}, ImageDownloadFailed, "127.0.0.1:PORT answered 404 Not Found"),
    "500": ({"behaviour": {"status": 500}}, ImageDownloadFailed, "127.0.0.1:PORT answered 500 Internal Server Error"),
    "truncated": (
        {"behaviour": {"truncate_at": 70_000}},
        ImageDownloadFailed,
        "127.0.0.1:PORT: the transfer ended early, after 70000 of 200008 bytes",
    ),
    "truncated without a length": (
        {"behaviour": {"truncate_at": 70_000, "chunked": True}},
        ImageDownloadFailed,
        "127.0.0.1:PORT: the transfer ended early, after 70000 bytes",
    ),
    "empty": ({"content": b"", "behaviour": {}, "sha256": "0" * 64}, ImageChecksumMismatch, "SHA-256"),
    "other bytes": (
        {"sha256": "f" * 64},
        ImageChecksumMismatch,
        "the file at 127.0.0.1:PORT has the SHA-256 DIGEST..., the Image promises ffffffffffff...: correct the Image "
        "or its file",
    ),
    "raw declared qcow2": ({"format": "qcow2"}, ImageFormatMismatch, "declared qcow2 but is none"),
    "qcow2 declared raw": ({"content": header()}, ImageFormatMismatch, "declared raw but is a qcow2 image"),
    "backing file": (
        {"content": header(backing_offset=512, backing_size=9), "format": "qcow2"},
        ImageHasBackingFile,
        "the image needs a backing file: make it self-contained with qemu-img convert",
    ),
    "data file": ({"content": header(incompatible=4), "format": "qcow2"}, ImageHasDataFile, "data in another file"),
    "larger than the disk": (
        {"content": header(size=2 * GIB), "format": "qcow2"},
        ImageTooLarge,
        "the image is a disk of 2 GiB, but at most 1 GiB fit: choose a flavor with a larger root disk",
    ),
}


@pytest.mark.parametrize(("parts", "error", "says"), BAD.values(), ids=BAD.keys())
async def test_a_bad_image_leaves_nothing_and_says_what_is_wrong_without_its_url(
    host: MemoryHost,
    store: ImageStore,
    image_server: ImageServer,
    parts: dict[str, Any],
    error: type[ImageError],
    says: str,
) -> None:
    image = served(image_server, name="secret/path.img", **parts)
    with pytest.raises(error) as raised:
        await store.ensure(image, GIB)
    digest = a_bound_image("x", RAW).sha256[:12]
    assert says.replace("PORT", str(image_server.server_port)).replace("DIGEST", digest) in str(raised.value)
    assert "secret" not in str(raised.value)
    assert pool(host) == set()


@pytest.mark.parametrize("format_", ["raw", "qcow2"])
@pytest.mark.parametrize("chunked", [False, True])
async def test_what_the_first_bytes_give_away_never_reaches_the_host(
    host: MemoryHost, store: ImageStore, image_server: ImageServer, format_: Any, chunked: bool
) -> None:
    uploads: list[str] = []
    host.upload = lambda name, *_, **__: uploads.append(name)  # none is awaited
    content = header(backing_offset=512, backing_size=9)
    with pytest.raises(ImageError):
        await store.ensure(served(image_server, content, format=format_, behaviour={"chunked": chunked}), GIB)
    assert uploads == []


async def test_a_file_that_grows_beyond_the_disk_is_given_up_on_the_way(
    host: MemoryHost, store: ImageStore, image_server: ImageServer
) -> None:
    image = served(image_server, bytes(4 * MIB), behaviour={"chunked": True})
    with pytest.raises(ImageTooLarge, match="at most 1 MiB fit"):
        await store.ensure(image, MIB)
    assert pool(host) == set()


async def test_a_file_that_says_it_is_too_large_is_not_asked_for_its_bytes(
    store: ImageStore, image_server: ImageServer
) -> None:
    image = served(image_server, bytes(4 * MIB), behaviour={"hold_at": 0})
    with pytest.raises(ImageTooLarge):
        await store.ensure(image, MIB)


@pytest.mark.parametrize(
    ("url", "says"),
    [
        pytest.param("http://127.0.0.1:1/x.img", "no connection to 127.0.0.1:1: Connection refused", id="refused"),
        pytest.param("http://user:geheim@127.0.0.1:1/x.img", "no connection to 127.0.0.1:1", id="with-credentials"),
        pytest.param("http://images.invalid/x.img", "cannot resolve the name of images.invalid", id="no-such-name"),
        pytest.param("http://127.0.0.1:99999/x.img", "the url", id="malformed"),
    ],
)
async def test_a_server_that_is_not_there_is_named_without_the_credentials(
    store: ImageStore, url: str, says: str
) -> None:
    with pytest.raises(ImageDownloadFailed) as raised:
        await store.ensure(a_bound_image("x", RAW, url=url, format="raw"), GIB)
    assert says in str(raised.value)
    assert "geheim" not in str(raised.value)


async def test_any_number_of_requests_for_one_image_are_one_download(
    host: MemoryHost, store: ImageStore, image_server: ImageServer
) -> None:
    image = served(image_server, behaviour={"hold_at": 65_536})
    waiting = [asyncio.create_task(store.ensure(image, GIB)) for _ in range(50)]
    await _under_way(store, image)
    late = asyncio.create_task(store.ensure(image, GIB))
    image_server.release("x.img")
    assert len({*await asyncio.gather(*waiting, late)}) == 1
    assert image_server.requests["x.img"] == 1


async def test_one_who_gives_up_does_not_end_the_download_for_others(
    host: MemoryHost, store: ImageStore, image_server: ImageServer
) -> None:
    image = served(image_server, behaviour={"hold_at": 65_536})
    first, second = (asyncio.create_task(store.ensure(image, GIB)) for _ in range(2))
    await _under_way(store, image)
    first.cancel()
    image_server.release("x.img")
    assert (await second).volume == names.image(image.sha256)
    assert image_server.requests["x.img"] == 1
    with pytest.raises(asyncio.CancelledError):
        await first


async def test_when_all_have_given_up_nothing_is_left_and_the_next_starts_afresh(
    host: MemoryHost, store: ImageStore, image_server: ImageServer
) -> None:
    image = served(image_server, behaviour={"hold_at": 65_536})
    waiting = [asyncio.create_task(store.ensure(image, GIB)) for _ in range(3)]
    await _under_way(store, image)
    for task in waiting:
        task.cancel()
    again = asyncio.create_task(store.ensure(image, GIB))
    await asyncio.wait(waiting)
    image_server.release("x.img")
    assert (await again).volume == names.image(image.sha256)
    assert image_server.requests["x.img"] == 2


async def test_closing_the_store_leaves_nothing_of_what_was_under_way(
    host: MemoryHost, store: ImageStore, image_server: ImageServer
) -> None:
    image = served(image_server, behaviour={"hold_at": 65_536})
    waiting = asyncio.create_task(store.ensure(image, GIB))
    await _under_way(store, image)
    await store.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert pool(host) == set()


async def test_progress_is_told_in_bytes_while_there_is_a_download(
    store: ImageStore, image_server: ImageServer
) -> None:
    image = served(image_server, behaviour={"hold_at": 65_536})
    assert store.progress(image.sha256) is None
    waiting = asyncio.create_task(store.ensure(image, GIB))
    await _under_way(store, image)
    assert store.progress(image.sha256) == Progress(65_536, len(RAW))
    image_server.release("x.img")
    await waiting
    assert store.progress(image.sha256) is None


async def test_the_one_whose_disk_is_too_small_fails_at_once_and_the_others_go_on(
    store: ImageStore, image_server: ImageServer
) -> None:
    content = header(size=2 * GIB) + bytes(200_000)
    image = served(image_server, content, format="qcow2", behaviour={"hold_at": 65_536})
    large, small = asyncio.create_task(store.ensure(image, 2 * GIB)), asyncio.create_task(store.ensure(image, GIB))
    with pytest.raises(ImageTooLarge):
        await small
    assert not large.done()
    image_server.release("x.img")
    assert (await large).virtual_size == 2 * GIB
    with pytest.raises(ImageTooLarge):
        await store.ensure(image, GIB)
    assert image_server.requests["x.img"] == 1


async def test_who_waits_for_a_download_with_a_wrong_url_tries_its_own(
    store: ImageStore, image_server: ImageServer
) -> None:
    wrong = served(image_server, b"something else" * 10_000, name="wrong.img", behaviour={"hold_at": 65_536})
    right = served(image_server)
    wrong = wrong.model_copy(update={"sha256": right.sha256})
    theirs = asyncio.create_task(store.ensure(wrong, GIB))
    await _under_way(store, wrong)
    ours = asyncio.create_task(store.ensure(right, GIB))
    image_server.release("wrong.img")
    with pytest.raises(ImageChecksumMismatch):
        await theirs
    assert (await ours).volume == names.image(right.sha256)


async def test_an_image_in_the_pool_is_not_taken_for_another_format(
    store: ImageStore, image_server: ImageServer
) -> None:
    image = served(image_server)
    await store.ensure(image, GIB)
    with pytest.raises(ImageFormatMismatch, match="declared qcow2 but is raw"):
        await store.ensure(image.model_copy(update={"format": "qcow2"}), GIB)


@pytest.mark.parametrize("marker", [None, b"", b'{"format": "ra', b"[]", b'{"format": "vmdk", "virtualSize": 1}'])
async def test_an_image_without_a_whole_marker_is_fetched_anew(
    host: MemoryHost, store: ImageStore, image_server: ImageServer, marker: bytes | None
) -> None:
    image = served(image_server)
    host.machine.volumes[names.image(image.sha256)] = MemoryVolume(b"half of it")
    if marker is not None:
        host.machine.volumes[names.image_marker(image.sha256)] = MemoryVolume(marker)
    await store.ensure(image, GIB)
    assert host.machine.volumes[names.image(image.sha256)].content == RAW


async def test_what_crashes_left_is_cleared_away_and_nothing_else(
    host: MemoryHost, store: ImageStore, image_server: ImageServer
) -> None:
    whole = served(image_server)
    await store.ensure(whole, GIB)
    keep = {*pool(host), "u.root.qcow2", "u.config.iso"}
    for name in ("u.root.qcow2", "u.config.iso", names.image("a" * 64), names.image_marker("b" * 64)):
        host.machine.volumes[name] = MemoryVolume(b"{}")
    await store.clean()
    assert pool(host) == keep


async def test_an_image_that_guests_run_on_is_never_deleted_whatever_became_of_its_marker(
    host: MemoryHost, store: ImageStore, image_server: ImageServer
) -> None:
    image = served(image_server)
    cached = await store.ensure(image, GIB)
    await host.create_overlay("u.root.qcow2", backing=cached.volume, backing_format="raw", capacity=GIB)
    await host.delete_volume(names.image_marker(image.sha256))
    await store.clean()
    with pytest.raises(ImageCacheDamaged, match=names.image_marker(image.sha256)):
        await store.ensure(image, GIB)
    assert cached.volume in pool(host)


async def test_clearing_away_spares_what_is_being_fetched(
    host: MemoryHost, store: ImageStore, image_server: ImageServer
) -> None:
    image = served(image_server, behaviour={"hold_at": 65_536})
    waiting = asyncio.create_task(store.ensure(image, GIB))
    await _under_way(store, image)
    await store.clean()
    image_server.release("x.img")
    await waiting
    assert await store.find(image.sha256) is not None


@pytest.mark.parametrize("after", [False, True], ids=["before-the-call", "after-it"])
async def test_a_host_lost_at_any_call_leaves_nothing_that_looks_whole(image_server: ImageServer, after: bool) -> None:
    image = served(image_server)
    for count in range(100):
        host = MemoryHost()
        await host.connect(lambda uid: None, lambda why: None)
        calls = lost_at(host, count, after=after)
        async with new_session() as session:
            store = ImageStore(host, session)
            try:
                await store.ensure(image, GIB)
            except HostUnreachable:
                pass
            else:
                assert len(calls) <= count
                break
        survivor = MemoryHost(host.machine)
        survivor.recover()
        await survivor.connect(lambda uid: None, lambda why: None)
        async with new_session() as session:
            store = ImageStore(survivor, session)
            if await store.find(image.sha256) is not None:
                assert host.machine.volumes[names.image(image.sha256)].content == RAW
            await store.clean()
            assert (await store.ensure(image, GIB)).virtual_size == RAW_SIZE
        assert host.machine.volumes[names.image(image.sha256)].content == RAW
    else:
        raise AssertionError("it never ends")


async def test_what_the_host_refuses_is_the_host_s_word(
    host: MemoryHost, store: ImageStore, image_server: ImageServer
) -> None:
    async def full(name: str, *_: Any, **__: Any) -> None:
        raise HostError("No space left on device")

    host.upload = full  # a host whose pool is full
    with pytest.raises(HostError, match="No space left"):
        await store.ensure(served(image_server), GIB)


def test_leftovers_are_images_and_markers_that_are_neither_complete_nor_lain_on() -> None:
    host = MemoryHost()
    for name, backing in {
        names.image("a"): None,
        names.image_marker("a"): None,
        names.image("b"): None,
        names.image("c"): None,
        names.image_marker("d"): None,
        "u.root.qcow2": names.image("c"),
    }.items():
        host.machine.volumes[name] = MemoryVolume(backing=backing)
    volumes = [host._volume(name) for name in host.machine.volumes]
    assert leftovers(volumes, {"a": names.image("a")}) == [names.image("b"), names.image_marker("d")]


async def _under_way(store: ImageStore, image: BoundImage) -> None:
    """Wait until some bytes have come."""

    async def look() -> bool:
        progress = store.progress(image.sha256)
        return progress is not None and progress.received > 0

    await eventually_async(look, "the first bytes")
