"""The pool and its volumes: each function is one blocking call of `Connection.call`.

libvirt keeps a list of a pool's volumes in memory; what others write into the folder (libvirt's own console logs, too)
is in it only after a refresh.
"""

from __future__ import annotations

import libvirt

from hypernova_agent.host import HostError, Space, Volume
from hypernova_agent.libvirt import domains
from hypernova_agent.libvirt.errors import detailed, says
from hypernova_agent.xml.live import disk_target
from hypernova_agent.xml.storage import (
    DirectoryPool,
    OverlayVolume,
    Qcow2Volume,
    parse_pool_path,
    parse_volume,
    parse_volume_format,
    pool_xml,
    volume_xml,
)

PARTIAL = ".partial"
"""Suffix of the empty volume that stands beside one whose upload has not ended."""

_RECEIVE_BYTES = 1 << 18


def ensure(virt: libvirt.virConnect, wanted: DirectoryPool) -> str:
    """Make the pool exist and run, now and after every start of the host, and clear away uploads nobody will end.

    Returns:
        The path of its volumes: a pool that exists is taken as it is.

    Raises:
        HostError: it exists, and isn't one of files.
    """
    try:
        pool = virt.storagePoolLookupByName(wanted.name)
    except libvirt.libvirtError as error:
        if not says(error, libvirt.VIR_ERR_NO_STORAGE_POOL):
            raise
        pool = virt.storagePoolDefineXML(pool_xml(wanted))
    path = parse_pool_path(pool.XMLDesc())
    if path is None:
        raise HostError(f"libvirt's pool {wanted.name} is none of files: guests' disks need a pool of type dir or fs")
    if not pool.isActive():
        pool.create(libvirt.VIR_STORAGE_POOL_CREATE_WITH_BUILD)
    pool.setAutostart(1)
    refresh(pool)
    _sweep(pool)
    return path


def volumes(virt: libvirt.virConnect, pool_name: str) -> list[Volume]:
    """All complete volumes, after a refresh."""
    pool = virt.storagePoolLookupByName(pool_name)
    refresh(pool)
    found = {volume.name(): volume for volume in pool.listAllVolumes()}
    complete = [name for name in found if not name.endswith(PARTIAL) and name + PARTIAL not in found]
    return [volume for name in complete if (volume := _volume(found[name])) is not None]


def volume(virt: libvirt.virConnect, pool_name: str, name: str) -> Volume | None:
    """The volume, if it's there and complete."""
    pool = virt.storagePoolLookupByName(pool_name)
    found = lookup(pool, name)
    if found is None or _listed(pool, name + PARTIAL) is not None:
        return None
    return _volume(found)


def create_overlay(
    virt: libvirt.virConnect, pool_name: str, name: str, *, backing: str, backing_format: str, capacity: int
) -> None:
    """Make a qcow2 volume on another one of the pool."""
    pool = virt.storagePoolLookupByName(pool_name)
    base = lookup(pool, backing)
    if base is None:
        raise HostError(f"no volume {backing} to put {name} on")
    there = lookup(pool, name)
    if there is not None:
        if parse_volume_format(there.XMLDesc()) == "qcow2":
            return
        # libvirtd died while it made it: it has no header yet.
        there.delete()
    pool.createXML(volume_xml(OverlayVolume(name, capacity, base.path(), backing_format)))


