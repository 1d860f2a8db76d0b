"""`trim.py SITE KEPT...`: of the distributions installed in the folder SITE, what our components load stays.

What goes: tests, and files for compilers and type checkers; of the kubernetes client 73 of 74 MB, the models and calls
of every API there is, which load when somebody first asks for one (we speak of objects as dicts). Of our own
distribution the packages KEPT stay. Each distribution's RECORD then tells what is there.
"""

from __future__ import annotations

import base64
import csv
import hashlib
import shutil
import sys
from fnmatch import fnmatchcase
from importlib.metadata import Distribution, PackagePath, distributions
from pathlib import Path

OURS = "hypernova-operator"

UNUSED = (
    *("*.pyi", "*.pyx", "*.pxd", "*.pxi", "*.c", "*.h", "*.a"),
    "*/tests/*",
    *("numpy/f2py/*", "numpy/distutils/*", "numpy/random/*", "numpy/fft/*", "numpy/ma/*", "numpy/polynomial/*"),
    *("numpy/_core/_simd.*", "numpy/_core/*_tests.*", "numpy/testing/*"),
    *("kubernetes/client/api/*", "kubernetes/client/models/*"),
    *("kubernetes/aio/client/api/*", "kubernetes/aio/client/models/*"),
)
"""Files that no component loads; `*` stands for any number of folders, too."""

USED = (
    "kubernetes/*/__init__.py",
    # kopf looks for the first two when the client is there, and the first has a list of the third.
    "kubernetes/client/models/v1_object_meta.py",
    "kubernetes/client/models/v1_owner_reference.py",
    "kubernetes/client/models/v1_managed_fields_entry.py",
)
"""Exceptions from UNUSED."""


def unneeded(file: str, kept: frozenset[str] | None) -> bool:
    """Whether a file goes, named from SITE on. `kept` has the packages that stay, for our own distribution alone."""
    top = file.partition("/")[0]
    if kept is not None and not top.endswith(".dist-info") and top not in kept:
        return True
    return any(fnmatchcase(file, p) for p in UNUSED) and not any(fnmatchcase(file, p) for p in USED)


def trim(distribution: Distribution, kept: frozenset[str] | None) -> None:
    """Removes what is not needed of a distribution."""
    files = [file for file in distribution.files or () if _place(file).exists()]
    for file in files:
        if unneeded(str(file), kept):
            _place(file).unlink()
    _record_anew([file for file in files if _place(file).exists()])


def _record_anew(files: list[PackagePath]) -> None:
    """Writes RECORD: a line for each file, with its digest and size."""
    record = next(file for file in files if file.match("*.dist-info/RECORD"))
    with _place(record).open("w", newline="") as output:
        lines = csv.writer(output, lineterminator="\n")
        for file in files:
            content = _place(file).read_bytes()
            digest = base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b"=").decode()
            lines.writerow([file, f"sha256={digest}", len(content)] if file != record else [file, "", ""])


def _place(file: PackagePath) -> Path:
    return Path(str(file.locate()))


def main() -> None:
    """The command."""
    site, kept = Path(sys.argv[1]), frozenset(sys.argv[2:])
    shutil.rmtree(site / "bin", ignore_errors=True)  # commands of libraries
    for distribution in list(distributions(path=[str(site)])):
        trim(distribution, kept if distribution.name == OURS else None)
    for folder in sorted((path for path in site.rglob("*") if path.is_dir()), reverse=True):
        if not any(folder.iterdir()):
            folder.rmdir()


if __name__ == "__main__":
    main()
