"""The watchdog."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from hypernova_agent.xml.element import E, Element

Action = Literal["reset", "poweroff", "pause", "none"]


@dataclass(frozen=True, slots=True)
class Watchdog:
    """<watchdog>: https://libvirt.org/formatdomain.html#watchdog-device

    It bites a guest that has started it and doesn't feed it any more; one that never starts it has nothing to fear.
    """

    action: Action

    def xml(self) -> Element:
        return E.watchdog(model="i6300esb", action=self.action)
