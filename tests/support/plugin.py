"""`kubectl-hypernova` as a process: with pipes, or with a terminal of its own."""

from __future__ import annotations

import asyncio
import os
import pty
import signal
import subprocess
import sys
import termios
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from support.waiting import eventually_async

COMMAND = (sys.executable, "-m", "hypernova_cli")

SECONDS = 90.0
"""For what a process does. It takes one to start, of a processor that it may share with many."""


@dataclass(frozen=True)
class Result:
    """What came of a command."""

    status: int
    out: bytes
    err: str

    @property
    def text(self) -> str:
        return self.out.decode()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()


class Plugin:
    """Runs commands with a kubeconfig, in a namespace."""

    def __init__(self, kubeconfig: Path, namespace: str, **environment: str) -> None:
        self._namespace = namespace
        plain = {name: value for name, value in os.environ.items() if name not in ("DISPLAY", "WAYLAND_DISPLAY")}
        self._environment = plain | {"KUBECONFIG": str(kubeconfig)} | environment

    async def start(self, *arguments: str, **streams: Any) -> asyncio.subprocess.Process:
        """Start a command; standard input is empty unless said otherwise."""
        command = (*COMMAND, *(["-n", self._namespace] if self._namespace else []), *arguments)
        streams = {"stdin": subprocess.DEVNULL, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE} | streams
        return await asyncio.create_subprocess_exec(*command, env=self._environment, **streams)

    async def __call__(self, *arguments: str, typed: bytes = b"") -> Result:
        """Run a command to its end."""
        process = await self.start(*arguments, stdin=subprocess.PIPE)
        return await finished(process, typed)

    @asynccontextmanager
    async def in_terminal(self, *arguments: str) -> AsyncIterator[InTerminal]:
        """A command in a terminal; it is ended with the block."""
        user, theirs = pty.openpty()
        termios.tcsetwinsize(theirs, (40, 120))
        before = termios.tcgetattr(theirs)
        process = await self.start(*arguments, stdin=theirs, stdout=theirs, stderr=theirs)
        loop = asyncio.get_running_loop()
        started = InTerminal(process, user, theirs, before)
        loop.add_reader(user, started.read)
        try:
            yield started
        finally:
            if process.returncode is None:
                process.kill()
            await process.wait()
            loop.remove_reader(user)
            os.close(user)
            os.close(theirs)


async def finished(process: asyncio.subprocess.Process, typed: bytes = b"") -> Result:
    """What came of a command that was started."""
    try:
        async with asyncio.timeout(SECONDS):
            out, err = await process.communicate(None if process.stdin is None else typed)
    except TimeoutError:
        process.kill()
        out, err = await process.communicate()
        raise AssertionError(f"no end; so far it has said {out!r} and {err.decode()!r}") from None
    assert process.returncode is not None
    assert b"Traceback" not in err, err.decode()
    return Result(process.returncode, out, err.decode())


@dataclass
class InTerminal:
    """A command and its terminal, from the side of its user."""

    process: asyncio.subprocess.Process
    _user: int
    _theirs: int
    _before: list[Any]
    screen: bytearray = field(default_factory=bytearray)

    def read(self) -> None:
        self.screen += os.read(self._user, 65536)

    def type(self, keys: bytes) -> None:
        os.write(self._user, keys)

    def signal(self, number: signal.Signals) -> None:
        self.process.send_signal(number)

    @property
    def is_as_before(self) -> bool:
        """Whether the terminal's modes are what they were before the command."""
        return termios.tcgetattr(self._theirs) == self._before

    async def shows(self, text: str) -> None:
        """Return once it is on the screen."""
        try:
            await eventually_async(lambda: text.encode() in self.screen, f"{text!r} on the screen", SECONDS)
        except AssertionError as error:
            raise AssertionError(f"{error}; the screen: {self.screen.decode(errors='replace')}") from None

    async def ends(self) -> int:
        """The exit status."""
        async with asyncio.timeout(SECONDS):
            return await self.process.wait()
