"""Between agents and the conductor, which hands them what their own Instances need: the words that both sides use.

    GET /v1/namespaces/NAMESPACE/instances/NAME/user-data?uid=UID[&action=NAME&actionUID=UID]
    Authorization: Bearer TOKEN

The token is the agent's, with AUDIENCE. The answer is the user data's bytes with status 200, or else JSON with `reason`
(CamelCase, for programs) and `message` (a sentence for people).
"""

from __future__ import annotations

from enum import StrEnum

from hypernova_api.certificates import CONDUCTOR_NAME

AUDIENCE = "hypernova-conductor"
"""Of the tokens that agents show the conductor: they are good for nothing else, and no other is good for it."""

USER_DATA_PATH = "/v1/namespaces/{namespace}/instances/{name}/user-data"
"""Query: `uid` is the Instance's. `action` and `actionUID` are of the InstanceAction whose rebuild named the Secret;
without them it is the Instance's own."""


def server_name(namespace: str) -> str:
    """The DNS name that the conductor's certificate is good for, whatever its address; `namespace` is Hypernova's."""
    return f"{CONDUCTOR_NAME}.{namespace}.svc"


class Refusal(StrEnum):
    """Reasons of the conductor; an Instance's condition shows those that its agent is told."""

    UNAUTHENTICATED = "Unauthenticated"
    """401: no token, or one that the API server does not take for AUDIENCE."""
    NOT_AN_AGENT = "NotAnAgent"
    """403: a token of somebody else, or of an agent that is bound to no node."""
    NOT_FOUND = "InstanceNotFound"
    """404: there is no such Instance, or it has another UID."""
    NOT_ITS_NODE = "NotItsNode"
    """403: the Instance is bound to another node than the agent's."""
    NO_USER_DATA = "NoUserData"
    """404: the Instance, or the action, names no Secret."""
    USER_DATA_NOT_FOUND = "UserDataNotFound"
    """404: the Secret, its key or the action that named it is not there."""
    USER_DATA_FORBIDDEN = "UserDataForbidden"
    """409: the conductor has no right to read Secrets of the namespace."""
    USER_DATA_TOO_LARGE = "UserDataTooLarge"
    """409: over 64 KiB."""
    TOO_MANY_REQUESTS = "TooManyRequests"
    """429: ask later."""
    API_SERVER_AWAY = "ApiServerAway"
    """503: the conductor has no answer from the API server."""
