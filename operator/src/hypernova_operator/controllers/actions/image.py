"""The Image that is made of what a snapshot has left on its node. Pure."""

from __future__ import annotations

from hypernova_api.image import Image, ImageSource, ImageSpec
from hypernova_api.meta import GROUP
from hypernova_kube.resources import Object, Resource
from hypernova_operator.cache.records import InstanceAction
from hypernova_operator.cache.records.action import Owed

IMAGES = Resource.of(Image)

OF_INSTANCE = f"{GROUP}/instance"
"""Label with the name of the Instance that it is a snapshot of."""

OF_ACTION = f"{GROUP}/instance-action"
"""Annotation with the name of the InstanceAction that has made it."""


def image_of(action: InstanceAction, owed: Owed) -> Object:
    """The Image to make. Instances boot from it on the node that has the file."""
    spec = ImageSpec(
        source=ImageSource(node_name=action.node, sha256=owed.file.sha256),
        format=owed.file.format,
        min_disk=owed.file.size,
        properties=action.properties,
    )
    metadata = {
        "namespace": owed.image.namespace,
        "name": owed.image.name,
        "labels": {OF_INSTANCE: action.instance.name},
        "annotations": {OF_ACTION: action.key.name},
    }
    return {"apiVersion": IMAGES.api_version, "kind": IMAGES.kind, "metadata": metadata, "spec": spec.to_wire()}


def is_of(image: Object, action: InstanceAction, owed: Owed) -> bool:
    """Whether an Image that is there is the one: we made it, and did not get to say so."""
    source = Image.parse(image).spec.source
    return (source.node_name, source.sha256) == (action.node, owed.file.sha256)
