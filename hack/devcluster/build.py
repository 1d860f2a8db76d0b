"""The devcluster binary, compiled once per recipe and kept in the user's cache.

It is of the Kubernetes that go.mod says, or of an older minor that the environment variable KUBERNETES asks for, e.g.
`KUBERNETES=1.34`.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
import time
from collections import deque
from dataclasses import dataclass
from functools import cache, partial
from pathlib import Path

from hack.cache import built, cache_dir, digest

from .errors import ClusterError
from .locking import locked

SOURCE = Path(__file__).parent / "main"
INPUTS = ("main.go", "go.mod", "go.sum")

OLDER = {"1.32": "v1.32.0", "1.33": "v1.33.13", "1.34": "v1.34.4", "1.35": "v1.35.4"}
"""The release that stands for each older minor: the last one, and of the oldest minor the first, as nothing that is
supported lacks more.

Their go.mod and go.sum are derived (`_derive`), not kept here as 60 kB each: which versions Go then selects follows
from the release alone, and that these are what the world has, Go asks its checksum database.
"""

# Without cgo the binary is the same whether or not a C compiler is installed, and runs in any root file system.
# GOWORK: somebody's go.work above this folder is none of our business.
ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off"}

# Other flags than these would compile all 2,800 packages again. -buildvcs=false: else every commit of ours relinks.
FLAGS = ("-trimpath", "-buildvcs=false")

BUILD_SECONDS = 3600
"""How long a cold build may take: 4.5 minutes on two quiet cores, much more on a busy machine."""

REPORT_SECONDS = 10
"""How often progress is shown where there is no terminal to redraw a line on."""


@dataclass(frozen=True, slots=True)
class Recipe:
    """All that decides what the binary is, besides the files in SOURCE."""

    kubernetes: str
    """Version of k8s.io/kubernetes, e.g. `v1.36.3`."""

    go: str
    """Version of the Go toolchain, e.g. `go1.26.8`."""

    derived: bool = False
    """Whether this is not the Kubernetes of SOURCE's go.mod."""

    @property
    def ldflags(self) -> str:
        """Strips the binary and stamps the version, without which kubectl and feature gates misbehave."""
        major, minor = self.kubernetes.removeprefix("v").split(".")[:2]
        stamps = {"gitVersion": self.kubernetes, "gitMajor": major, "gitMinor": minor, "gitTreeState": "clean"}
        packages = ("k8s.io/component-base/version", "k8s.io/client-go/pkg/version")
        return " ".join(["-s -w", *(f"-X {p}.{k}={v}" for p in packages for k, v in stamps.items())])

    @property
    def key(self) -> str:
        """The cache key."""
        settings = [self.go, self.ldflags, *FLAGS, *(f"{k}={v}" for k, v in ENVIRONMENT.items())]
        inputs: list[Path | str] = [SOURCE / name for name in INPUTS]
        if self.derived:
            inputs = [
                _main((SOURCE / "main.go").read_text(), self.kubernetes),
                _module((SOURCE / "go.mod").read_text(), self.kubernetes),
            ]
        return digest([*settings, *inputs])


@cache
def build() -> Path:
    """The path of the binary, compiling it first when this recipe has not been built yet.

    Cold that is about 4.5 minutes on two cores, and progress goes to stderr; cached it is instant. Two builders at
    once are safe: the second waits and uses what the first made. `bin/kubectl` beside the binary can go on PATH.

    Raises:
        ClusterError: Go is missing, or the build failed; with the compiler's last words.
    """
    recipe = read_recipe()
    binary = cache_dir() / "devcluster" / recipe.key / "devcluster"
    if not binary.exists():
        with locked(cache_dir() / "devcluster" / f"{recipe.key}.lock", seconds=BUILD_SECONDS):
            built("devcluster", recipe.key, partial(_compile, recipe))
    return binary


def read_recipe() -> Recipe:
    """The recipe as the source folder, KUBERNETES and the installed Go have it now.

    Raises:
        ClusterError: Go is missing, go.mod names no k8s.io/kubernetes, or KUBERNETES none that there is a recipe for.
    """
    version = re.search(r"^\s*k8s\.io/kubernetes (v\S+)$", (SOURCE / "go.mod").read_text(), re.MULTILINE)
    if version is None:
        raise ClusterError(f"{SOURCE / 'go.mod'} does not require k8s.io/kubernetes")
    go = _go("env", "GOVERSION").strip()
    newest = version[1].removeprefix("v").rpartition(".")[0]
    minor = os.environ.get("KUBERNETES") or newest
    if minor == newest:
        return Recipe(kubernetes=version[1], go=go)
    if minor not in OLDER:
        raise ClusterError(f"KUBERNETES={minor}: there is no recipe for it, only for {', '.join(OLDER)} and {newest}")
    return Recipe(kubernetes=OLDER[minor], go=go, derived=True)


