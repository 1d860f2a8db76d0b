"""`python -m hack.stack FOLDER` takes down the stack in a folder, whatever of it is up."""

from __future__ import annotations

import sys
from pathlib import Path

from .stack import Stack

if __name__ == "__main__":
    Stack(Path(sys.argv[1])).down()
