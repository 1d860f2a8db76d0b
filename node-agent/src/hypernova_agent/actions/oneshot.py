"""Actions that are one call to the host and its answer: an NMI, a password, what the guest tells, its console log."""

from __future__ import annotations

import asyncio
import re

from hypernova_agent.actions.report import Done, Failed, Result
from hypernova_agent.console.log import console_tail
from hypernova_agent.host import GuestUnreachable, Host, HostError
from hypernova_api.action import ActionType, GetConsoleLog, InstanceAction

ONE_SHOT = frozenset[ActionType]({"InjectNMI", "SetPassword", "GetGuestInfo", "GetConsoleLog"})

AT_MOST_ONCE = frozenset[ActionType]({"InjectNMI"})
"""What would do harm a second time, and cannot be seen to have been done."""

INTERRUPTED = Failed(
    "Interrupted",
    "this node's agent ended or lost its host in the midst of it, and it may or may not have happened: look at the "
    "guest before you create the action anew",
)

_SECONDS = 30.0
"""That the host or the guest's agent may take."""

_LARGEST_ANSWER = 1 << 20
"""Bytes of a console log in an object as etcd keeps it, which refuses objects of 1.5 MiB."""

_ESCAPED = re.compile(r"[\x00-\x1f<>&]")
"""What takes six bytes in the API server's JSON, e.g. `\\u001b`."""


async def perform(host: Host, action: InstanceAction, uid: str) -> Result:
    """Do it, to the domain `uid`.

    Raises:
        HostUnreachable: whether it was done is not known.
    """
    try:
        async with asyncio.timeout(_SECONDS):
            return await _perform(host, action, uid)
    except GuestUnreachable as error:
        return Failed("GuestAgentUnavailable", f"{error}: have qemu-guest-agent installed and running in the guest")
    except HostError as error:
        return Failed("HostError", str(error))
    except TimeoutError:
        return Failed("TimedOut", f"there was no answer within {_SECONDS:g} s: it may or may not have been done")


async def _perform(host: Host, action: InstanceAction, uid: str) -> Result:
    spec = action.spec
    if spec.type == "InjectNMI":
        await host.inject_nmi(uid)
    elif spec.type == "SetPassword" and spec.set_password is not None:
        await host.set_password(uid, spec.set_password.user, spec.set_password.hash)
    elif spec.type == "GetGuestInfo":
        return Done({"guestInfo": (await host.guest_info(uid)).to_wire()})
    elif spec.type == "GetConsoleLog":
        length = (spec.get_console_log or GetConsoleLog()).bytes
        return Done({"consoleLog": shown(await console_tail(host, uid, length))})
    return Done()


def shown(log: bytes) -> str:
    """A piece of a log as an object can carry it; of one that would be too large there, the end. Pure."""
    text = log.replace(b"\0", b"").decode("utf-8", errors="replace")
    while len(text.encode()) + 5 * len(_ESCAPED.findall(text)) > _LARGEST_ANSWER:
        text = text[len(text) // 4 :]
    return text
