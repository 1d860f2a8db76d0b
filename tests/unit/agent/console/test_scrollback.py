"""The end of what a guest wrote, and a log and a live stream put together."""

from hypothesis import given
from hypothesis import strategies as st

from hypernova_agent.console.scrollback import SCROLLBACK, Ring, Splice

few = st.text("ab\n", max_size=40).map(str.encode)
"""Of an alphabet so small that much looks alike."""


@given(st.lists(st.binary(max_size=SCROLLBACK), max_size=5))
def test_a_ring_keeps_the_end_of_all_that_came(parts: list[bytes]) -> None:
    ring = Ring()
    for part in parts:
        ring.add(part)
    assert ring.end() == b"".join(parts)[-SCROLLBACK:]


def joined(logged: bytes, pieces: list[bytes]) -> bytes:
    splice = Splice(logged)
    return logged + b"".join([*(splice.feed(piece) for piece in pieces), splice.rest()])


@given(st.integers(0, 200), st.integers(0, 200), st.integers(0, 55), st.integers(1, 7))
def test_what_is_in_both_is_shown_once_and_nothing_is_lost(began: int, logged: int, more: int, size: int) -> None:
    """No byte of it is like another. The stream began within the log, or right after it."""
    text = bytes(range(256))
    began = min(began, logged)
    live = text[began : logged + more]
    assert joined(text[:logged], [live[at : at + size] for at in range(0, len(live), size)]) == text[: logged + more]


@given(few, few, few, st.integers(1, 7))
def test_of_what_looks_alike_nothing_is_lost_but_what_looks_like_its_double(
    gap: bytes, both: bytes, live: bytes, size: int
) -> None:
    stream = both + live
    shown = joined(gap + both, [stream[at : at + size] for at in range(0, len(stream), size)])
    assert shown.startswith(gap + both)
    assert live.endswith(shown.removeprefix(gap + both))


@given(few.filter(bool), few.filter(bool), st.integers(1, 7))
def test_a_stream_that_has_nothing_of_the_log_is_shown_whole(logged: bytes, live: bytes, size: int) -> None:
    other = live.upper()
    assert joined(logged.replace(b"\n", b""), [other[at : at + size] for at in range(0, len(other), size)]) == (
        logged.replace(b"\n", b"") + other
    )


def test_what_may_be_in_the_log_is_held_back_until_it_is_clear_or_the_wait_is_over() -> None:
    splice = Splice(b"login: ")
    assert splice.feed(b"o") == b""
    assert not splice.done
    assert splice.rest() == b"o"
    assert splice.done
    assert splice.feed(b"login: ") == b"login: "
