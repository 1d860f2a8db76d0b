"""InstanceActions."""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from datetime import datetime
from typing import NamedTuple

from hypernova_api import action as action_api
from hypernova_api import conditions
from hypernova_api.action import ADMINISTER, COMPLETE, FINISHED, IMAGE_CREATED, ActionPhase, ActionType
from hypernova_api.image import ImageProperties
from hypernova_api.instance import ImageReference
from hypernova_api.meta import CREATED_BY
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache.records.identity import identity


class Owed(NamedTuple):
    """An Image that is to be made of a file on a node."""

    image: Key
    file: action_api.SnapshotResult


@dataclass(frozen=True, slots=True)
class InstanceAction:
    """An InstanceAction. `conditions` are kept while we may have to write them."""

    key: Key
    uid: str
    version: int = field(compare=False)
    generation: int
    created: datetime
    deleting: bool
    user: str
    """Who created it; empty where the API server doesn't say."""
    administers: bool
    """Whether whoever did may `administer` the Instance."""
    instance: Key
    type: ActionType
    image: Key | None
    """What it is to rebuild from, or to rescue with; None: what the Instance is made from."""
    key_pairs: tuple[str, ...] | None
    """Of a Rebuild; None: those there are."""
    makes: Key | None
    """The Image that a Snapshot is to make."""
    ttl: int
    """Seconds it is kept when it is done."""
    phase: ActionPhase | None
    node: str
    """Whose it is to run; empty until it is admitted."""
    instance_uid: str
    """Of the Instance it was admitted for."""
    started: bool
    over: datetime | None
    """Since when it is finished."""
    file: action_api.SnapshotResult | None
    """What a Snapshot has left on its node."""
    properties: ImageProperties | None
    """What a host must be, to run what a Snapshot is of."""
    image_created: bool
    """Whether the Image has been made once of what a Snapshot has left."""
    reason: str
    message: str
    """What the condition Complete says."""
    conditions: tuple[conditions.Condition, ...]

    @property
    def finished(self) -> bool:
        """Whether nothing will be done to the Instance for it any more."""
        return self.phase in FINISHED

    @property
    def owed(self) -> Owed | None:
        """The Image of a Snapshot that has worked, while it has not been made."""
        if self.phase != ActionPhase.SUCCEEDED or self.image_created or self.makes is None or self.file is None:
            return None
        return Owed(self.makes, self.file)


def instance_action(obj: Object) -> InstanceAction:
    """Read an InstanceAction."""
    parsed = action_api.InstanceAction.parse(obj)
    spec, status, metadata = parsed.spec, parsed.status, parsed.metadata
    key, uid, version = identity(metadata)
    created = datetime.fromisoformat(obj["metadata"]["creationTimestamp"])
    finished = status.phase in FINISHED
    complete = conditions.find(status.conditions, COMPLETE)
    image_created = conditions.is_true(status.conditions, IMAGE_CREATED)
    snapshot_of = status.bound_snapshot.image if status.bound_snapshot else None
    return InstanceAction(
        key,
        uid,
        version,
        metadata.generation,
        created,
        deleting=metadata.deletion_timestamp is not None,
        user=sys.intern(metadata.annotations.get(CREATED_BY, "")),
        # Only who may administer the Instance could create the latter.
        administers=metadata.annotations.get(ADMINISTER) == "true" or spec.type == "ResetState",
        instance=Key(key.namespace, sys.intern(spec.instance)),
        type=spec.type,
        image=_image(spec, key.namespace),
        key_pairs=tuple(spec.rebuild.key_pairs) if spec.rebuild and spec.rebuild.key_pairs is not None else None,
        makes=Key(key.namespace, spec.snapshot.image_name) if spec.snapshot else None,
        ttl=spec.ttl_seconds_after_finished,
        phase=status.phase,
        node=sys.intern(status.node_name or ""),
        instance_uid=status.instance_uid or "",
        started=status.start_time is not None,
        over=(datetime.fromisoformat(status.completion_time) if status.completion_time else created)
        if finished
        else None,
        file=status.snapshot,
        properties=snapshot_of.properties if snapshot_of else None,
        image_created=image_created,
        reason=sys.intern(complete.reason) if complete else "",
        message=complete.message if complete else "",
        conditions=tuple(status.conditions) if spec.snapshot or not finished else (),
    )


def _image(spec: action_api.InstanceActionSpec, namespace: str) -> Key | None:
    references: list[ImageReference | None] = [
        spec.rebuild.image if spec.rebuild else None,
        spec.rescue.image if spec.rescue else None,
    ]
    named = next((reference for reference in references if reference is not None), None)
    return Key(named.namespace or namespace, named.name) if named else None
