"""A serial line that breaks off and goes on."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import aclosing, asynccontextmanager

import pytest

from hypernova_api.console import CloseCode, ConsoleType, SerialRole
from hypernova_cli.connection import Ending
from hypernova_cli.errors import NoConsoleProxy
from hypernova_cli.line import LineEnded, SerialLine, continued, news
from hypernova_kube.errors import Conflict, Forbidden, ServerError, Unreachable
from support.virtual_time import now, virtual_time

OFF = Ending(CloseCode.GUEST_OFF, "the guest is off.")
GONE = Ending(CloseCode.GONE, "the Instance was deleted")
CUT = Ending(1006)

Scene = list[bytes | SerialRole | Ending] | Exception
"""What one connection brings, an Ending at last; or why there is none."""


class PlayedConnection:
    def __init__(self, scene: list[bytes | SerialRole | Ending], typed: list[bytes]) -> None:
        self._scene = iter(scene)
        self._typed = typed

    async def send(self, data: bytes) -> None:
        self._typed.append(data)

    async def receive(self) -> bytes | SerialRole | Ending:
        await asyncio.sleep(1)
        return next(self._scene)


class PlayedConsoles:
    """Connects to one scene after the other."""

    def __init__(self, *scenes: Scene) -> None:
        self._scenes = list(scenes)
        self.asked: list[Mapping[str, str]] = []
        self.times: list[float] = []
        self.typed: list[bytes] = []

    @asynccontextmanager
    async def connected(
        self, name: str, type_: ConsoleType, params: Mapping[str, str]
    ) -> AsyncIterator[PlayedConnection]:
        assert (name, type_) == ("web-1", ConsoleType.SERIAL)
        self.asked.append(params)
        self.times.append(now())
        scene = self._scenes.pop(0)
        if isinstance(scene, Exception):
            raise scene
        yield PlayedConnection(scene, self.typed)


class Viewer:
    """What somebody sees of a line, until it ends for good."""

    def __init__(self, *scenes: Scene, **options) -> None:
        self.consoles = PlayedConsoles(*scenes)
        self.said: list[str] = []
        self.line = SerialLine(self.consoles, "web-1", self.said.append, **options)

    async def shown(self, ends: type[Exception] = LineEnded) -> bytes:
        shown: list[bytes] = []

        async def look() -> None:
            async with aclosing(self.line.output()) as output:
                async for data in output:
                    shown.append(data)

        with pytest.raises(ends):
            await look()
        return b"".join(shown)


@pytest.mark.parametrize(
    ("shown", "scroll_back", "rest"),
    [
        pytest.param(b"", b"boot\n", b"boot\n", id="nothing has been shown yet"),
        pytest.param(b"boot\n", b"boot\nlogin: ", b"login: ", id="all that was shown comes again"),
        pytest.param(b"xboot\n", b"boot\nlogin: ", b"login: ", id="a part of it comes again"),
        pytest.param(b"boot\n", b"boot\n", b"", id="nothing new"),
        pytest.param(b"boot\n", b"hello", b"hello", id="a new log"),
        pytest.param(b"boot\n", b"", b"", id="no scroll-back"),
        pytest.param(b"a" * 9000 + b"end", b"b" * 50 + b"a" * 5000 + b"endnew", b"new", id="more than is remembered"),
        pytest.param(b"tick\n" * 2, b"tick\n" * 5, b"", id="the same again and again: rather too little"),
    ],
)
def test_of_a_scroll_back_only_what_has_not_been_shown_is_new(shown, scroll_back, rest):
    assert continued(shown, scroll_back) == rest


@pytest.mark.parametrize(
    ("role", "read_only", "text"),
    [
        (SerialRole(writer=True, holder="bob"), False, "you write"),
        (
            SerialRole(writer=False, holder="alice"),
            False,
            "alice writes; you only read (--take-over takes the pen)",
        ),
        (SerialRole(writer=False, holder=""), False, "nobody writes; you only read (--take-over takes the pen)"),
        (SerialRole(writer=False, holder="alice"), True, "alice writes"),
    ],
)
def test_who_writes_is_said(role, read_only, text):
    assert news(role, read_only=read_only) == text


@pytest.mark.parametrize(
    ("code", "again"),
    [
        *((code, not code.final) for code in CloseCode),
        (1000, False),
        (1001, True),
        (1006, True),
        (1009, False),
        (1011, True),
        (4999, False),
    ],
)
def test_a_connection_comes_again_when_its_code_says_so_or_it_was_cut(code, again):
    assert Ending(code).comes_again is again


@virtual_time
async def test_a_guest_that_reboots_is_come_back_to_and_nothing_is_shown_twice():
    viewer = Viewer([b"boot\n", b"off\n", OFF], [b"boot\noff\nboot\n", b"login: ", GONE])
    assert await viewer.shown() == b"boot\noff\nboot\nlogin: "
    assert viewer.said == [
        "connected to the serial console of web-1",
        "the guest is off; connecting again as soon as that works",
        "connected again to the serial console of web-1",
    ]


@virtual_time
async def test_what_was_shown_before_the_first_connection_is_not_shown_again():
    viewer = Viewer([b"boot\nlogin: ", GONE], shown=b"boot\n")
    assert await viewer.shown() == b"login: "


@virtual_time
async def test_while_it_cannot_be_reached_it_is_tried_ever_more_slowly_and_said_once():
    trouble = [
        Unreachable("refused"),
        Unreachable("refused"),
        ServerError(503, "HostUnreachable", "node-a does not answer."),
        NoConsoleProxy("no proxy"),
        Conflict(409, "GuestOff", "off"),
        *[Unreachable("refused")] * 5,
    ]
    viewer = Viewer([b"a", CUT], *trouble, [GONE])
    assert await viewer.shown() == b"a"
    waits = [
        later - earlier for earlier, later in zip(viewer.consoles.times[1:], viewer.consoles.times[2:], strict=False)
    ]
    assert waits[0] < 3
    assert 7 < waits[-1] <= 15
    assert sum("refused" in text for text in viewer.said) == 2
    assert viewer.said[1] == "the connection was cut; connecting again as soon as that works"
    assert "node-a does not answer; connecting again as soon as that works" in viewer.said


@pytest.mark.parametrize("error", [Unreachable("refused"), Conflict(409, "GuestOff", "off"), NoConsoleProxy("none")])
def test_a_first_connection_that_fails_is_not_tried_again(error):
    @virtual_time
    async def test():
        viewer = Viewer(error)
        assert await viewer.shown(ends=type(error)) == b""
        assert viewer.said == []

    test()


@pytest.mark.parametrize("error", [Forbidden(403, "Forbidden", "no"), Conflict(409, "InUse", "alice")])
def test_a_refusal_that_stays_one_is_not_tried_again(error):
    @virtual_time
    async def test():
        viewer = Viewer([CUT], error)
        await viewer.shown(ends=type(error))
        assert len(viewer.consoles.asked) == 2

    test()


@virtual_time
async def test_who_does_not_want_to_come_again_does_not():
    viewer = Viewer([b"a", OFF], reconnect=False)
    assert await viewer.shown() == b"a"
    assert len(viewer.consoles.asked) == 1


@virtual_time
async def test_the_pen_is_taken_once_and_not_from_who_has_taken_it_since():
    viewer = Viewer([CUT], [GONE], take_over=True)
    await viewer.shown()
    assert viewer.consoles.asked == [{"takeOver": "true"}, {}]


@virtual_time
async def test_who_only_reads_says_so_at_each_connection():
    viewer = Viewer([CUT], [GONE], read_only=True)
    await viewer.shown()
    assert viewer.consoles.asked == [{"readOnly": "true"}] * 2


@virtual_time
async def test_who_writes_is_said_when_it_changes():
    mine, hers = SerialRole(writer=True, holder="bob"), SerialRole(writer=False, holder="alice")
    viewer = Viewer([mine, mine, b"x", hers, GONE])
    await viewer.shown()
    assert viewer.said[1:] == ["you write", "alice writes; you only read (--take-over takes the pen)"]


@virtual_time
async def test_keys_reach_the_connection_there_is_and_are_lost_where_there_is_none():
    viewer = Viewer([b"a", b"b", GONE])
    await viewer.line.type(b"before")
    showing = asyncio.create_task(viewer.shown())
    await asyncio.sleep(1.5)
    await viewer.line.type(b"root\r")
    await showing
    await viewer.line.type(b"after")
    assert viewer.consoles.typed == [b"root\r"]
