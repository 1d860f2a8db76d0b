"""Real domains on a lab host, made with libvirt alone: for tests of what lies below the agent."""

import io
import json
import re
from pathlib import Path

import libvirt
import pycdlib

from hack.guest.command import run
from hack.lab import Host
from support.waiting import eventually

IMAGES = "/var/lib/libvirt/images"
MAC = "52:54:00:00:00:01"

libvirt.registerErrorHandler(lambda *_: None, None)  # errors come as exceptions, not on the terminal as well


def connect(host: Host) -> libvirt.virConnect:
    """A new connection to the host's libvirtd."""
    return libvirt.open(host.libvirt_uri)


def console(host: Host, name: str) -> Path:
    """What the domain of this name writes to its serial port."""
    return host.path(f"{IMAGES}/{name}.console")


def wait_for_line(host: Host, name: str, pattern: str, seconds: float = 120) -> str:
    """The first line on a domain's console that matches, when it is there."""

    def line() -> str | None:
        log = console(host, name)
        text = log.read_text(errors="replace") if log.exists() else ""
        found = re.search(rf"^.*{pattern}.*\n", text, re.MULTILINE)
        return str(found[0]).strip() if found else None

    return eventually(line, f"{pattern!r} on the console of {name}", seconds)


def start_network(host: Host, address: str) -> None:
    """A NAT network named `default` that knows one card, `MAC`, and its address in 192.168.50.0/24."""
    network = connect(host).networkDefineXML(
        f"""
        <network>
          <name>default</name>
          <forward mode='nat'/>
          <ip address='192.168.50.1' netmask='255.255.255.0'>
            <dhcp><host mac='{MAC}' ip='{address}'/></dhcp>
          </ip>
        </network>
        """
    )
    network.create()


def overlay(host: Host, name: str, image: Path, *, image_format: str) -> str:
    """A disk of its own on top of an image; its path as the host sees it."""
    path = host.path(f"{IMAGES}/{name}.qcow2")
    path.parent.mkdir(parents=True, exist_ok=True)
    run("qemu-img", "create", "-f", "qcow2", "-b", image, "-F", image_format, path)
    return f"{IMAGES}/{name}.qcow2"


def config_drive(host: Host, name: str, *, label: str, files: dict[str, str]) -> str:
    """An ISO 9660 disk with this label and these files; its path as the host sees it."""
    iso = pycdlib.PyCdlib()
    iso.new(interchange_level=3, joliet=3, vol_ident=label)
    made: set[Path] = set()
    for number, (path, text) in enumerate(files.items()):
        for parent in list(Path(path).parents)[-2::-1]:
            if parent not in made:
                iso.add_directory(str(parent).upper(), joliet_path=str(parent))
                made.add(parent)
        data = text.encode()
        iso_path = f"{str(Path(path).parent).upper().rstrip('/')}/F{number}.;1"
        iso.add_fp(io.BytesIO(data), len(data), iso_path, joliet_path=path)
    target = host.path(f"{IMAGES}/{name}.iso")
    target.parent.mkdir(parents=True, exist_ok=True)
    iso.write(str(target))
    iso.close()
    return f"{IMAGES}/{name}.iso"


def openstack_files(hostname: str, keys: dict[str, str], user_data: str) -> dict[str, str]:
    """The files of an OpenStack config drive."""
    meta_data = {"uuid": "7c1f", "hostname": hostname, "name": hostname, "public_keys": keys}
    return {
        "/openstack/latest/meta_data.json": json.dumps(meta_data),
        "/openstack/latest/user_data": user_data,
    }


def define(
    host: Host, name: str, *, disk: str, memory_mib: int = 16, config: str | None = None, card: bool = False
) -> libvirt.virDomain:
    """A domain that is off.

    Args:
        host: where.
        name: its name.
        disk: path of its qcow2 disk.
        memory_mib: its memory.
        config: path of its config drive.
        card: whether it has a network card, with `MAC`, in the network `default`.
    """
    config_xml = config and (
        f"<disk type='file'><driver name='qemu' type='raw'/><source file='{config}'/>"
        "<target dev='vdb' bus='virtio'/><readonly/></disk>"
    )
    card_xml = card and (
        f"<interface type='network'><mac address='{MAC}'/><source network='default'/>"
        "<model type='virtio'/><rom enabled='no'/></interface>"
    )
    return connect(host).defineXML(
        f"""
        <domain type='qemu'>
          <name>{name}</name>
          <memory unit='MiB'>{memory_mib}</memory>
          <os><type arch='x86_64' machine='pc'>hvm</type></os>
          <features><acpi/></features>
          <devices>
            <disk type='file'>
              <driver name='qemu' type='qcow2'/><source file='{disk}'/><target dev='vda' bus='virtio'/>
            </disk>
            {config_xml or ""}
            {card_xml or ""}
            <serial type='file'><source path='{IMAGES}/{name}.console' append='on'/></serial>
            <controller type='usb' model='none'/>
            <memballoon model='none'/>
          </devices>
        </domain>
        """
    )


def is_off(domain: libvirt.virDomain) -> bool:
    """Whether it does not run."""
    return not domain.isActive()
