"""The pool and its volumes: each function is one blocking call of `Connection.call`.

libvirt keeps a list of a pool's volumes in memory; what others write into the folder (libvirt's own console logs, too)
is in it only after a refresh.
"""

from __future__ import annotations

import libvirt

from hypernova_agent.host import HostError, Volume
from hypernova_agent.libvirt.errors import detailed, says
from hypernova_agent.xml.storage import (
    DirectoryPool,
    OverlayVolume,
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
    pool.refresh()
    _sweep(pool)
    return path


def volumes(virt: libvirt.virConnect, pool_name: str) -> list[Volume]:
    """All complete volumes, after a refresh."""
    pool = virt.storagePoolLookupByName(pool_name)
    pool.refresh()
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


def lookup(pool: libvirt.virStoragePool, name: str) -> libvirt.virStorageVol | None:
    """The volume as it is on disk, whatever libvirt remembers."""
    found = _listed(pool, name)
    if found is None:
        pool.refresh()
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


def _sweep(pool: libvirt.virStoragePool) -> None:
    """Delete what an upload left behind when agent or libvirtd died in it: the volume first, its marker last."""
    for marker in pool.listVolumes():
        if marker.endswith(PARTIAL):
            delete(pool, marker.removesuffix(PARTIAL))
            delete(pool, marker)
