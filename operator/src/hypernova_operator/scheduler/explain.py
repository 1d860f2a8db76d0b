"""Why not, as a sentence."""

from __future__ import annotations

from hypernova_api.meta import HYPERVISOR_LABEL
from hypernova_operator.scheduler.decide import Refusal


def explain(refusal: Refusal) -> str:
    """The sentence of the condition, the Event and the log; the greatest loss first.

    `0/12 hosts fit: 7 lack memory (need 8Gi, most free 6Gi), 3 in maintenance, 2 disabled (kernel upgrade)`
    """
    if refusal.considered == 0:
        return (
            f"there are no hosts: label each node that has KVM and libvirt, `kubectl label node NODE "
            f"{HYPERVISOR_LABEL}=true`, and see that a node agent runs there"
        )
    verdicts = sorted(refusal.verdicts, key=lambda verdict: -verdict.hosts)
    losses = ", ".join(f"{verdict.hosts} {verdict.reason}" for verdict in verdicts)
    return f"0/{refusal.considered} hosts fit: {losses}"
