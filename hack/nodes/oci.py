"""Small images for containerd, without a builder: an OCI archive of one layer, made from files of this machine.

The same files give the same digest.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

EPOCH = "1970-01-01T00:00:00Z"
INDEX = "application/vnd.oci.image.index.v1+json"
MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar"


@dataclass(frozen=True, slots=True)
class Image:
    """What to pack, and how it is run."""

    name: str
    """In full, as Pods name it, e.g. `localhost/hypernova/pause:1`."""

    programs: Mapping[str, Path]
    """Executables by their path in the image, e.g. `{"/pause": Path("build/pause")}`."""

    entrypoint: tuple[str, ...]


def write_archive(image: Image, archive: Path) -> None:
    """Write the image as an OCI archive, which containerd, buildah and skopeo read."""
    layer = _layer(image.programs)
    config = _json(
        {
            "created": EPOCH,
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": list(image.entrypoint)},
            "rootfs": {"type": "layers", "diff_ids": [_digest(layer)]},
            "history": [{"created": EPOCH, "created_by": "hack.nodes"}],
        }
    )
    manifest = _json(
        {
            "schemaVersion": 2,
            "mediaType": MANIFEST,
            "config": _descriptor(CONFIG, config),
            "layers": [_descriptor(LAYER, layer)],
        }
    )
    named = {"io.containerd.image.name": image.name, "org.opencontainers.image.ref.name": image.name}
    index = {"schemaVersion": 2, "mediaType": INDEX}
    files = {
        "oci-layout": _json({"imageLayoutVersion": "1.0.0"}),
        "index.json": _json(index | {"manifests": [_descriptor(MANIFEST, manifest) | {"annotations": named}]}),
    }
    blobs = {f"blobs/sha256/{_digest(blob).removeprefix('sha256:')}": blob for blob in (layer, config, manifest)}
    archive.write_bytes(_tar(files | blobs, mode=0o644))


def _layer(programs: Mapping[str, Path]) -> bytes:
    return _tar({path.lstrip("/"): file.read_bytes() for path, file in programs.items()}, mode=0o755)


def _tar(files: Mapping[str, bytes], mode: int) -> bytes:
    """A tar archive whose files are root's and have no age."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        for name, content in files.items():
            entry = tarfile.TarInfo(name)
            entry.size, entry.mode = len(content), mode
            tar.addfile(entry, io.BytesIO(content))
    return buffer.getvalue()


def _descriptor(media_type: str, blob: bytes) -> dict[str, Any]:
    return {"mediaType": media_type, "digest": _digest(blob), "size": len(blob)}


def _digest(blob: bytes) -> str:
    return f"sha256:{hashlib.sha256(blob).hexdigest()}"


def _json(value: dict[str, Any]) -> bytes:
    return json.dumps(value).encode()
