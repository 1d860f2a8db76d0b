"""What talking to the API server can raise.

KubeError
├── Unreachable            no answer: connection refused or cut, TLS, timeout
├── NoCredentials          no kubeconfig or service account, or one that cannot be used
├── LeadershipLost         this process led, and no longer does
└── ApiError               an answer that says no
    ├── BadRequest         400
    ├── Unauthorized       401
    ├── Forbidden          403
    ├── NotFound           404
    ├── AlreadyExists      409 at create
    ├── Conflict           409 at update: the resourceVersion or uid is no longer that
    ├── Expired            410: the resourceVersion or continue token is too old
    ├── Invalid            422: schema, CEL or admission refused the object
    ├── TooManyRequests    429
    └── ServerError        5xx
"""

import json
from collections.abc import Mapping
from typing import Any, ClassVar


class KubeError(Exception):
    """Anything that can go wrong between us and the API server."""


class Unreachable(KubeError):
    """No answer from the API server. Whether it did what was asked is not known."""


class NoCredentials(KubeError):
    """No way to log in: there is no kubeconfig or service account, or it is broken."""


class LeadershipLost(KubeError):
    """The Lease was not renewed in time or was taken by another: stop acting as leader at once."""


class ApiError(KubeError):
    """An answer of the API server that is not a success.

    Attributes:
        status: HTTP status code.
        reason: Kubernetes' machine-readable reason (`NotFound`, ...), or `""` where none was told.
        message: a sentence for people, from the server.
        details: the Status' details (`name`, `kind`, `causes`, ...), or `{}`.
        retry_after: seconds the server asks us to wait before the next try; 0 where it does not say.
    """

    code: ClassVar[int] = 0

    def __init__(
        self,
        status: int,
        reason: str,
        message: str,
        details: Mapping[str, Any] | None = None,
        retry_after: float = 0.0,
    ) -> None:
        super().__init__(status, reason, message)
        self.status = status
        self.reason = reason
        self.message = message
        self.details = dict(details or {})
        self.retry_after = retry_after

    def __str__(self) -> str:
        return f"{self.message} ({self.status} {self.reason})" if self.reason else f"{self.message} ({self.status})"


class BadRequest(ApiError):
    """The request makes no sense to the server."""

    code = 400


class Unauthorized(ApiError):
    """The server does not know who we are: no, bad or expired credentials."""

    code = 401


class Forbidden(ApiError):
    """The server knows us, and RBAC or admission says no."""

    code = 403


class NotFound(ApiError):
    """No such object, or no such resource."""

    code = 404


class Conflict(ApiError):
    """The object is not as our write presumed (resourceVersion or uid). Read it again."""

    code = 409


class AlreadyExists(ApiError):
    """Something of that name is there already."""


class Expired(ApiError):
    """The resourceVersion or continue token is older than what the server remembers. List again."""

    code = 410


class Invalid(ApiError):
    """The object breaks a rule of its schema, or an admission policy; the message says which."""

    code = 422


class TooManyRequests(ApiError):
    """The server sheds load; `retry_after` says for how long."""

    code = 429


class ServerError(ApiError):
    """The server failed. It may or may not have done what was asked."""


_BY_CODE = {cls.code: cls for cls in ApiError.__subclasses__() if cls.code}
_LONGEST_MESSAGE = 2000


def from_status(status: Mapping[str, Any], *, code: int = 0, retry_after: float = 0.0) -> ApiError:
    """The error that a Status object tells.

    Args:
        status: the Status, as in the body of an answer or in an ERROR event of a watch.
        code: HTTP status of the answer, for a Status that carries none.
        retry_after: from the answer's Retry-After header; the Status' own `retryAfterSeconds` if not given.
    """
    code = int(status.get("code") or code)
    reason = str(status.get("reason") or "")
    details = status.get("details") or {}
    message = str(status.get("message") or reason or f"HTTP status {code}")
    retry_after = retry_after or float(details.get("retryAfterSeconds") or 0)
    return _class_of(code, reason)(code, reason, message, details, retry_after)


def from_body(code: int, body: bytes, *, retry_after: float = 0.0) -> ApiError:
    """The error that an answer tells whose HTTP status is no success, whatever its body may be."""
    try:
        status = json.loads(body)
    except ValueError:
        status = None
    if isinstance(status, dict) and status.get("kind") == "Status":
        return from_status(status, code=code, retry_after=retry_after)
    # Proxies and load balancers answer with text or HTML of their own; its beginning is the best there is.
    text = " ".join(body[:_LONGEST_MESSAGE].decode("utf-8", "replace").split())
    return _class_of(code, "")(code, "", text or f"HTTP status {code} without a body", {}, retry_after)


def in_words(error: BaseException) -> str:
    """What an error says; its name where it says nothing, as timeouts do."""
    return str(error) or type(error).__name__


def _class_of(code: int, reason: str) -> type[ApiError]:
    if reason == "AlreadyExists":
        return AlreadyExists
    if code >= 500:
        return ServerError
    return _BY_CODE.get(code, ApiError)
