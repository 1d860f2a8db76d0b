"""What a guest's agent tells of its guest, from libvirt's flat names. Pure.

https://libvirt.org/html/libvirt-libvirt-domain.html#virDomainGetGuestInfo
"""

from __future__ import annotations

from collections.abc import Mapping

from hypernova_api.action import GuestInfo, GuestInterface

_MOST = 64
"""Entries of a list: what fits `GuestInfo`."""

_LONGEST = 256
"""Characters of a text. The guest chooses them, and they go into an object that all of us watch."""

_NO_CARD = "00:00:00:00:00:00"
"""The hardware address of a loopback."""

Told = Mapping[str, object]


def guest_info(told: Told) -> GuestInfo:
    """All of it, cut to a bound."""
    return GuestInfo(
        hostname=_text(told, "hostname"),
        os=_text(told, "os.pretty-name") or _text(told, "os.name"),
        kernel=_text(told, "os.kernel-release"),
        timezone=_text(told, "timezone.name"),
        users=sorted({_text(told, f"user.{number}.name") for number in _numbers(told, "user")}),
        interfaces=[
            _interface(told, f"if.{number}")
            for number in _numbers(told, "if")
            if _text(told, f"if.{number}.hwaddr") != _NO_CARD
        ],
    )


def _interface(told: Told, name: str) -> GuestInterface:
    addresses = (f"{name}.addr.{number}" for number in _numbers(told, f"{name}.addr"))
    return GuestInterface(
        name=_text(told, f"{name}.name"),
        mac=_text(told, f"{name}.hwaddr"),
        addresses=[f"{_text(told, f'{address}.addr')}/{_text(told, f'{address}.prefix')}" for address in addresses],
    )


def _numbers(told: Told, name: str) -> range:
    count = told.get(f"{name}.count", 0)
    return range(min(count, _MOST) if isinstance(count, int) else 0)


def _text(told: Told, name: str) -> str:
    return str(told.get(name, ""))[:_LONGEST]
