"""The network every Instance is on until Network becomes a kind: NAT on its host, addresses unique in the cluster."""

from __future__ import annotations

from ipaddress import IPv4Network

DEFAULT_NETWORK = "default"
DEFAULT_CIDR = IPv4Network("10.60.0.0/16")
DEFAULT_GATEWAY = next(DEFAULT_CIDR.hosts())
