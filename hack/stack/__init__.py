"""A whole Hypernova on this machine: control plane, hosts, operator and agents, as demo, tests and benches run it."""

from .stack import NAMESPACE, POOL, Stack

__all__ = ["NAMESPACE", "POOL", "Stack"]
