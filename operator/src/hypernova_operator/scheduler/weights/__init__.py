"""Weights: which of the hosts that passed is the best."""

from __future__ import annotations

from hypernova_operator.scheduler.weights.base import Rows, Weight
from hypernova_operator.scheduler.weights.room import FreeDisk, FreeMemory, FreeVcpus
from hypernova_operator.scheduler.weights.weigh import Weighed, weigh

WEIGHTS: tuple[Weight, ...] = (FreeMemory(), FreeVcpus(), FreeDisk())

__all__ = ["WEIGHTS", "Rows", "Weighed", "Weight", "weigh"]
