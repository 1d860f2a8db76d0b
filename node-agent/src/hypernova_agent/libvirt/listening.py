"""What libvirt is listened to for: what happens to domains, and its own end."""

from __future__ import annotations

import contextlib
from collections.abc import Callable

import libvirt

from hypernova_agent.libvirt import opening

_NEWS = (
    libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE,
    libvirt.VIR_DOMAIN_EVENT_ID_REBOOT,
    libvirt.VIR_DOMAIN_EVENT_ID_IO_ERROR_REASON,
    libvirt.VIR_DOMAIN_EVENT_ID_AGENT_LIFECYCLE,
    libvirt.VIR_DOMAIN_EVENT_ID_DEVICE_REMOVED,
    libvirt.VIR_DOMAIN_EVENT_ID_BALLOON_CHANGE,
    libvirt.VIR_DOMAIN_EVENT_ID_MEMORY_DEVICE_SIZE_CHANGE,
)


def listen(
    virt: libvirt.virConnect,
    undo: contextlib.ExitStack,
    on_domain_event: Callable[[str], None],
    on_closed: Callable[[str], None],
) -> None:
    """Have both called, in libvirt's own thread, with the UUID of a domain and with why the connection was closed.

    Args:
        virt: the connection.
        undo: gets what takes the callbacks back.
        on_domain_event: for the domains of others, too.
        on_closed: once.
    """

    # What else libvirt tells is different for each kind; the domain is looked at anyway.
    def domain_event(_virt: object, domain: libvirt.virDomain, *_: object) -> None:
        on_domain_event(domain.UUIDString())

    def closed(_virt: object, reason: int, _data: object) -> None:
        on_closed(_why_closed(reason))

    virt.registerCloseCallback(closed, None)
    undo.callback(virt.unregisterCloseCallback)
    for kind in _NEWS:
        undo.callback(virt.domainEventDeregisterAny, virt.domainEventRegisterAny(None, kind, domain_event, None))


def _why_closed(reason: int) -> str:
    if reason == libvirt.VIR_CONNECT_CLOSE_REASON_KEEPALIVE:
        return f"libvirt has not answered for {opening.KEEPALIVE_SECONDS * (opening.KEEPALIVE_COUNT + 1)} s"
    if reason == libvirt.VIR_CONNECT_CLOSE_REASON_EOF:
        return "libvirt went away"
    return "the connection to libvirt broke"
