"""`kubectl-hypernova`, which kubectl runs as `kubectl hypernova`."""

from __future__ import annotations

import argparse
import asyncio
import logging
import os
import signal
import sys
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime

from hypernova_cli import console, get, logs, power, screenshot, sessions, vnc
from hypernova_cli.commandline import FAILED, Commands
from hypernova_cli.errors import CliError, sentence
from hypernova_cli.shell import Shell
from hypernova_cli.terminal import Terminal
from hypernova_kube.client import Client
from hypernova_kube.credentials import namespace_of
from hypernova_kube.errors import KubeError

_COMMANDS = (get, console, vnc, screenshot, logs, power, sessions)
_SIGNALLED = 128
"""A shell's exit status of what a signal has ended is this and the signal's number."""


def parser() -> argparse.ArgumentParser:
    """All commands and their arguments."""
    commands = Commands()
    for command in _COMMANDS:
        command.add(commands)
    return commands.parser


async def run(asked: argparse.Namespace, terminal: Terminal) -> int:
    """Do what was asked; returns the exit status. Errors are said."""
    try:
        namespace = asked.namespace or namespace_of(asked.kubeconfig, context=asked.context)
        connecting = Client.connect(asked.kubeconfig, context=asked.context, component="kubectl")
        async with await connecting as client:
            status: int = await asked.run(asked, Shell(client, namespace, terminal, lambda: datetime.now(UTC)))
            return status
    except KubeError as error:
        terminal.say(f"error: {sentence(error)}")
    except CliError as error:
        terminal.say(f"error: {error}")
    return FAILED


async def _until_signalled(asked: argparse.Namespace) -> int:
    """As `run`. The signals that end a process by default end it in good order: terminals are put right again."""
    task = asyncio.create_task(run(asked, Terminal()))
    received: list[int] = []

    def end(number: int) -> None:
        received.append(number)
        task.cancel()

    loop = asyncio.get_running_loop()
    for number in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        loop.add_signal_handler(number, end, number)
    with suppress(asyncio.CancelledError):
        return await task
    return _SIGNALLED + received[0]


def main(arguments: Sequence[str] | None = None) -> int:
    """The command; returns its exit status."""
    asked = parser().parse_args(arguments)
    # What the library says of kubeconfigs and exec plugins that fail; the rest of it is told by us.
    logging.basicConfig(level=logging.ERROR, format="%(message)s")
    try:
        return asyncio.run(_until_signalled(asked))
    except BrokenPipeError:
        # Who reads has seen enough. Python would complain at its exit that the rest cannot be written.
        os.dup2(os.open(os.devnull, os.O_WRONLY), 1)
        return _SIGNALLED + signal.SIGPIPE


if __name__ == "__main__":
    sys.exit(main())
