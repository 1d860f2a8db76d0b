"""Who may have what user data. Pure: objects of the API server in; out comes what to read next, or why not.

What is believed of whom:

- Of the agent, nothing but its token, which the API server reviews: the node is the one that the token is bound to, as
  kubelet mounts it. A token that is bound to none is good for nothing here.
- Of an Instance's status, `nodeName` alone, which no agent may write. What names a Secret is a user's word always: the
  spec of the Instance, or of an InstanceAction. A status is not believed there: else an agent that was taken over could
  have any Secret of the namespace read to it.
- Whoever may create Instances in a namespace can have a guest of his read any Secret there that the conductor may
  read, as who may create Pods can with those. The RoleBinding that opens a namespace to the conductor is that decision.
"""

from __future__ import annotations

import base64
import binascii
from dataclasses import dataclass

from hypernova_api.action import InstanceAction
from hypernova_api.certificates import AGENT_ACCOUNT, OPERATOR_ACCOUNT
from hypernova_api.conductor import AUDIENCE, Refusal
from hypernova_api.instance import USER_DATA_LIMIT, Instance, SecretKeyReference, UserData
from hypernova_kube.resources import Key, Object

ROLE = "hypernova-user-data"
"""The ClusterRole that a RoleBinding opens a namespace with."""

_NODE = "authentication.kubernetes.io/node-name"

_STATUS = {
    Refusal.UNAUTHENTICATED: 401,
    Refusal.NOT_AN_AGENT: 403,
    Refusal.NOT_FOUND: 404,
    Refusal.NOT_ITS_NODE: 403,
    Refusal.NO_USER_DATA: 404,
    Refusal.USER_DATA_NOT_FOUND: 404,
    Refusal.USER_DATA_FORBIDDEN: 409,
    Refusal.USER_DATA_TOO_LARGE: 409,
    Refusal.TOO_MANY_REQUESTS: 429,
    Refusal.API_SERVER_AWAY: 503,
}


class Refused(Exception):
    """There is nothing for who asks. The text is a sentence, for the Instance's condition; it tells no contents.

    Attributes:
        reason: of the condition.
        retry_after: seconds until asking again makes sense; 0: it is not known.
    """

    def __init__(self, reason: Refusal, message: str, retry_after: float = 0.0) -> None:
        super().__init__(message)
        self.reason = reason
        self.retry_after = retry_after

    @property
    def status(self) -> int:
        """The HTTP status."""
        return _STATUS[self.reason]


@dataclass(frozen=True, slots=True)
class Wanted:
    """What is asked for."""

    instance: Key
    uid: str
    """Of the Instance."""

    action: str = ""
    """The InstanceAction whose rebuild named the Secret; empty: the Instance itself does."""

    action_uid: str = ""


def node_of(review: Object, namespace: str) -> str:
    """The node of the agent whose token was reviewed.

    Args:
        review: the TokenReview, answered.
        namespace: Hypernova's.

    Raises:
        Refused: it is no agent's.
    """
    status = review.get("status", {})
    # Who reviews without knowing of audiences says none, and may have taken a token that is for somebody else.
    if not status.get("authenticated") or AUDIENCE not in status.get("audiences", []):
        raise Refused(Refusal.UNAUTHENTICATED, f"the API server does not take the token for audience {AUDIENCE}")
    user = status.get("user", {})
    account = f"system:serviceaccount:{namespace}:{AGENT_ACCOUNT}"
    if user.get("username") != account:
        raise Refused(Refusal.NOT_AN_AGENT, f"only {account} may ask, not {user.get('username')}")
    nodes = user.get("extra", {}).get(_NODE, [])
    if len(nodes) != 1 or not nodes[0]:
        raise Refused(Refusal.NOT_AN_AGENT, "the token is not bound to one node: show that of the agent's Pod")
    return str(nodes[0])


def checked(instance: Instance | None, wanted: Wanted, node: str) -> Instance:
    """The Instance, which is that of the agent on a node.

    Raises:
        Refused: it is not.
    """
    if instance is None or instance.metadata.uid != wanted.uid:
        raise Refused(Refusal.NOT_FOUND, f"there is no Instance {wanted.instance} with UID {wanted.uid}")
    if instance.status.node_name != node:
        raise Refused(Refusal.NOT_ITS_NODE, f"Instance {wanted.instance} is not bound to node {node}")
    return instance


def secret_of_instance(instance: Instance) -> SecretKeyReference:
    """Where the user data is that an Instance was created with.

    Raises:
        Refused: in no Secret.
    """
    return _in_secret(instance.spec.user_data, f"Instance {instance.metadata.name}")


def secret_of_action(action: InstanceAction | None, wanted: Wanted) -> SecretKeyReference:
    """Where the user data is that a rebuild brought.

    Raises:
        Refused: the action is not there, is none of this Instance, or names no Secret.
    """
    if action is None or action.metadata.uid != wanted.action_uid:
        raise Refused(
            Refusal.USER_DATA_NOT_FOUND,
            f"InstanceAction {wanted.action}, which named the Secret, is no longer there: rebuild the Instance with "
            "userData",
        )
    spec = action.spec
    bound = action.status.instance_uid
    if spec.instance != wanted.instance.name or bound != wanted.uid or spec.type != "Rebuild":
        raise Refused(Refusal.NO_USER_DATA, f"InstanceAction {wanted.action} is no rebuild of this Instance")
    return _in_secret(spec.rebuild.user_data if spec.rebuild is not None else None, f"InstanceAction {wanted.action}")


def content_of(secret: Object | None, reference: SecretKeyReference) -> bytes:
    """The user data in a Secret.

    Raises:
        Refused: it is not there, or too large.
    """
    if secret is None:
        raise Refused(Refusal.USER_DATA_NOT_FOUND, f"there is no Secret {reference.name} in the Instance's namespace")
    encoded = (secret.get("data") or {}).get(reference.key)
    if encoded is None:
        raise Refused(Refusal.USER_DATA_NOT_FOUND, f"Secret {reference.name} has no key {reference.key}")
    try:
        content = base64.b64decode(encoded, validate=True)
    except binascii.Error:
        # The API server takes nothing else; its words would show what there is.
        raise Refused(Refusal.USER_DATA_NOT_FOUND, f"Secret {reference.name} is not in base64") from None
    if len(content) > USER_DATA_LIMIT:
        raise Refused(
            Refusal.USER_DATA_TOO_LARGE,
            f"key {reference.key} of Secret {reference.name} is over 64 KiB: let the guest fetch the rest itself",
        )
    return content


def forbidden(namespace: str, operator_namespace: str) -> Refused:
    """What to say where the conductor may not read a namespace's Secrets: all that there is to type."""
    return Refused(
        Refusal.USER_DATA_FORBIDDEN,
        f"Hypernova may not read Secrets of namespace {namespace}; to allow it: kubectl create rolebinding {ROLE} "
        f"--namespace {namespace} --clusterrole={ROLE} --serviceaccount={operator_namespace}:{OPERATOR_ACCOUNT}",
    )


def _in_secret(given: UserData | None, whose: str) -> SecretKeyReference:
    if given is None or given.secret_key_ref is None:
        raise Refused(Refusal.NO_USER_DATA, f"{whose} names no Secret")
    return given.secret_key_ref
