"""What the agent remembers of one Instance from one look to the next.

It ends with the process, and nothing depends on it: an agent that has just started finds a stopped guest and starts it,
finds a running one that should stop and gives it its grace from now.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from hypernova_agent.admission import Claim
from hypernova_agent.desired import Desired
from hypernova_agent.host import DomainState
from hypernova_agent.observed import Observed, Stopping
from hypernova_agent.status import Failed
from hypernova_kube.backoff import Backoff

QUIET_SECONDS = 600.0
"""A guest that ran for so long is not in a crash loop: its next end counts as its first. (kubelet's ten minutes.)"""


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, on the clock that never jumps (seconds), and on the one that people read."""

    seconds: float
    wall: datetime

    def after(self, seconds: float) -> Moment:
        """A moment later."""
        return Moment(self.seconds + seconds, self.wall + timedelta(seconds=seconds))


@dataclass(frozen=True, slots=True)
class Retry:
    """A try that failed. It is not repeated before its time, unless what it was about has changed."""

    at: float
    about: tuple[int, bool, DomainState | None]
    """Generation, deletion and the domain's state at the time."""

    failed: Failed
    """What to say until then."""


@dataclass(slots=True)
class Memory:
    """Of one Instance."""

    claim: Claim | None = None
    """What it takes of the host, once it has been admitted."""

    running_since: float | None = None
    """Since when the guest has been seen running; None while it is off."""

    pressed_first: Moment | None = None
    """When the guest was first asked, or made, to stop; None once it is off."""

    pressed_last: float = 0.0

    start_after: Moment | None = None
    """The guest ended by itself and is not started again before this."""

    ends: int = 0
    """How often it has ended by itself without a quiet time between."""

    retry: Retry | None = None

    fetch: asyncio.Task[None] | None = None
    """The image on its way: no worker waits for it."""

    progress_after: float = 0.0
    """Its progress is not told before this."""

    def complete(self, observed: Observed, desired: Desired, now: Moment, restarts: Backoff) -> tuple[Observed, bool]:
        """Take note of what has just been seen, and add to it what only memory knows.

        Returns:
            all that is observed, and whether the guest has just ended by itself.
        """
        uid = desired.owner.uid
        wants_running = desired.power_state == "Running" and not desired.deleting
        ended = False
        if observed.alive:
            self.start_after = None
            if self.running_since is None:
                self.running_since = now.seconds
            if now.seconds - self.running_since >= QUIET_SECONDS:
                self.ends = 0
                restarts.forget(uid)
            if wants_running:
                # Asked to stop, then to run again: a later stop has its whole grace.
                self.pressed_first = None
        else:
            ended = wants_running and self.running_since is not None and self.pressed_first is None
            if ended:
                self.ends += 1
                self.start_after = now.after(restarts.next(uid))
            elif not wants_running:
                self.start_after = None
            self.running_since = self.pressed_first = None
        return self._added_to(observed, now), ended

    def stopping(self, now: Moment, *, pressed: bool) -> None:
        """The guest is about to be asked (`pressed`: by its power button) or made to stop."""
        self.pressed_first = self.pressed_first or now
        if pressed:
            self.pressed_last = now.seconds

    def _added_to(self, observed: Observed, now: Moment) -> Observed:
        first = self.pressed_first
        return replace(
            observed,
            now=now.seconds,
            stopping=Stopping(first.seconds, self.pressed_last) if first is not None else None,
            start_after=self.start_after.seconds if self.start_after is not None else None,
        )
