"""`python -m hack.helm build` prints the path of the helm command; `docs` writes the chart's README from its values."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from .build import build
from .errors import HelmError
from .table import filled

CHART = Path(__file__).parents[2] / "charts" / "hypernova"


def docs(*, check: bool) -> int:
    """Write the table of values into the chart's README; or, to `check`, only say whether it is out of date."""
    readme = CHART / "README.md"
    page = readme.read_text()
    new = filled(page, (CHART / "values.yaml").read_text())
    if new == page:
        return 0
    if check:
        print("charts/hypernova/README.md is out of date: run python -m hack.helm docs", file=sys.stderr)
        return 1
    readme.write_text(new)
    return 0


def main() -> int:
    """The command; its exit status is 1 when the build failed, or `docs --check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m hack.helm", description="The real Helm, and our chart's README.")
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    verbs.add_parser("build", help="compile helm, if it is not in the cache, and print its path")
    readme = verbs.add_parser("docs", help="write the chart's README from the comments of its values.yaml")
    readme.add_argument("--check", action="store_true", help="write nothing; fail when something would be written")
    arguments = parser.parse_args()
    if arguments.verb == "docs":
        return docs(check=arguments.check)
    try:
        print(build())
    except HelmError as error:
        print(f"helm: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
