"""What the API server asks for, on behalf of whom: consoles, screenshots, tickets."""

from __future__ import annotations

import json
import re
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any

from aiohttp import hdrs, web
from pydantic import ValidationError

from hypernova_api.console import (
    SUBRESOURCES_GROUP,
    ConsoleTicket,
    ConsoleTicketSpec,
    ConsoleTicketStatus,
    ConsoleType,
    ConsoleUser,
)
from hypernova_console.aggregated import discovery, openapi
from hypernova_console.aggregated.discovery import GROUP_VERSION
from hypernova_console.consoles import Relay, Screenshot
from hypernova_console.errors import Refused
from hypernova_console.front_proxy import FrontProxy
from hypernova_console.instances import Instances
from hypernova_console.metrics import ConsoleMetrics
from hypernova_console.session import text_of
from hypernova_console.sessions import Sessions
from hypernova_kube.process.logs import get_logger
from hypernova_kube.resources import Key

log = get_logger(__name__)

LONGEST_BODY = 64 * 1024

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]

_USER = web.RequestKey("user", ConsoleUser)
_INSTANCE = f"/apis/{GROUP_VERSION}/namespaces/{{namespace}}/instances/{{name}}"
_NAMESPACE_FORM = re.compile("[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?")
_NAME_FORM = re.compile("[a-z0-9]([-a-z0-9.]{0,251}[a-z0-9])?")


@dataclass(frozen=True, slots=True)
class Parts:
    """What the routes lead to."""

    front_proxy: FrontProxy
    instances: Instances
    sessions: Sessions
    relay: Relay
    screenshot: Screenshot
    metrics: ConsoleMetrics
    public_url: str
    """Where browsers find the page; without a slash at its end."""


def application(parts: Parts) -> web.Application:
    """The application that is served to API servers."""
    routes = _Routes(parts)
    app = web.Application(client_max_size=LONGEST_BODY, middlewares=[routes.guard])
    app.router.add_get("/apis", _groups, allow_head=False)
    for path, document in (
        (f"/apis/{SUBRESOURCES_GROUP}", discovery.api_group()),
        (f"/apis/{GROUP_VERSION}", discovery.api_resource_list()),
        ("/openapi/v2", openapi.version_2()),
        ("/openapi/v3", openapi.version_3_index()),
        (openapi.V3_PATH, openapi.version_3()),
    ):
        app.router.add_get(path, _document(document), allow_head=False)
    for type_ in ConsoleType:
        app.router.add_get(f"{_INSTANCE}/{type_.subresource}", routes.console(type_), allow_head=False)
    app.router.add_get(f"{_INSTANCE}/screenshot", routes.screenshot, allow_head=False)
    app.router.add_post(f"{_INSTANCE}/ticket", routes.ticket)
    return app


def status_of(refusal: Refused) -> dict[str, Any]:
    """The metav1.Status that says no."""
    details = {"retryAfterSeconds": round(refusal.retry_after)} if refusal.retry_after else {}
    return {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": refusal.message,
        "reason": refusal.reason,
        "details": details,
        "code": refusal.status,
    }