def _module(ours: str, kubernetes: str) -> str:
    """The go.mod of another Kubernetes before it is tidied: that release, and each published part of it in its version.

    Parts that are newer than the release are named too, but nothing asks for them.
    """
    parts = re.sub(
        r" v0\.\S+$", f" v0{kubernetes.removeprefix('v1')}", ours[ours.index("\nreplace (") :], flags=re.MULTILINE
    )
    return f"module hypernova.dev/devcluster\n\nrequire k8s.io/kubernetes {kubernetes}\n{parts}"


def _main(ours: str, kubernetes: str) -> str:
    """The main.go of another Kubernetes: ours, but for what is called otherwise there."""
    if kubernetes < "v1.34":
        ours = ours.replace('\t"context"\n', "").replace("Command(context.Background())", "Command()")
    return ours


def _derive(kubernetes: str, folder: Path) -> None:
    """Makes the sources of another Kubernetes in a folder."""
    folder.mkdir()
    (folder / "main.go").write_text(_main((SOURCE / "main.go").read_text(), kubernetes))
    (folder / "go.mod").write_text(_module((SOURCE / "go.mod").read_text(), kubernetes))
    # Its own language version: it decides what Go's library does by default, as on clusters of that release.
    language = _go("list", "-mod=mod", "-m", "-f={{.GoVersion}}", "k8s.io/kubernetes", folder=folder).strip()
    _go("mod", "tidy", f"-go={language}", folder=folder)


def _compile(recipe: Recipe, folder: Path) -> None:
    output = folder / "devcluster"
    started = time.monotonic()
    progress = _Progress(f"devcluster {recipe.kubernetes}")
    progress.say("fetching modules")
    source = SOURCE
    if recipe.derived:
        source = folder / "source"
        _derive(recipe.kubernetes, source)
    total = len(_go("list", "-deps", ".", folder=source).splitlines())
    progress.say(f"compiling {total} packages, but for those in Go's cache, and linking")
    command = ["go", "build", "-v", *FLAGS, "-ldflags", recipe.ldflags, "-o", str(output), "."]
    compiled = 0
    complaints: deque[str] = deque(maxlen=30)
    with subprocess.Popen(command, cwd=source, env=os.environ | ENVIRONMENT, stderr=subprocess.PIPE, text=True) as go:
        try:
            for line in go.stderr or ():
                if " " in line or ":" in line:  # not a package's path, so a message
                    complaints.append(line)
                    continue
                compiled += 1
                progress.update(f"compiled {compiled} of at most {total} packages")
        except BaseException:
            go.send_signal(signal.SIGINT)  # lets go remove its work folder
            raise
    if go.returncode != 0:
        raise ClusterError(f"go build of {source} failed:\n{''.join(complaints)}")
    (folder / "bin").mkdir()
    (folder / "bin" / "kubectl").symlink_to("../devcluster")
    progress.say(f"built {output.stat().st_size / 1e6:.0f} MB in {time.monotonic() - started:.0f} s")


def _go(*arguments: str, folder: Path = SOURCE) -> str:
    try:
        return subprocess.run(
            ["go", *arguments],
            cwd=folder,
            env=os.environ | ENVIRONMENT,
            check=True,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
        ).stdout
    except FileNotFoundError:
        raise ClusterError("Go is not on PATH; install Go 1.26 or newer: https://go.dev/doc/install") from None
    except subprocess.CalledProcessError as error:
        raise ClusterError(f"go {' '.join(arguments)} in {folder} failed:\n{error.stderr[-3000:]}") from None


class _Progress:
    """Progress on stderr: one line redrawn on a terminal, a line every few seconds elsewhere."""

    def __init__(self, title: str) -> None:
        self._title = title
        self._started = self._shown = time.monotonic()
        self._terminal = sys.stderr.isatty()

    def update(self, text: str) -> None:
        """Something that will be outdated soon."""
        now = time.monotonic()
        if now - self._shown >= (0.1 if self._terminal else REPORT_SECONDS):
            self._shown = now
            self._print(text, end="" if self._terminal else "\n")

    def say(self, text: str) -> None:
        """Something that shall stay."""
        self._print(text, end="\n")

    def _print(self, text: str, end: str) -> None:
        minutes, seconds = divmod(int(time.monotonic() - self._started), 60)
        start = "\r\x1b[K" if self._terminal else ""
        print(f"{start}{self._title}: {minutes}:{seconds:02} {text}", end=end, file=sys.stderr, flush=True)
