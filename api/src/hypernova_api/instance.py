"""Instance: a virtual machine."""

from __future__ import annotations

from enum import StrEnum
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from hypernova_api.conditions import Conditions
from hypernova_api.flavor import Alias, FlavorSpec, PageSize
from hypernova_api.hypervisor import PciAddress
from hypernova_api.image import Format, ImageProperties
from hypernova_api.meta import AGE, AS_SET, Column, Kind, Model, Name, Namespace, Rule, Time, immutable
from hypernova_api.overcommit import Overcommit
from hypernova_api.quantity import Quantity
from hypernova_api.selectors import LABEL_KEY_PATTERN, LabelValue, label_keys

USER_DATA_LIMIT = 65536
"""Bytes of user data: Nova's limit, and what a config drive is expected to carry."""

_EDIT_HINT = "rebuild the Instance, or delete and create it anew"


PowerState = Literal["Running", "Stopped", "Paused", "Suspended"]
"""What a guest should do."""

RestartPolicy = Literal["Always", "OnFailure", "Never"]
"""What becomes of a guest that ends by itself."""


class Phase(StrEnum):
    """Where an Instance is in its life, as one word; its conditions say more."""

    PENDING = "Pending"
    """Not bound to a node yet; the condition Scheduled says what is missing."""
    BUILDING = "Building"
    """Bound; image, disks and domain are being made."""
    RUNNING = "Running"
    STOPPED = "Stopped"
    PAUSED = "Paused"
    """The guest is in memory and its CPUs stand still."""
    SUSPENDED = "Suspended"
    """The guest's memory is on its node's disk."""
    RESCUED = "Rescued"
    """A rescue image runs, with the root disk as its second one."""
    UNKNOWN = "Unknown"
    """Its node has not been heard of for too long. The guest may well run: nothing is started elsewhere."""
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

    # The schema counts characters where bytes matter, and cannot say what to do: it only bounds the cost of the rule.
    inline: Annotated[str, Field(max_length=16 * USER_DATA_LIMIT)] | None = None
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


class Toleration(Model):
    """Lets the Instance on nodes with a taint, as a Pod's toleration does."""

    key: Annotated[str, Field(max_length=317, pattern=f"^({LABEL_KEY_PATTERN})?$")] = ""
    """The taint's key; empty, with Exists, tolerates all."""

    operator: Literal["Equal", "Exists"] = "Equal"
    """Whether the taint's value counts."""

    value: LabelValue = ""
    """The taint's value, for Equal."""

    effect: Literal["NoSchedule", "PreferNoSchedule", "NoExecute"] | None = None
    """The taint's effect; any when absent."""

    rules: ClassVar[list[Rule]] = [
        Rule(
            "self.key != '' || self.operator == 'Exists'",
            "a toleration without a key tolerates everything: say so with operator: Exists",
            field=".operator",
        ),
        Rule(
            "self.operator == 'Equal' || self.value == ''",
            "Exists looks at no value: leave it out, or use operator: Equal",
            field=".value",
        ),
    ]


class Scheduling(Model):
    """Where the Instance may and should go. It is read until the Instance has a node."""

    group: Name | None = None
    """An InstanceGroup of the Instance's namespace that it is a member of. (Nova: the hint group.)"""

    node_selector: Annotated[dict[str, LabelValue], Field(max_length=16)] = Field(default_factory=dict)
    """Labels that the node must have."""

    tolerations: Annotated[list[Toleration], Field(max_length=16)] = Field(default_factory=list)
    """Taints that the node may have."""

    same_host_as: Annotated[list[Name], Field(max_length=16), AS_SET] = Field(default_factory=list)
    """Instances of the namespace that must be on the node, all of them. (Nova: the hint same_host.)"""

    different_host_from: Annotated[list[Name], Field(max_length=16), AS_SET] = Field(default_factory=list)
    """Instances of the namespace that must not be on the node. (Nova: the hint different_host.)"""

    node_name: Name | None = None
    """The one node it may go to, all other conditions holding. Needs the right to `use` the Hypervisor of that name."""

    rules: ClassVar[list[Rule]] = [
        Rule(
            "!has(self.sameHostAs) || !has(self.differentHostFrom) "
            "|| self.sameHostAs.all(name, !(name in self.differentHostFrom))",
            "an Instance cannot be on the same host as another and on a different one",
        ),
        label_keys("nodeSelector"),
    ]


