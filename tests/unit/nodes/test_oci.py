import hashlib
import json
import tarfile
from pathlib import Path
from typing import Any

import pytest

from hack.nodes import Image, write_archive

NAME = "localhost/hypernova-test/tiny:1"


@pytest.fixture
def archive(tmp_path: Path) -> Path:
    program = tmp_path / "program"
    program.write_bytes(b"\x7fELF")
    write_archive(Image(NAME, {"/bin/program": program}, ("/bin/program",)), tmp_path / "image.tar")
    return tmp_path / "image.tar"


def read(archive: Path, name: str) -> bytes:
    with tarfile.open(archive) as tar:
        file = tar.extractfile(name)
        assert file
        return file.read()


def blob(archive: Path, descriptor: dict[str, Any]) -> bytes:
    """What a descriptor is about, checked as those who read archives do."""
    algorithm, _, digest = descriptor["digest"].partition(":")
    content = read(archive, f"blobs/{algorithm}/{digest}")
    assert (hashlib.sha256(content).hexdigest(), len(content)) == (digest, descriptor["size"])
    return content


def test_an_archive_leads_from_its_name_to_its_program(archive: Path, tmp_path: Path) -> None:
    (entry,) = json.loads(read(archive, "index.json"))["manifests"]
    assert entry["annotations"]["io.containerd.image.name"] == NAME
    manifest = json.loads(blob(archive, entry))
    config = json.loads(blob(archive, manifest["config"]))
    assert config["config"]["Entrypoint"] == ["/bin/program"]
    (layer,) = manifest["layers"]
    assert config["rootfs"]["diff_ids"] == [layer["digest"]]

    (tmp_path / "layer.tar").write_bytes(blob(archive, layer))
    with tarfile.open(tmp_path / "layer.tar") as tar:
        (program,) = tar.getmembers()
    assert (program.name, program.mode, program.uid, program.mtime) == ("bin/program", 0o755, 0, 0)


def test_the_same_files_make_the_same_archive(archive: Path, tmp_path: Path) -> None:
    again = tmp_path / "again.tar"
    write_archive(Image(NAME, {"/bin/program": tmp_path / "program"}, ("/bin/program",)), again)
    assert again.read_bytes() == archive.read_bytes()
