"""Keeping a kind by a reflector of kube's, where kopf's watches cost too much."""

from __future__ import annotations

from hypernova_kube.client import Client
from hypernova_kube.reflector import Change, Reflector, identity
from hypernova_operator.cache.cache import Kept
from hypernova_operator.cache.records import Hypervisor, Instance, InstanceAction, Node


def reflected(client: Client, kept: Kept[Node] | Kept[Hypervisor] | Kept[Instance] | Kept[InstanceAction]) -> Reflector:
    """A reflector that has the store told of every change. It keeps of each object no more than it needs itself."""

    def on_change(change: Change) -> None:
        if change.new is not None:
            kept.put(change.new)
            return
        # By its uid: of an object that was replaced while the watch was broken, only the old one is gone.
        known = kept.store.get(change.key)
        if known is not None and change.old is not None and known.uid == change.old["metadata"]["uid"]:
            kept.store.remove(change.key, known.version)

    return Reflector(client, kept.resource, on_change, keep=identity)
