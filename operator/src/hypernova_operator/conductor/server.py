"""The conductor's endpoint, over TLS 1.3: every operator serves it, whether or not it leads.

The server shows a certificate of Hypernova's own authority, which the leader signs, and asks for none: agents show
their token. Whoever reaches the port can have the API server asked whether a token is good, so often and no more, and
learns nothing else. Of what passes, names and sizes are logged and counted; contents and tokens never.
"""

from __future__ import annotations

import asyncio
import math
import re
import ssl

from aiohttp import hdrs, web

from hypernova_api.certificates import CONDUCTOR_NAME, Signer
from hypernova_api.conductor import USER_DATA_PATH, Refusal, server_name
from hypernova_kube.backoff import Backoff
from hypernova_kube.certificates import SERVER_USAGES, Identity
from hypernova_kube.client import Client
from hypernova_kube.process.listening import listen
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key
from hypernova_operator.conductor.rules import Refused, Wanted
from hypernova_operator.conductor.user_data import UserDataReader
from hypernova_operator.metrics import Metrics

log = get_logger(__name__)

_MOST_AT_ONCE = 64
"""Requests; more are told to come again."""

_SHUTDOWN_SECONDS = 5.0
"""For answers that are under way; who gets none asks another operator."""

_NAME = re.compile(r"[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")
"""What Kubernetes calls objects of ours. Nothing else gets into a path of the API server."""

_QUIET = frozenset({Refusal.UNAUTHENTICATED, Refusal.TOO_MANY_REQUESTS})
"""What anybody can have happen as often as he likes, and so would fill the log with."""


class Conductor:
    """One operator's endpoint."""

    def __init__(self, client: Client, namespace: str, host: str, port: int, metrics: Metrics) -> None:
        """An endpoint that is not served yet; `run()` does.

        Args:
            client: the API server.
            namespace: Hypernova's.
            host: address to listen on.
            port: port to listen on; 0 takes a free one.
            metrics: what is counted.
        """
        self.identity = Identity(
            client,
            signer=Signer.CONDUCTOR_SERVING,
            common_name=CONDUCTOR_NAME,
            dns_names=[server_name(namespace)],
            usages=SERVER_USAGES,
            namespace=namespace,
        )
        self._reader = UserDataReader(client, namespace)
        self._host = host
        self._port = port
        self._metrics = metrics
        self._at_once = 0
        self._backoff = Backoff(cap=60.0)

    async def run(self) -> None:
        """For ever; end it by cancelling."""
        async with asyncio.TaskGroup() as group:
            group.create_task(self.identity.run(), name="conductor's certificate")
            group.create_task(self._serve(), name="conductor")

    async def _serve(self) -> None:
        await self.identity.ready.wait()
        while True:
            runner = web.AppRunner(self._application(), access_log=None, shutdown_timeout=_SHUTDOWN_SECONDS)
            try:
                port = await listen(runner, self._host, self._port, self._context())
            except OSError as error:
                # An operator that cannot be asked can still decide: agents ask another.
                wait = self._backoff.next("port")
                log.error("agents not served", port=self._port, error=error, retry_in_s=wait)
                await asyncio.sleep(wait)
                continue
            log.info("serving agents", port=port)
            try:
                await asyncio.Event().wait()
            finally:
                await runner.cleanup()

    def _context(self) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.minimum_version = ssl.TLSVersion.TLSv1_3
        self.identity.certify(context)
        return context

    def _application(self) -> web.Application:
        application = web.Application()
        application.router.add_get(USER_DATA_PATH, self._user_data)
        return application

    async def _user_data(self, request: web.Request) -> web.Response:
        wanted = None
        self._at_once += 1
        try:
            if self._at_once > _MOST_AT_ONCE:
                raise Refused(Refusal.TOO_MANY_REQUESTS, "too many agents ask at once: ask again", 1.0)
            wanted = _wanted(request)
            content = await self._reader.read(_token(request), wanted)
        except Refused as refused:
            self._metrics.conductor_requests.labels(refused.reason.value).inc()
            if wanted is not None and refused.reason not in _QUIET:
                log.warning("no user data", instance=wanted.instance, reason=refused.reason, message=str(refused))
            return _refusal(refused)
        finally:
            self._at_once -= 1
        self._metrics.conductor_requests.labels("OK").inc()
        return web.Response(
            body=content, content_type="application/octet-stream", headers={hdrs.CACHE_CONTROL: "no-store"}
        )


def _wanted(request: web.Request) -> Wanted:
    """What a request asks for.

    Raises:
        Refused: no Instance can be called so.
    """
    namespace, name = request.match_info["namespace"], request.match_info["name"]
    action, query = request.query.get("action", ""), request.query
    if not all(_NAME.fullmatch(each) for each in (namespace, name, action or "none")):
        raise Refused(Refusal.NOT_FOUND, "there is no Instance, or action, of such a name")
    return Wanted(Key(namespace, name), query.get("uid", ""), action, query.get("actionUID", ""))


def _token(request: web.Request) -> str:
    """What is shown as bearer token; empty if nothing is."""
    scheme, _, token = request.headers.get(hdrs.AUTHORIZATION, "").partition(" ")
    return token.strip() if scheme.lower() == "bearer" else ""


def _refusal(refused: Refused) -> web.Response:
    headers = {hdrs.RETRY_AFTER: str(math.ceil(refused.retry_after))} if refused.retry_after else {}
    return web.json_response(
        {"reason": refused.reason.value, "message": str(refused)}, status=refused.status, headers=headers
    )
