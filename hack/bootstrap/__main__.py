"""`python3 -m hack.bootstrap PURPOSE...`; see purposes.py."""

from __future__ import annotations

import argparse
import fcntl
import os
import shutil
import sys
from collections.abc import Iterator
from contextlib import contextmanager

from . import debian, venv
from .command import BootstrapError
from .purposes import PURPOSES, WHERE_FROM, Purpose, combined


def main() -> int:
    """The exit status: 0 when the machine has what the purposes need."""
    parser = argparse.ArgumentParser(prog="python3 -m hack.bootstrap", description="Sets this machine up.")
    parser.add_argument("purposes", nargs="+", choices=PURPOSES, metavar="PURPOSE", help=", ".join(PURPOSES))
    try:
        with one_at_a_time():
            provide(combined(parser.parse_args().purposes))
    except BootstrapError as error:
        print(f"bootstrap: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


def provide(purpose: Purpose) -> None:
    """Makes what is missing."""
    for program in purpose.programs:
        if shutil.which(program) is None:
            raise BootstrapError(f"{program} is not on PATH; {WHERE_FROM[program]}")
    debian.install(purpose.packages)
    if purpose.package_lists:
        debian.fetch_package_lists()
    venv.prepare(libvirt_python=purpose.libvirt_python)


@contextmanager
def one_at_a_time() -> Iterator[None]:
    """Waits while another bootstrap works on this checkout. The lock is on its folder and goes with its holder."""
    folder = os.open(venv.REPOSITORY, os.O_RDONLY)
    try:
        fcntl.flock(folder, fcntl.LOCK_EX)
        yield
    finally:
        os.close(folder)


if __name__ == "__main__":
    sys.exit(main())
