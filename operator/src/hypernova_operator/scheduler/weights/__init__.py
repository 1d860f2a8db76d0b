"""Weights: which of the hosts that passed is the best."""

from __future__ import annotations

from hypernova_operator.scheduler.weights.base import Rows, Weight
from hypernova_operator.scheduler.weights.device import DeviceThrift
from hypernova_operator.scheduler.weights.group import SoftAffinity, SoftAntiAffinity
from hypernova_operator.scheduler.weights.load import BuildFailures, Builds, Instances
from hypernova_operator.scheduler.weights.room import FreeDisk, FreeMemory, FreeVcpus
from hypernova_operator.scheduler.weights.software import HypervisorVersion, ImageCached
from hypernova_operator.scheduler.weights.weigh import Weighed, weigh
from hypernova_operator.scheduler.weights.zone import ZoneSpread

WEIGHTS: tuple[Weight, ...] = (
    FreeMemory(),
    FreeVcpus(),
    FreeDisk(),
    Builds(),
    Instances(),
    DeviceThrift(),
    SoftAffinity(),
    SoftAntiAffinity(),
    BuildFailures(),
    HypervisorVersion(),
    ImageCached(),
    ZoneSpread(),
)
"""As hypernova_api.aggregate.WeightMultipliers has them."""

__all__ = ["WEIGHTS", "Rows", "Weighed", "Weight", "weigh"]
