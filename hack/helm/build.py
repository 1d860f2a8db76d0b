"""The helm command, compiled once per recipe and kept in the user's cache.

`module/` is a Go module with nothing in it but the name and the exact versions of the command it is for.
"""

from __future__ import annotations

import os
import re
import subprocess
import sys
import time
from functools import cache, partial
from pathlib import Path

from hack.cache import built, cache_dir, digest
from hack.devcluster.errors import ClusterError
from hack.devcluster.locking import locked

from .errors import HelmError

MODULE = Path(__file__).parent / "module"
INPUTS = ("go.mod", "go.sum")
COMMAND = "helm.sh/helm/v4/cmd/helm"

# As for the devcluster: the same binary with and without a C compiler, and with and without a go.work above.
ENVIRONMENT = {"CGO_ENABLED": "0", "GOWORK": "off"}
FLAGS = ("-trimpath", "-buildvcs=false", "-mod=readonly")

BUILD_SECONDS = 3600
"""How long a cold build may take: 3 minutes on two quiet cores, much more on a busy machine."""


@cache
def build() -> Path:
    """The path of the command, compiling it first when this recipe has not been built yet.

    Cold that is about 3 minutes on two cores; cached it is instant. Of two builders at once the second waits.

    Raises:
        HelmError: Go is missing, or the build failed; with the compiler's last words.
    """
    version = _version()
    key = digest([_go("env", "GOVERSION"), *FLAGS, _ldflags(version), *(MODULE / name for name in INPUTS)])
    helm = cache_dir() / "helm" / key / "helm"
    if not helm.exists():
        try:
            with locked(cache_dir() / "helm" / f"{key}.lock", seconds=BUILD_SECONDS):
                built("helm", key, partial(_compile, version))
        except ClusterError as error:
            raise HelmError(str(error)) from error
    return helm


def _version() -> str:
    found = re.search(r"^\s+helm\.sh/helm/v4 (v\S+)", (MODULE / "go.mod").read_text(), re.MULTILINE)
    if found is None:
        raise HelmError(f"{MODULE / 'go.mod'} does not require helm.sh/helm/v4")
    return found[1]


def _ldflags(version: str) -> str:
    """Strips the binary and says its version, which Helm's own release builds do by the same flag."""
    return f"-s -w -X helm.sh/helm/v4/internal/version.version={version}"


def _compile(version: str, folder: Path) -> None:
    started = time.monotonic()
    print(f"helm {version}: fetching modules and compiling, some minutes where Go's cache is cold", file=sys.stderr)
    _go("build", *FLAGS, "-ldflags", _ldflags(version), "-o", str(folder / "helm"), COMMAND)
    print(f"helm {version}: built in {time.monotonic() - started:.0f} s", file=sys.stderr)


def _go(*arguments: str) -> str:
    try:
        return subprocess.run(
            ["go", *arguments],
            cwd=MODULE,
            env=os.environ | ENVIRONMENT,
            check=True,
            capture_output=True,
            text=True,
            timeout=BUILD_SECONDS,
        ).stdout
    except FileNotFoundError:
        raise HelmError("Go is not on PATH; install Go 1.26 or newer: https://go.dev/doc/install") from None
    except subprocess.CalledProcessError as error:
        raise HelmError(f"go {' '.join(arguments)} in {MODULE} failed:\n{error.stderr[-3000:]}") from None
