"""A process from its start to the signal that ends it."""

import asyncio
import contextlib
import signal
from collections.abc import Coroutine
from importlib.metadata import version

from hypernova_kube.errors import NoCredentials
from hypernova_kube.process import stacks
from hypernova_kube.process.logs import get_logger

log = get_logger(__name__)


def run(work: Coroutine[None, None, None], component: str) -> int:
    """Have work done until it ends, or SIGTERM or SIGINT cancels it; returns the process's exit status.

    Args:
        work: what the process does.
        component: what it is, for the log.
    """
    status = 0
    try:
        asyncio.run(_until_stopped(work, component))
    except* NoCredentials as group:
        log.error("no credentials", error=group.exceptions[0])
        status = 1
    return status


async def _until_stopped(work: Coroutine[None, None, None], component: str) -> None:
    task = asyncio.create_task(work)
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, task.cancel)
    stacks.tell_on_signal()
    log.info("starting", component=component, version=version("hypernova-operator"))
    with contextlib.suppress(asyncio.CancelledError):
        await task
    log.info("stopped", component=component)
