"""What an OCI archive is read as."""

from __future__ import annotations

import io
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from hack.images.content import read


def test_an_images_size_is_that_of_its_files_layer_by_layer(tmp_path: Path) -> None:
    archive = _archive(tmp_path, [{"usr/lib/a.so": b"x" * 700}, {"usr/lib/b.py": b"y" * 20, "usr/lib/c.py": b"z"}])

    found = read(archive)

    assert found.name == "localhost/hypernova/operator:1.0"
    assert found.config["User"] == "10001:10001"
    assert found.layers == (700, 21)
    assert found.size == 721


def test_a_layer_that_removes_files_is_refused_as_its_size_would_say_nothing(tmp_path: Path) -> None:
    archive = _archive(tmp_path, [{"usr/lib/a.so": b"x"}, {"usr/lib/.wh.a.so": b""}])

    with pytest.raises(ValueError, match=r"usr/lib/\.wh\.a\.so removes"):
        read(archive)


def _archive(folder: Path, layers: list[dict[str, bytes]]) -> Path:
    """An OCI archive as skopeo writes it, with digests that are names only."""
    blobs = {f"layer{i}": _tar(files) for i, files in enumerate(layers)}
    blobs["config"] = _json({"config": {"User": "10001:10001"}})
    blobs["manifest"] = _json(
        {"config": {"digest": "sha256:config"}, "layers": [{"digest": f"sha256:layer{i}"} for i in range(len(layers))]}
    )
    name = {"org.opencontainers.image.ref.name": "localhost/hypernova/operator:1.0"}
    index = _json({"manifests": [{"digest": "sha256:manifest", "annotations": name}]})
    archive = folder / "image.tar"
    archive.write_bytes(_tar({"index.json": index} | {f"blobs/sha256/{key}": blob for key, blob in blobs.items()}))
    return archive


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


def _tar(files: dict[str, bytes]) -> bytes:
    written = io.BytesIO()
    with tarfile.open(fileobj=written, mode="w") as archive:
        for name, content in files.items():
            member = tarfile.TarInfo(name)
            member.size = len(content)
            archive.addfile(member, io.BytesIO(content))
    return written.getvalue()
