"""`python -m hack.images build [COMPONENT...]`: images as OCI archives, and their sizes; `locks`: see locks.py."""

from __future__ import annotations

import argparse
import sys

from hack.devcluster.errors import ClusterError

from . import content, locks
from .archives import COMPONENTS, archives
from .errors import ImageError


def main() -> int:
    """The command; its exit status is 1 when an image cannot be had."""
    parser = argparse.ArgumentParser(prog="python -m hack.images", description="Container images of the components.")
    commands = parser.add_subparsers(dest="command", required=True)
    build = commands.add_parser("build", help="make what is missing or out of date, and print where it is")
    build.add_argument("components", nargs="*", metavar="COMPONENT", help=f"of {', '.join(COMPONENTS)}; default: all")
    commands.add_parser("locks", help="write images/locks anew from requirements.lock")
    arguments = parser.parse_args()
    if arguments.command == "locks":
        locks.write()
        return 0
    if unknown := set(arguments.components) - set(COMPONENTS):
        parser.error(f"no component: {', '.join(sorted(unknown))}")
    try:
        for component, place in archives(arguments.components or COMPONENTS).items():
            print(f"{component:<12} {content.read(place).size / 1e6:6.1f} MB unpacked  {place}")
    except (ImageError, ClusterError) as error:
        print(f"images: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
