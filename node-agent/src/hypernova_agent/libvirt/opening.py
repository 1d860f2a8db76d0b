"""Opening connections to libvirtd, which may hang without end."""

from __future__ import annotations

import asyncio
from concurrent.futures import Future

import libvirt

from hypernova_agent.host import HostUnreachable
from hypernova_agent.libvirt.errors import shortened
from hypernova_agent.libvirt.threads import in_thread

KEEPALIVE_SECONDS = 5
KEEPALIVE_COUNT = 3
"""libvirt gives up after one interval more than this: a hung libvirtd is noticed within 20 s."""

OPEN_TIMEOUT = 20.0
"""Seconds; keep-alive starts only after opening, and libvirt itself would wait for ever."""


class Opener:
    """Opens connections to one libvirtd.

    An attempt that got no answer goes on in its thread: the next one waits for it instead of adding another thread.
    """

    def __init__(self, uri: str) -> None:
        self._uri = uri
        self._pending: dict[int, Future[list[libvirt.virConnect]]] = {}

    async def open(self, count: int) -> list[libvirt.virConnect]:
        """As many new connections, each kept alive.

        Raises:
            HostUnreachable: no answer, or none but an error.
        """
        opening = self._pending.pop(count, None) or in_thread(
            lambda: [_open(self._uri) for _ in range(count)], "libvirt-open"
        )
        try:
            async with asyncio.timeout(OPEN_TIMEOUT):
                return await asyncio.shield(asyncio.wrap_future(opening))
        except TimeoutError:
            self._pending[count] = opening
            raise HostUnreachable(f"libvirt did not answer within {OPEN_TIMEOUT:g} s") from None
        except libvirt.libvirtError as error:
            raise HostUnreachable(shortened(str(error))) from error


def _open(uri: str) -> libvirt.virConnect:
    virt = libvirt.open(uri)
    virt.setKeepAlive(KEEPALIVE_SECONDS, KEEPALIVE_COUNT)
    return virt
