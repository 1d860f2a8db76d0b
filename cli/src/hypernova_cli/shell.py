"""What a command has around it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from hypernova_cli.terminal import Terminal
from hypernova_kube.client import Client


@dataclass(frozen=True, slots=True)
class Shell:
    """The cluster and the terminal, as the user has chosen them."""

    client: Client
    namespace: str
    terminal: Terminal
    now: Callable[[], datetime]
    """The time, in UTC."""
