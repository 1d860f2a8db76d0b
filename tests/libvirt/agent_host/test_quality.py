"""What real libvirt and QEMU make of a guest's devices, limits and room to grow."""

import resource
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path
from xml.etree import ElementTree

import pytest

from hack.guest import Guest
from hack.lab import Host
from hypernova_agent.libvirt.host import LibvirtHost
from hypernova_agent.xml.cpu import Topology
from hypernova_agent.xml.devices.disk import IoLimits
from hypernova_agent.xml.devices.interface import Bandwidth, Rate
from hypernova_agent.xml.guest import GuestConfig, InterfaceConfig, domain_xml, interface_xml
from support.host_contract import BOOT_LINE, MIB, Subject
from support.libvirt_subject import qemus
from support.threads import cpus_allowed
from support.waiting import eventually_async


async def booted(subject: Subject, host: Host, guest: GuestConfig, line: bytes = BOOT_LINE) -> ElementTree.Element:
    """Define it, start it and wait until it has written a line; the domain as libvirt says it is then."""
    await subject.host.define(domain_xml(guest))
    await subject.host.start(guest.owner.uid)

    async def written() -> bool:
        return line in await subject.console(guest.owner.uid)

    await eventually_async(written, f"the guest to write {line!r}", 90)
    return domain_of(host, guest.owner.uid)


def domain_of(host: Host, uid: str) -> ElementTree.Element:
    return ElementTree.fromstring(host.run("virsh", "dumpxml", uid).stdout)


async def test_a_guest_has_a_queue_for_each_virtual_cpu_without_vhost_too(subject: Subject, host: Host) -> None:
    guest = await subject.guest(vcpus=2)
    await booted(subject, host, guest)
    (pid,) = qemus(host, guest.owner.uid)
    line = host.run("virsh", "qemu-monitor-command", "--hmp", guest.owner.uid, "info", "qtree").stdout
    assert "num-queues = 2 (0x2)" in line
    assert "mq = true" in line
    assert any(name.startswith("IO iothread1") for name in cpus_allowed(pid))


async def test_a_guest_that_can_grow_boots_with_what_it_has_first(subject: Subject, host: Host) -> None:
    guest = replace(await subject.guest(), max_vcpus=4, max_memory=1024 * MIB)
    domain = await booted(subject, host, guest)
    vcpu, requested = domain.find("./vcpu"), domain.findtext("./devices/memory/target/requested")
    assert vcpu is not None
    assert (vcpu.get("current"), vcpu.text, requested) == ("1", "4", "0")
    assert domain.findtext("./currentMemory") == str(16 * 1024)
    host.run("virsh", "setvcpus", guest.owner.uid, "3", "--live")
    vcpu = domain_of(host, guest.owner.uid).find("./vcpu")
    assert vcpu is not None
    assert vcpu.get("current") == "3"


async def test_there_are_ports_for_network_cards_that_are_plugged_in_later(subject: Subject, host: Host) -> None:
    guest = await subject.guest(vcpus=2)
    uid = guest.owner.uid
    await booted(subject, host, guest)
    for number in range(4):
        card = InterfaceConfig(f"52:54:00:00:f0:{number:02x}", subject.network)
        host.path("/run/libvirt/card.xml").write_text(interface_xml(card, guest.vcpus))
        host.run("virsh", "attach-device", uid, "/run/libvirt/card.xml", "--live")
    assert len(domain_of(host, uid).findall("./devices/interface")) == 5


async def test_a_topology_is_what_the_guest_sees(subject: Subject, host: Host) -> None:
    guest = replace(await subject.guest(vcpus=4), topology=Topology(1, 2, 2))
    await booted(subject, host, guest)
    cpus = host.run("virsh", "qemu-monitor-command", "--hmp", guest.owner.uid, "info", "hotpluggable-cpus").stdout
    assert cpus.count("vcpus_count") == 4
    assert 'core-id: "1"' in cpus
    assert 'thread-id: "1"' in cpus
    assert 'socket-id: "1"' not in cpus


