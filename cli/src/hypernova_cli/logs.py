"""`logs NAME`: what a guest has written to its serial console."""

from __future__ import annotations

import argparse
from contextlib import aclosing

from hypernova_api.action import GetConsoleLog
from hypernova_cli.actions import action, begin, finished
from hypernova_cli.commandline import DONE, Commands
from hypernova_cli.consoles import Consoles
from hypernova_cli.line import SerialLine
from hypernova_cli.shell import Shell
from hypernova_kube.resources import Key

_MOST = 256 * 1024
"""Bytes of the log that an InstanceAction gives."""

_LINE = 1024
"""Bytes of a line that are reckoned with when so many lines are asked for."""

_KEPT_SECONDS = 60
_WAIT_SECONDS = 60.0


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "logs",
        run,
        "what a guest has written to its serial console",
        details="""\
The node keeps the log, also of a guest that is off; its last 256 KiB are to be had. Each look is an InstanceAction of
type GetConsoleLog, which is gone a minute later.

With -f, the log is followed by the serial line, read-only, until Ctrl-C: through reboots and moves, too. Where the
line goes on is found by the last 4 KiB that were shown. After a break in which the guest has written more than the
64 KiB that the line repeats, lines are missing; of the same written again and again some may be.""",
        examples="logs web-1 --tail 20\nlogs web-1 -f",
    )
    parser.add_argument("name", metavar="NAME", help="an Instance")
    parser.add_argument("-f", "--follow", action="store_true", help="go on with what the guest writes from now on")
    parser.add_argument("--tail", type=_lines, metavar="N", help="the last N lines only")


async def run(asked: argparse.Namespace, shell: Shell) -> int:
    """Print the log, and what follows."""
    text = await _log(shell, asked.name, asked.tail)
    shell.terminal.write(tail(text, asked.tail).encode())
    if not asked.follow:
        return DONE
    line = SerialLine(
        Consoles(shell.client, shell.namespace),
        asked.name,
        lambda said: shell.terminal.say(f"[{said}]"),
        read_only=True,
        shown=text.encode(),
    )
    async with aclosing(line.output()) as output:
        async for data in output:
            shell.terminal.write(data)
    return DONE


async def _log(shell: Shell, name: str, lines: int | None) -> str:
    size = _MOST if lines is None else min(_MOST, max(1, lines) * _LINE)
    asked = action(
        "GetConsoleLog",
        Key(shell.namespace, name),
        getConsoleLog=GetConsoleLog(bytes=size).to_wire(),
        ttlSecondsAfterFinished=_KEPT_SECONDS,
    )
    key = await begin(shell.client, asked)
    done = await finished(shell.client, key, _WAIT_SECONDS, lambda text: None)
    return done.status.console_log or ""


def tail(text: str, lines: int | None) -> str:
    """The last lines of a text, the one that has not ended yet among them; all of them for None. Pure."""
    if lines is None:
        return text
    return "".join(text.splitlines(keepends=True)[-lines:]) if lines else ""


def _lines(text: str) -> int:
    lines = int(text)
    if lines < 0:
        raise argparse.ArgumentTypeError(f"{text} is no number of lines")
    return lines
