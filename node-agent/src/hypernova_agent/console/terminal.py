"""A viewer's conversation with a guest's serial port."""

from __future__ import annotations

from aiohttp import web
from prometheus_client import Counter

from hypernova_agent.console.listener import Listener
from hypernova_agent.console.serial import SerialPort
from hypernova_agent.console.sharing import Viewer
from hypernova_agent.console.viewer import messages


async def show(listener: Listener, socket: web.WebSocketResponse, sent: Counter) -> None:
    """Pass on what the guest writes and who may write to it, as fast as the viewer takes it, to the line's end."""
    while (news := await listener.next()) is not None:
        if isinstance(news, bytes):
            await socket.send_bytes(news)
            sent.inc(len(news))
        else:
            await socket.send_str(news.model_dump_json(by_alias=True))


async def hear(port: SerialPort, viewer: Viewer, socket: web.WebSocketResponse, received: Counter) -> None:
    """Pass on what the viewer types while he is who writes, as fast as the guest takes it, until he leaves."""
    async for data in messages(socket):
        if await port.type(viewer, data):
            received.inc(len(data))
