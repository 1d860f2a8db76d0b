"""A guest's user data: what its Instance says itself, and what the conductor has to be asked for. Pure."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from hypernova_api.action import InstanceAction
from hypernova_api.instance import Instance, UserData


@dataclass(frozen=True, slots=True)
class InSecret:
    """User data that is in a Secret: what the conductor is asked for."""

    namespace: str
    name: str
    """Of the Instance."""

    uid: str
    """The Instance's own."""

    action: str = ""
    """The InstanceAction whose rebuild named the Secret; empty: the Instance's spec does."""

    action_uid: str = ""


FetchUserData = Callable[[InSecret], Awaitable[bytes]]
"""Gets it from the conductor; raises UserDataUnavailable."""


def user_data_of(instance: Instance) -> str | InSecret:
    """What the guest of an Instance is given at its first boot: that of its last rebuild which brought any."""
    status, given = instance.status, instance.spec.user_data
    if (source := status.user_data_from) is not None:
        return _in_secret(instance, source.action, source.uid)
    if status.user_data is not None:
        return status.user_data
    if given is None:
        return ""
    return given.inline or "" if given.secret_key_ref is None else _in_secret(instance)


def brought_by(action: InstanceAction, instance: Instance) -> InSecret | None:
    """What a rebuild is to have from a Secret, if anything: named by the action, or by whoever was before it."""
    given = _given(action)
    if given is None:
        found = user_data_of(instance)
        return found if isinstance(found, InSecret) else None
    return _in_secret(instance, action.metadata.name, action.metadata.uid) if given.secret_key_ref is not None else None


def noted(action: InstanceAction) -> dict[str, object]:
    """What the Instance's status says of the user data that a rebuild brings: a merge patch, empty if there is none."""
    given = _given(action)
    if given is None:
        return {}
    if given.secret_key_ref is None:
        return {"userData": given.inline, "userDataFrom": None}
    return {"userData": None, "userDataFrom": {"action": action.metadata.name, "uid": action.metadata.uid}}


def _given(action: InstanceAction) -> UserData | None:
    return action.spec.rebuild.user_data if action.spec.rebuild is not None else None


def _in_secret(instance: Instance, action: str = "", action_uid: str = "") -> InSecret:
    metadata = instance.metadata
    return InSecret(metadata.namespace, metadata.name, metadata.uid, action, action_uid)
