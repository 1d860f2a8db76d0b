"""`python -m hack.helm build` prints the path of the helm command, compiling it first where it is not in the cache."""

from __future__ import annotations

import argparse
import sys

from .build import HelmError, build


def main() -> int:
    """The command; its exit status is 1 when the build failed."""
    parser = argparse.ArgumentParser(prog="python -m hack.helm", description="The real Helm, from its Go module.")
    parser.add_argument("verb", choices=["build"], help="compile helm, if it is not in the cache, and print its path")
    parser.parse_args()
    try:
        print(build())
    except HelmError as error:
        print(f"helm: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
