"""What a viewer may say to QEMU's VNC server: a filter of RFB's messages from client to server. Pure.

RFC 6143, and the extensions of https://github.com/rfbproto/rfbproto. A message that passes is passed whole, and is of a
type whose length QEMU and we agree on. So whatever a viewer makes of the rest, QEMU never sees a byte of it: at worst
the viewer's own session ends.
"""

from __future__ import annotations

import struct
from collections.abc import Generator
from dataclasses import dataclass

_VERSIONS = (b"RFB 003.003\n", b"RFB 003.007\n", b"RFB 003.008\n")
_CHOOSES_SECURITY = _VERSIONS[1:]
"""Of version 3.3 the server chooses."""

_NO_AUTHENTICATION = b"\x01"
_SHARED = b"\x01"


class RfbError(Exception):
    """The viewer says what cannot be passed on; the text is a sentence."""


@dataclass(frozen=True, slots=True)
class _Form:
    """How long a message is, and whether one who may only look can send it."""

    fixed: int
    """Bytes, the type among them."""

    passes: bool
    count: tuple[int, str, int] | None = None
    """Where in these a count stands, its struct format, and how many bytes more there are for each."""


_FORMS = {
    0: _Form(20, True),  # SetPixelFormat
    2: _Form(4, True, (2, ">H", 4)),  # SetEncodings
    3: _Form(10, True),  # FramebufferUpdateRequest
    4: _Form(8, False),  # KeyEvent
    5: _Form(6, False),  # PointerEvent
    6: _Form(8, False, (4, ">i", 1)),  # ClientCutText; a negative length is the extended clipboard's
    150: _Form(10, True),  # EnableContinuousUpdates
    248: _Form(9, True, (8, ">B", 1)),  # ClientFence
    250: _Form(4, False),  # xvp: power off, reset
    251: _Form(8, False, (6, ">B", 16)),  # SetDesktopSize
}
_QEMU, _AUDIO = 255, 1
_QEMU_FORMS = {
    b"\0": _Form(12, False),  # a key, by its scan code
    b"\1\0\0": _Form(4, False),  # audio: on
    b"\1\0\1": _Form(4, False),  # audio: off
    b"\1\0\2": _Form(10, False),  # audio: its format
}
"""By what follows the type."""

_PIECE = 4096
"""Bytes of a long message that are looked at together."""


class ClientFilter:
    """One viewer's messages: feed it bytes as they come, in whatever pieces; what it returns is for QEMU.

    Every viewer is said to share the screen: QEMU would end the session of one who asks to be alone, or, of a guest
    that was started by an older agent, that of all others.
    Of a viewer who may only look nothing reaches the guest. Holds fewer than _PIECE bytes.
    """

    def __init__(self, *, read_only: bool) -> None:
        self._passed = bytearray()
        self._held = bytearray()
        self._reading = _conversation(self._passed, read_only=read_only)
        self._wanted: int | None = next(self._reading)

    def feed(self, data: bytes) -> bytes:
        """What is to be passed on now.

        Raises:
            RfbError: the viewer says what cannot be passed on; nothing after it can be.
        """
        self._held += data
        while self._wanted is not None and len(self._held) >= self._wanted:
            piece = bytes(self._held[: self._wanted])
            del self._held[: self._wanted]
            try:
                self._wanted = self._reading.send(piece)
            except StopIteration:
                self._wanted = None
        if self._wanted is None:
            self._passed += self._held
            self._held.clear()
        passed = bytes(self._passed)
        self._passed.clear()
        return passed


_Reading = Generator[int, bytes, None]
"""Yields how many bytes it wants to see next, and gets them. At its end all that follows may pass."""


def _conversation(passed: bytearray, *, read_only: bool) -> _Reading:
    """What a viewer says from the beginning on; `passed` gets what is to be passed on."""
    version = yield len(_VERSIONS[0])
    if version not in _VERSIONS:
        raise RfbError("the viewer speaks no version of RFB that is known here: 3.3, 3.7 or 3.8")
    passed += version
    if version in _CHOOSES_SECURITY:
        security = yield 1
        if security != _NO_AUTHENTICATION:
            raise RfbError(f"the viewer chose security type {security[0]}: there is none here but 1")
        passed += security
    yield 1  # ClientInit: whether it would share
    passed += _SHARED
    while read_only:
        yield from _message(passed)


def _message(passed: bytearray) -> _Reading:
    """One message of a viewer who may only look."""
    head = yield 1
    form = _FORMS.get(head[0])
    if head[0] == _QEMU:
        head += yield 1
        if head[1] == _AUDIO:
            head += yield 2
        form = _QEMU_FORMS.get(head[1:])
    if form is None:
        raise RfbError(f"the viewer sent a message of a type that is not known here: {head.hex(' ')}")
    if form.fixed > len(head):
        head += yield form.fixed - len(head)
    rest = 0
    if form.count is not None:
        place, number, size = form.count
        rest = abs(struct.unpack_from(number, head, place)[0]) * size
    while True:
        if form.passes:
            passed += head
        if not rest:
            return
        head = yield min(rest, _PIECE)
        rest -= len(head)
