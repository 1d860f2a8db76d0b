"""The agent in a guest (qemu-guest-agent): each function is one blocking call, bounded by ANSWER_SECONDS a question.

It is the guest's, who may let it hang: nobody else's calls are to wait for it.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator

import libvirt

from hypernova_agent.host import GuestUnreachable
from hypernova_agent.libvirt import domains
from hypernova_agent.libvirt.errors import says, shortened
from hypernova_agent.libvirt.guest_info import guest_info
from hypernova_agent.libvirt.lines import is_alive
from hypernova_agent.xml.live import agent_connected
from hypernova_api.action import GuestInfo

ANSWER_SECONDS = 10
"""How long an answer may take. (libvirt itself would wait for most without end.)"""

_MORE = (
    libvirt.VIR_DOMAIN_GUEST_INFO_OS,
    libvirt.VIR_DOMAIN_GUEST_INFO_TIMEZONE,
    libvirt.VIR_DOMAIN_GUEST_INFO_USERS,
    libvirt.VIR_DOMAIN_GUEST_INFO_INTERFACES,
)


def is_there(virt: libvirt.virConnect, uid: str) -> bool:
    """Whether the guest runs and has an agent that listens."""
    found = domains.find(virt, uid)
    return found is not None and bool(found.isActive()) and agent_connected(found.XMLDesc())


def info(virt: libvirt.virConnect, uid: str) -> GuestInfo:
    """What the agent tells. One question after the other: of all asked at once, one it can't answer spoils the rest."""
    with _asking(virt, uid) as found:
        found.agentSetResponseTimeout(ANSWER_SECONDS)
        told: dict[str, object] = found.guestInfo(libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME)
    for question in _MORE:
        with contextlib.suppress(GuestUnreachable), _asking(virt, uid) as found:
            told |= found.guestInfo(question)
    return guest_info(told)


def set_password(virt: libvirt.virConnect, uid: str, user: str, hash_: str) -> None:
    """Set the password of a user."""
    with _asking(virt, uid) as found:
        found.agentSetResponseTimeout(ANSWER_SECONDS)
        found.setUserPassword(user, hash_, libvirt.VIR_DOMAIN_PASSWORD_ENCRYPTED)


def set_time(virt: libvirt.virConnect, uid: str) -> None:
    """Tell the guest what time it is, after it has stood still."""
    with _asking(virt, uid) as found:
        found.agentSetResponseTimeout(ANSWER_SECONDS)
        seconds, nanoseconds = divmod(time.time_ns(), 10**9)
        found.setTime({"seconds": seconds, "nseconds": nanoseconds})


def freeze(virt: libvirt.virConnect, uid: str) -> None:
    """Have the guest write all it has to its disks, and write no more. `thaw` must follow, whatever becomes of this."""
    with _asking(virt, uid) as found:
        found.agentSetResponseTimeout(ANSWER_SECONDS)
        found.fsFreeze()


def thaw(virt: libvirt.virConnect, uid: str) -> None:
    """Let the guest write again, if it is one that runs."""
    running = domains.find(virt, uid)
    if running is None or not running.isActive():
        return
    with _asking(virt, uid) as found:
        found.agentSetResponseTimeout(ANSWER_SECONDS)
        found.fsThaw()


@contextlib.contextmanager
def _asking(virt: libvirt.virConnect, uid: str) -> Iterator[libvirt.virDomain]:
    """A guest to ask.

    Raises:
        GuestUnreachable: it gave no answer, or an error for one, which libvirt gives all kinds of codes.
        libvirt.libvirtError: there is no such domain, or the connection is gone.
    """
    found = virt.lookupByUUIDString(uid)
    try:
        yield found
    except libvirt.libvirtError as error:
        if not is_alive(virt) or says(error, libvirt.VIR_ERR_NO_DOMAIN):
            raise
        raise GuestUnreachable(shortened(str(error))) from error
