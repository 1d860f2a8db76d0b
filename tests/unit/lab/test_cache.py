"""What is built is built whole, once, and again when what it is made from changes."""

from pathlib import Path

import pytest

from hack.cache import built, digest


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """An empty cache."""
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    return tmp_path / "cache"


def test_a_thing_is_built_once_for_a_key() -> None:
    calls = []

    def build(folder: Path) -> None:
        calls.append(folder)
        (folder / "thing").write_text("made")

    first, second, other = built("things", "k1", build), built("things", "k1", build), built("things", "k2", build)
    assert first == second != other
    assert len(calls) == 2
    assert (first / "thing").read_text() == "made"


def test_a_build_that_fails_leaves_nothing(cache: Path) -> None:
    def build(folder: Path) -> None:
        (folder / "half").write_text("made")
        raise RuntimeError("no more")

    with pytest.raises(RuntimeError, match="no more"):
        built("things", "k1", build)
    assert list((cache / "hypernova" / "things").iterdir()) == []


def test_of_two_builders_at_once_the_first_wins(cache: Path) -> None:
    def build(folder: Path) -> None:
        built("things", "k1", lambda faster: (faster / "thing").touch())
        (folder / "late").touch()

    place = built("things", "k1", build)
    assert [path.name for path in place.iterdir()] == ["thing"]
    assert [path.name for path in place.parent.iterdir()] == ["k1"]


def test_the_key_follows_contents_and_not_only_their_sum(tmp_path: Path) -> None:
    (tmp_path / "a").write_text("one")
    before = digest([tmp_path / "a", "x"])
    assert before == digest([tmp_path / "a", "x"])
    assert before != digest(["onex"])
    (tmp_path / "a").write_text("two")
    assert before != digest([tmp_path / "a", "x"])
