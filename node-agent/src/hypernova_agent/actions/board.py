"""The open actions of a node's Instances, each as it was last known."""

from __future__ import annotations

from collections.abc import Mapping

from hypernova_agent.view import View
from hypernova_api.action import FINISHED, InstanceAction
from hypernova_kube.reflector import Change
from hypernova_kube.resources import Key, Object, Resource

ACTIONS = Resource.of(InstanceAction)


def selector(node: str) -> str:
    """The fieldSelector of what a node's agent has to know: what is done would only fill its memory."""
    return f"status.nodeName={node},status.phase!=Succeeded,status.phase!=Failed"


class Board:
    """Open actions by the UID of their Instance."""

    def __init__(self, objects: Mapping[Key, Object]) -> None:
        """A board over what a reflector keeps; it is to be told of every Change (`changed`) and own write (`wrote`)."""
        self._view = View(objects)
        self._of: dict[str, set[Key]] = {}  # by the UID of the Instance

    def changed(self, change: Change) -> bool:
        """The watch has told something; whether it is news, and no echo of a write of ours."""
        if change.old is not None:
            self._drop(change.key, change.old)
        if change.new is not None:
            self._of.setdefault(_instance_uid(change.new), set()).add(change.key)
        return self._view.changed(change)

    def wrote(self, obj: Object) -> None:
        """The API server has answered a write of ours with the object as it is now."""
        self._view.wrote(obj)

    def listed(self) -> list[InstanceAction]:
        """All has been listed; returns what is otherwise known now. (`View.listed`)"""
        found = [self.get(key) for key in self._view.listed()]
        return [action for action in found if action is not None]

    def get(self, key: Key) -> InstanceAction | None:
        """An action as it was last known; None if it is done or gone."""
        obj = self._view.get(key)
        action = InstanceAction.parse(obj) if obj is not None else None
        return action if action is not None and action.status.phase not in FINISHED else None

    def of(self, instance_uid: str) -> list[InstanceAction]:
        """The open actions of an Instance."""
        found = [self.get(key) for key in self._of.get(instance_uid, ())]
        return [action for action in found if action is not None]

    def keys_of(self, instance_uid: str) -> list[Key]:
        """The names of an Instance's actions."""
        return list(self._of.get(instance_uid, ()))

    def _drop(self, key: Key, old: Object) -> None:
        uid = _instance_uid(old)
        keys = self._of.get(uid, set())
        keys.discard(key)
        if not keys:
            self._of.pop(uid, None)


def _instance_uid(obj: Object) -> str:
    uid = obj.get("status", {}).get("instanceUID", "")
    return str(uid)
