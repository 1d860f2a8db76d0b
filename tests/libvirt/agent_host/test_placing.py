"""Where real libvirt and QEMU put a guest whose cells, CPUs and pages are said."""

import os
from collections.abc import AsyncIterator, Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from hack.guest import Guest
from hack.lab import Host
from hypernova_agent.host import HostError
from hypernova_agent.libvirt.host import LibvirtHost
from hypernova_agent.xml.guest import domain_xml
from hypernova_agent.xml.numa import NumaCell
from support.host_contract import BOOT_LINE, MIB, Subject
from support.libvirt_subject import qemus
from support.threads import cpus_allowed, mappings
from support.waiting import eventually_async

LAST = max(os.sched_getaffinity(0))
ALL = frozenset(os.sched_getaffinity(0))
_POOL_OF_PAGES = Path("/sys/kernel/mm/hugepages/hugepages-2048kB/nr_hugepages")
_PAGES = 16


async def booted(subject: Subject, uid: str) -> None:
    await subject.host.start(uid)

    async def written() -> bool:
        return BOOT_LINE in await subject.console(uid)

    await eventually_async(written, "the guest to boot", 60)


async def test_virtual_cpus_run_where_they_are_pinned_under_emulation_too(subject: Subject, host: Host) -> None:
    cell = NumaCell((0, 1), 16 * MIB, host_cell=0, cpus=(frozenset({LAST}), ALL))
    guest = replace(await subject.guest(vcpus=2), cells=(cell,))
    await subject.host.define(domain_xml(guest))
    await booted(subject, guest.owner.uid)
    (pid,) = qemus(host, guest.owner.uid)
    threads = cpus_allowed(pid)
    assert threads["CPU 0/TCG"] == {str(LAST)}
    assert threads["CPU 1/TCG"] == {_all()}
    told = host.run("virsh", "vcpuinfo", guest.owner.uid).stdout
    assert f"CPU:            {LAST}\n" in told.split("\n\n")[0] + "\n"


async def test_a_guest_beside_dedicated_cpus_keeps_off_them_with_all_its_threads(subject: Subject, host: Host) -> None:
    guest = replace(await subject.guest(), cpus=str(LAST))
    await subject.host.define(domain_xml(guest))
    await booted(subject, guest.owner.uid)
    (pid,) = qemus(host, guest.owner.uid)
    assert {cpus for allowed in cpus_allowed(pid).values() for cpus in allowed} == {str(LAST)}


async def test_memory_comes_from_the_cell_that_is_said(subject: Subject, host: Host) -> None:
    cell = NumaCell((0,), 16 * MIB, host_cell=0, cpus=(ALL,))
    guest = replace(await subject.guest(), cells=(cell,))
    await subject.host.define(domain_xml(guest))
    await booted(subject, guest.owner.uid)
    (pid,) = qemus(host, guest.owner.uid)
    assert [line for line in mappings(pid) if " bind:0 " in line]


async def test_a_cell_that_the_host_lacks_is_refused_at_start(subject: Subject) -> None:
    cell = NumaCell((0,), 16 * MIB, host_cell=63, cpus=(ALL,))
    guest = replace(await subject.guest(), cells=(cell,))
    await subject.host.define(domain_xml(guest))
    with pytest.raises(HostError, match="NUMA node 63 is unavailable"):
        await subject.host.start(guest.owner.uid)


async def test_a_device_of_the_host_is_taken_into_the_domain(subject: Subject, host: Host) -> None:
    guest = replace(await subject.guest(), host_devices=("0000:65:00.0",))
    await subject.host.define(domain_xml(guest))
    xml = host.run("virsh", "dumpxml", guest.owner.uid).stdout
    assert "<hostdev mode='subsystem' type='pci' managed='yes'>" in xml
    assert "<address domain='0x0000' bus='0x65' slot='0x00' function='0x0'/>" in xml


async def test_uefi_is_what_boots_a_guest_that_asks_for_it_without_secure_boot(subject: Subject, host: Host) -> None:
    if "UEFI" not in (await subject.host.facts()).abilities["qemu"].firmware:
        pytest.skip("this machine has no UEFI firmware for QEMU (package ovmf)")
    guest = replace(await subject.guest(), memory=128 * MIB, firmware="UEFI")
    await subject.host.define(domain_xml(guest))
    await subject.host.start(guest.owner.uid)
    xml = host.run("virsh", "dumpxml", guest.owner.uid).stdout
    assert "type='pflash'" in xml
    assert "secure='yes'" not in xml

    async def written() -> bool:
        return b"BdsDxe" in await subject.console(guest.owner.uid)

    await eventually_async(written, "UEFI's boot manager to write to the serial console", 90)
    nvram = [line.split(">")[1].split("<")[0] for line in xml.splitlines() if "<nvram" in line]
    await subject.host.destroy(guest.owner.uid)
    await subject.host.undefine(guest.owner.uid)
    assert [path for path in nvram if host.path(path).exists()] == []


@pytest.fixture
def huge_pages() -> Iterator[None]:
    """Some huge pages set aside on the machine, where it lets us."""
    before = int(_POOL_OF_PAGES.read_text()) if _POOL_OF_PAGES.exists() else 0
    try:
        _POOL_OF_PAGES.write_text(f"{before + _PAGES}\n")
        if int(_POOL_OF_PAGES.read_text()) < before + _PAGES:
            pytest.skip("the machine has no memory for huge pages")
        yield
    except OSError as error:
        pytest.skip(f"the machine sets no huge pages aside: {error}")
    finally:
        if _POOL_OF_PAGES.exists():
            _POOL_OF_PAGES.write_text(f"{before}\n")


@pytest.fixture
async def huge_subject(huge_pages: None, own_host: Host, guest: Guest) -> AsyncIterator[Subject]:
    """A host of the test's own whose QEMU may use huge pages: libvirtd looks for hugetlbfs when it starts."""
    own_host.stop_libvirtd()
    own_host.run("sh", "-c", "mkdir /run/hugepages && mount -t hugetlbfs -o pagesize=2M none /run/hugepages")
    own_host.start_libvirtd()
    subject = Subject(LibvirtHost(own_host.libvirt_uri), boot_disk=guest.boot_sector.read_bytes())
    await subject.connect()
    yield subject
    await subject.clear()
    await subject.host.close()


async def test_a_guest_boots_on_huge_pages_and_the_host_s_facts_count_them_used_or_not(
    huge_subject: Subject, own_host: Host
) -> None:
    facts = await huge_subject.host.facts()
    assert sum(cell.huge_pages.get(2 * MIB, 0) for cell in facts.cells) >= _PAGES
    cell = NumaCell((0,), 16 * MIB, host_cell=0, cpus=(ALL,), page_size=2 * MIB)
    guest = replace(await huge_subject.guest(), cells=(cell,))
    await huge_subject.host.define(domain_xml(guest))
    await booted(huge_subject, guest.owner.uid)
    (pid,) = qemus(own_host, guest.owner.uid)
    (memory,) = [line for line in mappings(pid) if " huge " in line]
    assert " bind:0 " in memory
    assert "kernelpagesize_kB=2048" in memory
    assert await huge_subject.host.facts() == facts


def _all() -> str:
    """All CPUs, as the kernel writes them."""
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(line.split("\t")[1] for line in lines if line.startswith("Cpus_allowed_list"))
