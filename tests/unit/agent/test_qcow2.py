"""The look at the first bytes of an image: what is taken, what is refused and why, and that nothing else can happen."""

import contextlib
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova_agent.errors import ImageError, ImageFormatMismatch, ImageHasBackingFile, ImageHasDataFile
from hypernova_agent.images.formats import check, raw_size
from hypernova_agent.images.qcow2 import HEADER_SIZE, parse
from support.qcow2 import header

GIB = 1 << 30


def test_a_self_contained_image_is_taken_and_tells_what_a_guest_sees() -> None:
    assert parse(header()) == 10 * GIB
    assert check(header(), "qcow2") == 10 * GIB


def test_version_2_has_no_features_to_look_at() -> None:
    assert parse(header(version=2, incompatible=0xFF)[:72]) == 10 * GIB


@pytest.mark.parametrize("bits", [1 << 3, 1 << 4], ids=["zstd", "subclusters"])
def test_harmless_features_are_taken(bits: int) -> None:
    assert parse(header(incompatible=bits)) == 10 * GIB


@pytest.mark.parametrize(
    ("parts", "error", "says"),
    [
        pytest.param({"backing_offset": 0x200, "backing_size": 11}, ImageHasBackingFile, "backing", id="backing-file"),
        pytest.param({"backing_offset": 0x200}, ImageHasBackingFile, "backing", id="backing-file-without-length"),
        pytest.param({"backing_size": 11}, ImageHasBackingFile, "backing", id="backing-file-without-place"),
        pytest.param({"incompatible": 1 << 2}, ImageHasDataFile, "another file", id="data-file"),
        pytest.param({"encryption": 1}, ImageFormatMismatch, "encrypted", id="aes"),
        pytest.param({"encryption": 2}, ImageFormatMismatch, "encrypted", id="luks"),
        pytest.param({"incompatible": 1 << 0}, ImageFormatMismatch, "qemu-img check", id="dirty"),
        pytest.param({"incompatible": 1 << 1}, ImageFormatMismatch, "qemu-img check", id="corrupt"),
        pytest.param({"incompatible": 1 << 40}, ImageFormatMismatch, "not known", id="feature-of-the-future"),
        pytest.param({"version": 1}, ImageFormatMismatch, "version 1", id="version-1"),
        pytest.param({"version": 4}, ImageFormatMismatch, "version 4", id="version-4"),
        pytest.param({"cluster_bits": 8}, ImageFormatMismatch, "damaged", id="tiny-clusters"),
        pytest.param({"cluster_bits": 22}, ImageFormatMismatch, "damaged", id="huge-clusters"),
        pytest.param({"size": 0}, ImageFormatMismatch, "0 bytes", id="empty"),
        pytest.param({"size": 1 << 63}, ImageFormatMismatch, "virtual size", id="beyond-all-measure"),
        pytest.param({"length": 72}, ImageFormatMismatch, "too short", id="header-too-short"),
        pytest.param({"magic": b"QFI\xfa"}, ImageFormatMismatch, "none", id="not-qcow2"),
    ],
)
def test_what_reaches_beyond_itself_or_is_damaged_is_refused(
    parts: dict[str, Any], error: type[ImageError], says: str
) -> None:
    with pytest.raises(error, match=says):
        parse(header(**parts))


@pytest.mark.parametrize("length", [0, 4, 71, 72, HEADER_SIZE - 1])
def test_a_file_that_ends_within_its_header_is_refused(length: int) -> None:
    with pytest.raises(ImageFormatMismatch):
        parse(header()[:length])


@given(st.binary(max_size=200))
def test_garbage_raises_nothing_but_its_own_error(garbage: bytes) -> None:
    for head in (garbage, b"QFI\xfb" + garbage, b"QFI\xfb\0\0\0\x03" + garbage):
        with contextlib.suppress(ImageError):
            assert 0 < parse(head) <= 1 << 60


@given(st.integers(0, HEADER_SIZE - 1), st.integers(0, 255))
def test_a_header_with_a_byte_changed_is_taken_or_refused_but_never_followed_elsewhere(place: int, value: int) -> None:
    changed = bytearray(header())
    changed[place] = value
    try:
        parse(bytes(changed))
    except ImageError:
        return
    assert not any(changed[8:20]), "a backing file was taken"
    assert not changed[79] & 0b111, "a data file, or a damaged image, was taken"


@pytest.mark.parametrize(
    ("head", "what"),
    [
        pytest.param(header(), "qcow2", id="qcow2"),
        pytest.param(b"\x1f\x8b\x08", "gzip", id="gzip"),
        pytest.param(b"\xfd7zXZ\x00", "xz", id="xz"),
        pytest.param(b"KDMV\x01", "VMDK", id="vmdk"),
        pytest.param(b"LUKS\xba\xbe\x00", "LUKS", id="luks"),
    ],
)
def test_a_raw_image_that_is_something_else_is_called_by_its_name(head: bytes, what: str) -> None:
    with pytest.raises(ImageFormatMismatch, match=f"declared raw but is .*{what}"):
        check(head, "raw")


def test_a_qcow2_image_that_is_compressed_as_a_whole_is_called_so() -> None:
    with pytest.raises(ImageFormatMismatch, match="declared qcow2 but is compressed with gzip"):
        check(b"\x1f\x8b\x08", "qcow2")


def test_a_raw_image_is_as_large_as_its_file_in_whole_sectors() -> None:
    assert check(b"\xfa\x31\xc0", "raw") is None
    assert [raw_size(size) for size in (1, 512, 513)] == [512, 512, 1024]
