"""The command line: what is common to all commands, and how each adds itself."""

from __future__ import annotations

import argparse
from collections.abc import Awaitable, Callable
from pathlib import Path

from hypernova_cli.shell import Shell

DONE, FAILED = 0, 1
"""Exit statuses; argparse's own, for arguments that make no sense, is 2."""

Run = Callable[[argparse.Namespace, Shell], Awaitable[int]]
"""Does what was asked; returns the exit status."""

_PROGRAM = "kubectl hypernova"


class Commands:
    """The parser of the whole command line, to which commands are added."""

    def __init__(self) -> None:
        self.parser = argparse.ArgumentParser(
            prog=_PROGRAM,
            description="What kubectl alone cannot do with Hypernova's virtual machines. "
            f"`{_PROGRAM} COMMAND --help` has examples.",
        )
        _add_common(self.parser, kubeconfig=None, context="", namespace="")
        self._commands = self.parser.add_subparsers(title="commands", metavar="COMMAND", required=True)

    def add(
        self, name: str, run: Run, summary: str, *, details: str = "", examples: str = ""
    ) -> argparse.ArgumentParser:
        """A new command.

        Args:
            name: how it is called.
            run: what it does.
            summary: of one line, for the list of commands.
            examples: lines without the program's name: `console web-1`.
            details: what else its --help says.
        """
        lines = "\n".join(f"  {_PROGRAM} {line}" for line in examples.splitlines())
        parser = self._commands.add_parser(
            name,
            help=summary,
            description="\n\n".join(part for part in (f"{summary[0].upper()}{summary[1:]}.", details) if part),
            epilog=f"examples:\n{lines}",
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        # The same again: whoever has said them before the command need not, and is not overruled by a default.
        suppress = argparse.SUPPRESS
        _add_common(parser, kubeconfig=suppress, context=suppress, namespace=suppress)
        parser.set_defaults(run=run)
        return parser


def _add_common(parser: argparse.ArgumentParser, *, kubeconfig: str | None, context: str, namespace: str) -> None:
    group = parser.add_argument_group("the cluster")
    group.add_argument(
        "--kubeconfig", type=Path, default=kubeconfig, help="kubeconfig to use; else $KUBECONFIG, else ~/.kube/config"
    )
    group.add_argument("--context", default=context, help="context of the kubeconfig to use; else its current one")
    group.add_argument("-n", "--namespace", default=namespace, help="namespace; else the context's own")


def seconds(text: str) -> float:
    """An argument that is a positive number of seconds."""
    value = float(text)
    if not value > 0:
        raise argparse.ArgumentTypeError(f"{text} is no time to wait")
    return value