async def test_a_disk_s_limits_hold_in_qemu(subject: Subject, host: Host) -> None:
    guest = await subject.guest()
    (root,) = guest.disks
    limits = IoLimits(read_bytes=100 * MIB, write_bytes=50 * MIB, total_iops=1000)
    guest = replace(guest, disks=(replace(root, limits=limits),))
    await booted(subject, host, guest)
    told = host.run("virsh", "blkdeviotune", guest.owner.uid, "vda").stdout
    numbers = {
        key.strip(): int(value)
        for key, _, value in (line.partition(":") for line in told.splitlines())
        if value.strip().isdigit()
    }
    assert numbers["read_bytes_sec"] == 100 * MIB
    assert numbers["write_bytes_sec"] == 50 * MIB
    assert numbers["total_iops_sec"] == 1000


async def test_an_interface_s_limits_hold_on_the_host(subject: Subject, host: Host) -> None:
    if host.run(
        "sh",
        "-c",
        "ip link add q0 type dummy && tc qdisc add dev q0 root sfq; s=$?; ip link del q0; exit $s",
        check=False,
    ).returncode:
        pytest.skip("this machine's kernel has no sfq, with which libvirt limits what guests receive")
    guest = await subject.guest()
    (card,) = guest.interfaces
    limited = replace(card, bandwidth=Bandwidth(Rate(MIB, peak=2 * MIB, burst=MIB), Rate(MIB)))
    domain = await booted(subject, host, replace(guest, interfaces=(limited,)))
    device = domain.find("./devices/interface/target")
    assert device is not None
    assert "rate 8192Kbit ceil 16384Kbit" in host.run("tc", "class", "show", "dev", device.attrib["dev"]).stdout


async def test_a_tpm_is_there_as_the_host_s_traits_say_and_gone_with_its_domain(subject: Subject, host: Host) -> None:
    if "COMPUTE_SECURITY_TPM_2_0" not in (await subject.host.facts()).abilities["qemu"].traits:
        pytest.skip("this machine has no swtpm")
    guest = replace(await subject.guest(), tpm="2.0")
    domain = await booted(subject, host, guest)
    backend = domain.find("./devices/tpm/backend")
    assert backend is not None
    assert backend.get("version") == "2.0"
    state = host.path(f"/var/lib/libvirt/swtpm/{guest.owner.uid}")
    assert state.exists()
    await subject.host.destroy(guest.owner.uid)
    await subject.host.undefine(guest.owner.uid)
    assert not state.exists()


async def test_secure_boot_goes_by_the_keys_that_distributions_are_signed_with(subject: Subject, host: Host) -> None:
    if "COMPUTE_SECURITY_UEFI_SECURE_BOOT" not in (await subject.host.facts()).abilities["qemu"].traits:
        pytest.skip("this machine has no UEFI firmware with secure boot (package ovmf)")
    guest = replace(await subject.guest(), memory=128 * MIB, firmware="UEFI", secure_boot=True)
    domain = await booted(subject, host, guest, line=b"BdsDxe")
    loader, nvram = domain.find("./os/loader"), domain.find("./os/nvram")
    assert loader is not None
    assert nvram is not None
    assert loader.get("secure") == "yes"
    assert ".ms." in nvram.get("template", ""), "the keys are not Microsoft's, which distributions' loaders go by"


async def test_a_watchdog_and_a_panic_device_are_there(subject: Subject, host: Host) -> None:
    guest = replace(await subject.guest(), watchdog="pause")
    domain = await booted(subject, host, guest)
    watchdog, panic = domain.find("./devices/watchdog"), domain.find("./devices/panic")
    assert watchdog is not None
    assert panic is not None
    assert (watchdog.get("action"), panic.get("model")) == ("pause", "isa")


async def test_a_windows_guest_gets_what_the_host_has_of_hyper_v(subject: Subject, host: Host) -> None:
    abilities = (await subject.host.facts()).abilities
    if "kvm" not in abilities:
        pytest.skip("this machine has no KVM")
    # A model that runs on every host: some, machines of a cloud themselves, cannot run what they say of their own.
    config = replace(await subject.guest(), domain_type="kvm", cpu_model="kvm64", windows=True)
    guest = replace(config, hyperv=abilities["kvm"].hyperv)
    await subject.host.define(domain_xml(guest))
    await subject.host.start(guest.owner.uid)
    assert "spinlocks" in abilities["kvm"].hyperv
    spinlocks = domain_of(host, guest.owner.uid).find("./features/hyperv/spinlocks")
    assert spinlocks is not None
    assert spinlocks.get("retries") == "8191"


