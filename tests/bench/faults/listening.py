"""What our programs log goes into a soak's trace; an exception that nobody expected is a finding."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from hypernova_agent.host import HostFault
from hypernova_kube.errors import KubeError
from support.soak_process import OwnedTask
from tests.bench.faults.ledger import Ledger, Wrong

_LOGGERS = ("hypernova_agent", "hypernova_operator", "hypernova_kube")
_EXPECTED = (KubeError, HostFault, TimeoutError)
"""What work queues are to meet, tell and try again after."""


class _Ears(logging.Handler):
    def __init__(self, ledger: Ledger) -> None:
        super().__init__()
        self._ledger = ledger

    def emit(self, record: logging.LogRecord) -> None:
        keys = " ".join(f"{name}={value}" for name, value in getattr(record, "keys", {}).items())
        self._ledger.note(f"{record.name.rpartition('.')[2]}: {record.getMessage()} {keys}")
        error = record.exc_info[1] if record.exc_info else None
        if error is not None and not isinstance(error, _EXPECTED):
            where = logging.Formatter().formatException(record.exc_info) if record.exc_info else ""
            self._ledger.found(Wrong.BROKEN, f"{record.name}: {record.getMessage()}: {error!r}\n{where}")


@contextmanager
def listening(ledger: Ledger) -> Iterator[None]:
    """Within it, all that is logged is heard."""
    ears = _Ears(ledger)
    loggers = [logging.getLogger(name) for name in _LOGGERS]
    before = [(logger.level, logger.propagate) for logger in loggers]
    for logger in loggers:
        logger.addHandler(ears)
        logger.setLevel(logging.INFO)
        logger.propagate = False
    loop = asyncio.get_running_loop()

    def unhandled(_: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
        task = context.get("task") or context.get("future")
        if not isinstance(task, OwnedTask) or task.process is None or task.process.alive:
            ledger.found(Wrong.BROKEN, f"{context['message']}: {context.get('exception')!r} {task}")

    loop.set_exception_handler(unhandled)
    try:
        yield
    finally:
        loop.set_exception_handler(None)
        for logger, (level, propagate) in zip(loggers, before, strict=True):
            logger.removeHandler(ears)
            logger.setLevel(level)
            logger.propagate = propagate
