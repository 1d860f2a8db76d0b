"""buildah and skopeo, with a store of their own, so that nothing stays behind whatever they or we die of.

Each command runs in PID and mount namespaces of its own and dies with us: its processes and mounts go with it, even
by SIGKILL. What it had begun in the store is swept away by the next.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from .errors import ImageError

OWN_NAMESPACES = (
    *("setpriv", "--pdeathsig", "KILL"),
    *("unshare", "--mount", "--pid", "--fork", "--kill-child", "--mount-proc"),
)

COMMAND_SECONDS = 1800.0
"""How long one command may take: a cold build takes minutes, on a busy machine a few times as many."""

REPORT_SECONDS = 10.0
"""How long a step runs before one is told."""


@dataclass(frozen=True, slots=True)
class Engine:
    """A store of images and layers, and the programs that work with it."""

    configuration: Path
    """containers-storage.conf(5), in a folder that temporary files may be put in."""

    def run(self, *command: str | Path, title: str) -> list[str]:
        """Runs a command and gives the last lines it wrote, telling on stderr what it is at if it takes long.

        Raises:
            ImageError: the program is not installed, failed, or took longer than COMMAND_SECONDS.
        """
        said: deque[str] = deque(maxlen=40)
        started = told = time.monotonic()
        own = {"CONTAINERS_STORAGE_CONF": str(self.configuration), "TMPDIR": str(self.configuration.parent)}
        try:
            process = subprocess.Popen(
                [*OWN_NAMESPACES, "timeout", f"{COMMAND_SECONDS:.0f}", *command],
                env=os.environ | own,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                text=True,
                errors="replace",
            )
        except FileNotFoundError as error:
            raise ImageError(f"{error.filename} is not installed") from error
        with process:
            try:
                for line in process.stdout or ():
                    said.append(line.rstrip())
                    if "STEP" in line and time.monotonic() - told > REPORT_SECONDS:
                        told = time.monotonic()
                        print(f"{title}: {told - started:.0f} s, {line.strip()[:120]}", file=sys.stderr, flush=True)
            except BaseException:
                process.terminate()
                raise
        if process.returncode:
            text = "\n".join(said)
            raise ImageError(f"{title}: {command[0]} ended with status {process.returncode}\n{text}")
        return list(said)


@contextmanager
def engine(home: Path) -> Iterator[Engine]:
    """An engine with its images and layers in `home`/store. One at a time: see `archives`.

    What is true only while a command runs is in `home`/scratch, and goes: after a kill nothing is taken for mounted.
    """
    store, scratch = home / "store", home / "scratch"
    shutil.rmtree(scratch, ignore_errors=True)
    store.mkdir(parents=True, exist_ok=True)
    scratch.mkdir()
    configuration = scratch / "storage.conf"
    lines = ('driver = "overlay"', f'graphroot = "{store}"', f'runroot = "{scratch}/run"')
    configuration.write_text("\n".join(["[storage]", *lines, ""]))
    made = Engine(configuration)
    made.run("buildah", "rm", "--all", title="remains of builds")
    yield made
    shutil.rmtree(scratch)
