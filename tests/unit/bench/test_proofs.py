"""What guests that prove their disks say, and what is a loss."""

import pytest

from tests.bench.faults.proofs import losses, written

MARK = "HYPERNOVA-GUEST CHECKSUM"


def console(*words: str) -> str:
    return "".join(f"{MARK} {each}\r\n" for each in words)


@pytest.mark.parametrize(
    ("said", "lost"),
    [
        ((), 0),
        (("start 0", "ok 1", "ok 2"), 0),
        (("start 0", "ok 1", "start 1", "ok 2"), 0),
        (("start 0", "ok 1", "start 2"), 0),  # written, and killed before it could say so
        (("start 0", "ok 1", "ok 2", "start 1"), 1),
        (("start 0", "ok 1", "bad place 3: block 1 is lost"), 1),
        (("start 0", "ok 1", "bad block 2: it can not be written", "start 1", "ok 2"), 0),
        (("start 0", "ok 1", "bad place 0: it can not be read", "start 1", "ok 2"), 0),
        (("start 0", "ok 1", "bad place 0: it can not be read", "start 0", "ok 1"), 1),
    ],
)
def test_a_block_that_was_on_the_disk_must_stay_there(said: tuple[str, ...], lost: int) -> None:
    assert len(losses(console(*said))) == lost


def test_blocks_are_counted_amid_whatever_else_is_on_the_console() -> None:
    assert written(f"boot\n{console('start 0', 'ok 1')}noise{MARK} ok 2") == 2
