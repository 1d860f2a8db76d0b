"""The config drive: a small CD from which a guest learns at its first boot who it is.

It carries two layouts. OpenStack's (`openstack/latest/`) is the one that cloud-init, cloudbase-init, ignition and
afterburn find by the volume label `config-2`. The files of cloud-init's NoCloud (`/meta-data`, `/user-data`) lie at the
root as well; but NoCloud looks for the label `cidata`, and a volume has one label, so these serve guests that mount the
drive themselves or are told where it is (`ds=nocloud;seedfrom=...`).
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from hypernova_agent import iso9660
from hypernova_agent.desired import Guest
from hypernova_agent.host import Owner
from hypernova_api.network import DEFAULT_NETWORK

LABEL = "config-2"


def config_drive(owner: Owner, guest: Guest, user_data: bytes) -> bytes:
    """The drive's bytes: ISO 9660 with Joliet and Rock Ridge. The same Instance always gives the same bytes."""
    return iso9660.image(LABEL, _files(owner, guest, user_data))


def _files(owner: Owner, guest: Guest, user_data: bytes) -> dict[str, bytes]:
    openstack = {
        "meta_data.json": _json(_meta_data(owner, guest)),
        "network_data.json": _json(_network_data(guest)),
        **({"user_data": user_data} if user_data else {}),
    }
    return {
        # YAML, of which JSON is a part. NoCloud wants both files, be they empty.
        "meta-data": _json(
            {
                "instance-id": owner.uid,
                "local-hostname": owner.name,
                "public-keys": [pair.public_key for pair in guest.key_pairs],
            }
        ),
        "user-data": user_data,
        **{f"openstack/latest/{name}": content for name, content in openstack.items()},
    }


def _meta_data(owner: Owner, guest: Guest) -> dict[str, Any]:
    """https://docs.openstack.org/nova/latest/user/metadata.html#openstack-format-metadata."""
    return {
        "uuid": owner.uid,
        "name": owner.name,
        "hostname": owner.name,
        "project_id": owner.namespace,
        "launch_index": 0,
        "public_keys": {pair.name: pair.public_key for pair in guest.key_pairs},
        "keys": [{"name": pair.name, "type": "ssh", "data": pair.public_key} for pair in guest.key_pairs],
    }


def _network_data(guest: Guest) -> dict[str, Any]:
    """https://docs.openstack.org/nova/latest/user/metadata.html#openstack-network-data: its cards, all by DHCP."""
    return {
        "links": [
            {"id": f"net{place}", "type": "phy", "ethernet_mac_address": nic.reservation.mac}
            for place, nic in enumerate(guest.nics)
        ],
        "networks": [
            {"id": f"network{place}", "type": "ipv4_dhcp", "link": f"net{place}", "network_id": DEFAULT_NETWORK}
            for place in range(len(guest.nics))
        ],
        "services": [],
    }


def _json(content: Mapping[str, Any]) -> bytes:
    return json.dumps(content, indent=2).encode() + b"\n"
