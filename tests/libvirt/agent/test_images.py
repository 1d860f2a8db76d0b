"""Images on a real host: bad ones leave nothing, good ones are fetched once; and what a user is told meanwhile."""

import asyncio
import hashlib
import subprocess
from pathlib import Path
from typing import Any

import pytest

from hypernova_kube.resources import Object
from support.agents import BootImage, Node, ready_of
from support.image_server import ImageServer
from support.waiting import eventually, eventually_async

MIB = 1 << 20


def qemu_img(path: Path, *arguments: str) -> bytes:
    """An image made by QEMU's own tool."""
    subprocess.run(["qemu-img", "create", "-q", "-f", "qcow2", *arguments], check=True, timeout=60, cwd=path.parent)
    return path.read_bytes()


def a_plain(folder: Path) -> bytes:
    return qemu_img(folder / "plain.qcow2", "plain.qcow2", "64M")


def with_backing_file(folder: Path) -> bytes:
    a_plain(folder)
    return qemu_img(folder / "top.qcow2", "-b", "plain.qcow2", "-F", "qcow2", "top.qcow2")


def with_data_file(folder: Path) -> bytes:
    return qemu_img(folder / "split.qcow2", "-o", "data_file=split.raw", "split.qcow2", "64M")


def encrypted(folder: Path) -> bytes:
    """By its header alone: qemu-img takes 15 s to make a key, and on a busy machine gives up."""
    content = bytearray(a_plain(folder))
    content[35] = 2
    return bytes(content)


def too_large(folder: Path) -> bytes:
    return qemu_img(folder / "large.qcow2", "large.qcow2", "2G")


def random_bytes(_: Path) -> bytes:
    return b"boot" + b"\x01\x02\x03" * 200_000


BAD: dict[str, tuple[Any, dict[str, Any], dict[str, Any], str, str]] = {
    "404": (random_bytes, {"status": 404}, {}, "ImageDownloadFailed", "404 Not Found"),
    "500": (random_bytes, {"status": 500}, {}, "ImageDownloadFailed", "500 Internal Server Error"),
    "truncated": (random_bytes, {"truncate_at": 100_000}, {}, "ImageDownloadFailed", "100000 of 600004 bytes"),
    "other bytes": (random_bytes, {}, {"sha256": "a" * 64}, "ImageChecksumMismatch", "promises aaaaaaaaaaaa..."),
    "other bytes, length not told": (
        random_bytes,
        {"chunked": True},
        {"sha256": "a" * 64},
        "ImageChecksumMismatch",
        "promises aaaaaaaaaaaa...",
    ),
    "raw said to be qcow2": (random_bytes, {}, {"format": "qcow2"}, "ImageFormatMismatch", "declared qcow2"),
    "qcow2 said to be raw": (a_plain, {}, {}, "ImageFormatMismatch", "is a qcow2 image"),
    "backing file": (with_backing_file, {}, {"format": "qcow2"}, "ImageHasBackingFile", "backing file"),
    "data file": (with_data_file, {}, {"format": "qcow2"}, "ImageHasDataFile", "another file"),
    "encrypted": (encrypted, {}, {"format": "qcow2"}, "ImageFormatMismatch", "encrypted"),
    "larger than the flavor's disk": (too_large, {}, {"format": "qcow2"}, "ImageTooLarge", "disk of 2 GiB"),
}


async def test_bad_images_fail_with_their_reason_leave_nothing_and_hold_nobody_up(
    node: Node, boot_image: BootImage, image_server: ImageServer, tmp_path: Path
) -> None:
    expected = {}
    for number, (name, (make, behaviour, parts, reason, says)) in enumerate(BAD.items()):
        folder = tmp_path / f"image-{number}"
        folder.mkdir()
        content = make(folder)
        url = image_server.add(f"{number}.img", content, **behaviour)
        image = BootImage(**{"url": url, "sha256": hashlib.sha256(content).hexdigest()} | parts)
        created = await node.create(f"bad-{number}", image, disk="1Gi", terminationGracePeriodSeconds=0)
        expected[f"bad-{number}"] = (name, created["metadata"]["uid"], reason, says)
    await node.create("good", boot_image)
    for instance, (name, uid, reason, says) in expected.items():
        obj = await node.shows(instance, "Failed", reason, message=says)
        message = ready_of(obj)["message"]
        assert "next try at" in message, name
        assert image_server.url not in message, name
        assert node.volumes(uid) == [], name
    await node.shows("good", "Running", "Running")

    async def only_the_good_one_is_kept() -> bool:
        # A bad one is in the pool while it is tried again.
        images = [volume for volume in node.volumes() if volume.startswith("image-")]
        return images == [f"image-{boot_image.sha256}", f"image-{boot_image.sha256}.json"]

    await eventually_async(only_the_good_one_is_kept, "the pool to have no image but the good one")
    for instance in expected:
        await node.delete(instance)
    for instance in expected:
        await node.gone(instance)


