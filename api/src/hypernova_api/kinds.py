"""All kinds of the group, for whoever walks over them."""

from hypernova_api.flavor import Flavor
from hypernova_api.hypervisor import Hypervisor
from hypernova_api.image import Image
from hypernova_api.instance import Instance
from hypernova_api.keypair import KeyPair
from hypernova_api.meta import Kind

KINDS: tuple[type[Kind], ...] = (Flavor, Hypervisor, Image, Instance, KeyPair)
