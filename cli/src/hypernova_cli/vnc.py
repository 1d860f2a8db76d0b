"""`vnc NAME`: a guest's screen, in the browser or in any VNC viewer."""

from __future__ import annotations

import argparse
import os
import sys
import webbrowser
from collections.abc import Mapping

from hypernova_api.console import ConsoleTicketSpec, ConsoleType
from hypernova_cli.commandline import DONE, Commands
from hypernova_cli.consoles import Consoles
from hypernova_cli.errors import CliError
from hypernova_cli.shell import Shell
from hypernova_cli.tables import moment, until
from hypernova_cli.tunnel import serve


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "vnc",
        run,
        "the screen of a guest, in the browser or in a VNC viewer",
        details="""\
Opens a link in your browser; it is good for one use within a minute, and the session that comes of it lasts some
hours. Without a display the link is printed.

With --proxy-only, any VNC viewer on this machine can use the address that is printed, without a password; so can
every other user of this machine. It goes through the API server with your credentials, and ends with Ctrl-C.""",
        examples="vnc web-1\nvnc web-1 --view-only --print-url\nvnc web-1 --proxy-only --port 5901",
    )
    parser.add_argument("name", metavar="NAME", help="an Instance")
    parser.add_argument("--view-only", action="store_true", help="keys and mouse do not reach the guest")
    how = parser.add_mutually_exclusive_group()
    how.add_argument("--print-url", action="store_true", help="print the link instead of opening it")
    how.add_argument("--proxy-only", action="store_true", help="serve VNC on a port of this machine")
    parser.add_argument("--port", type=_port, default=0, help="with --proxy-only: which; a free one if not given")
    parser.add_argument("--address", default="127.0.0.1", help="with --proxy-only: where to listen (%(default)s)")
    parser.add_argument(
        "--take-over", action="store_true", help="with --proxy-only: each connection ends those of other viewers"
    )


async def run(asked: argparse.Namespace, shell: Shell) -> int:
    """Open, print or serve."""
    consoles = Consoles(shell.client, shell.namespace)
    if asked.proxy_only:
        params = {"readOnly": asked.view_only, "takeOver": asked.take_over}
        await _serve(asked, shell, consoles, {name: "true" for name, wanted in params.items() if wanted})
        return DONE
    ticket = await consoles.ticket(asked.name, ConsoleTicketSpec(type=ConsoleType.VNC, read_only=asked.view_only))
    if ticket.status is None:
        raise CliError("the console proxy has answered without a link: is it of another version?")
    good = f"good for one use within {until(moment(ticket.status.expires_at), shell.now())}"
    if asked.print_url or not _opened(ticket.status.url):
        shell.terminal.print(ticket.status.url)
        shell.terminal.say(f"open it in a browser; it is {good}")
    else:
        shell.terminal.say(f"{asked.name} is opened in your browser; the link is {good}")
    return DONE


async def _serve(asked: argparse.Namespace, shell: Shell, consoles: Consoles, params: Mapping[str, str]) -> None:
    await consoles.check(asked.name, ConsoleType.VNC)

    def listening(port: int) -> None:
        shell.terminal.print(f"vnc://{_in_url(asked.address)}:{port}")
        shell.terminal.say("open that in a VNC viewer; Ctrl-C ends it")

    await serve(consoles, asked.name, params, (asked.address, asked.port), listening, shell.terminal.say)


def _opened(url: str) -> bool:
    """Whether the link was opened in a browser of the user's desktop, and not in one for terminals, if any."""
    if sys.platform == "linux" and not {"DISPLAY", "WAYLAND_DISPLAY", "BROWSER"} & os.environ.keys():
        return False
    return webbrowser.open(url)


def _in_url(address: str) -> str:
    return f"[{address}]" if ":" in address else address


def _port(text: str) -> int:
    port = int(text)
    if not 0 <= port < 1 << 16:
        raise argparse.ArgumentTypeError(f"{text} is no port")
    return port