async def test_an_image_that_appears_later_is_found_by_a_later_try(
    node: Node, boot_image: BootImage, image_server: ImageServer
) -> None:
    content = image_server.files["boot.raw"].content
    image_server.add("late.raw", content, status=404)
    await node.create("web-1", BootImage(f"{image_server.url}/late.raw", boot_image.sha256))
    await node.shows("web-1", "Failed", "ImageDownloadFailed", message="404")
    image_server.add("late.raw", content)
    await node.shows("web-1", "Running", "Running")


async def test_ten_instances_of_one_image_are_one_download(
    node: Node, boot_image: BootImage, image_server: ImageServer
) -> None:
    content = image_server.files["boot.raw"].content
    image_server.add("boot.raw", content, hold_at=256 * 1024)
    names = [f"web-{number}" for number in range(10)]
    await asyncio.gather(*(node.create(name, boot_image, terminationGracePeriodSeconds=0) for name in names[:6]))
    eventually(lambda: image_server.requests["boot.raw"], "the download to begin")
    await asyncio.gather(*(node.create(name, boot_image, terminationGracePeriodSeconds=0) for name in names[6:]))
    image_server.release("boot.raw")
    for name in names:
        await node.shows(name, "Running", "Running")
    assert image_server.requests["boot.raw"] == 1


async def test_a_long_download_is_told_as_it_goes_and_ends_with_the_last_who_wants_it(
    node: Node, boot_image: BootImage, image_server: ImageServer
) -> None:
    content = image_server.files["boot.raw"].content
    image_server.add("boot.raw", content, hold_at=256 * 1024)
    await node.create("web-1", boot_image, terminationGracePeriodSeconds=0)
    await node.shows("web-1", "Building", "Building", message="downloading image boot: 25 %, 0.2 of 1 MiB")
    await node.delete("web-1")
    await node.gone("web-1")

    async def nothing_left() -> bool:
        return node.volumes() == []

    await eventually_async(nothing_left, "the pool to be empty")
    image_server.release("boot.raw")
    await node.create("web-2", boot_image)
    await node.shows("web-2", "Running", "Running")


async def test_an_agent_killed_in_the_middle_of_a_download_starts_it_afresh(
    node: Node, boot_image: BootImage, image_server: ImageServer
) -> None:
    content = image_server.files["boot.raw"].content
    image_server.add("boot.raw", content, hold_at=512 * 1024)
    await node.create("web-1", boot_image)
    eventually(lambda: [name for name in node.volumes() if name.startswith("image-")], "the upload to begin")
    node.agent.stop(kill=True)
    image_server.add("boot.raw", content)
    node.agent.start()
    await node.shows("web-1", "Running", "Running")
    volume = node.host.path(f"/var/lib/libvirt/hypernova/image-{boot_image.sha256}")
    assert hashlib.sha256(volume.read_bytes()).hexdigest() == boot_image.sha256
    assert len(node.volumes()) == 5


@pytest.mark.parametrize("disk", ["0", "3Gi"], ids=["as-large-as-the-image", "as-large-as-the-flavor-says"])
async def test_the_root_disk_has_the_size_the_flavor_says(node: Node, boot_image: BootImage, disk: str) -> None:
    created: Object = await node.create("web-1", boot_image, disk=disk)
    await node.shows("web-1", "Running", "Running")
    volume = f"{created['metadata']['uid']}.root.qcow2"
    info = node.host.run("virsh", "vol-info", "--bytes", "--pool", "hypernova", volume).stdout
    assert f"{3 << 30 if disk == '3Gi' else MIB} bytes" in info
