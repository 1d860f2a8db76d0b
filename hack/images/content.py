"""What an OCI archive has in it: its configuration, and the files of its layers, one over another."""

from __future__ import annotations

import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

WHITEOUT = ".wh."


@dataclass(frozen=True, slots=True)
class Content:
    """An image, read from its archive."""

    name: str
    """As it is tagged, e.g. `localhost/hypernova/operator:0.1.0`."""

    config: Mapping[str, Any]
    """The `config` of the OCI image specification: `User`, `Labels`, `Entrypoint`, `Env`, ..."""

    layers: tuple[int, ...]
    """The bytes of each layer's files, the lowest first."""

    @property
    def size(self) -> int:
        """Bytes of all files, unpacked."""
        return sum(self.layers)


def read(archive: Path) -> Content:
    """What the archive says and how much it unpacks to.

    Raises:
        ValueError: a layer removes what one below it has, so that sizes would not add up.
    """
    with tarfile.open(archive) as outer:
        index = _blob_json(outer, "index.json")
        manifest = _blob_json(outer, _place(index["manifests"][0]["digest"]))
        config = _blob_json(outer, _place(manifest["config"]["digest"]))
        layers = tuple(_layer_size(outer, _place(layer["digest"])) for layer in manifest["layers"])
    name = index["manifests"][0]["annotations"]["org.opencontainers.image.ref.name"]
    return Content(name=name, config=config["config"], layers=layers)


def _layer_size(outer: tarfile.TarFile, place: str) -> int:
    with tarfile.open(fileobj=outer.extractfile(place)) as files:
        size = 0
        for member in files:
            if Path(member.name).name.startswith(WHITEOUT):
                raise ValueError(f"{place}: {member.name} removes a file of a layer below")
            size += member.size if member.isreg() else 0
    return size


def _place(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _blob_json(outer: tarfile.TarFile, name: str) -> Any:
    file = outer.extractfile(name)
    if file is None:
        raise KeyError(name)
    return json.load(file)
