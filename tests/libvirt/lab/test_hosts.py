"""Lab hosts: real libvirt, real network, honest failures."""

import stat

import libvirt
import pytest

from hack.guest import Guest
from hack.lab import Host, Lab, LabError
from hack.lab.libvirtd import SOCKET, SOCKET_GROUP
from support.domains import connect, define, is_off, overlay, wait_for_line
from support.waiting import eventually


def boot_sector_guest(host: Host, guest: Guest, name: str) -> libvirt.virDomain:
    """A started domain that has printed its first line."""
    domain = define(host, name, disk=overlay(host, name, guest.boot_sector, image_format="raw"))
    domain.create()
    wait_for_line(host, name, "HYPERNOVA-GUEST SECTOR", seconds=20)
    return domain


def test_two_hosts_are_two_machines_that_reach_each_other(lab: Lab) -> None:
    a, b = lab.up("host-a", "host-b")

    assert [connect(host).getHostname() for host in (a, b)] == ["host-a", "host-b"]
    uuids = {host.run("grep", "host_uuid", "/etc/libvirt/libvirtd.conf").stdout for host in (a, b)}
    assert len(uuids) == 2
    assert not set(a.pids()) & set(b.pids())
    assert a.run("ip", "-brief", "-4", "address", "show", "eth0").stdout.split()[2] == f"{a.address}/24"
    assert reaches(a, b)
    assert reaches(b, a)


def test_a_disconnected_host_runs_on_alone_until_it_is_reconnected(lab: Lab, guest: Guest) -> None:
    a, b = lab.up("host-a", "host-b")
    domain = boot_sector_guest(b, guest, "alone")

    b.disconnect()
    assert not reaches(a, b)
    assert domain.isActive()

    b.reconnect()
    eventually(lambda: reaches(a, b), "host-a to reach host-b again")


def test_a_power_cut_ends_all_at_once_and_keeps_the_disks(own_host: Host, guest: Guest) -> None:
    for name in ("one", "two"):
        boot_sector_guest(own_host, guest, name)
    assert len(own_host.pids()) == 5  # pid 1, virtlogd, libvirtd, two guests

    own_host.power_cut()
    assert own_host.pids() == []

    own_host.up()
    own_host.start_libvirtd()
    domains = connect(own_host).listAllDomains()
    assert {domain.name() for domain in domains} == {"one", "two"}
    assert all(is_off(domain) for domain in domains)
    domains[0].create()


def test_guests_outlive_a_killed_libvirtd(own_host: Host, guest: Guest) -> None:
    before = boot_sector_guest(own_host, guest, "survivor")
    number = before.ID()

    own_host.kill_libvirtd()
    assert len(own_host.pids()) == 3  # pid 1, virtlogd and the guest

    own_host.start_libvirtd()
    after = connect(own_host).lookupByName("survivor")
    assert (after.isActive(), after.ID()) == (True, number)


def test_guests_outlive_a_stopped_libvirtd(own_host: Host, guest: Guest) -> None:
    boot_sector_guest(own_host, guest, "survivor")

    own_host.stop_libvirtd()
    assert own_host.service("libvirtd") is None

    own_host.start_libvirtd()
    assert connect(own_host).lookupByName("survivor").isActive()


def test_a_paused_libvirtd_answers_when_it_is_resumed(own_host: Host) -> None:
    own_host.pause_libvirtd()
    with pytest.raises(LabError, match=r"gave no answer in 1 s"):
        own_host.start_libvirtd(timeout=1)

    own_host.resume_libvirtd()
    own_host.start_libvirtd()


def test_a_guest_that_ends_is_not_waited_for(own_host: Host, guest: Guest) -> None:
    """pid 1 reaps: with a zombie libvirt would take 40 s, and fail."""
    domain = boot_sector_guest(own_host, guest, "brief")
    domain.destroy()
    assert is_off(domain)
    assert len(own_host.pids()) == 3


def test_only_root_and_one_group_reach_libvirt(host: Host) -> None:
    socket = host.path(SOCKET).stat()
    assert (socket.st_uid, socket.st_gid, stat.S_IMODE(socket.st_mode)) == (0, SOCKET_GROUP, 0o770)


def test_a_libvirtd_that_can_not_start_says_why(own_host: Host) -> None:
    own_host.stop_libvirtd()
    own_host.path("/etc/libvirt/qemu.conf").write_text("nonsense = [\n")
    with pytest.raises(LabError, match=r"(?s)libvirtd ended at start; the end of .*/libvirtd.log:.*qemu.conf"):
        own_host.start_libvirtd()


def test_a_service_ends_with_its_host_and_not_before(own_host: Host) -> None:
    service = own_host.start_service("sleeper", ["sh", "-c", "echo started; exec sleep 1000"])
    assert service.pid in own_host.pids()
    eventually(lambda: own_host.log("sleeper").read_text() == "started\n", "the service's output")
    with pytest.raises(LabError, match="sleeper runs already"):
        own_host.start_service("sleeper", ["sleep", "1000"])

    own_host.power_cut()
    assert not service.alive


def test_a_command_that_takes_too_long_is_killed_with_its_children(host: Host) -> None:
    before = host.pids()
    with pytest.raises(LabError, match=r"no end after 0.5 s"):
        host.run("sh", "-c", "sleep 1000 & sleep 1000", timeout=0.5)
    eventually(lambda: host.pids() == before, "the command's processes to be gone")


def test_a_command_that_fails_says_why(host: Host) -> None:
    with pytest.raises(LabError, match=r"exit status 3: no luck"):
        host.run("sh", "-c", "echo no luck >&2; exit 3")
    assert host.run("false", check=False).returncode == 1


def reaches(a: Host, b: Host) -> bool:
    """Whether a TCP connection from one host to the other is at least answered with a refusal."""
    # Only the connection has a second: Python takes more to start on a busy machine.
    probe = "import socket, sys; s = socket.socket(); s.settimeout(1); sys.exit(s.connect_ex((sys.argv[1], 9)))"
    connect_ex_refused = 111
    return a.run("python3", "-c", probe, b.name, check=False).returncode == connect_ex_refused
