"""The user's terminal, or what stands in its place: pipes and files."""

from __future__ import annotations

import asyncio
import os
import termios
import tty
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

_CHUNK = 4096


class Terminal:
    """Standard input, output and error. Nothing is buffered; what cannot be written is a BrokenPipeError.

    Writing waits for a reader that is slow, and the event loop with it: file descriptors are shared with the shell that
    started us, which would find its terminal changed if we made them non-blocking.
    """

    def __init__(self, stdin: int = 0, stdout: int = 1, stderr: int = 2) -> None:
        self._stdin = stdin
        self._stdout = stdout
        self._stderr = stderr
        self._end_of_line = "\n"

    @property
    def types(self) -> bool:
        """Whether a person types."""
        return os.isatty(self._stdin)

    @property
    def shows(self) -> bool:
        """Whether a person looks at the output."""
        return os.isatty(self._stdout)

    @property
    def size(self) -> os.terminal_size:
        """Columns and rows; those of old terminals where there is none."""
        try:
            return os.get_terminal_size(self._stdout)
        except OSError:
            return os.terminal_size((80, 24))

    def print(self, text: str) -> None:
        """A line, or more, of what was asked for."""
        self.write(f"{text}{self._end_of_line}".encode())

    def say(self, text: str) -> None:
        """A line about how it goes, to standard error."""
        # In raw mode the cursor may be anywhere in a line of the guest's.
        start = "\r\n" if self._end_of_line == "\r\n" else ""
        _write(self._stderr, f"{start}{text}{self._end_of_line}".encode())

    def write(self, data: bytes) -> None:
        """These bytes, to standard output."""
        _write(self._stdout, data)

    @contextmanager
    def raw(self) -> Iterator[None]:
        """Every key reaches us as it is, Ctrl-C too; the terminal is as it was when the block is left."""
        before = termios.tcgetattr(self._stdin)
        try:
            tty.setraw(self._stdin)
            self._end_of_line = "\r\n"
            yield
        finally:
            self._end_of_line = "\n"
            # TCSADRAIN: what was typed ahead is the shell's.
            termios.tcsetattr(self._stdin, termios.TCSADRAIN, before)

    async def typed(self) -> AsyncIterator[bytes]:
        """What is typed, or comes by a pipe, until it ends."""
        while True:
            await self._readable()
            try:
                data = os.read(self._stdin, _CHUNK)
            except OSError:  # the terminal was closed
                return
            if not data:
                return
            yield data

    async def _readable(self) -> None:
        loop = asyncio.get_running_loop()
        readable = asyncio.Event()
        try:
            loop.add_reader(self._stdin, readable.set)
        except PermissionError:  # a file: it never keeps anybody waiting, so nobody can wait for it
            return
        try:
            await readable.wait()
        finally:
            loop.remove_reader(self._stdin)


def _write(descriptor: int, data: bytes) -> None:
    view = memoryview(data)
    while view:
        view = view[os.write(descriptor, view) :]
