"""libvirt's own schemas accept what we write."""

import subprocess
from pathlib import Path

import pytest

GOLDEN = Path(__file__).parents[2] / "unit" / "agent" / "golden"


@pytest.mark.parametrize("file", sorted(GOLDEN.glob("*.xml")), ids=lambda file: file.stem)
def test_it_is_valid_by_libvirt_s_schema(file: Path) -> None:
    done = subprocess.run(["virt-xml-validate", file], capture_output=True, text=True, timeout=30, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
