"""What a browser may ask for."""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from pydantic import BaseModel, ConfigDict, Field

from hypernova_console.consoles import Relay
from hypernova_console.errors import Refused
from hypernova_console.instances import InstanceRecord, Instances
from hypernova_console.metrics import ConsoleMetrics
from hypernova_console.rights import Rights, to_look_at
from hypernova_console.session import Session, text_of
from hypernova_console.sessions import Sessions
from hypernova_console.web.assets import Asset, Assets
from hypernova_console.web.guard import LONGEST_BODY, answer, check_origin, no, protect, read
from hypernova_console.web.power import Power, Press
from hypernova_kube.errors import KubeError
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key

log = get_logger(__name__)

COOKIE = "hypernova-console"
"""Holds a session's key. A browser with several sessions has one for the path of each."""

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]
SessionHandler = Callable[[web.Request, Session], Awaitable[web.StreamResponse]]

_LONGEST_TICKET = 512
_SESSION = "/session/{namespace}/{name}/"
_NAMESPACE_FORM = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME_FORM = re.compile("[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes lead to."""

    sessions: Sessions
    instances: Instances
    rights: Rights
    power: Power
    relay: Relay
    metrics: ConsoleMetrics
    assets: Assets
    public_url: str
    """Where browsers find the page; without a slash at its end."""


class Redemption(BaseModel):
    """A ticket, shown by the page that has found it in its link."""

    model_config = ConfigDict(extra="forbid")

    ticket: str = Field(max_length=_LONGEST_TICKET)


class Nothing(BaseModel):
    """`{}`."""

    model_config = ConfigDict(extra="forbid")


def application(parts: Parts) -> web.Application:
    """The application that is served to browsers."""
    routes = _Routes(parts)
    app = web.Application(client_max_size=LONGEST_BODY, middlewares=[routes.guard])
    app.on_response_prepare.append(protect)
    app.add_routes(
        [
            web.get("/", routes.page),
            web.get(_SESSION, routes.page),
            web.get("/static/{path:.+}", routes.static),
            web.post("/api/redeem", routes.redeem),
            web.get(f"{_SESSION}info", routes.resumed(routes.info)),
            web.get(f"{_SESSION}stream", routes.resumed(routes.stream), allow_head=False),
            web.post(f"{_SESSION}actions", routes.resumed(routes.act)),
            web.post(f"{_SESSION}end", routes.resumed(routes.end)),
        ]
    )
    return app


class _Routes:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts
        self._secure = urlsplit(parts.public_url).scheme == "https"

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Turns away what comes from other sites; says every no as JSON."""
        try:
            if request.method not in (hdrs.METH_GET, hdrs.METH_HEAD) or hdrs.UPGRADE in request.headers:
                check_origin(request, self._parts.public_url)
            return await handler(request)
        except Refused as refusal:
            return self._no(refusal)
        except web.HTTPException as error:
            # No such path, another method, a body that is too long.
            return self._no(Refused(error.status, error.reason.replace(" ", ""), f"{error.reason}: {request.path}"))
        except ConnectionError:
            raise  # the browser is gone: nobody is there to be told
        except Exception:
            log.exception("request failed", path=request.path)
            return self._no(Refused(500, "InternalError", "the console proxy failed: its log says how"))

    def resumed(self, handler: SessionHandler) -> Handler:
        """The route of a session for the browser that has its key."""

        async def resumed(request: web.Request) -> web.StreamResponse:
            key, secret = _session_key(request), request.cookies.get(COOKIE)
            if key is None or not secret:
                raise Refused(401, "SessionUnknown", "this browser has no such session: ask for a new link")
            return await handler(request, await self._parts.sessions.resume(key, secret, peer=_peer(request)))

        return resumed

    async def page(self, request: web.Request) -> web.StreamResponse:
        """The page: it looks at its address for what it is to show."""
        return _asset(request, self._parts.assets.page)

    async def static(self, request: web.Request) -> web.StreamResponse:
        """What the page loads."""
        asset = self._parts.assets.static.get(request.match_info["path"])
        if asset is None:
            raise web.HTTPNotFound
        return _asset(request, asset)

    async def redeem(self, request: web.Request) -> web.StreamResponse:
        """A session for a ticket."""
        shown = await read(request, Redemption)
        session, secret = await self._parts.sessions.redeem(shown.ticket, peer=_peer(request))
        path = _SESSION.format(namespace=session.key.namespace, name=session.key.name)
        response = answer({"session": str(session.key), "url": path})
        response.set_cookie(
            COOKIE,
            secret,
            path=path,
            max_age=max(0, int((session.expires_at - datetime.now(UTC)).total_seconds())),
            httponly=True,
            secure=self._secure,
            samesite="Strict",
        )
        return response

    async def info(self, _: web.Request, session: Session) -> web.StreamResponse:
        """What the page shows beside the guest's screen."""
        instance = await self._still_there(session)
        return answer(
            {
                "instance": {
                    "namespace": instance.key.namespace,
                    "name": instance.key.name,
                    "phase": instance.phase,
                    "message": instance.message,
                },
                "type": session.type,
                "readOnly": session.read_only,
                "user": session.user.username,
                "expiresAt": text_of(session.expires_at),
                # One of them is the page's own, which asks while it is connected.
                "connected": max(0, self._parts.sessions.connected(session) - 1),
                "actions": await self._parts.power.actions(session),
            }
        )

    async def stream(self, request: web.Request, session: Session) -> web.StreamResponse:
        """The console."""
        return await self._parts.relay(request, session, take_over=request.query.get("takeOver") == "true")

    async def act(self, request: web.Request, session: Session) -> web.StreamResponse:
        """An InstanceAction."""
        press = await read(request, Press)
        await self._still_there(session)
        return answer({"name": await self._parts.power.press(session, press)}, status=201)

    async def end(self, request: web.Request, session: Session) -> web.StreamResponse:
        """The session's end, before its time."""
        await read(request, Nothing)
        await self._parts.sessions.end(session)
        response = answer({})
        response.del_cookie(COOKIE, path=request.path.removesuffix("end"))
        return response

    async def _still_there(self, session: Session) -> InstanceRecord:
        """The session's Instance, as far as its user may still know of it.

        Raises:
            Refused: 403 Forbidden, 410 InstanceGone, 503 Unavailable.
        """
        try:
            allowed = await self._parts.rights.may(session.user, to_look_at(session.instance, session.type))
        except KubeError as error:
            raise Refused(503, "Unavailable", "the API server does not answer: try again", retry_after=5) from error
        if not allowed:
            raise Refused(403, "Forbidden", "you may not look at this console any more: ask an administrator")
        instance = await self._parts.instances.current(session.instance, session.instance_uid)
        if instance is None:
            raise Refused(410, "InstanceGone", f"Instance {session.instance.name} was deleted")
        return instance

    def _no(self, refusal: Refused) -> web.Response:
        self._parts.metrics.refusals.labels("web", refusal.reason).inc()
        return no(refusal)


def _asset(request: web.Request, asset: Asset) -> web.StreamResponse:
    # no-cache: kept, but asked about each time, which an upgrade of ours must not escape.
    headers = {hdrs.ETAG: asset.etag, hdrs.CACHE_CONTROL: "no-cache"}
    if request.headers.get(hdrs.IF_NONE_MATCH) == asset.etag:
        return web.Response(status=304, headers=headers)
    return web.Response(body=asset.body, headers={**headers, hdrs.CONTENT_TYPE: asset.content_type})


def _session_key(request: web.Request) -> Key | None:
    """The ConsoleSession of the path; None if none can have such a name."""
    key = Key(request.match_info["namespace"], request.match_info["name"])
    return key if _NAMESPACE_FORM.fullmatch(key.namespace) and _NAME_FORM.fullmatch(key.name) else None


def _peer(request: web.Request) -> str:
    return request.remote or ""
