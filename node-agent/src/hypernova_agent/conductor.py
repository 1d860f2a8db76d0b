"""Asking the conductor, over TLS, for what this node's Instances have in Secrets. Nothing of it is kept here."""

from __future__ import annotations

import json
import re
import ssl
from datetime import UTC, datetime

import aiohttp

from hypernova_agent.errors import UserDataUnavailable
from hypernova_agent.settings import Settings
from hypernova_agent.user_data import InSecret
from hypernova_api.certificates import AUTHORITY, BUNDLE_KEY
from hypernova_api.conductor import USER_DATA_PATH, server_name
from hypernova_api.instance import USER_DATA_LIMIT
from hypernova_kube.certificates import contexts
from hypernova_kube.client import Client
from hypernova_kube.errors import KubeError, in_words
from hypernova_kube.resources import Resource

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")

_SECONDS = aiohttp.ClientTimeout(total=10.0, sock_connect=5.0)
"""For one request: a worker waits for it."""

_LONGEST_REFUSAL = 4096
"""Bytes."""

_OUT_OF_TIME = (9, 10)
"""OpenSSL's X509_V_ERR_CERT_NOT_YET_VALID and X509_V_ERR_CERT_HAS_EXPIRED."""

_SET_CLOCKS = "set the clock of this node, or of the one where the operator runs"

_REASON = re.compile(r"[A-Z][A-Za-z]{0,63}")


class Conductor:
    """The conductor, as one agent sees it: asked once for each guest that is built, so no connection is kept."""

    def __init__(self, client: Client, settings: Settings) -> None:
        self._client = client
        self._address = settings.conductor_address
        self._token_file = settings.conductor_token_file
        self._namespace = settings.namespace

    async def user_data(self, source: InSecret) -> bytes:
        """What is in a Secret for an Instance.

        Raises:
            UserDataUnavailable: it is not to be had now.
        """
        if not self._address:
            raise UserDataUnavailable(
                "ConductorUnknown",
                "this node's agent was not told where the conductor is, which hands out what is in Secrets: start it "
                "with --conductor-address",
            )
        token, trust = self._token(), await self._trust()
        try:
            async with (
                aiohttp.ClientSession(timeout=_SECONDS, cookie_jar=aiohttp.DummyCookieJar()) as session,
                session.get(
                    f"https://{self._address}{USER_DATA_PATH.format(namespace=source.namespace, name=source.name)}",
                    params=_query(source),
                    headers={"Authorization": f"Bearer {token}"},
                    ssl=trust,
                    # Whatever the address is: the certificate is good for this name alone.
                    server_hostname=server_name(self._namespace),
                    allow_redirects=False,
                ) as response,
            ):
                if response.status == 200:
                    return await _read(response, USER_DATA_LIMIT)
                refusal = await _read(response, _LONGEST_REFUSAL)
        except (aiohttp.ClientError, TimeoutError, OSError, ValueError) as error:
            raise UserDataUnavailable(
                "ConductorUnreachable",
                f"no answer from the conductor at {self._address}: {in_words(error)}{_about_clocks(error)}",
            ) from error
        raise _refused(response.status, refusal)

    def _token(self) -> str:
        try:
            return self._token_file.read_text().strip()
        except (OSError, ValueError) as error:
            raise UserDataUnavailable(
                "ConductorTokenMissing",
                "this node's agent has no token to show the conductor: mount one of audience hypernova-conductor at "
                "--conductor-token-file",
            ) from error

    async def _trust(self) -> ssl.SSLContext:
        """Asked anew each time: it happens seldom, and an authority may be replaced."""
        context = contexts.client()
        try:
            # Listed as by those who watch it: an agent needs no other right to it.
            listing = await self._client.list(
                CONFIG_MAPS, namespace=self._namespace, field_selector=f"metadata.name={AUTHORITY}"
            )
            data = listing.items[0].get("data", {}) if listing.items else {}
            context.load_verify_locations(cadata=data.get(BUNDLE_KEY, ""))
        except (KubeError, ValueError, ssl.SSLError) as error:
            raise UserDataUnavailable(
                "ConductorUnreachable",
                f"the ConfigMap {AUTHORITY} of namespace {self._namespace} does not say whom to trust as the "
                f"conductor: {in_words(error)}; the operator makes it",
            ) from error
        return context


def _about_clocks(error: Exception) -> str:
    """What to do about a certificate that is out of its time: all are renewed long before they are."""
    if not isinstance(error, aiohttp.ClientConnectorCertificateError):
        return ""
    code = getattr(error.certificate_error, "verify_code", 0)
    return f"; it is {datetime.now(UTC):%Y-%m-%dT%H:%M:%SZ} here: {_SET_CLOCKS}" if code in _OUT_OF_TIME else ""


def _query(source: InSecret) -> dict[str, str]:
    of_action = {"action": source.action, "actionUID": source.action_uid} if source.action else {}
    return {"uid": source.uid} | of_action


async def _read(response: aiohttp.ClientResponse, limit: int) -> bytes:
    """The body.

    Raises:
        ValueError: it is too long.
    """
    body = bytearray()
    async for piece in response.content.iter_chunked(limit):
        body += piece
        if len(body) > limit:
            raise ValueError(f"the answer is over {limit} bytes")
    return bytes(body)


def _refused(status: int, body: bytes) -> UserDataUnavailable:
    try:
        told = json.loads(body)
        reason, message = str(told["reason"]), str(told["message"])
    except (ValueError, KeyError, TypeError):
        reason, message = "", ""
    if not _REASON.fullmatch(reason):
        return UserDataUnavailable("ConductorUnreachable", f"the conductor answered {status} without a reason")
    return UserDataUnavailable(reason, message)
