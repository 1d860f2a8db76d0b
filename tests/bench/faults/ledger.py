"""What a soak has found wrong, and what it did: the same for every backend."""

from __future__ import annotations

from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from enum import StrEnum


class Wrong(StrEnum):
    """What must never be."""

    LOST = "lost"
    """Something of a guest's that was to be kept is gone: its disk, its saved memory, its running self."""

    DOUBLED = "doubled"
    """Two guests of one Instance run, or something that is to happen once has happened twice."""

    ORPHANED = "orphaned"
    """Something is left on a host that nobody answers for."""

    STUCK = "stuck"
    """What is asked for isn't so, long after the last fault."""

    CROWDED = "crowded"
    """A host has given out more than it has."""

    BROKEN = "broken"
    """A program of ours has raised what it should not."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong."""

    wrong: Wrong
    at: float
    """Seconds since the soak began."""

    message: str

    def __str__(self) -> str:
        return f"{self.at:.3f} {self.wrong.upper()}: {self.message}"


@dataclass(slots=True)
class Ledger:
    """Counts, findings, and the last of what happened."""

    clock: Callable[[], float]
    operations: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)
    findings: list[Finding] = field(default_factory=list)
    given_up: bool = False
    """Whether there is no point in going on."""

    trace: deque[str] = field(default_factory=lambda: deque(maxlen=4000))

    def note(self, text: str) -> None:
        """Something happened."""
        self.trace.append(f"{self.clock():.3f} {text}")

    def operated(self, kind: str, text: str) -> None:
        """A user, or a guest, did something."""
        self.operations[kind] += 1
        self.note(f"USER {text}")

    def failed(self, kind: str, text: str) -> None:
        """A fault befell something."""
        self.faults[kind] += 1
        self.note(f"FAULT {kind}: {text}")

    def found(self, wrong: Wrong, message: str) -> None:
        """Something is wrong; the same thing is told once."""
        if all((known.wrong, known.message) != (wrong, message) for known in self.findings):
            self.findings.append(Finding(wrong, self.clock(), message))
            self.note(f"WRONG {wrong}: {message}")

    def give_up(self, message: str) -> None:
        """Something is so wrong that nothing more can be seen."""
        if not self.given_up:
            self.given_up = True
            self.found(Wrong.BROKEN, message)

    def count(self, wrong: Wrong) -> int:
        """How many there are of one sort."""
        return sum(found.wrong is wrong for found in self.findings)

    def about(self, text: str) -> list[str]:
        """What happened to something, by its name or UID."""
        return [line for line in self.trace if text in line]
