"""Who asks: the API server's word for it, believed only from who shows its front-proxy certificate.

https://kubernetes.io/docs/tasks/extend-kubernetes/configure-aggregation-layer/#authentication-flow
"""

from __future__ import annotations

import json
import ssl
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import unquote

from aiohttp import web
from multidict import CIMultiDictProxy
from pydantic import ValidationError

from hypernova_api.console import ConsoleUser
from hypernova_console.errors import Refused
from hypernova_kube.client import Client
from hypernova_kube.process.logs import get_logger
from hypernova_kube.reflector import Change, Reflector
from hypernova_kube.resources import Resource

log = get_logger(__name__)

CONFIG_MAPS = Resource("", "v1", "configmaps", "ConfigMap")
NAMESPACE = "kube-system"
NAME = "extension-apiserver-authentication"
"""The ConfigMap in which API servers say how they are known."""


@dataclass(frozen=True, slots=True)
class Trust:
    """How the API server is known, and where it writes who asks."""

    bundle: str
    """Authorities of its client certificate, PEM."""

    names: frozenset[str]
    """Common names that the certificate may have; none: any."""

    username_headers: tuple[str, ...]
    uid_headers: tuple[str, ...]
    group_headers: tuple[str, ...]
    extra_prefixes: tuple[str, ...]

    @classmethod
    def parse(cls, data: Mapping[str, str]) -> Self:
        """From the ConfigMap's data.

        Raises:
            ValueError: it does not say all that is needed; aggregation is not set up, then.
        """

        def names(key: str, *, required: bool = True) -> tuple[str, ...]:
            if key not in data and not required:
                return ()
            value = json.loads(data[key])
            if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
                raise ValueError(f"{key} is no list of names")
            return tuple(value)

        try:
            return cls(
                data["requestheader-client-ca-file"],
                frozenset(names("requestheader-allowed-names")),
                names("requestheader-username-headers"),
                names("requestheader-uid-headers", required=False),  # since Kubernetes 1.32
                names("requestheader-group-headers"),
                names("requestheader-extra-headers-prefix"),
            )
        except KeyError as error:
            raise ValueError(f"it has no key {error.args[0]}") from None

    def admits(self, certificate: Mapping[str, Any]) -> bool:
        """Whether a certificate of those authorities is the API server's."""
        subject = [pair for part in certificate.get("subject", ()) for pair in part]
        common_names = [value for key, value in subject if key == "commonName"]
        return bool(certificate) and (not self.names or any(name in self.names for name in common_names))

    def user(self, headers: CIMultiDictProxy[str]) -> ConsoleUser:
        """Who asks, as the headers say; only to be believed of a request that is the API server's own.

        Raises:
            ValueError: they name nobody, or too much of somebody.
        """
        username = _first(headers, self.username_headers)
        if not username:
            raise ValueError("nobody is named")
        extra: dict[str, list[str]] = {}
        for header, value in headers.items():
            for prefix in self.extra_prefixes:
                if header.lower().startswith(prefix.lower()):
                    # Names of headers have no case and few letters: the API server lowers and percent-encodes keys.
                    extra.setdefault(unquote(header[len(prefix) :].lower()), []).append(value)
        user = ConsoleUser(
            username=username,
            uid=_first(headers, self.uid_headers),
            groups=[value for header in self.group_headers for value in headers.getall(header, [])],
            extra=extra,
        )
        user.model_dump_json().encode()  # what is not UTF-8 cannot be said to the API server again
        return user


class FrontProxy:
    """Watches how the API server is known, and tells who asks.

    An authority that it names no longer makes no new connection; those that are open go on until they end, which idle
    ones of an API server do after 90 s.
    """

    def __init__(self, client: Client) -> None:
        self._trust: Trust | None = None
        self._certify: Callable[[ssl.SSLContext], None] | None = None
        self._current: ssl.SSLContext | None = None
        self._reflector = Reflector(
            client, CONFIG_MAPS, self._on_change, namespace=NAMESPACE, field_selector=f"metadata.name={NAME}"
        )

    async def run(self) -> None:
        """For ever; end it by cancelling."""
        await self._reflector.run()

    @property
    def ready(self) -> bool:
        """Whether it is known how the API server is known."""
        return self._trust is not None

    def context(self, certify: Callable[[ssl.SSLContext], None]) -> ssl.SSLContext:
        """For a listener; good for ever. Who comes without a certificate gets in too: `user` sends him away, in words.

        Args:
            certify: has a context show our certificate, now and after each renewal.
        """
        self._certify = certify
        context = self._new_context("")
        # What a context has come to trust it trusts for ever. So each handshake is handed on to the newest.
        context.sni_callback = self._hand_on
        return context

    def user(self, request: web.BaseRequest) -> ConsoleUser:
        """Who asks.

        Raises:
            Refused: 401 Unauthorized: it is not the API server who says so.
        """
        certificate = request.get_extra_info("peercert") or {}
        if self._trust is None or not self._trust.admits(certificate):
            raise Refused(
                401, "Unauthorized", "only the API server may ask here: use its address, and your own credentials"
            )
        try:
            return self._trust.user(request.headers)
        except (ValueError, ValidationError) as error:
            log.warning("user not understood", error=type(error).__name__)
            raise Refused(401, "Unauthorized", "the API server's word for who asks is not understood") from error

    def _on_change(self, change: Change) -> None:
        try:
            trust = Trust.parse((change.new or {}).get("data") or {})
            if self._certify is not None:
                self._current = self._new_context(trust.bundle)
        except (ValueError, ssl.SSLError) as error:
            log.error("API server's certificate not known", name=f"{NAMESPACE}/{NAME}", error=error)
            return
        self._trust = trust
        log.info("API server's certificate known", name=f"{NAMESPACE}/{NAME}")

    def _new_context(self, bundle: str) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.verify_mode = ssl.CERT_OPTIONAL
        # A session that is resumed shows no certificate again.
        context.num_tickets = 0
        context.options |= ssl.OP_NO_TICKET
        if bundle:
            context.load_verify_locations(cadata=bundle)
        if self._certify is not None:
            self._certify(context)
        return context

    def _hand_on(self, connection: ssl.SSLSocket | ssl.SSLObject, name: str | None, context: ssl.SSLContext) -> None:
        if self._current is not None:
            connection.context = self._current


def _first(headers: CIMultiDictProxy[str], names: tuple[str, ...]) -> str:
    return next((value for name in names if (value := headers.get(name, ""))), "")
