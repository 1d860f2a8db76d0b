"""Asking the agent of a node for a console of one of its guests, by mTLS."""

from __future__ import annotations

import asyncio
import json
import ssl
from types import TracebackType
from typing import Self

import aiohttp
from yarl import URL

from hypernova_api.console import ConsoleUser
from hypernova_console.errors import Refused
from hypernova_console.instances import InstanceRecord, Place
from hypernova_console.pump import CLOSE_SECONDS, HEARTBEAT_SECONDS, LONGEST_TAKEN, AgentSocket
from hypernova_console.sessions import Session
from hypernova_kube.errors import in_words

LARGEST_SCREENSHOT = 16 * 1024 * 1024
"""Bytes of a PNG. A screen of 4K that nothing compresses has twice as many, but no guest's screen is noise."""

_CONNECT_SECONDS = 5.0
_ANSWER_SECONDS = 20.0
"""For all that comes before a console's first byte, and for the whole of a screenshot."""

_LONGEST_ERROR = 4096
_LONGEST_SENTENCE = 1024


class Agents:
    """The way to all agents: `async with Agents(identity.client_context()) as agents: ...`."""

    def __init__(
        self,
        context: ssl.SSLContext,
        *,
        connect_seconds: float = _CONNECT_SECONDS,
        answer_seconds: float = _ANSWER_SECONDS,
        heartbeat: float = HEARTBEAT_SECONDS,
    ) -> None:
        """A way that is not open yet.

        Args:
            context: shows our certificate, and trusts those of agents.
            connect_seconds: for a connection, handshake included.
            answer_seconds: for what the agent then has to say.
            heartbeat: how long an agent may be silent before it is asked for a sign of life.
        """
        self._context = context
        self._timeout = aiohttp.ClientTimeout(total=None, connect=connect_seconds)
        self._answer_seconds = answer_seconds
        self._heartbeat = heartbeat

    async def __aenter__(self) -> Self:
        self._session = aiohttp.ClientSession(
            # Each sight of a guest has a connection of its own, which ends with it.
            connector=aiohttp.TCPConnector(ssl=self._context, limit=0, force_close=True),
            cookie_jar=aiohttp.DummyCookieJar(),
            timeout=self._timeout,
            auto_decompress=False,
            # It sees answers before anybody acts on them: no agent sends us elsewhere.
            middlewares=(_only_success,),
        )
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        await self._session.close()

    async def console(self, session: Session, place: Place, *, exclusive: bool, take_over: bool) -> AgentSocket:
        """The console that a session is about, opened for it.

        Args:
            session: whose user gets to see it.
            place: where it is.
            exclusive: whether nobody else may look at it meanwhile.
            take_over: whether others who are in the way lose it.

        Raises:
            Refused: as the agent says (403, 404, 409), or 503 HostUnreachable.
        """
        query = {
            "uid": session.instance_uid,
            "user": session.user.username,
            "session": str(session.key),
            **({"readOnly": "true"} if session.read_only else {}),
            **({"exclusive": "true"} if exclusive else {}),
            **({"takeOver": "true"} if take_over else {}),
        }
        url = _url(place, session.instance.namespace, session.instance.name, session.type.subresource, query)
        try:
            async with asyncio.timeout(self._answer_seconds):
                return await self._session.ws_connect(
                    url,
                    server_hostname=place.node_name,
                    heartbeat=self._heartbeat,
                    timeout=aiohttp.ClientWSTimeout(ws_close=CLOSE_SECONDS),
                    max_msg_size=LONGEST_TAKEN,
                    decode_text=False,
                )
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(place, error) from error

    async def screenshot(self, place: Place, instance: InstanceRecord, user: ConsoleUser) -> bytes:
        """A guest's screen as a PNG.

        Raises:
            Refused: as the agent says (403, 404, 409), or 503 HostUnreachable.
        """
        query = {"uid": instance.uid, "user": user.username}
        url = _url(place, instance.key.namespace, instance.key.name, "screenshot", query)
        try:
            async with (
                asyncio.timeout(self._answer_seconds),
                self._session.get(url, server_hostname=place.node_name) as answer,
            ):
                picture = bytearray()
                async for piece in answer.content.iter_any():
                    picture += piece
                    if len(picture) > LARGEST_SCREENSHOT:
                        raise _nonsense(place.node_name, f"a picture of more than {LARGEST_SCREENSHOT} bytes")
                return bytes(picture)
        except (aiohttp.ClientError, TimeoutError) as error:
            raise _unreachable(place, error) from error


async def _only_success(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    answer = await send(request)
    if answer.status in (101, 200):
        return answer
    node = request.server_hostname or ""
    try:
        raise _refusal(node, answer.status, await _beginning(answer))
    finally:
        answer.close()


async def _beginning(answer: aiohttp.ClientResponse) -> bytes:
    try:
        return await answer.content.readexactly(_LONGEST_ERROR)
    except asyncio.IncompleteReadError as end:
        return end.partial


def _refusal(node: str, status: int, body: bytes) -> Refused:
    """What an agent says instead of passing a console on; it is trusted with no more than a sentence."""
    try:
        told = json.loads(body)
        reason, message = told["reason"], told["message"]
    except (ValueError, TypeError, KeyError):
        return _nonsense(node, f"status {status} without a reason")
    if not 400 <= status < 600 or not isinstance(reason, str) or not reason.isalnum() or not isinstance(message, str):
        return _nonsense(node, f"status {status} with a strange reason")
    return Refused(status, reason, message[:_LONGEST_SENTENCE])


def _nonsense(node: str, what: str) -> Refused:
    return Refused(503, "HostUnreachable", f"The agent of node {node} answered with {what}: see its log.")


def _unreachable(place: Place, error: Exception) -> Refused:
    match error:
        case TimeoutError():
            why = "it does not answer"
        case aiohttp.ClientConnectorCertificateError():
            why = f"its certificate is not to be trusted: {in_words(error.certificate_error)}"
        case aiohttp.ClientConnectorError():
            why = error.os_error.strerror or in_words(error.os_error)
        case _:
            why = "it broke off"
    return Refused(
        503,
        "HostUnreachable",
        f"The agent of node {place.node_name} at {place.address} port {place.port} cannot be reached: {why}.",
        retry_after=5,
    )


def _url(place: Place, namespace: str, name: str, subresource: str, query: dict[str, str]) -> URL:
    path = f"/v1/namespaces/{namespace}/instances/{name}/{subresource}"
    return URL.build(scheme="https", host=place.address, port=place.port, path=path, query=query)
