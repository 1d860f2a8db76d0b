"""A whole Hypernova on this machine: control plane, hosts, operator and agents, as demo, tests and benches run it."""

from .program import Program
from .stack import POOL, Stack

__all__ = ["POOL", "Program", "Stack"]
