"""libvirt's own event loop, without which no event, no keep-alive and no stream works."""

from __future__ import annotations

import functools
import threading

import libvirt


@functools.cache
def start_event_loop() -> None:
    """Run libvirt's event loop in a thread of its own, from the first call on until the process ends.

    It must be registered before the first connection is opened: a connection opened earlier never hears of anything.
    """
    # Errors come as exceptions; libvirt would print each to stderr as well.
    libvirt.registerErrorHandler(lambda _context, _error: None, None)
    libvirt.virEventRegisterDefaultImpl()
    threading.Thread(target=_run, name="libvirt-events", daemon=True).start()


def _run() -> None:
    while True:
        libvirt.virEventRunDefaultImpl()
