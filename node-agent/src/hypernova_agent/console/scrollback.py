"""What a viewer who comes later sees first, and how a log and a live stream of the same text are put together. Pure."""

from __future__ import annotations

SCROLLBACK = 64 << 10
"""Bytes of what a guest wrote last that each viewer begins with."""

_COMPARED = 16 << 10
"""Bytes of a log's end that are compared with a stream: more than a serial line carries in the second that is in
question, and few enough for a guest that makes comparing as long as it can."""


class Ring:
    """The end of what was added."""

    def __init__(self) -> None:
        self._bytes = bytearray()

    def add(self, data: bytes) -> None:
        """This comes after what there is."""
        self._bytes += data
        del self._bytes[:-SCROLLBACK]

    def end(self) -> bytes:
        """Its last SCROLLBACK bytes."""
        return bytes(self._bytes)


class Splice:
    """Leaves out of a live stream what a log of the same guest has shown already.

    The log was read when the stream had begun: what the stream brings first is somewhere in it, or right after it. It
    is taken to be at the first place where all agrees that has come. What is in the log anyway is held back until
    then, so whoever asks gives up after a while (`rest`).
    """

    def __init__(self, logged: bytes) -> None:
        self._logged = logged[-_COMPARED:]
        self._came = b""
        self._place = 0
        self.done = not logged
        """Whether all that comes is new from now on."""

    def feed(self, live: bytes) -> bytes:
        """The part of it that is new for certain."""
        if self.done:
            return live
        self._came += live
        while self._place < len(self._logged):
            behind = self._logged[self._place : self._place + len(self._came)]
            if self._came.startswith(behind):
                if len(behind) < len(self._came) or self._place + len(behind) == len(self._logged):
                    break
                return b""
            self._place = self._next_place()
        return self._new(len(self._logged) - self._place)

    def rest(self) -> bytes:
        """No more that the log has is to be expected: what of the stream was held back, and is not in the log's end."""
        if self.done:
            return b""
        for shown in range(min(len(self._came), len(self._logged)), 0, -1):
            if self._logged.endswith(self._came[:shown]):
                return self._new(shown)
        return self._new(0)

    def _next_place(self) -> int:
        found = self._logged.find(self._came[:1], self._place + 1)
        return found if found >= 0 else len(self._logged)

    def _new(self, shown: int) -> bytes:
        self.done = True
        new, self._came = self._came[shown:], b""
        return new
