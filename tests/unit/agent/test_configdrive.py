"""What a guest finds on its config drive, read back by an ISO 9660 reader; and that the bytes are always the same."""

import hashlib
import io
import json
import time
from pathlib import Path
from typing import Any

import pycdlib
import pytest

from hypernova_agent import iso9660
from hypernova_agent.configdrive import LABEL, config_drive
from support.golden import assert_golden
from support.guests import OWNER, UID, a_guest, a_key_pair

GOLDEN = Path(__file__).parent / "golden"
GUEST = a_guest(key_pairs=(a_key_pair(),))
USER_DATA = "#cloud-config\nhostname: grüße\n"


def files(image: bytes, tree: str = "rr_path") -> dict[str, str]:
    """All files by path, as one of the three directory trees names them."""
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(image))
    found = {}
    for folder, _, names in iso.walk(**{tree: "/"}):
        for name in names:
            path = f"{folder.rstrip('/')}/{name}"
            content = io.BytesIO()
            iso.get_file_from_iso_fp(content, **{tree: path})
            found[path] = content.getvalue().decode()
    iso.close()
    return found


def listing(image: bytes) -> str:
    """The whole drive as one text."""
    parts = [f"label: {label(image)}\n", f"sha256: {hashlib.sha256(image).hexdigest()}\n"]
    parts += [f"\n=== {path}\n{content}" for path, content in sorted(files(image).items())]
    return "".join(parts)


def label(image: bytes) -> str:
    iso = pycdlib.PyCdlib()
    iso.open_fp(io.BytesIO(image))
    name = iso.pvd.volume_identifier.decode().strip()
    iso.close()
    return name


def test_the_whole_drive() -> None:
    assert_golden(listing(config_drive(OWNER, GUEST, USER_DATA.encode())), GOLDEN / "config_drive.txt")


def test_a_drive_without_keys_and_user_data() -> None:
    assert_golden(listing(config_drive(OWNER, a_guest(), b"")), GOLDEN / "config_drive_bare.txt")


@pytest.mark.parametrize("tree", ["rr_path", "joliet_path"])
def test_rock_ridge_and_joliet_show_the_same_files(tree: str) -> None:
    image = config_drive(OWNER, GUEST, USER_DATA.encode())
    assert files(image, tree) == files(image)
    assert label(image) == LABEL == "config-2"


def test_openstack_and_nocloud_agree_on_who_the_guest_is() -> None:
    found = files(config_drive(OWNER, GUEST, USER_DATA.encode()))
    openstack, nocloud = json.loads(found["/openstack/latest/meta_data.json"]), json.loads(found["/meta-data"])
    assert openstack["uuid"] == nocloud["instance-id"] == UID
    assert openstack["hostname"] == nocloud["local-hostname"] == "web-1"
    assert list(openstack["public_keys"].values()) == nocloud["public-keys"]
    assert found["/openstack/latest/user_data"] == found["/user-data"] == USER_DATA


def test_the_same_instance_gives_the_same_bytes_at_any_time_and_place(monkeypatch: pytest.MonkeyPatch) -> None:
    first = config_drive(OWNER, GUEST, USER_DATA.encode())
    later = time.time() + 86400 * 400
    monkeypatch.setattr(time, "time", lambda: later)
    monkeypatch.setenv("TZ", "Asia/Tokyo")
    time.tzset()
    try:
        assert config_drive(OWNER, GUEST, USER_DATA.encode()) == first
    finally:
        monkeypatch.undo()
        time.tzset()


@pytest.mark.parametrize("size", [0, 1, 2048, 65536])
def test_user_data_of_any_allowed_size_arrives_to_the_byte(size: int) -> None:
    user_data = ("#!/bin/sh\n" * 7000)[:size]
    found: dict[str, Any] = files(config_drive(OWNER, a_guest(), user_data.encode()))
    assert found["/user-data"] == user_data
    assert found.get("/openstack/latest/user_data", "") == user_data


def test_more_files_than_a_directory_holds_are_refused() -> None:
    with pytest.raises(ValueError, match="too many files in /latest"):
        iso9660.image("big", {f"latest/file-{number}": b"" for number in range(30)})


def test_files_of_more_than_a_sector_lie_one_after_the_other() -> None:
    contents = {f"file-{size}": b"x" * size for size in (0, 1, 2048, 2049, 5000)}
    found = files(iso9660.image("many", contents))
    assert found == {f"/{name}": content.decode() for name, content in contents.items()}
