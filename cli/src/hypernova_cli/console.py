"""`console NAME`: a guest's serial line in the terminal."""

from __future__ import annotations

import argparse
import asyncio
from contextlib import aclosing, nullcontext

from hypernova_cli.commandline import DONE, Commands
from hypernova_cli.consoles import Consoles
from hypernova_cli.line import SerialLine
from hypernova_cli.shell import Shell
from hypernova_cli.terminal import Terminal

DETACH = b"\x1d"
"""Ctrl-], as telnet and virsh have it."""

_INTERRUPT = b"\x03"


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "console",
        run,
        "the serial console of a guest, in this terminal",
        details="""\
Ctrl-] detaches. All other keys go to the guest, Ctrl-C too. One viewer writes, all others read.
When the guest reboots, moves to another node or the connection is lost, it is connected again by itself; only what
the guest has written meanwhile is shown then.

A serial line knows no window size. Say it to the guest yourself after each change of it: `stty rows 40 cols 120`;
the numbers of this terminal are shown at the beginning.

What is piped in is typed, and its end detaches.""",
        examples="console web-1\nconsole web-1 --take-over\nconsole web-1 --read-only | grep -m1 login:",
    )
    parser.add_argument("name", metavar="NAME", help="an Instance")
    parser.add_argument(
        "--take-over", action="store_true", help="write, even if somebody else does: he becomes a reader"
    )
    parser.add_argument("--read-only", action="store_true", help="only read; Ctrl-C detaches, too")
    parser.add_argument("--no-reconnect", action="store_true", help="end when the connection does")


async def run(asked: argparse.Namespace, shell: Shell) -> int:
    """Pass keys and output on until the user detaches, or the line ends for good."""
    terminal = shell.terminal
    line = SerialLine(
        Consoles(shell.client, shell.namespace),
        asked.name,
        lambda text: terminal.say(f"[{text}]"),
        read_only=asked.read_only,
        take_over=asked.take_over,
        reconnect=not asked.no_reconnect,
    )
    if terminal.types:
        size = terminal.size
        terminal.say(f"[Ctrl-] detaches; for the guest: stty rows {size.lines} cols {size.columns}]")
    detach = DETACH + _INTERRUPT if asked.read_only else DETACH
    with terminal.raw() if terminal.types else nullcontext():
        tasks = {asyncio.create_task(_show(line, terminal))}
        if terminal.types or not asked.read_only:
            tasks.add(asyncio.create_task(_type(line, terminal, detach)))
        try:
            done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)
    if terminal.types:
        terminal.say("[detached]")
    return DONE


async def _show(line: SerialLine, terminal: Terminal) -> None:
    async with aclosing(line.output()) as output:
        async for data in output:
            terminal.write(data)


async def _type(line: SerialLine, terminal: Terminal, detach: bytes) -> None:
    if not terminal.types:  # a person may detach before, and what a program types must not be lost
        await line.connected.wait()
    async for data in terminal.typed():
        keys, detached = until_detached(data, detach) if terminal.types else (data, False)
        await line.type(keys)
        if detached:
            return


def until_detached(data: bytes, detach: bytes) -> tuple[bytes, bool]:
    """What was typed before any of the keys that detach, and whether one was among it. Pure."""
    ends = [at for key in detach if (at := data.find(key)) >= 0]
    return (data[: min(ends)], True) if ends else (data, False)
