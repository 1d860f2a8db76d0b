"""HTTP and WebSockets to the API server: one session, log-in again after a 401, time limits, errors as exceptions."""

import asyncio
import random
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from typing import TypeVar

import aiohttp

from hypernova_kube.credentials import LogIn, Login
from hypernova_kube.errors import ApiError, TooManyRequests, Unauthorized, Unreachable, from_body, in_words
from hypernova_kube.metrics import Metrics

T = TypeVar("T")

CONNECT_SECONDS = 5.0
ANSWER_SECONDS = 30.0
"""For a whole answer, and for the head of a stream."""

_TRIES_WHEN_SHEDDING = 4
_LONGEST_RETRY_AFTER = 30.0
_CONNECTIONS = 100
"""More requests than this at once wait for their turn here, not in the API server."""

_KEEP_SECONDS = 75.0
"""For an idle connection: a handshake costs both sides more than a request does. The API server keeps it for 90 s."""

_PING_SECONDS = 20.0
"""Between pings of a WebSocket, which keep what is between awake; who is silent for half as long again is gone."""

_FAREWELL_SECONDS = 2.0
"""For the other side to answer the end of a WebSocket."""


@dataclass(frozen=True, slots=True)
class Request:
    """One request, and what the metrics call it."""

    verb: str
    """Kubernetes' verb: get, list, watch, create, update, patch, delete; connect for a WebSocket."""

    resource: str
    """Plural name, with the subresource after a slash."""

    method: str
    path: str
    params: Mapping[str, str] = field(default_factory=dict)
    body: bytes | None = None
    content_type: str = "application/json"
    accept: str = "application/json"


