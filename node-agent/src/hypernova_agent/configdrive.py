"""The config drive: a small CD from which a guest learns at its first boot who it is.

It carries two layouts. OpenStack's (`openstack/latest/`) is the one that cloud-init, cloudbase-init, ignition and
afterburn find by the volume label `config-2`. The files of cloud-init's NoCloud (`/meta-data`, `/user-data`) lie at the
root as well; but NoCloud looks for the label `cidata`, and a volume has one label, so these serve guests that mount the
drive themselves or are told where it is (`ds=nocloud;seedfrom=...`).
"""

from __future__ import annotations

import io
import json
from collections.abc import Iterator, Mapping
from pathlib import PurePosixPath
from typing import Any

import pycdlib
from pycdlib.dates import DirectoryRecordDate

from hypernova_agent.desired import Guest
from hypernova_agent.host import Owner
from hypernova_api.network import DEFAULT_NETWORK

LABEL = "config-2"

_DIRECTORIES = {"/O": "/openstack", "/O/L": "/openstack/latest"}
"""By their name in plain ISO 9660."""

_SECTOR = 2048
_DESCRIPTORS = 16
"""The sector with the first volume descriptor; one for ISO 9660 and one for Joliet follow each other."""
_VOLUME_DATES = (813, 830, 864)
"""Where a descriptor says when it was created and modified and is effective from (ECMA-119 8.4.26 to 8.4.29)."""
_VOLUME_DATE = b"1980010100000000\0"
_RECORD_DATE = bytes([80, 1, 1, 0, 0, 0, 0])


def config_drive(owner: Owner, guest: Guest) -> bytes:
    """The drive's bytes: ISO 9660 with Joliet and Rock Ridge. The same Instance always gives the same bytes."""
    return _iso(_files(owner, guest))


def _files(owner: Owner, guest: Guest) -> dict[str, bytes]:
    user_data = guest.user_data.encode()
    openstack = {
        "meta_data.json": _json(_meta_data(owner, guest)),
        "network_data.json": _json(_network_data(guest)),
        **({"user_data": user_data} if user_data else {}),
    }
    return {
        # YAML, of which JSON is a part. NoCloud wants both files, be they empty.
        "meta-data": _json(
            {
                "instance-id": owner.uid,
                "local-hostname": owner.name,
                "public-keys": [pair.public_key for pair in guest.key_pairs],
            }
        ),
        "user-data": user_data,
        **{f"openstack/latest/{name}": content for name, content in openstack.items()},
    }


def _meta_data(owner: Owner, guest: Guest) -> dict[str, Any]:
    """https://docs.openstack.org/nova/latest/user/metadata.html#openstack-format-metadata."""
    return {
        "uuid": owner.uid,
        "name": owner.name,
        "hostname": owner.name,
        "project_id": owner.namespace,
        "launch_index": 0,
        "public_keys": {pair.name: pair.public_key for pair in guest.key_pairs},
        "keys": [{"name": pair.name, "type": "ssh", "data": pair.public_key} for pair in guest.key_pairs],
    }


def _network_data(guest: Guest) -> dict[str, Any]:
    """https://docs.openstack.org/nova/latest/user/metadata.html#openstack-network-data: one card, by DHCP."""
    link = {"id": "net0", "type": "phy", "ethernet_mac_address": guest.reservation.mac}
    network = {"id": "network0", "type": "ipv4_dhcp", "link": link["id"], "network_id": DEFAULT_NETWORK}
    return {"links": [link], "networks": [network], "services": []}


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2).encode() + b"\n"


def _iso(files: Mapping[str, bytes]) -> bytes:
    """Files by their path from the root, e.g. `openstack/latest/user_data`, as an image with fixed dates."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, vol_ident=LABEL, joliet=3, rock_ridge="1.09")
    # The names of plain ISO 9660 (8.3, upper case) are for no reader of ours: a letter or a number does.
    for short, directory in _DIRECTORIES.items():
        iso.add_directory(short, rr_name=PurePosixPath(directory).name, joliet_path=directory, file_mode=0o040555)
    parents = {directory: short for short, directory in _DIRECTORIES.items()}
    for number, (name, content) in enumerate(files.items()):
        path = PurePosixPath("/", name)
        iso.add_fp(
            io.BytesIO(content),
            len(content),
            iso_path=f"{parents.get(str(path.parent), '')}/F{number}.;1",
            rr_name=path.name,
            joliet_path=str(path),
            file_mode=0o100444,
        )
    for path_of_root in ({"iso_path": "/"}, {"joliet_path": "/"}):
        for record in _records(iso.get_record(**path_of_root)):
            _fix_dates(record)
    out = io.BytesIO()
    iso.write_fp(out)
    iso.close()
    image = bytearray(out.getvalue())
    # pycdlib writes the volume's own dates at the last moment, from the clock.
    for sector in (_DESCRIPTORS, _DESCRIPTORS + 1):
        for offset in _VOLUME_DATES:
            start = sector * _SECTOR + offset
            image[start : start + len(_VOLUME_DATE)] = _VOLUME_DATE
    return bytes(image)


def _records(record: Any) -> Iterator[Any]:
    """A directory record of pycdlib's and all below it."""
    yield record
    for child in record.children:
        if child.is_dot() or child.is_dotdot():
            yield child
        else:
            yield from _records(child)


def _fix_dates(record: Any) -> None:
    """Give a directory record, and its Rock Ridge part, the one date that everything here has."""
    record.date = _record_date()
    if record.rock_ridge is not None:
        stamps = record.rock_ridge.dr_entries.tf_record
        for field in ("access_time", "modification_time", "attribute_change_time"):
            setattr(stamps, field, _record_date())


def _record_date() -> DirectoryRecordDate:
    date = DirectoryRecordDate()
    date.parse(_RECORD_DATE)
    return date
