"""Instance: a virtual machine."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from hypernova_api.conditions import Conditions
from hypernova_api.flavor import FlavorSpec
from hypernova_api.image import Format
from hypernova_api.meta import AGE, AS_SET, Column, Kind, Model, Name, Namespace, Rule, immutable

USER_DATA_LIMIT = 65536
"""Bytes of user data: Nova's limit, and what a config drive is expected to carry."""

EDIT_HINT = "rebuild the Instance, or delete and create it anew"


class Phase(StrEnum):
    """Where an Instance is in its life, as one word; its conditions say more."""

    PENDING = "Pending"
    """Not bound to a node yet; the condition Scheduled says what is missing."""
    BUILDING = "Building"
    """Bound; image, disks and domain are being made."""
    RUNNING = "Running"
    STOPPED = "Stopped"
    FAILED = "Failed"
    """Couldn't be built or kept as asked; Ready says why and when it is tried again."""
    DELETING = "Deleting"


class ImageReference(Model):
    """An Image by name."""

    name: Name
    """Name of an Image."""

    namespace: Namespace | None = None
    """Where the Image is; the Instance's own namespace when absent."""


class SecretKeyReference(Model):
    """A key of a Secret in the Instance's namespace."""

    name: Name
    """Name of the Secret."""

    key: Annotated[str, Field(min_length=1, max_length=253, pattern=r"^[-._a-zA-Z0-9]+$")]
    """Key in the Secret's data."""


class UserData(Model):
    """What the guest's cloud-init gets; exactly one of the two."""

    inline: Annotated[str, Field(max_length=USER_DATA_LIMIT)] | None = None
    """The text itself, e.g. `#cloud-config ...`; at most 64 KiB."""

    secret_key_ref: SecretKeyReference | None = None
    """The text in a Secret, for what others should not read."""

    rules: ClassVar[list[Rule]] = [
        Rule(
            "has(self.inline) != has(self.secretKeyRef)",
            "give exactly one of inline and secretKeyRef",
            "FieldValueRequired",
        ),
        Rule(
            f"!has(self.inline) || size(bytes(self.inline)) <= {USER_DATA_LIMIT}",
            "user data is over 64 KiB: let the guest fetch the rest itself",
            field=".inline",
        ),
    ]


class InstanceSpec(Model):
    """What the user asks for. Nobody of Hypernova's ever writes it."""

    flavor: Name
    """Name of a Flavor."""

    image: ImageReference
    """What the root disk starts from."""

    power_state: Literal["Running", "Stopped"] = "Running"
    """Whether the guest should run. Stopping presses the power button first, and pulls the plug when the guest
    has not gone after `terminationGracePeriodSeconds`."""

    key_pairs: Annotated[list[Name], Field(max_length=16), AS_SET] = Field(default_factory=list)
    """KeyPairs of the Instance's namespace that the guest admits."""

    user_data: UserData | None = None
    """Handed to the guest at its first boot."""

    termination_grace_period_seconds: Annotated[int, Field(ge=0, le=3600)] = 60
    """Seconds a guest has to shut down by itself, at a stop or a deletion; 0 pulls the plug at once."""

    rules: ClassVar[list[Rule]] = [
        immutable(
            "image",
            "the image of an Instance cannot be edited: rebuild it (an InstanceAction of type Rebuild), "
            "or delete and create it anew",
        ),
        immutable("flavor", "the flavor of an Instance cannot be edited in this version: delete and create it anew"),
        immutable("userData", f"user data is read at the first boot only and cannot be edited: {EDIT_HINT}"),
        immutable(
            "keyPairs", f"key pairs are read at the first boot only and cannot be edited: {EDIT_HINT}", empty="[]"
        ),
    ]


class BoundFlavor(FlavorSpec):
    """The flavor as it was at binding: what the Instance really has."""

    name: Name
    rules: ClassVar[list[Rule]] = []


class BoundImage(Model):
    """The image as it was at binding."""

    name: Name
    namespace: str
    url: str
    sha256: str
    format: Format


class BoundKeyPair(Model):
    """A public key as it was at binding. (Nova keeps key_data with the server too.)"""

    name: Name
    public_key: str


class Address(Model):
    """An address of the guest."""

    network: str
    ip: str
    mac: str


class InstanceStatus(Model):
    """What is. Written by the operator until the Instance is bound, by its node's agent afterwards."""

    phase: Phase | None = None
    node_name: str | None = None
    flavor: BoundFlavor | None = None
    image: BoundImage | None = None
    key_pairs: list[BoundKeyPair] = Field(default_factory=list)
    addresses: list[Address] = Field(default_factory=list)
    observed_generation: Annotated[int, Field(ge=0)] | None = None
    conditions: Conditions = Field(default_factory=list)
    """`Scheduled`: a node has been found. `Ready`: the guest is in the power state asked for."""


class Instance(Kind, short_names=("inst",)):
    """A virtual machine: a Flavor's size, started from an Image, on a node that the scheduler picks."""

    spec: InstanceSpec
    status: InstanceStatus = InstanceStatus()

    rules: ClassVar[list[Rule]] = [
        Rule(
            "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')",
            "the name becomes the guest's host name: at most 63 lower-case letters, digits and dashes, no dots",
        ),
    ]
    columns: ClassVar[list[Column]] = [
        Column("Phase", ".status.phase"),
        Column("Flavor", ".spec.flavor"),
        Column("Node", ".status.nodeName"),
        Column("Address", ".status.addresses[0].ip"),
        Column("Image", ".spec.image.name", priority=1),
        Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        Column("Created By", r".metadata.annotations.compute\.hypernova\.dev/created-by", priority=1),
        AGE,
    ]
    selectable: ClassVar[list[str]] = [
        ".status.nodeName",
        ".status.phase",
        ".spec.flavor",
        ".spec.image.name",
    ]
