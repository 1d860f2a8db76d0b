"""What the agent remembers of one Instance from one look to the next.

It ends with the process, and nothing depends on it: an agent that has just started finds a stopped guest and starts it,
finds a running one that should stop and gives it its grace from now.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta

from hypernova_agent.ask import Ask
from hypernova_agent.desired import Desired
from hypernova_agent.host import Domain, DomainState
from hypernova_agent.observed import REFUSED, Observed, Stopping
from hypernova_agent.outcome import Failed
from hypernova_agent.plan.power import boots_anew
from hypernova_agent.steps import Change, DestroyDomain, ResumeDomain, ShutdownDomain, StartDomain, Step
from hypernova_kube.backoff import Backoff

QUIET_SECONDS = 600.0
"""A guest that ran for so long is not in a crash loop: its next end counts as its first. (kubelet's ten minutes.)

A change that a guest has refused is not asked of it again before that either.
"""

BELIEVE_SECONDS = 3.0
"""A guest whose disk gave an error runs when it has run for so long."""


@dataclass(frozen=True, slots=True)
class Moment:
    """Now, on the clock that never jumps (seconds), and on the one that people read."""

    seconds: float
    wall: datetime

    def after(self, seconds: float) -> Moment:
        """A moment later."""
        return Moment(self.seconds + seconds, self.wall + timedelta(seconds=seconds))


@dataclass(frozen=True, slots=True)
class Subject:
    """What a try was about: with any other, it is worth another."""

    generation: int
    deleting: bool
    ask: Ask
    state: DomainState | None


@dataclass(frozen=True, slots=True)
class Retry:
    """A try that failed. It is not repeated before its time, unless what it was about has changed."""

    at: float
    about: Subject
    failed: Failed
    """What to say until then."""


class Backoffs:
    """The waits of a node's guests, by the UIDs of their Instances."""

    def __init__(self, restarts: Backoff | None = None, stalls: Backoff | None = None) -> None:
        self.restarts = restarts or Backoff(base=1.0, cap=300.0)
        """Before one that ended by itself is started again."""

        self.stalls = stalls or Backoff(base=2.0, cap=30.0)
        """Before one whose disk gives errors is resumed: a disk with room again is noticed soon."""

    def forget(self, uid: str) -> None:
        """It has been quiet for long, or is gone."""
        self.restarts.forget(uid)
        self.stalls.forget(uid)


@dataclass(slots=True)
class Memory:
    """Of one Instance."""

    running_since: float | None = None
    """Since when the guest has been seen alive; None while it is off."""

    pressed_first: Moment | None = None
    """When the guest was first asked, or made, to stop; None once it is off."""

    pressed_last: float = 0.0

    excused_until: float = 0.0
    """An end before this is still of a stop that was taken back."""

    start_after: Moment | None = None
    """The guest ended by itself, or stalled, and is not started or resumed before this."""

    believed_after: float = 0.0
    """A guest that had stalled is not said to run before this."""

    ends: int = 0
    """How often it has ended by itself without a quiet time between."""

    restarting: bool = False
    """The next start is one after such an end."""

    restarts: int = 0
    """Those that no status tells yet."""

    tried: dict[Change, float] = field(default_factory=dict)
    """When the guest that runs was given a change first, or `REFUSED`."""

    forgotten_at: float = 0.0
    """When all that has been tried is worth another try."""

    retry: Retry | None = None

    did: list[tuple[Desired, tuple[Step, ...], Domain | None]] = field(default_factory=list)
    """What has been done for what, and of which domain, at each look since the last after which there was a rest."""

    told_after: float = 0.0
    """The progress of what takes long is not told before this."""

    def complete(self, observed: Observed, desired: Desired, now: Moment, backoffs: Backoffs) -> tuple[Observed, bool]:
        """Take note of what has just been seen, and add to it what only memory knows.

        Returns:
            all that is observed, and whether the guest has just ended by itself.
        """
        goes_on = desired.on and not boots_anew(desired, observed)
        ended = False
        if observed.alive:
            self._lives(observed, desired, now, backoffs, goes_on=goes_on)
        else:
            ended = self._is_off(observed, desired, now, backoffs, goes_on=goes_on)
        if now.seconds >= self.forgotten_at:
            self.tried.clear()
        return self._added_to(observed, now), ended

    def about_to(self, step: Step, now: Moment) -> None:
        """Take note of a step before it is done."""
        match step:
            case ShutdownDomain() | DestroyDomain():
                self.pressed_first = self.pressed_first or now
                if isinstance(step, ShutdownDomain):
                    self.pressed_last = now.seconds

    def has_done(self, step: Step, now: Moment) -> None:
        """Take note of a step that is done."""
        match step:
            case StartDomain():
                self.running_since = now.seconds
                self.tried.clear()
                self.restarts += self.restarting
                self.restarting = False
            case ResumeDomain():
                if self.start_after is not None:
                    self.believed_after = now.seconds + BELIEVE_SECONDS
                self.start_after = None
                self.tried.clear()
            case _ if isinstance(step, Change):
                self._note(step, now, now.seconds)

    def was_refused(self, change: Change, now: Moment) -> None:
        """The host, or the guest, cannot do it now."""
        self._note(change, now, REFUSED)

    def _note(self, change: Change, now: Moment, since: float) -> None:
        if not self.tried:
            self.forgotten_at = now.seconds + QUIET_SECONDS
        self.tried[change] = since

    def _lives(self, observed: Observed, desired: Desired, now: Moment, backoffs: Backoffs, *, goes_on: bool) -> None:
        uid, domain = desired.uid, observed.domain
        if domain is None or domain.state is not DomainState.STALLED:
            self.start_after = None
        elif goes_on and self.start_after is None:
            self.start_after = now.after(backoffs.stalls.next(uid))
        if self.running_since is None:
            self.running_since = now.seconds
        if now.seconds - self.running_since >= QUIET_SECONDS:
            self.ends = 0
            backoffs.restarts.forget(uid)
        if goes_on and self.pressed_first is not None:
            # Asked to stop, then to run again: it may still mind that; and a later stop has its whole grace.
            self.excused_until = self.pressed_last + desired.grace
            self.pressed_first = None

    def _is_off(self, observed: Observed, desired: Desired, now: Moment, backoffs: Backoffs, *, goes_on: bool) -> bool:
        was_on = self.running_since is not None and not observed.saved
        ours = self.pressed_first is not None or now.seconds < self.excused_until
        ended = goes_on and was_on and not ours
        if ended:
            self.ends += 1
            self.start_after = now.after(backoffs.restarts.next(desired.uid))
            self.restarting = True
        elif not goes_on:
            self.start_after, self.restarting = None, False
        self.running_since = self.pressed_first = None
        self.excused_until = 0.0
        return ended

    def _added_to(self, observed: Observed, now: Moment) -> Observed:
        first = self.pressed_first
        return replace(
            observed,
            now=now.seconds,
            stopping=Stopping(first.seconds, self.pressed_last) if first is not None else None,
            excused_until=self.excused_until,
            start_after=self.start_after.seconds if self.start_after is not None else None,
            tried=dict(self.tried),
        )
