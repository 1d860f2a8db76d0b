"""What came of a look at an Instance, as data: what its status says of it, and what its action makes of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a download is, in bytes."""

    received: int
    total: int | None
    """None when the server does not say."""


@dataclass(frozen=True, slots=True)
class Lack:
    """What of all that is asked for comes with the guest's next start only."""

    reason: str
    """As a condition's reason."""

    parts: tuple[str, ...]
    """In words, e.g. `2 vCPUs`."""


@dataclass(frozen=True, slots=True)
class Settled:
    """What should be, is, as far as the agent can bring it about."""

    lack: Lack | None = None
    in_force: bool = True
    """Whether the guest has its flavor, or has it as soon as it is started."""

    cards: bool = True
    """Whether it has the network cards that are asked for, and no others."""


@dataclass(frozen=True, slots=True)
class Fetching:
    """The image is on its way."""

    image: str
    progress: Progress | None


@dataclass(frozen=True, slots=True)
class Saving:
    """The guest's memory is being put on disk."""


@dataclass(frozen=True, slots=True)
class Stopping:
    """The power button has been pressed; the plug is pulled at a time."""

    plug_at: datetime


@dataclass(frozen=True, slots=True)
class Ended:
    """The guest ended by itself, for the `times`-th time in a row, and is started again at a time."""

    start_at: datetime
    times: int


@dataclass(frozen=True, slots=True)
class Failed:
    """Something is in the way. `retry_at` None: it is tried again when what is in the way has changed."""

    reason: str
    message: str
    retry_at: datetime | None


Outcome = Settled | Fetching | Saving | Stopping | Ended | Failed
