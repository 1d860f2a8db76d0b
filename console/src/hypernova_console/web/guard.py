"""What each request of a browser is held to, and each answer."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any, TypeVar
from urllib.parse import urlsplit

from aiohttp import hdrs, web
from pydantic import BaseModel, ValidationError

from hypernova_console.errors import Refused

LONGEST_BODY = 4096
"""Bytes of a request's body."""

_BODY_SECONDS = 10.0

_POLICY = "; ".join(
    (
        "default-src 'none'",
        "script-src 'self'",
        "style-src 'self'",
        "connect-src 'self'",
        # RFB's Tight encoding has pictures, and guests' pointers have shapes.
        "img-src 'self' data:",
        "frame-ancestors 'none'",
        "base-uri 'none'",
        "form-action 'none'",
    )
)

_HEADERS = {
    "Content-Security-Policy": _POLICY,
    "Cross-Origin-Opener-Policy": "same-origin",
    "Cross-Origin-Resource-Policy": "same-origin",
    "Permissions-Policy": "camera=(), geolocation=(), microphone=()",
    hdrs.SERVER: "hypernova-console",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
}

Body = TypeVar("Body", bound=BaseModel)


async def protect(_: web.Request, response: web.StreamResponse) -> None:
    """Give an answer, whichever it is, the headers that all have. Kept by nobody, unless it says otherwise."""
    response.headers.update(_HEADERS)
    response.headers.setdefault(hdrs.CACHE_CONTROL, "no-store")


def check_origin(request: web.Request, public_url: str) -> None:
    """Turn away what another site's page has its visitor's browser ask for.

    Args:
        request: one that changes something, or is for a WebSocket: browsers tell of these where they come from.
        public_url: where the page is found.

    Raises:
        Refused: 403 WrongOrigin.
    """
    origin = request.headers.get(hdrs.ORIGIN, "")
    told = urlsplit(origin)
    if origin == public_url or (told.scheme in ("http", "https") and told.netloc == request.host):
        return
    raise Refused(403, "WrongOrigin", f"this is for pages of {public_url} alone, and asked for by another")


async def read(request: web.Request, kind: type[Body]) -> Body:
    """The body of a request, which is JSON and says so: a page of another site cannot send that without asking first.

    Raises:
        Refused: 400 BadRequest, 408 RequestTimeout, 415 UnsupportedMediaType.
        web.HTTPRequestEntityTooLarge: it is longer than LONGEST_BODY.
    """
    if request.content_type != "application/json":
        raise Refused(415, "UnsupportedMediaType", "send JSON, with Content-Type: application/json")
    try:
        async with asyncio.timeout(_BODY_SECONDS):
            return kind.model_validate_json(await request.read())
    except TimeoutError as error:
        raise Refused(408, "RequestTimeout", "the request's body did not come in time") from error
    except ValidationError as error:
        # Without the input: it may be a ticket.
        first = error.errors(include_url=False, include_input=False, include_context=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Refused(400, "BadRequest", f"{place or 'body'}: {first['msg']}") from None


def no(refusal: Refused) -> web.Response:
    """A refusal, as browsers get it."""
    headers: dict[str, str] = {}
    if refusal.retry_after:
        headers[hdrs.RETRY_AFTER] = str(max(1, round(refusal.retry_after)))
    return answer({"reason": refusal.reason, "message": refusal.message}, status=refusal.status, headers=headers)


def answer(content: dict[str, Any], *, status: int = 200, headers: Mapping[str, str] | None = None) -> web.Response:
    """JSON."""
    return web.Response(
        body=json.dumps(content).encode(), status=status, content_type="application/json", headers=headers
    )
