"""A connection to a console: what comes, and why it ends."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass

from aiohttp import ClientWebSocketResponse, WSCloseCode, WSMsgType
from pydantic import ValidationError

from hypernova_api.console import CloseCode, SerialRole

_BROKEN = {
    WSCloseCode.GOING_AWAY,
    WSCloseCode.ABNORMAL_CLOSURE,
    WSCloseCode.INTERNAL_ERROR,
    WSCloseCode.SERVICE_RESTART,
    WSCloseCode.TRY_AGAIN_LATER,
    WSCloseCode.BAD_GATEWAY,
}
"""What whoever is between the console proxy and us ends connections with."""


@dataclass(frozen=True, slots=True)
class Ending:
    """Why a connection has ended: close code and reason."""

    code: int
    reason: str = ""

    @property
    def comes_again(self) -> bool:
        """Whether it makes sense to connect again."""
        with suppress(ValueError):
            return not CloseCode(self.code).final
        return self.code in _BROKEN

    def __str__(self) -> str:
        if self.reason:
            return self.reason.rstrip(".")
        if self.code == WSCloseCode.ABNORMAL_CLOSURE:
            return "the connection was cut"
        return f"the connection was ended with code {self.code}"


class Connection:
    """A WebSocket that is a console."""

    def __init__(self, websocket: ClientWebSocketResponse) -> None:
        self._websocket = websocket

    async def send(self, data: bytes) -> None:
        """Send that, when the other side takes it; it is lost once the connection has ended, which `receive` tells."""
        with suppress(ConnectionError):
            await self._websocket.send_bytes(data)

    async def receive(self) -> bytes | SerialRole | Ending:
        """What comes next. After an Ending nothing does."""
        while True:
            message = await self._websocket.receive()
            match message.type:
                case WSMsgType.BINARY:
                    return bytes(message.data)
                case WSMsgType.TEXT:
                    with suppress(ValidationError):  # of a newer proxy
                        return SerialRole.model_validate_json(message.data)
                case WSMsgType.CLOSE:
                    return Ending(int(message.data), str(message.extra or ""))
                case WSMsgType.ERROR:
                    return Ending(self._websocket.close_code or WSCloseCode.ABNORMAL_CLOSURE, str(message.data))
                case _:
                    # Cut without a close frame, which aiohttp gives the code of an orderly end.
                    return Ending(WSCloseCode.ABNORMAL_CLOSURE)