class Transport:
    """Sends requests as the user that `log_in` makes us."""

    def __init__(self, log_in: LogIn, login: Login, user_agent: str, metrics: Metrics) -> None:
        self._log_in = log_in
        self._login = login
        self._metrics = metrics
        self._logging_in = asyncio.Lock()
        self._rng = random.SystemRandom()
        self._user_agent = user_agent
        self._responses: set[aiohttp.ClientResponse] = set()
        self._session = self._new_session()
        self.clock_ahead = 0.0
        """Seconds by which our clock was ahead of the API server's at its last answer: to one, and what that took."""

    async def close(self) -> None:
        """Cut all connections."""
        await self._session.close()

    async def reconnect(self) -> None:
        """Cut all connections, and with them whatever is asked over them; what is asked from now on gets new ones."""
        former, self._session = self._session, self._new_session()
        for response in self._responses:
            # A session that closes leaves who reads an answer waiting for ever (seen with aiohttp 3.14).
            response.content.set_exception(aiohttp.ClientConnectionError("all connections are made anew"))
        await former.close()

    async def send(self, request: Request) -> bytes:
        """The body of the answer.

        Raises:
            Unreachable: no whole answer in time.
            ApiError: an answer that says no. 429 only after several tries, where trying again does no harm.
        """
        for tries_left in reversed(range(_TRIES_WHEN_SHEDDING)):
            try:
                return await self._send_once(request)
            except TooManyRequests as error:
                # A create refused for load was not done either, but its caller had better decide anew.
                if request.verb == "create" or not tries_left:
                    raise
                wait = min(error.retry_after or 1.0, _LONGEST_RETRY_AFTER)
                await asyncio.sleep(wait * self._rng.uniform(1.0, 1.25))
        raise AssertionError("the last try returns or raises")

    def _new_session(self) -> aiohttp.ClientSession:
        return aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=_CONNECTIONS, keepalive_timeout=_KEEP_SECONDS),
            cookie_jar=aiohttp.DummyCookieJar(),
            headers={"User-Agent": self._user_agent},
            # WebSockets take no limits of their own.
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS),
            middlewares=(_no_refusal,),
        )

    async def _send_once(self, request: Request) -> bytes:
        started = time.monotonic()
        limits = aiohttp.ClientTimeout(total=ANSWER_SECONDS, sock_connect=CONNECT_SECONDS)
        async with self._answer(request, limits) as response:
            try:
                body = await response.read()
            except (aiohttp.ClientError, TimeoutError, OSError) as error:
                raise _unreachable(request, error) from error
            self._compare_clocks(response.headers.get("Date", ""))
        self._metrics.request_seconds.labels(request.verb, request.resource).observe(time.monotonic() - started)
        return body

    @asynccontextmanager
    async def stream(self, request: Request) -> AsyncIterator[AsyncIterator[bytes]]:
        """The body of the answer in chunks as they come, for as long as they come.

        Raises:
            Unreachable: no answer in time, or the connection was cut; also raised by the iterator.
            ApiError: an answer that says no.
        """
        limits = aiohttp.ClientTimeout(total=None, sock_connect=CONNECT_SECONDS)
        async with self._answer(request, limits) as response:
            yield _chunks(request, response)

    @asynccontextmanager
    async def websocket(self, request: Request, longest_message: int) -> AsyncIterator[aiohttp.ClientWebSocketResponse]:
        """A WebSocket, until the block is left; messages longer than so many bytes end it with code 1009.

        Raises:
            Unreachable: no answer in time.
            ApiError: an answer that says no.
        """

        async def ask(login: Login, headers: dict[str, str]) -> aiohttp.ClientWebSocketResponse:
            return await self._session.ws_connect(
                login.server + request.path,
                params=request.params,
                headers=headers,
                heartbeat=_PING_SECONDS,
                max_msg_size=longest_message + 1,  # aiohttp takes what is shorter than that
                ssl=login.tls,
                server_hostname=login.server_name,
                proxy=login.proxy,
            )

        websocket = await self._open(request, ask)
        try:
            yield websocket
        finally:
            with suppress(TimeoutError):
                async with asyncio.timeout(_FAREWELL_SECONDS):
                    await websocket.close()

    @asynccontextmanager
    async def _answer(self, request: Request, limits: aiohttp.ClientTimeout) -> AsyncIterator[aiohttp.ClientResponse]:
        async def ask(login: Login, headers: dict[str, str]) -> aiohttp.ClientResponse:
            if request.body is not None:
                headers["Content-Type"] = request.content_type
            return await self._session.request(
                request.method,
                login.server + request.path,
                params=request.params,
                data=request.body,
                headers=headers,
                timeout=limits,
                ssl=login.tls,
                server_hostname=login.server_name,
                proxy=login.proxy,
            )

        async with await self._open(request, ask) as response:
            self._responses.add(response)
            try:
                yield response
            finally:
                self._responses.discard(response)
                # An answer that was not read to its end, as a watch's. TLS would have its connection say good-bye and
                # wait for the other side, which may hang, long after the session is closed.
                if response.connection is not None and response.connection.transport is not None:
                    response.connection.transport.abort()

    async def _open(self, request: Request, ask: Callable[[Login, dict[str, str]], Awaitable[T]]) -> T:
        """What `ask` gets with a login and the headers that show it; asked again, newly logged in, after a 401."""
        login = self._login
        try:
            return await self._open_as(login, request, ask)
        except Unauthorized:
            # Tokens and certificates end while we run; who renewed them left the new ones where we found the old.
            await self._log_in_again(login)
            return await self._open_as(self._login, request, ask)

    async def _open_as(self, login: Login, request: Request, ask: Callable[[Login, dict[str, str]], Awaitable[T]]) -> T:
        headers = {"Accept": request.accept}
        if authorization := await login.authorization():
            headers["Authorization"] = authorization
        try:
            async with asyncio.timeout(ANSWER_SECONDS):
                answer = await ask(login, headers)
        except ApiError as error:
            self._count(request, error.status)
            raise
        except (aiohttp.ClientError, TimeoutError, OSError) as error:
            self._count(request, 0)
            raise _unreachable(request, error) from error
        self._count(request, answer.status if isinstance(answer, aiohttp.ClientResponse) else 101)
        return answer

    async def _log_in_again(self, refused: Login) -> None:
        async with self._logging_in:
            # Of many requests refused together, the first logs in for all.
            if self._login is refused:
                self._login = await self._log_in()

    def _compare_clocks(self, theirs: str) -> None:
        with suppress(ValueError):
            self.clock_ahead = time.time() - parsedate_to_datetime(theirs).timestamp()
            self._metrics.clock_ahead.set(self.clock_ahead)

    def _count(self, request: Request, code: int) -> None:
        self._metrics.requests.labels(request.verb, request.resource, str(code)).inc()


async def _no_refusal(request: aiohttp.ClientRequest, send: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    # As a middleware of the session it sees the body of a refused WebSocket, too, which ws_connect throws away; and it
    # sees redirects before they are followed: there are none in Kubernetes, and they would be shown our credentials.
    response = await send(request)
    if response.status < 300:
        return response
    async with response:
        raise from_body(response.status, await response.read(), retry_after=_retry_after(response.headers))


async def _chunks(request: Request, response: aiohttp.ClientResponse) -> AsyncIterator[bytes]:
    try:
        async for chunk in response.content.iter_any():
            yield chunk
    except (aiohttp.ClientError, OSError) as error:
        raise _unreachable(request, error) from error


def _unreachable(request: Request, error: Exception) -> Unreachable:
    return Unreachable(f"{request.method} {request.path}: {in_words(error)}")


def _retry_after(headers: Mapping[str, str]) -> float:
    try:
        return float(headers.get("Retry-After", "0"))
    except ValueError:  # an HTTP date, which the API server never sends
        return 0.0
