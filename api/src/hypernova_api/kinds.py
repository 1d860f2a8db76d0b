"""All kinds of the group, for whoever walks over them."""

from hypernova_api.action import InstanceAction
from hypernova_api.aggregate import HostAggregate
from hypernova_api.console import ConsoleSession
from hypernova_api.flavor import Flavor
from hypernova_api.group import InstanceGroup
from hypernova_api.hypervisor import Hypervisor
from hypernova_api.image import Image
from hypernova_api.instance import Instance
from hypernova_api.keypair import KeyPair
from hypernova_api.meta import Kind
from hypernova_api.quota import ComputeQuota
from hypernova_api.zone import AvailabilityZone

KINDS: tuple[type[Kind], ...] = (
    AvailabilityZone,
    ComputeQuota,
    ConsoleSession,
    Flavor,
    HostAggregate,
    Hypervisor,
    Image,
    Instance,
    InstanceAction,
    InstanceGroup,
    KeyPair,
)
