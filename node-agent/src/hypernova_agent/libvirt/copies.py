"""A volume made of what a guest's disk holds at one moment: all of it, or nothing.

Of a guest that runs QEMU makes it, by a backup job that touches neither the disk nor what it lies on; of one that is
off libvirt does, by converting the file. Either goes on in libvirtd when we end: what is not finished has a marker
beside it, as an upload has, and is swept.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable
from dataclasses import dataclass

import libvirt

from hypernova_agent.host import HostError, HostFault
from hypernova_agent.libvirt import agent, domains, storage
from hypernova_agent.libvirt.connection import Connection
from hypernova_agent.xml.live import disk_target
from hypernova_agent.xml.storage import RawVolume, backup_xml, volume_xml

POLL_SECONDS = 0.5
_ABORT_POLLS = 60
"""How long to wait for a job to be given up; what it writes after that goes into a file that nobody sees."""

_ENDED = "the guest ended while its disk was copied"


@dataclass(frozen=True, slots=True)
class Copy:
    """What to copy where."""

    pool: str
    pool_path: str
    source: str
    target: str
    uid: str
    """Of the guest whose disk `source` is."""


@dataclass(slots=True)
class Copier:
    """Makes copies through one connection."""

    connection: Connection
    pool_turn: asyncio.Lock
    """Whoever makes or lists volumes holds it."""

    on_frozen: Callable[[str], None]
    """Told of a guest that may be frozen, and is to be thawed now, whatever happened."""

    async def copy(self, copy: Copy, on_progress: Callable[[float], None]) -> None:
        """Make the volume; see `Host.copy_volume`."""
        async with self.pool_turn:
            disk = await self.connection.call(_begin, copy)
        try:
            on_progress(0.0)
            if disk is None:
                await self._of_file(copy, on_progress)
            else:
                await self._of_guest(copy, disk, on_progress)
            async with self.pool_turn:
                await self.connection.call(_finish, copy)
        except BaseException:
            # What can't be deleted now, because the connection is gone, is swept when there is one again.
            with contextlib.suppress(HostFault):
                async with self.pool_turn:
                    await self.connection.call(_discard, copy)
            raise
        on_progress(1.0)

    async def _of_guest(self, copy: Copy, disk: str, on_progress: Callable[[float], None]) -> None:
        try:
            await self._begin_backup(copy, disk)
            while (part := await self.connection.call(_backed_up, copy.uid)) is not None:
                on_progress(part)
                await asyncio.sleep(POLL_SECONDS)
        except BaseException:
            with contextlib.suppress(HostFault):
                await self._abort(copy.uid)
            raise

    async def _abort(self, uid: str) -> None:
        """Have the guest's backup job given up, and wait until it is."""
        for _ in range(_ABORT_POLLS):
            if not await self.connection.call(_abort_backup, uid):
                return
            await asyncio.sleep(POLL_SECONDS)

    async def _begin_backup(self, copy: Copy, disk: str) -> None:
        if not await self.connection.call(agent.is_there, copy.uid):
            await self.connection.call(_begin_backup, copy, disk)
            return
        # Frozen for no longer than it takes to begin: from then on the job has what the disk held.
        try:
            async with self.connection.exclusive() as line:
                with contextlib.suppress(HostError):
                    await line.call(agent.freeze, copy.uid)
                await line.call(_begin_backup, copy, disk)
        finally:
            self.on_frozen(copy.uid)

    async def _of_file(self, copy: Copy, on_progress: Callable[[float], None]) -> None:
        watching = asyncio.create_task(self._watch(copy, on_progress))
        try:
            async with self.connection.exclusive() as line:
                await line.call(_convert, copy)
        finally:
            watching.cancel()
            await asyncio.wait([watching])

    async def _watch(self, copy: Copy, on_progress: Callable[[float], None]) -> None:
        """Tell how much is there already: libvirt does not."""
        with contextlib.suppress(HostFault):
            while True:
                on_progress(await self.connection.call(_converted, copy))
                await asyncio.sleep(POLL_SECONDS)


def _begin(virt: libvirt.virConnect, copy: Copy) -> str | None:
    """Clear away what an earlier attempt has left, and mark what comes; the disk's name if the guest runs."""
    pool = virt.storagePoolLookupByName(copy.pool)
    if storage.lookup(pool, copy.source) is None:
        raise HostError(f"no volume {copy.source} to copy")
    _abort_backup(virt, copy.uid)
    storage.delete(pool, copy.target)
    storage.delete(pool, copy.target + storage.PARTIAL)
    pool.createXML(volume_xml(RawVolume(copy.target + storage.PARTIAL, 0)))
    found = domains.find(virt, copy.uid)
    return disk_target(found.XMLDesc(), copy.source) if found is not None and found.isActive() else None


def _begin_backup(virt: libvirt.virConnect, copy: Copy, disk: str) -> None:
    virt.lookupByUUIDString(copy.uid).backupBegin(backup_xml(disk, f"{copy.pool_path}/{copy.target}"), None)


def _backed_up(virt: libvirt.virConnect, uid: str) -> float | None:
    """How much of the disk the job has copied; None if all.

    Raises:
        HostError: it has failed, or nobody knows any more.
    """
    found = virt.lookupByUUIDString(uid)
    if not found.isActive():
        raise HostError(_ENDED)
    now = found.jobStats()
    if now["type"] != libvirt.VIR_DOMAIN_JOB_NONE:
        return float(now.get("disk_processed", 0) / max(now.get("disk_total", 0), 1))
    ended = found.jobStats(libvirt.VIR_DOMAIN_JOB_STATS_COMPLETED)
    if ended.get("operation") != libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP:
        raise HostError(_ENDED)
    if ended["type"] != libvirt.VIR_DOMAIN_JOB_COMPLETED:
        raise HostError(f"the disk could not be copied: {ended.get('errmsg', 'QEMU does not say why')}")
    return None


def _abort_backup(virt: libvirt.virConnect, uid: str) -> bool:
    """Have the guest's backup job given up; whether there was one to be."""
    found = domains.find(virt, uid)
    if found is None or not found.isActive():
        return False
    now = found.jobStats()
    if now["type"] == libvirt.VIR_DOMAIN_JOB_NONE or now.get("operation") != libvirt.VIR_DOMAIN_JOB_OPERATION_BACKUP:
        return False
    found.abortJob()
    return True


def _convert(virt: libvirt.virConnect, copy: Copy) -> None:
    """As long as it takes. libvirt has no way to stop it."""
    storage.flatten(virt, copy.pool, copy.source, copy.target)


def _converted(virt: libvirt.virConnect, copy: Copy) -> float:
    return storage.flattened(virt, copy.pool, copy.source, copy.target)


def _finish(virt: libvirt.virConnect, copy: Copy) -> None:
    """From now on it counts."""
    storage.delete_volume(virt, copy.pool, copy.target + storage.PARTIAL)


def _discard(virt: libvirt.virConnect, copy: Copy) -> None:
    storage.delete_volume(virt, copy.pool, copy.target)
    storage.delete_volume(virt, copy.pool, copy.target + storage.PARTIAL)
