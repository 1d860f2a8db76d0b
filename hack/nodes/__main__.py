"""`python -m hack.nodes FOLDER` takes down the lab of nodes in a folder, whatever of it is up."""

from __future__ import annotations

import sys
from pathlib import Path

from .kubelab import KubeLab

if __name__ == "__main__":
    KubeLab(Path(sys.argv[1])).down()
