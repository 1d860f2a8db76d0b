"""`python -m hack.docs [--check]` writes the generated tables into docs/, or says where they are out of date."""

from __future__ import annotations

import argparse
import re
import sys
from pathlib import Path

from .tables import TABLES

PAGE = Path(__file__).parents[2] / "docs" / "scheduling.md"


def filled(page: str) -> str:
    """The page with what stands between `<!-- table: NAME -->` and `<!-- end -->` made anew.

    Raises:
        KeyError: there is no table of that name.
    """
    return re.sub(
        r"(<!-- table: (\w+) -->\n).*?(<!-- end -->)",
        lambda match: match[1] + "\n".join(TABLES[match[2]]()) + "\n" + match[3],
        page,
        flags=re.DOTALL,
    )


def main() -> int:
    """The command; its exit status is 1 when `--check` finds a difference."""
    parser = argparse.ArgumentParser(prog="python -m hack.docs", description="Tables of docs/ that are made from code.")
    parser.add_argument("--check", action="store_true", help="write nothing; fail when something would be written")
    check: bool = parser.parse_args().check
    page = PAGE.read_text()
    new = filled(page)
    if new == page:
        return 0
    if check:
        print(f"docs/{PAGE.name} is out of date: run make docs", file=sys.stderr)
        return 1
    PAGE.write_text(new)
    return 0


if __name__ == "__main__":
    sys.exit(main())
