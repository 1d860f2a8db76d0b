"""What of a viewer's words reaches QEMU."""

import struct
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from hypernova_agent.console.rfb import ClientFilter, RfbError

HELLO = b"RFB 003.008\n\x01\x01"
"""Version, no authentication, ClientInit."""

PIXELS = b"\0\0\0\0" + bytes(range(16))
ENCODINGS = struct.pack(">BxH3i", 2, 3, 0, -239, 5)
UPDATE = struct.pack(">BBHHHH", 3, 1, 0, 0, 640, 480)
CONTINUOUS = struct.pack(">BBHHHH", 150, 1, 0, 0, 640, 480)
FENCE = struct.pack(">B3xIB", 248, 1, 3) + b"abc"
KEY = struct.pack(">BBxxI", 4, 1, 0x61)
POINTER = struct.pack(">BBHH", 5, 1, 10, 10)
CUT = struct.pack(">B3xi", 6, 3) + b"cut"
EXTENDED_CUT = struct.pack(">B3xi", 6, -8) + bytes(8)
XVP = b"\xfa\0\x01\x03"
DESKTOP_SIZE = struct.pack(">BxHHBx", 251, 800, 600, 1) + bytes(16)
SCAN_CODE = struct.pack(">BBHII", 255, 0, 1, 0x61, 30)
AUDIO_ON, AUDIO_OFF = b"\xff\x01\0\0", b"\xff\x01\0\x01"
AUDIO_FORMAT = b"\xff\x01\0\x02" + bytes(6)

PASS = [PIXELS, ENCODINGS, UPDATE, CONTINUOUS, FENCE]
DROP = [KEY, POINTER, CUT, EXTENDED_CUT, XVP, DESKTOP_SIZE, SCAN_CODE, AUDIO_ON, AUDIO_OFF, AUDIO_FORMAT]

messages = st.lists(
    st.sampled_from(PASS + DROP)
    | st.builds(lambda n: struct.pack(">BxH", 2, n) + bytes(4 * n), st.integers(0, 3000))
    | st.builds(lambda n: struct.pack(">B3xi", 6, n) + bytes(n), st.integers(0, 9000))
)


def in_pieces(data: bytes, cuts: list[int]) -> list[bytes]:
    places = sorted({0, len(data), *(cut % (len(data) + 1) for cut in cuts)})
    return [data[begin:end] for begin, end in pairwise(places)]


def passed(data: bytes, *, read_only: bool = True, cuts: list[int] | None = None) -> bytes:
    allowed = ClientFilter(read_only=read_only)
    return b"".join(allowed.feed(piece) for piece in in_pieces(data, cuts or []))


def is_for_all(message: bytes) -> bool:
    return message in PASS or message[0] == 2


@given(messages, st.lists(st.integers(min_value=0), max_size=20))
def test_one_who_only_looks_says_what_he_wants_to_see_and_nothing_else_in_whatever_pieces(
    said: list[bytes], cuts: list[int]
) -> None:
    heard = HELLO + b"".join(message for message in said if is_for_all(message))
    assert passed(HELLO + b"".join(said), cuts=cuts) == heard


@given(st.binary(max_size=300), st.lists(st.integers(min_value=0), max_size=20))
def test_what_others_say_reaches_qemu_to_the_byte(said: bytes, cuts: list[int]) -> None:
    assert passed(HELLO + said, read_only=False, cuts=cuts) == HELLO + said


@given(st.binary(max_size=300), st.lists(st.integers(min_value=0), max_size=20))
def test_any_pieces_of_any_nonsense_come_to_the_same(said: bytes, cuts: list[int]) -> None:
    def outcome(cuts: list[int]) -> tuple[bytes, str]:
        allowed, heard = ClientFilter(read_only=True), b""
        try:
            for byte in in_pieces(HELLO + said, cuts):
                heard += allowed.feed(byte)
        except RfbError as error:
            return b"", str(error)
        return heard, ""

    assert outcome(cuts) == outcome([])


@pytest.mark.parametrize("shared", [b"\0", b"\1"])
@pytest.mark.parametrize("read_only", [True, False])
@pytest.mark.parametrize("version", [b"RFB 003.003\n", b"RFB 003.007\n\x01", b"RFB 003.008\n\x01"])
def test_every_viewer_of_every_version_is_said_to_share(version: bytes, read_only: bool, shared: bytes) -> None:
    assert passed(version + shared + UPDATE, read_only=read_only) == version + b"\1" + UPDATE


@pytest.mark.parametrize(
    ("said", "why"),
    [
        (b"GET / HTTP/1.1\r\n", "no version of RFB"),
        (b"RFB 003.889\n", "no version of RFB"),
        (b"RFB 003.008\n\x02", "security type 2"),
        (HELLO + b"\x07", "type that is not known here: 07"),
        (HELLO + UPDATE + b"\xff\x02", "type that is not known here: ff 02"),
        (HELLO + b"\xff\x01\x00\x03", "type that is not known here: ff 01 00 03"),
    ],
)
def test_what_is_not_understood_ends_the_session_with_a_sentence(said: bytes, why: str) -> None:
    with pytest.raises(RfbError, match=why):
        passed(said)


def test_of_a_message_without_end_no_more_is_held_than_a_piece() -> None:
    allowed = ClientFilter(read_only=True)
    allowed.feed(HELLO + struct.pack(">B3xi", 6, 2**31 - 1))
    for _ in range(64):
        assert allowed.feed(bytes(60_000)) == b""
    assert len(allowed._held) < 4096
