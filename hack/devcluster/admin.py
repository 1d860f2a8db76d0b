"""A few requests to the API server as its administrator, without the 0.2 s a kubectl takes."""

from __future__ import annotations

import http.client
import json
import ssl
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from .errors import ClusterError, Refused
from .pki import ADMIN

JSON = "application/json"


@dataclass(frozen=True)
class Admin:
    """Speaks to one API server with the admin certificate, one connection a request."""

    port: int
    pki: Path
    timeout: float = 10.0
    """Seconds for each step of a request."""

    def ready(self) -> bool:
        """Whether /readyz says ok."""
        try:
            status, _ = self._request("GET", "/readyz")
        except (OSError, http.client.HTTPException):
            return False
        return status == http.HTTPStatus.OK

    def exists(self, path: str) -> bool:
        """Whether there is something at `path`; False also while the server does not answer."""
        try:
            status, _ = self._request("GET", path)
        except (OSError, http.client.HTTPException):
            return False
        return status == http.HTTPStatus.OK

    def text(self, path: str) -> str:
        """What is at `path`, undecoded.

        Raises:
            Refused: the server answers with an error.
            ClusterError: it does not answer.
        """
        return self._checked("GET", path, accept="*/*")

    def get(self, path: str, *, accept: str = JSON) -> dict[str, Any]:
        """The object at `path`, in the representation `accept`; raises as `text`."""
        answer: dict[str, Any] = json.loads(self._checked("GET", path, accept=accept))
        return answer

    def create(self, path: str, body: dict[str, Any]) -> dict[str, Any]:
        """Posts `body` to the collection `path` and returns the created object; raises as `text`."""
        answer: dict[str, Any] = json.loads(self._checked("POST", path, body))
        return answer

    def delete(self, path: str) -> None:
        """Deletes the object at `path`, if there; raises as `text` when the server does not answer."""
        if self.exists(path):
            self._checked("DELETE", path)

    def ensure(self, collection: str, body: dict[str, Any]) -> dict[str, Any]:
        """The object named as in `body` in `collection`, created when missing and left alone when there."""
        path = f"{collection}/{body['metadata']['name']}"
        return self.get(path) if self.exists(path) else self.create(collection, body)

    def _checked(self, method: str, path: str, body: dict[str, Any] | None = None, *, accept: str = JSON) -> str:
        try:
            status, text = self._request(method, path, body, accept=accept)
        except (OSError, http.client.HTTPException) as error:
            raise ClusterError(f"{method} {path}: the API server does not answer: {error}") from error
        if status >= http.HTTPStatus.BAD_REQUEST:
            raise Refused(f"{method} {path}", status, text)
        return text

    def _request(
        self, method: str, path: str, body: dict[str, Any] | None = None, *, accept: str = JSON
    ) -> tuple[int, str]:
        connection = http.client.HTTPSConnection("127.0.0.1", self.port, timeout=self.timeout, context=self._tls)
        try:
            payload = None if body is None else json.dumps(body)
            connection.request(method, path, payload, {"Content-Type": JSON, "Accept": accept})
            response = connection.getresponse()
            return response.status, response.read().decode()
        finally:
            connection.close()

    @cached_property
    def _tls(self) -> ssl.SSLContext:
        context = ssl.create_default_context(cafile=str(self.pki / "ca.crt"))
        context.load_cert_chain(self.pki / f"{ADMIN.name}.crt", self.pki / f"{ADMIN.name}.key")
        return context
