"""The images, built if need be, and each unpacked once."""

from __future__ import annotations

import json
import subprocess
import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from hack.images import COMPONENTS, archives, content

SECONDS = 120

IN_A_CONTAINER = """
mount --bind "$0" "$0"
mount -o remount,bind,ro "$0"
exec setpriv --no-new-privs /usr/sbin/chroot --userspec=10001:10001 --groups= "$0" "$@"
"""
"""As a Pod would have it: read-only, uid 10001, no capability; with nothing of the kernel's file systems."""


@dataclass(frozen=True, slots=True)
class Image:
    """An image, and its files below a folder."""

    component: str
    root: Path
    content: content.Content

    def run(self, *command: str) -> str:
        """What a command in the image prints; it has the environment that the image sets and no other."""
        environment = dict(setting.split("=", 1) for setting in self.content.config["Env"])
        unshare = ["/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child", "/bin/sh", "-ec", IN_A_CONTAINER]
        done = subprocess.run(
            [*unshare, self.root, *command], env=environment, capture_output=True, text=True, timeout=SECONDS
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    def python(self, program: str) -> str:
        return self.run("/usr/bin/python3", "-c", program)


@pytest.fixture(scope="session")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Image]:
    images = {}
    for component, archive in archives().items():
        root = tmp_path_factory.mktemp(component)
        for layer in layers(archive):
            subprocess.run(["tar", "--extract", "--directory", root], input=layer, check=True, timeout=SECONDS)
        root.chmod(0o755)
        images[component] = Image(component, root, content.read(archive))
    return images


def layers(archive: Path) -> Iterator[bytes]:
    """Of an OCI archive, each layer's own archive, the lowest first."""
    with tarfile.open(archive) as outer:

        def blob(name: str) -> bytes:
            file = outer.extractfile(name)
            assert file is not None, name
            return file.read()

        def place(digest: str) -> str:
            return f"blobs/{digest.replace(':', '/')}"

        manifest = json.loads(blob(place(json.loads(blob("index.json"))["manifests"][0]["digest"])))
        for layer in manifest["layers"]:
            yield blob(place(layer["digest"]))


@pytest.fixture(params=COMPONENTS)
def image(request: pytest.FixtureRequest, unpacked: dict[str, Image]) -> Image:
    component: str = request.param
    return unpacked[component]
