"""InstanceAction: something done to an Instance once. (Nova: server actions, and the record of them.)"""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from hypernova_api.conditions import Conditions
from hypernova_api.image import Format
from hypernova_api.instance import BoundImage, BoundKeyPair, ImageReference, UserData
from hypernova_api.meta import AGE, AS_SET, GROUP, Column, Kind, Model, Name, Rule, Time
from hypernova_api.quantity import Quantity

DAY = 24 * 60 * 60

ADMINISTER = f"{GROUP}/administer"
"""Annotation of an action: "true" if its creator may `administer` the Instance. The API server's admission sees to it,
as nobody else knows all that it knows of a user."""

COMPLETE = "Complete"
IMAGE_CREATED = "ImageCreated"

ActionType = Literal[
    "Reboot",
    "Rebuild",
    "Rescue",
    "Unrescue",
    "Snapshot",
    "ResetState",
    "InjectNMI",
    "SetPassword",
    "GetGuestInfo",
    "GetConsoleLog",
]
"""What can be done."""


class ActionPhase(StrEnum):
    """Where an action is."""

    PENDING = "Pending"
    """Not looked at, or another action of the Instance is before it."""
    RUNNING = "Running"
    SUCCEEDED = "Succeeded"
    FAILED = "Failed"
    """It was refused, or did not work; the condition Complete says why."""


FINISHED = frozenset({ActionPhase.SUCCEEDED, ActionPhase.FAILED})


class Reboot(Model):
    """How to reboot."""

    type: Literal["Soft", "Hard"] = "Soft"
    """Soft presses the power button, and pulls the plug after the Instance's terminationGracePeriodSeconds; Hard pulls
    it at once. Both then start the guest, with all that was waiting for a restart."""


class Rebuild(Model):
    """What to make the Instance anew from. What is absent stays as it was."""

    image: ImageReference | None = None
    """What the new root disk starts from."""

    key_pairs: Annotated[list[Name], Field(max_length=16), AS_SET] | None = None
    """KeyPairs of the namespace that the guest admits."""

    user_data: UserData | None = None
    """Handed to the guest at its next boot, which is a first one again."""


class Rescue(Model):
    """What to boot a broken guest from."""

    image: ImageReference | None = None
    """The rescue image; the Instance's own when absent."""


class Snapshot(Model):
    """What to make of the root disk."""

    image_name: Name
    """Name of the Image to make, in the Instance's namespace. There must be none yet."""


class SetPassword(Model):
    """A password in the guest, set by its qemu-guest-agent."""

    user: Annotated[str, Field(max_length=32, pattern=r"^[a-z_][-a-z0-9_]*[$]?$")] = "root"
    """Whose."""

    hash: Annotated[str, Field(max_length=512, pattern=r"^\$[0-9a-z]+\$[^\s:]+$")]
    """What /etc/shadow keeps, as `openssl passwd -6` prints it: the password itself is never written down."""


class GetConsoleLog(Model):
    """How much of the console log to read."""

    bytes: Annotated[int, Field(ge=1, le=262144)] = 16384
    """From its end."""


_PARTS = {
    "reboot": "Reboot",
    "rebuild": "Rebuild",
    "rescue": "Rescue",
    "snapshot": "Snapshot",
    "setPassword": "SetPassword",
    "getConsoleLog": "GetConsoleLog",
}


class InstanceActionSpec(Model):
    """What to do. It cannot be edited; deleting it before it runs calls it off."""

    instance: Name
    """The Instance, of the same namespace."""

    type: ActionType
    """What to do. ResetState is for administrators: it forgets failures and what is left of a running action, and
    has everything looked at anew."""

    reboot: Reboot | None = None
    """For Reboot."""

    rebuild: Rebuild | None = None
    """For Rebuild."""

    rescue: Rescue | None = None
    """For Rescue."""

    snapshot: Snapshot | None = None
    """For Snapshot, which needs it."""

    set_password: SetPassword | None = None
    """For SetPassword, which needs it."""

    get_console_log: GetConsoleLog | None = None
    """For GetConsoleLog."""

    ttl_seconds_after_finished: Annotated[int, Field(ge=0, le=365 * DAY)] = 7 * DAY
    """How long it is kept when it is done."""

    rules: ClassVar[list[Rule]] = [
        Rule(
            "self == oldSelf",
            "an InstanceAction cannot be edited: delete it, if it has not run, and create another",
            "FieldValueForbidden",
        ),
        *(
            Rule(
                f"!has(self.{part}) || self.type == '{type_}'",
                f"{part} is for actions of type {type_}",
                field=f".{part}",
            )
            for part, type_ in _PARTS.items()
        ),
        Rule(
            "self.type != 'Snapshot' || has(self.snapshot)",
            "say in snapshot.imageName what the Image is to be called",
            "FieldValueRequired",
            ".snapshot",
        ),
        Rule(
            "self.type != 'SetPassword' || has(self.setPassword)",
            "say in setPassword whose password and what it is",
            "FieldValueRequired",
            ".setPassword",
        ),
    ]


