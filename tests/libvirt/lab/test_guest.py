"""The test guests boot, and keep what their docstrings promise."""

import libvirt
import pytest

from hack.guest import Guest
from hack.lab import Host, Lab
from support.domains import (
    config_drive,
    console,
    define,
    is_off,
    openstack_files,
    overlay,
    start_network,
    wait_for_line,
)
from support.waiting import eventually

KEYS = {"ops": "ssh-ed25519 AAAAC3Nz ops@example.com\n", "dev": "ecdsa-sha2-nistp256 AAAAE2Vj dev@example.com\n"}
USER_DATA = """#!/bin/sh
touch /run/ticking
# The other host has no route to the guest: it can only answer to an address translated on the way.
ping -c 1 -W 20 10.99.0.2 >/dev/null && echo HYPERNOVA-GUEST TRANSLATED >/dev/console
"""
NOCLOUD = {
    "/meta-data": "instance-id: i-1\nlocal-hostname: web-2\npublic-keys:\n  - ssh-ed25519 AAAAC3Nz ops@example.com\n",
    "/user-data": "#cloud-config\n",
}


def linux(host: Host, guest: Guest, name: str, config: str | None, *, card: bool = False) -> libvirt.virDomain:
    """A started domain."""
    disk = overlay(host, name, guest.qcow2, image_format="qcow2")
    domain = define(host, name, disk=disk, memory_mib=96, config=config, card=card)
    domain.create()
    return domain


def test_linux_gets_its_reserved_address_and_its_config_drive_and_keeps_its_disk(lab: Lab, guest: Guest) -> None:
    own_host, _ = lab.up("own", "other")
    start_network(own_host, "192.168.50.33")
    files = openstack_files("web-1", KEYS, USER_DATA)
    domain = linux(own_host, guest, "web", config_drive(own_host, "web", label="config-2", files=files), card=True)

    ready = wait_for_line(own_host, "web", "HYPERNOVA-GUEST READY")
    assert "hostname=web-1 ip=192.168.50.33 keys=2 boots=1 " in ready
    wait_for_line(own_host, "web", "HYPERNOVA-GUEST TRANSLATED")
    wait_for_line(own_host, "web", "HYPERNOVA-GUEST TICK 1 ")
    fetch = (
        "import urllib.request as u; print(u.urlopen('http://192.168.50.33/cgi-bin/state', timeout=10).read().decode())"
    )
    state = dict(line.split("=", 1) for line in own_host.run("python3", "-c", fetch).stdout.split())
    assert (state["hostname"], state["eth0"]) == ("web-1", "192.168.50.33/24")
    assert int(state["tick"]) >= 1
    assert len(state["boot_id"]) == 36

    domain.shutdown()
    eventually(lambda: is_off(domain), "the guest to shut down by its power button")
    domain.create()
    wait_for_line(own_host, "web", "READY .* boots=2 ")


@pytest.mark.parametrize(
    ("files", "hostname", "keys"),
    [
        pytest.param(NOCLOUD, "web-2", 1, id="cidata: cloud-init's NoCloud"),
        pytest.param(None, "guest", 0, id="no config drive at all"),
    ],
)
def test_linux_without_a_card_is_ready_without_an_address(
    own_host: Host, guest: Guest, files: dict[str, str] | None, hostname: str, keys: int
) -> None:
    drive = config_drive(own_host, "bare", label="cidata", files=files) if files else None
    domain = linux(own_host, guest, "bare", drive)

    ready = wait_for_line(own_host, "bare", "HYPERNOVA-GUEST READY")
    assert f"hostname={hostname} ip= keys={keys} boots=1 " in ready
    # Pressed the moment it is ready: the button is listened to already.
    domain.shutdown()
    eventually(lambda: is_off(domain), "the guest to shut down by its power button")


def test_a_boot_sector_prints_a_line_a_second(own_host: Host, guest: Guest) -> None:
    domain = define(own_host, "tiny", disk=overlay(own_host, "tiny", guest.boot_sector, image_format="raw"))
    domain.create()
    wait_for_line(own_host, "tiny", "HYPERNOVA-GUEST SECTOR A")
    wait_for_line(own_host, "tiny", "HYPERNOVA-GUEST SECTOR B")


def test_a_halted_boot_sector_runs_and_says_nothing(own_host: Host, guest: Guest) -> None:
    domain = define(own_host, "mute", disk=overlay(own_host, "mute", guest.halt_sector, image_format="raw"))
    domain.create()
    assert domain.isActive()
    assert console(own_host, "mute").read_text() == ""


def test_a_flooding_boot_sector_counts_its_lines(own_host: Host, guest: Guest) -> None:
    domain = define(own_host, "flood", disk=overlay(own_host, "flood", guest.flood_sector, image_format="raw"))
    domain.create()
    wait_for_line(own_host, "flood", "HYPERNOVA-GUEST FLOOD 00000000")
    wait_for_line(own_host, "flood", "HYPERNOVA-GUEST FLOOD 00000010")
