"""What an Image must run on."""

from __future__ import annotations

from dataclasses import astuple, dataclass

from hypernova_operator.scheduler.filters.base import Filter, Wish, missing
from hypernova_operator.scheduler.host import Host
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import HostTable, Mask


@dataclass(frozen=True, slots=True)
class Runs:
    """The host has all of it; what is empty may be anything."""

    architecture: str
    domain_type: str
    firmware: str

    def __call__(self, host: Host) -> bool:
        return (
            self.architecture in ("", host.architecture)
            and self.domain_type in ("", host.domain_type)
            and (not self.firmware or self.firmware in host.firmware)
        )


class ImageProperties(Filter):
    """Of the architecture, domain type and firmware that the Image needs."""

    nova = (
        "ImagePropertiesFilter, require_image_type_support, transform_image_metadata, "
        "hw_architecture, img_hv_type, hw_firmware_type"
    )
    lasting = True

    def applies(self, want: Request) -> bool:
        return bool(want.architecture or want.domain_type or want.firmware)

    def mask(self, hosts: HostTable, want: Request) -> Mask:
        return hosts.where(Runs(want.architecture, want.domain_type, want.firmware))

    def reason(self, hosts: HostTable, want: Request, lost: Mask) -> str:
        each = (Runs(want.architecture, "", ""), Runs("", want.domain_type, ""), Runs("", "", want.firmware))
        wishes = [Wish(words, hosts.where(runs)) for runs in each if (words := "".join(astuple(runs)))]
        return f"unable to run its Image ({missing(hosts, wishes, lost)})"
