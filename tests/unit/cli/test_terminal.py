"""The terminal: a pty here."""

import asyncio
import os
import pty
import termios
from collections.abc import Iterator
from dataclasses import dataclass

import pytest

from hypernova_cli.terminal import Terminal


@dataclass
class Pty:
    """A terminal, and the side of it that its user has."""

    user: int
    ours: int

    @property
    def terminal(self) -> Terminal:
        return Terminal(self.ours, self.ours, self.ours)

    @property
    def modes(self) -> list:
        return termios.tcgetattr(self.ours)

    @property
    def is_raw(self) -> bool:
        return not self.modes[3] & (termios.ICANON | termios.ECHO | termios.ISIG)

    def seen(self) -> bytes:
        return os.read(self.user, 4096)


@pytest.fixture
def a_pty() -> Iterator[Pty]:
    user, ours = pty.openpty()
    try:
        yield Pty(user, ours)
    finally:
        os.close(user)
        os.close(ours)


class Stop(Exception):
    pass


async def typed_into(terminal: Terminal) -> bytes:
    """What comes first, or nothing at the end."""
    async with asyncio.timeout(10):
        async for data in terminal.typed():
            return data
    return b""


def test_a_terminal_is_raw_in_the_block_and_as_it_was_after_it(a_pty):
    before = a_pty.modes
    with a_pty.terminal.raw():
        assert a_pty.is_raw
    assert a_pty.modes == before


@pytest.mark.parametrize("error", [Stop, KeyboardInterrupt, asyncio.CancelledError, SystemExit])
def test_it_is_as_it_was_after_an_error_too(a_pty, error):
    before = a_pty.modes
    with pytest.raises(error), a_pty.terminal.raw():
        raise error
    assert a_pty.modes == before


async def test_every_key_comes_as_it_is_in_raw_mode(a_pty):
    with a_pty.terminal.raw():
        os.write(a_pty.user, b"\x03\x1a\x1d\r")
        assert await typed_into(a_pty.terminal) == b"\x03\x1a\x1d\r"


async def test_what_is_typed_is_read_when_it_comes(a_pty):
    with a_pty.terminal.raw():
        reading = asyncio.create_task(typed_into(a_pty.terminal))
        await asyncio.sleep(0)
        os.write(a_pty.user, b"x")
        assert await reading == b"x"


async def test_a_pipe_and_a_file_are_read_to_their_end(tmp_path):
    reader, writer = os.pipe()
    os.write(writer, b"piped")
    os.close(writer)
    assert [data async for data in Terminal(stdin=reader).typed()] == [b"piped"]
    os.close(reader)

    (tmp_path / "keys").write_bytes(b"from a file")
    keys = os.open(tmp_path / "keys", os.O_RDONLY)
    assert [data async for data in Terminal(stdin=keys).typed()] == [b"from a file"]
    os.close(keys)


def test_lines_about_how_it_goes_begin_at_the_left_in_raw_mode_too(a_pty):
    terminal = a_pty.terminal
    with terminal.raw():
        terminal.say("[connected]")
        assert a_pty.seen() == b"\r\n[connected]\r\n"


def test_output_and_news_go_apart():
    (out, our_out), (err, our_err) = os.pipe(), os.pipe()
    terminal = Terminal(stdout=our_out, stderr=our_err)
    terminal.print("asked for")
    terminal.say("how it goes")
    assert (os.read(out, 99), os.read(err, 99)) == (b"asked for\n", b"how it goes\n")
    assert not terminal.shows
    for each in (out, our_out, err, our_err):
        os.close(each)


def test_it_knows_its_size_and_a_pipe_has_one_too(a_pty):
    termios.tcsetwinsize(a_pty.ours, (40, 120))
    assert a_pty.terminal.size == (120, 40)
    reader, writer = os.pipe()
    assert Terminal(stdout=writer).size == (80, 24)
    os.close(reader)
    os.close(writer)


def test_nobody_left_to_read_is_a_broken_pipe():
    reader, writer = os.pipe()
    os.close(reader)
    with pytest.raises(BrokenPipeError):
        Terminal(stdout=writer).print("x")
    os.close(writer)
