"""Whether another Image can run where an Instance is."""

from __future__ import annotations

import numpy as np

from hypernova_operator.scheduler.filters.base import Filter
from hypernova_operator.scheduler.filters.image import ImageProperties
from hypernova_operator.scheduler.filters.isolation import ImageConfinement, ImageIsolation
from hypernova_operator.scheduler.filters.named import ImageHost
from hypernova_operator.scheduler.filters.traits import ForbiddenTraits, RequiredTraits
from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import HostTable, Mask

_ABOUT_IMAGES: tuple[Filter, ...] = (
    ImageHost(),
    RequiredTraits(),
    ForbiddenTraits(),
    ImageProperties(),
    ImageIsolation(),
    ImageConfinement(),
)


def image_misfits(hosts: HostTable, name: str, want: Request) -> list[str]:
    """Why a host can't run an Image, a reason for each filter; none of a host that nobody knows.

    Args:
        hosts: the table.
        name: of the host.
        want: what the Image asks of it, and nothing that a flavor does.
    """
    row = hosts.row(name)
    if row is None:
        return []
    here: Mask = np.zeros(len(hosts), np.bool_)
    here[row] = True
    return [
        filter_.reason(hosts, want, here)
        for filter_ in _ABOUT_IMAGES
        if filter_.applies(want) and not filter_.mask(hosts, want)[row]
    ]
