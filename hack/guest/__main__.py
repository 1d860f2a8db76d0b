"""Build the test guest: `python -m hack.guest build` prints where the images are, and their SHA-256, as JSON."""

from __future__ import annotations

import argparse
import dataclasses
import json
import sys

from hack.guest import CommandError, build


def main(argv: list[str] | None = None) -> int:
    """Run one command; the exit status."""
    parser = argparse.ArgumentParser(prog="python -m hack.guest", description="The test guest's images.")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    does = "build the images, if they are not there, and print where they are and their SHA-256"
    commands.add_parser("build", help=does, description=does)
    parser.parse_args(argv)
    try:
        guest = build()
    except CommandError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    print(json.dumps(dataclasses.asdict(guest), default=str, indent=2))
    return 0


if __name__ == "__main__":
    sys.exit(main())