class NetworkAttachment(Model):
    """A network card of the guest."""

    name: Name
    """Name of the network. In this version there is one: `default`."""

    link_state: Literal["Up", "Down"] = "Up"
    """Down: the guest sees its cable pulled."""

    rules: ClassVar[list[Rule]] = [
        Rule("self.name == 'default'", "in this version the only network is `default`", field=".name"),
    ]


class Lock(Model):
    """Keeps all but administrators from changing or deleting the Instance. (Nova: lock.)"""

    reason: Annotated[str, Field(min_length=1, max_length=255)]
    """Why, for who is refused. (Nova: locked_reason.)"""


class InstanceSpec(Model):
    """What the user asks for. Nobody of Hypernova's ever writes it."""

    flavor: Name
    """Name of a Flavor. Another one resizes the Instance where it is: at once as far as its guest can take it, the rest
    with its next start (condition RestartRequired)."""

    image: ImageReference
    """What the root disk starts from."""

    availability_zone: Name | None = None
    """The AvailabilityZone it must be in; any when absent."""

    scheduling: Scheduling | None = None
    """Where else it may and should go."""

    power_state: PowerState = "Running"
    """What the guest should do. Stopped presses the power button first, and pulls the plug when the guest has not gone
    after `terminationGracePeriodSeconds`. Paused: its CPUs stand still. Suspended: its memory is on disk, and it goes
    on from there when asked to run."""

    restart_policy: RestartPolicy = "Always"
    """What becomes of a guest that ends by itself while it should run: started again Always, OnFailure (it crashed, or
    its QEMU or host died), or Never. One that is left off runs again when powerState goes to Stopped and back, or by an
    InstanceAction of type Reboot."""

    networks: Annotated[list[NetworkAttachment], Field(min_length=1, max_length=8)] | None = None
    """Its network cards, in order; one on the network `default` when absent. Cards can be added at the end and taken
    away from there while the guest runs."""

    locked: Lock | None = None
    """Set: only those with the right to `administer` the Instance may change or delete it, or act on it; to read its
    console log or ask its guest about itself is no act."""

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
        immutable("userData", f"user data is read at the first boot only and cannot be edited: {_EDIT_HINT}"),
        immutable(
            "keyPairs", f"key pairs are read at the first boot only and cannot be edited: {_EDIT_HINT}", empty="[]"
        ),
    ]


class BoundFlavor(FlavorSpec):
    """The flavor as it was at binding: what the Instance really has."""

    name: Name
    """Name of the Flavor."""

    rules: ClassVar[list[Rule]] = []


class BoundImage(Model):
    """The image as it was at binding."""

    name: Name
    """Name of the Image."""

    namespace: str
    """Namespace of the Image."""

    url: str | None = None
    """Where the file is fetched from; absent for one that only `nodeName` has."""

    node_name: str | None = None
    """The node that has the file, as a snapshot was made there; absent: any can fetch it."""

    sha256: str
    """SHA-256 of the file, 64 lower-case hex digits."""

    format: Format
    """The file's format."""

    properties: ImageProperties | None = None
    """What a host must be, to run it."""


class BoundKeyPair(Model):
    """A public key as it was at binding. (Nova keeps key_data with the server too.)"""

    name: Name
    """Name of the KeyPair."""

    public_key: str
    """One line as in authorized_keys."""


class Address(Model):
    """An address of the guest."""

    network: str
    """Name of the network it is on."""

    ip: str
    """IPv4 address, e.g. `10.60.0.7`."""

    mac: str
    """Hardware address of the guest's network card, e.g. `52:54:00:12:34:56`."""


