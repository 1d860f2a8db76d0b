"""`sessions [NAME]` and `end-session SESSION...`: who looks at which guest, and no longer."""

from __future__ import annotations

import argparse

from hypernova_api.console import ConsoleSession
from hypernova_cli import rows
from hypernova_cli.commandline import DONE, Commands
from hypernova_cli.objects import each
from hypernova_cli.shell import Shell
from hypernova_kube.resources import Resource, key_of

SESSIONS = Resource.of(ConsoleSession)


def add(commands: Commands) -> None:
    """Add the commands."""
    parser = commands.add(
        "sessions",
        _list,
        "who looks at which guest",
        details="Offered: a link that nobody has opened yet. Open: begun; it may be connected or not.",
        examples="sessions\nsessions web-1\nsessions -A",
    )
    parser.add_argument("name", metavar="NAME", nargs="?", default="", help="an Instance; all if not given")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces")
    parser = commands.add(
        "end-session",
        _end,
        "end sessions at once, and withdraw links",
        details="It is deletion of the ConsoleSession, which needs that right.",
        examples="end-session web-1-vnc-x7k2p",
    )
    parser.add_argument("names", metavar="SESSION", nargs="+", help="as `sessions` shows it")


async def _list(asked: argparse.Namespace, shell: Shell) -> int:
    listing = await shell.client.list(SESSIONS, namespace="" if asked.all_namespaces else shell.namespace)
    parsed = [ConsoleSession.parse(obj) for obj in sorted(listing.items, key=key_of)]
    found = [session for session in parsed if asked.name in ("", session.spec.instance_name)]
    if found:
        shell.terminal.print(rows.sessions(found, shell.now(), namespaces=asked.all_namespaces))
    else:
        shell.terminal.say(f"nobody looks at {asked.name or 'a guest'}")
    return DONE


async def _end(asked: argparse.Namespace, shell: Shell) -> int:
    async def one(name: str) -> None:
        await shell.client.delete(SESSIONS, name, shell.namespace)
        shell.terminal.print(f"{name} is ended")

    return await each(asked.names, one, shell.terminal)
