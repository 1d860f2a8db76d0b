"""What Instances do on a host: how many there are, how many are being built, how many builds failed."""

from __future__ import annotations

from hypernova_operator.scheduler.request import Request
from hypernova_operator.scheduler.table import Amounts, HostTable
from hypernova_operator.scheduler.weights.base import Rows, Weight


class Builds(Weight):
    """The host with the fewest Instances under construction wins, as to fetch and copy images is hard on disks."""

    name = "builds"
    multiplier = -1.0
    nova = "IoOpsWeigher"
    floor = 0.0

    def score(self, hosts: HostTable, want: Request, rows: Rows) -> Amounts:
        return hosts.builds[rows]


class Instances(Weight):
    """The host with the most Instances wins if the multiplier is positive, that with the fewest if it is negative."""

    name = "instances"
    multiplier = 0.0
    nova = "NumInstancesWeigher"

    def score(self, hosts: HostTable, want: Request, rows: Rows) -> Amounts:
        return hosts.instances[rows]


class BuildFailures(Weight):
    """The host with the fewest failed builds since the last that did not fail wins, whatever else speaks for others.

    A host that fails looks empty, and would be chosen again and again.
    """

    name = "buildFailures"
    multiplier = -1_000_000.0
    nova = "BuildFailureWeigher"
    floor = 0.0

    def score(self, hosts: HostTable, want: Request, rows: Rows) -> Amounts:
        return hosts.failures[rows]
