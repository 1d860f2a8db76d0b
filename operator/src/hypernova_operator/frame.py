"""The operator's frame, which is kopf: it logs in, watches, and stops on signals. Nothing else of ours imports kopf.

Its handlers only put what was seen into the cache. None of the handlers that write to objects (create, update, delete,
timers, daemons) is used, nor indexes: with many objects they cost too much, and reconciling is ours. Kinds with many
objects are not watched here: each event would cost kopf 0.5 ms, so `cache.reflected` follows them.
"""

from __future__ import annotations

import itertools
import logging
from collections.abc import Awaitable, Callable, Iterator
from typing import Any

import aiohttp
import kopf

from hypernova_api.meta import GROUP
from hypernova_kube.credentials import LogIn, Login
from hypernova_operator.cache import Cache, Kept


class Frame:
    """kopf, set up for one cache."""

    def __init__(
        self,
        log_in: LogIn,
        cache: Cache,
        on_replay: Callable[[], None],
        on_stop: Callable[[], Awaitable[None]],
    ) -> None:
        """A frame that has not begun; `run()` does.

        Args:
            log_in: how to log in, at first and whenever the server refuses us.
            cache: where to put what is seen.
            on_replay: is called for every object of a watch that begins anew.
            on_stop: is awaited when a signal has told us to stop, before `run()` returns.
        """
        self._registry = kopf.OperatorRegistry()
        self._log_in = log_in
        kopf.on.login(registry=self._registry)(self._login)
        kopf.on.cleanup(registry=self._registry)(_stopper(on_stop))
        for kept in cache.few:
            resource = kept.resource
            watch = kopf.on.event(resource.group, resource.version, resource.plural, registry=self._registry)
            watch(_observer(kept, on_replay))

    async def run(self) -> None:
        """Watch until SIGTERM or SIGINT."""
        # Each retry of a request is an error to kopf. Its informational lines tell of handlers, which is us.
        logging.getLogger("kopf").setLevel(logging.WARNING)
        await kopf.operator(registry=self._registry, settings=_settings(), standalone=True, clusterwide=True)

    async def _login(self, **_: Any) -> kopf.AiohttpSession:
        login = await self._log_in()
        session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(limit=0, ssl=login.tls),
            cookie_jar=aiohttp.DummyCookieJar(),
            middlewares=[_whole_answer, _as(login)],
            proxy=login.proxy,
        )
        return kopf.AiohttpSession(server=login.server, aiohttp_session=session)


class _Backoffs:
    """Seconds between tries of a request: endless, as kopf would otherwise end with the API server away for long."""

    def __iter__(self) -> Iterator[float]:
        return itertools.chain((0.5, 1, 2, 4), itertools.repeat(8))


def _settings() -> kopf.OperatorSettings:
    settings = kopf.OperatorSettings()
    settings.scanning.disabled = True
    settings.posting.enabled = False
    settings.watching.chunk_size = 500
    settings.watching.server_timeout = 300
    settings.watching.inactivity_timeout = 70
    settings.networking.request_timeout = 30
    settings.networking.connect_timeout = 5
    settings.networking.error_backoffs = _Backoffs()
    # kopf keeps a task for each object until nothing has happened to it for so long; ours have nothing to wait for.
    settings.queueing.idle_timeout = 0.5
    settings.queueing.exit_timeout = 0.5
    # Nothing of these may ever be seen on an object; if it is, it shall say whose it is.
    settings.persistence.finalizer = f"{GROUP}/operator"
    settings.persistence.progress_storage = kopf.AnnotationsProgressStorage(prefix=GROUP, v1=False)
    settings.persistence.diffbase_storage = kopf.AnnotationsDiffBaseStorage(prefix=GROUP, v1=False)
    return settings


def _observer(kept: Kept[Any], on_replay: Callable[[], None]) -> Any:
    async def observe(event: Any, **_: Any) -> None:
        obj = dict(event["object"])
        if event["type"] == "DELETED":
            kept.remove(obj)
            return
        kept.put(obj)
        if event["type"] is None:
            on_replay()

    return observe


def _stopper(on_stop: Callable[[], Awaitable[None]]) -> Any:
    async def stop(**_: Any) -> None:
        await on_stop()

    return stop


async def _whole_answer(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
    """An answer that kopf can read to its end, unless it is a watch: of one that breaks off, kopf would end.

    As an error of the connection, which it is, kopf tries again.
    """
    response = await handler(request)
    if "watch" not in request.url.query:
        try:
            await response.read()
        except aiohttp.ClientPayloadError as error:
            raise aiohttp.ServerDisconnectedError(f"the answer broke off: {error}") from error
    return response


def _as(login: Login) -> aiohttp.ClientMiddlewareType:
    """What each request shows and expects. A service account's token changes while we run."""

    async def send(request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType) -> aiohttp.ClientResponse:
        request.server_hostname = login.server_name
        if authorization := await login.authorization():
            request.headers["Authorization"] = authorization
        return await handler(request)

    return send