class ActionStep(Model):
    """A part of an action."""

    name: str
    """What was done, e.g. `PowerOff`."""

    start_time: Time
    """When it began."""

    completion_time: Time | None = None
    """When it was done; absent while it goes on."""


class BoundRebuild(Model):
    """What a rebuild makes the Instance from, as it was resolved when the node got the action."""

    image: BoundImage
    """What the new root disk starts from."""

    key_pairs: list[BoundKeyPair] = Field(default_factory=list)
    """The key pairs."""


class BoundSnapshot(Model):
    """What a snapshot is made of, as it was when the node got the action."""

    image: BoundImage
    """What the disk was made from: the new Image has its properties."""


class SnapshotResult(Model):
    """A file that a snapshot has left on its node."""

    sha256: str
    """Of the file."""

    format: Format
    """Of the file."""

    size: Quantity
    """Bytes of disk that a guest sees of it."""


class GuestInterface(Model):
    """A network card, as the guest sees it."""

    name: str
    """Its name in the guest, e.g. `eth0`."""

    mac: str = ""
    """Its hardware address."""

    addresses: Annotated[list[str], Field(max_length=64)] = Field(default_factory=list)
    """Its addresses with prefix lengths, e.g. `10.60.0.7/16`."""


class GuestInfo(Model):
    """What the qemu-guest-agent tells of its guest. Nothing of it is checked."""

    hostname: str = ""
    """Its host name."""

    os: str = ""
    """Its operating system, e.g. `Debian GNU/Linux 12 (bookworm)`."""

    kernel: str = ""
    """Release of its kernel."""

    timezone: str = ""
    """Its time zone."""

    users: Annotated[list[str], Field(max_length=64)] = Field(default_factory=list)
    """Who is logged in."""

    interfaces: Annotated[list[GuestInterface], Field(max_length=64)] = Field(default_factory=list)
    """Its network cards."""


class InstanceActionStatus(Model):
    """What became of it.

    Written by the operator until the action has its node, by that node's agent until it is finished, and then by the
    operator again.
    """

    phase: ActionPhase | None = None
    """Where it is, as one word."""

    node_name: str | None = None
    """The node of its Instance: set when the operator has admitted the action."""

    instance_uid: str | None = None
    """UID of the Instance it is for: not for another of the same name."""

    requested_by: str | None = None
    """Who created it."""

    start_time: Time | None = None
    """When it began to run."""

    completion_time: Time | None = None
    """When it was done."""

    rebuild: BoundRebuild | None = None
    """Of a Rebuild: what from."""

    rescue_image: BoundImage | None = None
    """Of a Rescue: what from."""

    bound_snapshot: BoundSnapshot | None = None
    """Of a Snapshot: what of."""

    steps: Annotated[list[ActionStep], Field(max_length=32)] = Field(default_factory=list)
    """What has been done of it, in order."""

    progress: Annotated[int, Field(ge=0, le=100)] | None = None
    """Percent of what takes long; at most every 5 s."""

    snapshot: SnapshotResult | None = None
    """Of a Snapshot."""

    guest_info: GuestInfo | None = None
    """Of GetGuestInfo."""

    console_log: str | None = None
    """Of GetConsoleLog: the end of the log; what is no UTF-8 is replaced."""

    conditions: Conditions = Field(default_factory=list)
    """`Complete`: True when it has worked, False with the reason when it has not or not yet. `ImageCreated`: of a
    Snapshot that has worked, whether its Image has been made."""


class InstanceAction(Kind, short_names=("iact",)):
    """Something done to an Instance once: rebooted, rebuilt, snapshotted, ... It stays as the record of it."""

    spec: InstanceActionSpec
    """What to do."""

    status: InstanceActionStatus = InstanceActionStatus()
    """What became of it."""

    columns: ClassVar[list[Column]] = [
        Column("Instance", ".spec.instance"),
        Column("Type", ".spec.type"),
        Column("Phase", ".status.phase"),
        Column("Progress", ".status.progress", "integer", priority=1),
        Column("Reason", '.status.conditions[?(@.type=="Complete")].reason'),
        Column("By", ".status.requestedBy", priority=1),
        Column("Node", ".status.nodeName", priority=1),
        AGE,
    ]
    selectable: ClassVar[list[str]] = [".status.nodeName", ".status.phase", ".spec.instance"]