class _Routes:
    def __init__(self, parts: Parts) -> None:
        self._parts = parts

    @web.middleware
    async def guard(self, request: web.Request, handler: Handler) -> web.StreamResponse:
        """Lets nobody pass of whom the API server has not said who it is; says every no as a Status."""
        try:
            request[_USER] = self._parts.front_proxy.user(request)
            return await handler(request)
        except Refused as refusal:
            return self._no(refusal)
        except web.HTTPException as error:
            # No such path, another method, a body that is too large.
            return self._no(Refused(error.status, error.reason.replace(" ", ""), f"{error.reason}: {request.path}"))
        except Exception:
            log.exception("request failed", path=request.path)
            return self._no(Refused(500, "InternalError", "the console proxy failed: its log says how"))

    def console(self, type_: ConsoleType) -> Handler:
        """The route of one type's WebSocket."""

        async def console(request: web.Request) -> web.StreamResponse:
            key = _instance(request)
            if request.headers.get(hdrs.UPGRADE, "").lower() != "websocket":
                raise Refused(400, "BadRequest", f"instances/{type_.subresource} is a WebSocket: ask for an upgrade")
            sessions = self._parts.sessions
            session = await sessions.open(request[_USER], key, type_, read_only=_flag(request, "readOnly"))
            try:
                return await self._parts.relay(request, session, take_over=_flag(request, "takeOver"))
            finally:
                try:
                    await sessions.end(session)
                except Refused as refusal:
                    # It is good for nothing any more: nobody has a key to it. It expires.
                    log.warning("session left behind", session=session.key, error=refusal)

        return console

    async def screenshot(self, request: web.Request) -> web.StreamResponse:
        """A PNG."""
        key, user = _instance(request), request[_USER]
        instance = await self._parts.instances.current(key)
        if instance is None:
            raise Refused(404, "NotFound", f"there is no Instance {key.name} in namespace {key.namespace}")
        picture = await self._parts.screenshot(instance, user)
        log.info("screenshot taken", instance=key, user=user.username)
        return web.Response(body=picture, content_type="image/png", headers={hdrs.CACHE_CONTROL: "no-store"})

    async def ticket(self, request: web.Request) -> web.StreamResponse:
        """A ConsoleTicket with its status."""
        key, user, spec = _instance(request), request[_USER], await _ticket_spec(request)
        session, ticket = await self._parts.sessions.offer(user, key, spec.type, read_only=spec.read_only)
        status = ConsoleTicketStatus(
            # In the fragment, which browsers send nobody: no log of any server has it.
            url=f"{self._parts.public_url}/#ticket={ticket.text()}",
            expires_at=text_of(session.expires_at),
            session=session.key.name,
        )
        answer = ConsoleTicket(spec=spec, status=status).to_wire()
        return web.json_response(answer, status=201, headers={hdrs.CACHE_CONTROL: "no-store"})

    def _no(self, refusal: Refused) -> web.Response:
        self._parts.metrics.refusals.labels("api", refusal.reason).inc()
        headers = {hdrs.RETRY_AFTER: str(max(1, round(refusal.retry_after)))} if refusal.retry_after else {}
        return web.json_response(status_of(refusal), status=refusal.status, headers=headers)


async def _ticket_spec(request: web.Request) -> ConsoleTicketSpec:
    body = await request.read()
    try:
        return ConsoleTicket.model_validate(json.loads(body) if body.strip() else {}).spec
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Refused(422, "Invalid", f"no ConsoleTicket: {place}: {first['msg']}") from error
    except ValueError as error:
        raise Refused(400, "BadRequest", f"no JSON: {error}") from error


def _instance(request: web.Request) -> Key:
    """The Instance of the path. What could not be one's name is none: the API server may have read it otherwise."""
    key = Key(request.match_info["namespace"], request.match_info["name"])
    if not _NAMESPACE_FORM.fullmatch(key.namespace) or not _NAME_FORM.fullmatch(key.name):
        raise Refused(404, "NotFound", "no Instance has such a name")
    return key


def _flag(request: web.Request, name: str) -> bool:
    value = request.query.get(name, "false")
    if value not in ("true", "false"):
        raise Refused(400, "BadRequest", f"{name} is true or false")
    return value == "true"


async def _groups(request: web.Request) -> web.StreamResponse:
    accepted = request.headers.get(hdrs.ACCEPT, "").replace(" ", "")
    if any(each.startswith(discovery.AGGREGATED) for each in accepted.split(",")):
        body = json.dumps(discovery.api_group_discovery_list()).encode()
        return web.Response(body=body, headers={hdrs.CONTENT_TYPE: discovery.AGGREGATED})
    return web.json_response(discovery.api_group_list())


def _document(document: dict[str, Any]) -> Handler:
    """A route to what never changes."""
    body, tag = json.dumps(document).encode(), f'"{openapi.etag(document)}"'

    async def answer(request: web.Request) -> web.StreamResponse:
        if request.headers.get(hdrs.IF_NONE_MATCH) == tag:
            return web.Response(status=304, headers={hdrs.ETAG: tag})
        return web.Response(body=body, content_type="application/json", headers={hdrs.ETAG: tag})

    return answer
