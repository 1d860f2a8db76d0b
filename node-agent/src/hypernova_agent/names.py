"""What things of ours are called on a host. An Instance's volumes begin with its UID, those of images with `image-`."""

from __future__ import annotations

import re

POOL = "hypernova"
"""The storage pool with all volumes."""

NETWORK = "hypernova-default"
"""The libvirt network behind the Instances' default network."""

_UID_LENGTH = 36
_UID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\.")
_DRIVE = ".iso"
_IMAGE = "image-"
_MARKER = ".json"
_SNAPSHOT = "snapshot-"
_LOG_BACKUPS = 3
"""How many older parts of a log virtlogd keeps, unless its host's administrator says otherwise."""


def root_disk(uid: str, build: str = "") -> str:
    """The volume with an Instance's root disk, an overlay on its image. `build`: the rebuild that made it, if any."""
    return f"{uid}.root{_of(build)}.qcow2"


def build_of(uid: str, volume: str) -> str | None:
    """The build of an Instance that a volume is the root disk of; None of other volumes."""
    first, last = f"{uid}.root", ".qcow2"
    if not (volume.startswith(first) and volume.endswith(last)):
        return None
    return volume.removeprefix(first).removesuffix(last).removeprefix("-")


def config_drive(uid: str, build: str = "") -> str:
    """The volume with what the guest reads about itself at its first boot."""
    return f"{uid}.config{_of(build)}{_DRIVE}"


def is_config_drive(volume: str) -> bool:
    """Whether a volume is one of those."""
    return volume.endswith(_DRIVE)


def rescue_disk(uid: str, action: str) -> str:
    """The volume that a rescued Instance is booted from."""
    return f"{uid}.rescue{_of(action)}.qcow2"


def snapshot(action: str) -> str:
    """The volume that a snapshot is written to."""
    return f"{_SNAPSHOT}{action}.qcow2"


def console_log(uid: str) -> str:
    """The volume with what the guest wrote to its serial port; made by the host when the domain starts."""
    return f"{uid}.console.log"


def console_logs(uid: str) -> tuple[str, ...]:
    """The volumes with all that is kept of what the guest wrote to its serial port, the newest part first.

    virtlogd renames a part that is full, so that most guests have the first alone.
    """
    newest = console_log(uid)
    return newest, *(f"{newest}.{age}" for age in range(_LOG_BACKUPS))


def is_of(uid: str, volume: str) -> bool:
    """Whether a volume is an Instance's, of whatever build or rescue."""
    return volume.startswith(f"{uid}.")


def hostnames(namespace: str, name: str, count: int) -> tuple[str, ...]:
    """What the network cards of an Instance are called in the default network, each by itself."""
    first = f"{name}.{namespace}"
    return first, *(f"{first}.net{place}" for place in range(1, count))


def is_hostname_of(namespace: str, name: str, hostname: str) -> bool:
    """Whether it is what a network card of an Instance is called."""
    first = f"{name}.{namespace}"
    return hostname == first or hostname.startswith(f"{first}.net")


def instance_of(volume: str) -> str | None:
    """The UID of the Instance that a volume belongs to; None of an image's and others'."""
    uid = volume[:_UID_LENGTH]
    return uid if _UID.match(volume) else None


def image(sha256: str) -> str:
    """The volume with an image."""
    return f"{_IMAGE}{sha256}"


def image_marker(sha256: str) -> str:
    """The volume that says that an image is complete, and what it is."""
    return f"{_IMAGE}{sha256}{_MARKER}"


def is_image(volume: str) -> bool:
    """Whether a volume is an image's, or its marker."""
    return volume.startswith(_IMAGE)


def is_marker(volume: str) -> bool:
    """Whether a volume is an image's marker."""
    return is_image(volume) and volume.endswith(_MARKER)


def is_snapshot(volume: str) -> bool:
    """Whether a volume is a snapshot's, finished or not."""
    return volume.startswith(_SNAPSHOT)


def sha256_of(volume: str) -> str:
    """The digest in the name of an image's volume, or of its marker."""
    return volume.removeprefix(_IMAGE).removesuffix(_MARKER)


def _of(action: str) -> str:
    """An InstanceAction's UID in the name of a volume: all of it, as two of one Instance must never meet."""
    return f"-{action}" if action else ""
