"""The HTTP endpoints that kubelet and Prometheus call."""

from collections.abc import Awaitable, Callable
from typing import Self

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST, CollectorRegistry, generate_latest

from hypernova_kube.process.listening import listen

Reasons = Callable[[], list[str]]
"""Why not, one sentence each; none if all is well."""


class Probes:
    """Serves /healthz, /readyz and /metrics: `async with Probes(...) as probes: log.info("serving", port=probes.port)`.

    /healthz and /readyz answer 200 `ok`, or 503 with the reasons why not, one a line. Not alive: kubelet restarts the
    container. Not ready: it gets no traffic, and a rollout waits.
    """

    def __init__(self, host: str, port: int, registry: CollectorRegistry, live: Reasons, ready: Reasons) -> None:
        """Probes that are not served yet.

        Args:
            host: address to listen on.
            port: port to listen on; 0 takes a free one.
            registry: what /metrics shows.
            live: why this process should be restarted.
            ready: why it cannot do its work now.
        """
        self.port = port
        """The port, once served."""

        self._host = host
        self._registry = registry
        application = web.Application()
        application.router.add_get("/healthz", _answer(live))
        application.router.add_get("/readyz", _answer(ready))
        application.router.add_get("/metrics", self._metrics)
        self._runner = web.AppRunner(application, access_log=None)

    async def __aenter__(self) -> Self:
        self.port = await listen(self._runner, self._host, self.port)
        return self

    async def __aexit__(self, *exc: object) -> None:
        await self._runner.cleanup()

    async def _metrics(self, _: web.Request) -> web.Response:
        return web.Response(body=generate_latest(self._registry), headers={"Content-Type": CONTENT_TYPE_LATEST})


def _answer(reasons: Reasons) -> Callable[[web.Request], Awaitable[web.Response]]:
    async def answer(_: web.Request) -> web.Response:
        if why_not := reasons():
            return web.Response(status=503, text="\n".join(why_not) + "\n")
        return web.Response(text="ok\n")

    return answer
