"""Golden files: whole texts under review. `UPDATE_GOLDEN=1 pytest ...` writes them anew, for `git diff` to be read."""

import os
from pathlib import Path


def assert_golden(text: str, file: Path) -> None:
    """The text is, to the letter, what the file holds."""
    if os.environ.get("UPDATE_GOLDEN"):
        file.write_text(text)
    assert file.exists(), f"no {file}: run this test with UPDATE_GOLDEN=1 and read what it writes"
    assert text == file.read_text()