class UserDataSource(Model):
    """The InstanceAction whose rebuild named the Secret that the guest's user data is in."""

    action: Name
    """Its name."""

    uid: str
    """Its UID."""


class GuestCell(Model):
    """One NUMA cell of the guest: what it got of a cell of the host."""

    cell: Annotated[int, Field(ge=0)]
    """The host's cell."""

    vcpus: Annotated[list[int], Field(max_length=512)]
    """The guest's virtual CPUs in it, from 0."""

    cpus: Annotated[list[int], Field(max_length=512)] = Field(default_factory=list)
    """The host CPU that each of them is pinned to, in the same order; empty where they float over the cell's shared
    CPUs."""

    idle_cpus: Annotated[list[int], Field(max_length=4096)] = Field(default_factory=list)
    """CPUs that nobody gets: other threads of the cores of isolated ones."""

    memory: Quantity
    """Bytes of the guest's memory in it."""

    huge_page_size: PageSize | None = None
    """Size of the pages behind it; the host's own small ones when absent."""


class AllocatedDevice(Model):
    """A PCI device that the guest got for itself."""

    alias: Alias
    """What the flavor asked for."""

    address: PciAddress
    """Where it is on the host."""


class Allocation(Model):
    """What the Instance got of its host beside amounts, packed by the scheduler: cells, CPUs, devices."""

    cells: Annotated[list[GuestCell], Field(max_length=16)] = Field(default_factory=list)
    """One for each NUMA cell of the guest; none: the host's kernel places it."""

    devices: Annotated[list[AllocatedDevice], Field(max_length=128)] = Field(default_factory=list)
    """PCI devices."""


class BoundRescue(Model):
    """A rescue that goes on."""

    action: str
    """UID of the InstanceAction that began it."""

    image: BoundImage
    """What the guest has been booted from."""


class PendingResize(Model):
    """A flavor that has been granted, and that the guest does not have in full yet. Both are counted until it has."""

    flavor: BoundFlavor
    """What it is to have."""

    allocation: Allocation | None = None
    """What it got of the host beside amounts; absent if nothing."""


class Candidate(Model):
    """A host that would have done, and how it weighed."""

    node_name: str
    """Its node."""

    weight: float
    """The sum of the parts: the greatest wins."""

    parts: Annotated[dict[str, float], Field(max_length=32)] = Field(default_factory=dict)
    """What each weight gave it, e.g. `freeMemory: 0.75`; those that made no difference are left out."""


class Placement(Model):
    """How the node was found."""

    time: Time
    """When."""

    hosts_considered: Annotated[int, Field(ge=0)]
    """Hosts there were."""

    hosts_passed: Annotated[int, Field(ge=0)]
    """Hosts that passed all filters."""

    candidates: Annotated[list[Candidate], Field(max_length=3)] = Field(default_factory=list)
    """The best of them, the chosen one first."""

    overcommit: Overcommit | None = None
    """The ratios of the host that were counted with."""

    cpu_model: str | None = None
    """The CPU model that the host's aggregates have their guests see; absent: the host's own."""


