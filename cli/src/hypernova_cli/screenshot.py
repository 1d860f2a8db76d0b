"""`screenshot NAME`: a guest's screen as a picture."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path

from hypernova_cli.commandline import DONE, Commands
from hypernova_cli.consoles import Consoles
from hypernova_cli.errors import CliError
from hypernova_cli.shell import Shell

STDOUT = "-"


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "screenshot",
        run,
        "the screen of a guest, as a PNG",
        examples="screenshot web-1 -o web-1.png\nscreenshot web-1 | display",
    )
    parser.add_argument("name", metavar="NAME", help="an Instance")
    parser.add_argument("-o", "--output", default=STDOUT, metavar="FILE", help="where to; - is standard output")


async def run(asked: argparse.Namespace, shell: Shell) -> int:
    """Write the picture; nothing is written if there is none."""
    if asked.output == STDOUT and shell.terminal.shows:
        raise CliError(f"a picture is nothing for a terminal: say where to, e.g. -o {asked.name}.png")
    picture = await Consoles(shell.client, shell.namespace).screenshot(asked.name)
    if asked.output == STDOUT:
        shell.terminal.write(picture)
        return DONE
    try:
        await asyncio.to_thread(Path(asked.output).write_bytes, picture)
    except OSError as error:
        raise CliError(f"the picture cannot be written: {error}") from error
    return DONE