def resize(virt: libvirt.virConnect, pool_name: str, name: str, capacity: int, *, uid: str) -> None:
    """Grow the volume to so many bytes: by QEMU if it is a disk of the guest, and that runs."""
    volume = lookup(virt.storagePoolLookupByName(pool_name), name)
    if volume is None:
        raise HostError(f"no volume {name} to resize")
    guest = domains.find(virt, uid)
    disk = disk_target(guest.XMLDesc(), name) if guest is not None and guest.isActive() else None
    if guest is not None and disk is not None:
        if guest.blockInfo(disk)[0] < capacity:
            guest.blockResize(disk, capacity, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
    elif parse_volume(volume.XMLDesc()).capacity < capacity:
        volume.resize(capacity)


def flatten(virt: libvirt.virConnect, pool_name: str, source: str, target: str) -> None:
    """Make a qcow2 of all that a guest would see of a volume; takes long, and the pool can't be refreshed meanwhile."""
    pool = virt.storagePoolLookupByName(pool_name)
    found = lookup(pool, source)
    if found is None:
        raise HostError(f"no volume {source} to copy")
    pool.createXMLFrom(volume_xml(Qcow2Volume(target, parse_volume(found.XMLDesc()).capacity)), found)


def flattened(virt: libvirt.virConnect, pool_name: str, source: str, target: str) -> float:
    """About how much of the source, and of what it lies on, the target has by now; less than 1."""
    pool = virt.storagePoolLookupByName(pool_name)
    whole = 0
    below: str | None = source
    while below is not None and (found := _listed(pool, below)) is not None:
        layer = parse_volume(found.XMLDesc())
        whole, below = whole + layer.allocation, layer.backing
    made = _listed(pool, target)
    return min(made.info()[2] / max(whole, 1), 0.99) if made is not None else 0.0


def space(virt: libvirt.virConnect, pool_name: str) -> Space:
    """Room in the pool, as its file system has it now."""
    pool = virt.storagePoolLookupByName(pool_name)
    refresh(pool)
    _state, capacity, _allocation, available = pool.info()
    return Space(capacity=capacity, available=available)


def read(virt: libvirt.virConnect, pool_name: str, name: str, *, offset: int, limit: int) -> bytes:
    """At most `limit` bytes of a volume from `offset` on; none past its end."""
    found = lookup(virt.storagePoolLookupByName(pool_name), name)
    if found is None:
        raise HostError(f"no volume {name} to read")
    if limit <= 0:
        return b""  # libvirt takes 0 for no limit
    stream = virt.newStream()
    found.download(stream, offset, limit)
    data = bytearray()
    while received := stream.recv(_RECEIVE_BYTES):
        data += received
    stream.finish()
    return bytes(data)


def delete_volume(virt: libvirt.virConnect, pool_name: str, name: str) -> None:
    """Delete the volume, if it's there."""
    delete(virt.storagePoolLookupByName(pool_name), name)


def delete(pool: libvirt.virStoragePool, name: str) -> None:
    """Delete the volume of a pool at hand, if it's there."""
    found = lookup(pool, name)
    try:
        if found is not None:
            found.delete()
    except libvirt.libvirtError as error:
        if not says(error, libvirt.VIR_ERR_NO_STORAGE_VOL):
            raise


def refresh(pool: libvirt.virStoragePool) -> None:
    """Have libvirt look at the folder. While it converts a volume it refuses: then what it knows has to do."""
    try:
        pool.refresh()
    except libvirt.libvirtError as error:
        if "asynchronous jobs" not in str(error):
            raise


def lookup(pool: libvirt.virStoragePool, name: str) -> libvirt.virStorageVol | None:
    """The volume as it is on disk, whatever libvirt remembers."""
    found = _listed(pool, name)
    if found is None:
        refresh(pool)
        found = _listed(pool, name)
    return found


def _listed(pool: libvirt.virStoragePool, name: str) -> libvirt.virStorageVol | None:
    """The volume, if libvirt knows it and it's still there."""
    try:
        found = detailed(lambda: pool.storageVolLookupByName(name))
        detailed(found.info)
    except libvirt.libvirtError as error:
        if says(error, libvirt.VIR_ERR_NO_STORAGE_VOL):
            return None
        raise
    return found


def _volume(found: libvirt.virStorageVol) -> Volume | None:
    """The volume as it is on disk; None if it went meanwhile."""
    try:
        return parse_volume(found.XMLDesc())
    except libvirt.libvirtError as error:
        if says(error, libvirt.VIR_ERR_NO_STORAGE_VOL):
            return None
        raise
    except UnicodeDecodeError:
        # libvirt looks into every file for what format it might be. A guest writes what it likes into its console log,
        # a header of qcow2 with a backing file whose name is no text among it.
        _, capacity, allocation = found.info()
        return Volume(found.name(), capacity=capacity, allocation=allocation)


def _sweep(pool: libvirt.virStoragePool) -> None:
    """Delete what an upload or a copy left behind when agent or libvirtd died in it: the volume first, its marker last.

    What libvirt itself is still making, for an agent that is no more, stays for the next time.
    """
    for marker in pool.listVolumes():
        if marker.endswith(PARTIAL):
            try:
                delete(pool, marker.removesuffix(PARTIAL))
                delete(pool, marker)
            except libvirt.libvirtError as error:
                if not says(error, libvirt.VIR_ERR_OPERATION_INVALID):
                    raise