class InstanceStatus(Model):
    """What is. Written by the operator until the Instance is bound, by its node's agent afterwards."""

    phase: Phase | None = None
    """Where the Instance is in its life, as one word; the conditions say more."""

    node_name: str | None = None
    """The node the Instance is bound to: chosen once, by the scheduler."""

    availability_zone: str | None = None
    """The zone the node was in at binding; absent if in none."""

    placement: Placement | None = None
    """How the node was found."""

    allocation: Allocation | None = None
    """What it got of the host beside amounts; absent if nothing."""

    flavor: BoundFlavor | None = None
    """The flavor as it was at binding: what the Instance really has."""

    image: BoundImage | None = None
    """The image as it was at binding: what the root disk was made from."""

    key_pairs: list[BoundKeyPair] = Field(default_factory=list)
    """The key pairs as they were at binding: what the guest was given."""

    user_data: str | None = None
    """What the last rebuild gave the guest, if it gave any inline."""

    user_data_from: UserDataSource | None = None
    """The rebuild that last gave the guest user data, if that is in a Secret. Nothing of a Secret stands here."""

    addresses: list[Address] = Field(default_factory=list)
    """The guest's addresses, one for each of its network cards, in order."""

    launched_at: Time | None = None
    """When its domain was first made. From then on a node without its disk makes no new one: that would hide a loss.
    (Nova: launched_at.)"""

    restart_count: Annotated[int, Field(ge=0)] = 0
    """How often the guest has been started again after it had ended by itself."""

    build: str | None = None
    """UID of the InstanceAction that last rebuilt it; absent if it never was."""

    rescue: BoundRescue | None = None
    """Set while it is rescued."""

    resize: PendingResize | None = None
    """Set while a new flavor has been granted and is not in force in full."""

    domain_uid: str | None = None
    """UUID of its domain, where that is not the Instance's UID: it was adopted after its first object had been lost."""

    observed_generation: Annotated[int, Field(ge=0)] | None = None
    """The metadata.generation that this status is about."""

    conditions: Conditions = Field(default_factory=list)
    """`Scheduled`: a node has been found. `Ready`: the guest is in the power state asked for. `RestartRequired`: part
    of what is asked for comes with its next start. `Resized`: whether spec.flavor was granted, while it differs from
    what the guest has. `PlacementDrift`: it would not be placed on its node today, as labels, aggregates or zones have
    changed; nothing is done about it."""


class Instance(Kind, short_names=("inst",)):
    """A virtual machine: a Flavor's size, started from an Image, on a node that the scheduler picks."""

    spec: InstanceSpec
    """What the user asks for. Nobody of Hypernova's ever writes it."""

    status: InstanceStatus = InstanceStatus()
    """What is. Written by the operator until the Instance is bound, by its node's agent afterwards."""

    rules: ClassVar[list[Rule]] = [
        Rule(
            "self.metadata.name.matches('^[a-z0-9]([-a-z0-9]{0,61}[a-z0-9])?$')",
            "the name becomes the guest's host name: at most 63 lower-case letters, digits and dashes, no dots",
            field=".metadata.name",
        ),
        *(
            Rule(
                f"!has(self.spec.scheduling) || !has(self.spec.scheduling.{field}) "
                f"|| !(self.metadata.name in self.spec.scheduling.{field})",
                f"{field} is about other Instances: leave this one's own name out",
                field=f".spec.scheduling.{field}",
            )
            for field in ("sameHostAs", "differentHostFrom")
        ),
        *(
            Rule(
                "!has(oldSelf.status) || !has(oldSelf.status.nodeName) "
                f"|| has(self.spec.{field}) == has(oldSelf.spec.{field}) "
                f"&& (!has(self.spec.{field}) || self.spec.{field} == oldSelf.spec.{field})",
                f"the Instance has its node: {field} can only be edited before; delete it and create it anew",
                "FieldValueForbidden",
                f".spec.{field}",
            )
            for field in ("scheduling", "availabilityZone")
        ),
    ]
    columns: ClassVar[list[Column]] = [
        Column("Phase", ".status.phase"),
        Column("Flavor", ".spec.flavor"),
        Column("Node", ".status.nodeName"),
        Column("Address", ".status.addresses[0].ip"),
        Column("Zone", ".status.availabilityZone", priority=1),
        Column("Group", ".spec.scheduling.group", priority=1),
        Column("Image", ".spec.image.name", priority=1),
        Column("Restarts", ".status.restartCount", "integer", priority=1),
        Column("Locked", ".spec.locked.reason", priority=1),
        Column("Reason", '.status.conditions[?(@.type=="Ready")].reason', priority=1),
        Column("Drift", '.status.conditions[?(@.type=="PlacementDrift")].status', priority=1),
        Column("Created By", r".metadata.annotations.compute\.hypernova\.dev/created-by", priority=1),
        AGE,
    ]
    selectable: ClassVar[list[str]] = [
        ".status.nodeName",
        ".status.phase",
        ".spec.flavor",
        ".spec.image.name",
    ]
