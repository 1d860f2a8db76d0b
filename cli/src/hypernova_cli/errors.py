"""What goes wrong, as one sentence that says what to do."""

from __future__ import annotations

import re

from hypernova_kube.errors import (
    ApiError,
    Conflict,
    Forbidden,
    KubeError,
    NoCredentials,
    NotFound,
    ServerError,
    Unauthorized,
    Unreachable,
)


class CliError(Exception):
    """The command cannot do what it was asked; the message is a sentence for its user."""


class NoConsoleProxy(CliError):
    """What serves consoles behind the API server is not there."""


_RIGHT = re.compile(
    r'User "(?P<user>.*?)" cannot (?P<verb>\S+) resource "(?P<resource>\S+?)" in API group "(?P<group>\S*?)"'
    r'(?: in the namespace "(?P<namespace>\S+?)")?'
)
"""How Kubernetes' authorizer refuses."""

_HINTS = {
    "GuestOff": "start it with `kubectl hypernova start`",
    "InUse": "--take-over takes it from whoever has it",
}


def sentence(error: KubeError) -> str:
    """What an error of the API server, or of what stands behind it, means to the user of a command. Pure."""
    match error:
        case NoCredentials():
            return f"no way to log in: {error}"
        case Unreachable():
            return f"the API server does not answer: {error}"
        case Unauthorized():
            return "the API server does not take your credentials: log in anew, or choose another --context"
        case Forbidden():
            return _forbidden(error)
        case NotFound() if not error.reason:
            return "this cluster does not know Instances: Hypernova is not installed in it"
        case Conflict() | ServerError() if error.reason in _HINTS:
            return f"{error.message.rstrip('.')}; {_HINTS[error.reason]}"
        case ApiError():
            return error.message
    return str(error)


def _forbidden(error: Forbidden) -> str:
    right = _RIGHT.search(error.message)
    if right is None:
        return error.message  # of an admission policy, say: it has its own words
    where = f" in namespace {right['namespace']}" if right["namespace"] else " in all of the cluster"
    return (
        f"you ({right['user']}) lack the right to {right['verb']} {right['resource']} of {right['group'] or 'core'}"
        f"{where}: ask who administers it for a Role that has it"
    )


def proxied(error: ApiError) -> CliError | None:
    """What an error means when the console proxy was to answer; None if it is the proxy's own, or RBAC's. Pure."""
    if isinstance(error, NotFound) and not error.reason:
        return NoConsoleProxy(
            "this cluster has no console proxy (the APIService v1alpha1.subresources.compute.hypernova.dev is not "
            "there): install it with Hypernova's Helm chart"
        )
    if error.status == 503 and error.reason in ("", "ServiceUnavailable"):
        return NoConsoleProxy(
            "the console proxy does not answer: see `kubectl get apiservice "
            f"v1alpha1.subresources.compute.hypernova.dev` and its Pods ({error.message})"
        )
    return None
