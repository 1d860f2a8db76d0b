"""What the Linux guest lends itself to: an agent in it, plugging while it runs, panics, and proving its disk."""

import json
import re

import libvirt
import libvirt_qemu
import pytest

from hack.guest import Guest
from hack.lab import Host
from support.domains import MAC, config_drive, connect, console, define, openstack_files, overlay, start_network
from support.domains import wait_for_line as wait_for
from support.waiting import eventually

LIVE = libvirt.VIR_DOMAIN_AFFECT_LIVE
REPORTS = "#!/bin/sh\nwhile sleep 1; do echo HYPERNOVA-GUEST STATE $(/www/cgi-bin/state) >/dev/console; done\n"
CHANNEL = "<channel type='unix'><target type='virtio' name='org.qemu.guest_agent.0'/></channel>"
HASH = "$6$salt$notreallyahash"


def started(host: Host, guest: Guest, user_data: str = "", *changes: tuple[str, str]) -> libvirt.virDomain:
    """A Linux guest that is ready.

    Args:
        host: where.
        guest: its images.
        user_data: what it runs.
        changes: texts of its XML, and those to take their places.
    """
    drive = config_drive(host, "lin", label="config-2", files=openstack_files("lin", {}, user_data))
    disk = overlay(host, "lin", guest.qcow2, image_format="qcow2")
    xml = define(host, "lin", disk=disk, memory_mib=128, config=drive).XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    for old, new in changes:
        assert old in xml, xml
        xml = xml.replace(old, new, 1)
    domain = connect(host).defineXML(xml)
    domain.create()
    wait_for(host, "lin", "HYPERNOVA-GUEST READY")
    return domain


def ask(domain: libvirt.virDomain, command: str, **arguments: object) -> object:
    """The guest agent's answer."""
    answer = libvirt_qemu.qemuAgentCommand(domain, json.dumps({"execute": command, "arguments": arguments}), 20, 0)
    return json.loads(answer)["return"]


def checksums(host: Host, word: str) -> list[int]:
    """The numbers that the guest's worker has said after a word."""
    return [int(number) for number in re.findall(rf"CHECKSUM {word} (\d+)\n", console(host, "lin").read_text())]


def test_it_has_a_guest_agent_that_does_what_is_asked_of_it(own_host: Host, guest: Guest) -> None:
    domain = started(own_host, guest, REPORTS, ("<devices>", "<devices>" + CHANNEL))

    def connected() -> bool:
        return "name='org.qemu.guest_agent.0' state='connected'" in domain.XMLDesc()

    eventually(connected, "the guest agent")
    assert domain.guestInfo(libvirt.VIR_DOMAIN_GUEST_INFO_OS)["os.id"] == "hypernova-guest"
    assert domain.guestInfo(libvirt.VIR_DOMAIN_GUEST_INFO_HOSTNAME)["hostname"] == "lin"
    assert "lo" in domain.interfaceAddresses(libvirt.VIR_DOMAIN_INTERFACE_ADDRESSES_SRC_AGENT)
    assert (domain.fsFreeze(), domain.fsThaw()) == (1, 1)

    domain.setUserPassword("root", HASH, libvirt.VIR_DOMAIN_PASSWORD_ENCRYPTED)
    wait_for(own_host, "lin", re.escape(f"root_password={HASH}"))
    with pytest.raises(libvirt.libvirtError, match="failed to set user password"):
        domain.setUserPassword("nobody", HASH, libvirt.VIR_DOMAIN_PASSWORD_ENCRYPTED)
    assert ask(domain, "guest-ping") == {}

    domain.shutdownFlags(libvirt.VIR_DOMAIN_SHUTDOWN_GUEST_AGENT)
    eventually(lambda: not domain.isActive(), "the guest to shut down by its agent")
    wait_for(own_host, "lin", "HYPERNOVA-GUEST SHUTDOWN how=poweroff")


def test_what_is_plugged_in_while_it_runs_is_used(own_host: Host, guest: Guest) -> None:
    start_network(own_host, "192.168.50.33")
    domain = started(
        own_host,
        guest,
        REPORTS,
        ("<memory unit", "<maxMemory slots='2' unit='MiB'>1024</maxMemory><memory unit"),
        (">1</vcpu>", " current='1'>2</vcpu>"),
        ("<features>", "<cpu><numa><cell id='0' cpus='0-1' memory='128' unit='MiB'/></numa></cpu><features>"),
        ("<memballoon model='none'/>", "<memballoon model='virtio'/>"),
    )
    wait_for(own_host, "lin", "cpus=1 ")

    domain.setVcpusFlags(2, LIVE)
    wait_for(own_host, "lin", "cpus=2 ")

    dimm = "<memory model='dimm'><target><size unit='MiB'>128</size><node>0</node></target></memory>"
    domain.attachDeviceFlags(dimm, LIVE)
    wait_for(own_host, "lin", r"memory_kib=2\d{5} ")

    domain.blockResize("vda", 600 << 20, libvirt.VIR_DOMAIN_BLOCK_RESIZE_BYTES)
    wait_for(own_host, "lin", f"vda_bytes={600 << 20} ")

    card = f"<mac address='{MAC}'/><source network='default'/><model type='virtio'/>"
    domain.attachDeviceFlags(f"<interface type='network'>{card}</interface>", LIVE)
    wait_for(own_host, "lin", "eth0=192.168.50.33/24")


@pytest.mark.parametrize("why", ["by itself", "by an NMI"])
def test_its_panic_is_seen(own_host: Host, guest: Guest, why: str) -> None:
    user_data = "#!/bin/sh\nsleep 1; echo c >/proc/sysrq-trigger\n" if why == "by itself" else ""
    device = ("<devices>", "<on_crash>preserve</on_crash><devices><panic model='isa'/>")
    domain = started(own_host, guest, user_data, ("<on_crash>destroy</on_crash>", ""), device)
    if why == "by an NMI":
        domain.injectNMI()
    crashed = [libvirt.VIR_DOMAIN_CRASHED, libvirt.VIR_DOMAIN_CRASHED_PANICKED]
    eventually(lambda: domain.state() == crashed, "the panic to be told")


def test_its_worker_proves_that_what_was_on_the_disk_is_on_it_after_a_power_cut(own_host: Host, guest: Guest) -> None:
    domain = started(own_host, guest, "#!/bin/sh\nchecksum 0 &\n")
    for cuts in range(1, 3):
        eventually(lambda cuts=cuts: len(checksums(own_host, "ok")) > 20 * cuts, "more blocks than places", 120)
        domain.destroy()
        last = checksums(own_host, "ok")[-1]
        domain.create()
        eventually(lambda cuts=cuts: len(checksums(own_host, "start")) > cuts, "the worker's new start", 120)
        # One more than was said: the block is on the disk first.
        assert checksums(own_host, "start")[-1] in {last, last + 1}
    assert "CHECKSUM bad" not in console(own_host, "lin").read_text()


def test_its_worker_notices_a_disk_that_was_changed(own_host: Host, guest: Guest) -> None:
    started(
        own_host,
        guest,
        "#!/bin/sh\nchecksum 0 &\nwhile sleep 1; do dd if=/dev/zero of=/dev/vda3 bs=64k count=4; done\n",
    )
    wait_for(own_host, "lin", "CHECKSUM bad .* is lost")
