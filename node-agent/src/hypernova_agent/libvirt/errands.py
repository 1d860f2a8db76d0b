"""Things to be done that nobody waits for."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Coroutine

from hypernova_agent.host import HostFault

_LAST_SECONDS = 5.0
"""How long those under way may still take at the end."""


class Errands:
    """What has been begun, and is done as far as it can be: what the host says against it interests nobody."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[None]] = set()

    def run(self, errand: Coroutine[None, None, object]) -> None:
        """Begin it."""
        task = asyncio.create_task(_quietly(errand))
        self._under_way.add(task)
        task.add_done_callback(self._under_way.discard)

    async def end(self) -> None:
        """Wait a moment for all to be done; then call them off."""
        if self._under_way:
            await asyncio.wait(self._under_way, timeout=_LAST_SECONDS)
        for task in self._under_way:
            task.cancel()


async def _quietly(errand: Coroutine[None, None, object]) -> None:
    with contextlib.suppress(HostFault):
        await errand
