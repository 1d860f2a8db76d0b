"""Instances and where their consoles are: what the proxy knows of the cluster, kept up to date by watches."""

from __future__ import annotations

from dataclasses import dataclass

from hypernova_kube.resources import Key


@dataclass(frozen=True, slots=True)
class InstanceRecord:
    """What is kept of an Instance."""

    key: Key
    uid: str
    node_name: str
    """Empty until it is bound to one."""

    phase: str
    message: str
    """Of its condition Ready; empty where there is none."""

    deleting: bool


@dataclass(frozen=True, slots=True)
class Place:
    """The agent that passes on the consoles of a node's guests."""

    node_name: str
    """Which its certificate must name."""

    address: str
    port: int


class Instances:
    """All Instances and Hypervisors of the cluster."""

    def place(self, instance: InstanceRecord) -> Place:
        """Where its console is now.

        Raises:
            Refused: 409 GuestOff (not bound to a node yet), 503 HostUnreachable.
        """
        raise NotImplementedError
