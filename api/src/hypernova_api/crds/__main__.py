"""`python -m hypernova_api.crds DIR` writes the CRDs, `--reference FILE` also the page about them.

With `--check` it writes nothing and only says which are stale.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from hypernova_api.crds.reference import reference
from hypernova_api.crds.render import crd_file
from hypernova_api.kinds import KINDS


def main() -> int:
    """Exit status: 0, or 1 when `--check` found a stale file."""
    parser = argparse.ArgumentParser(prog="python -m hypernova_api.crds", description="Write the CRDs of all kinds.")
    parser.add_argument("folder", type=Path, metavar="DIR", help="where the files are, one for each kind")
    parser.add_argument("--reference", type=Path, metavar="FILE", help="where the page of tables is")
    parser.add_argument("--check", action="store_true", help="write nothing; exit 1 naming the files that are stale")
    arguments = parser.parse_args()

    files = {arguments.folder / name: text for name, text in map(crd_file, KINDS)}
    if arguments.reference:
        files[arguments.reference] = reference(KINDS)
    stale = [path for path, text in files.items() if not path.exists() or path.read_text() != text]
    if arguments.check:
        for path in stale:
            print(f"{path} is stale: run `make crds`", file=sys.stderr)
        return 1 if stale else 0
    for path in stale:
        path.write_text(files[path])
    return 0


if __name__ == "__main__":
    sys.exit(main())