async def test_a_windows_guest_starts_under_emulation_too(subject: Subject, host: Host) -> None:
    guest = replace(await subject.guest(), windows=True)
    clock = (await booted(subject, host, guest)).find("./clock")
    assert clock is not None
    assert clock.get("offset") == "localtime"


async def test_a_named_cpu_is_what_the_guest_gets(subject: Subject, host: Host) -> None:
    guest = replace(await subject.guest(), cpu_model="Nehalem")
    domain = await booted(subject, host, guest)
    assert domain.findtext("./cpu/model") == "Nehalem"


async def test_locked_memory_stays_in_ram(subject: Subject, host: Host) -> None:
    if resource.getrlimit(resource.RLIMIT_MEMLOCK)[1] != resource.RLIM_INFINITY:
        pytest.skip("this machine lets nobody lock memory")
    guest = replace(await subject.guest(), locked_memory=True)
    await booted(subject, host, guest)
    (pid,) = qemus(host, guest.owner.uid)
    assert locked_memory(pid) >= guest.memory


def locked_memory(pid: int) -> int:
    """Bytes that a process keeps in RAM."""
    status = Path(f"/proc/{pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in status if line.startswith("VmLck:")) * 1024


@pytest.fixture
def controllers(request: pytest.FixtureRequest, own_host: Host) -> Iterator[Host]:
    """A host of the test's own whose libvirt has the cgroup controllers that the test names, and no other."""
    own_host.stop_libvirtd()
    own_host.run("mount", "-t", "tmpfs", "none", _CGROUPS)
    for name in request.param:
        own_host.run("mkdir", f"{_CGROUPS}/{name}")
        if own_host.run("mount", "-t", "cgroup", "-o", name, "none", f"{_CGROUPS}/{name}", check=False).returncode:
            pytest.skip("this machine has version 2 of cgroups, whose controllers come together")
    settings = own_host.path("/etc/libvirt/qemu.conf")
    lines = settings.read_text().splitlines(keepends=True)
    settings.write_text("".join(line for line in lines if not line.startswith("cgroup_controllers")))
    own_host.start_libvirtd()
    yield own_host
    for name in request.param:
        # The machine's, not only the host's; there for good where another host has guests in it.
        own_host.run("rmdir", f"{_CGROUPS}/{name}/machine", check=False)


_CGROUPS = "/sys/fs/cgroup"


@pytest.fixture
async def controlled(controllers: Host, guest: Guest) -> AsyncIterator[Subject]:
    """That host, connected, and left without guests."""
    subject = Subject(LibvirtHost(controllers.libvirt_uri), boot_disk=guest.boot_sector.read_bytes())
    await subject.connect()
    yield subject
    await subject.clear()
    await subject.host.close()


@pytest.mark.parametrize("controllers", [["memory"]], indirect=True)
async def test_a_host_that_cannot_weigh_guests_starts_them_all_the_same(controlled: Subject, controllers: Host) -> None:
    guest = await controlled.guest()
    assert "<shares>" in domain_xml(guest)
    domain = await booted(controlled, controllers, guest)
    assert domain.find("./cputune/shares") is None


@pytest.mark.parametrize("controllers", [["cpu"]], indirect=True)
async def test_weight_and_limit_of_cpus_hold_on_the_host(controlled: Subject, controllers: Host) -> None:
    guest = replace(await controlled.guest(), cpu_shares=200, cpu_limit=500)
    await booted(controlled, controllers, guest)
    told = controllers.run("virsh", "schedinfo", guest.owner.uid).stdout
    numbers = dict(line.replace(" ", "").split(":") for line in told.splitlines() if line.count(":") == 1)
    assert (numbers["cpu_shares"], numbers["vcpu_period"], numbers["vcpu_quota"]) == ("200", "100000", "50000")
