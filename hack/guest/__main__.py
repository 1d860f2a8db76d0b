"""Build and serve the test guest: `python -m hack.guest --help`."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import sys
from pathlib import Path

from hack.guest import build
from hack.guest.command import CommandError
from hack.guest.serve import server, url


def _build(args: argparse.Namespace) -> None:
    print(json.dumps(dataclasses.asdict(build()), default=str, indent=2))


def _serve(args: argparse.Namespace) -> None:
    with server(args.folder, args.port) as it, contextlib.suppress(KeyboardInterrupt):
        print(url(it), flush=True)
        it.serve_forever()


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m hack.guest", description="The test guest and its images.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    does = "build the images, if they are not there, and print where they are and their SHA-256"
    commands.add_parser("build", help=does, description=does).set_defaults(do=_build)
    does = "serve a folder over HTTP on the loopback interface; the first line printed is the address"
    serve = commands.add_parser("serve", help=does, description=does)
    serve.add_argument("folder", type=Path, metavar="FOLDER")
    serve.add_argument("--port", type=int, default=0, help="default: a free one")
    serve.set_defaults(do=_serve)
    args = parser.parse_args(argv)
    try:
        args.do(args)
    except (CommandError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
