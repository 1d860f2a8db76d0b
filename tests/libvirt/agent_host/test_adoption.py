"""Pool and network that are there already, whoever made them."""

import os
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from ipaddress import IPv4Network

import pytest

from hack.lab import Host
from hypernova_agent.host import HostError
from hypernova_agent.libvirt.host import LibvirtHost
from support.host_contract import chunks


class Names:
    """A pool and a network that nobody else on the shared host has."""

    def __init__(self, host: Host) -> None:
        self._host = host
        self.name = f"t{uuid.uuid4().hex[:8]}"
        self.path = f"/var/lib/libvirt/{self.name}"

    def libvirt_host(self, cidr: str = "10.61.0.0/24") -> LibvirtHost:
        return LibvirtHost(
            self._host.libvirt_uri,
            pool=self.name,
            pool_path=self.path,
            network=self.name,
            bridge=self.name,
            cidr=IPv4Network(cidr),
        )

    def virsh(self, *words: str) -> str:
        """What virsh says."""
        command = ["virsh", "-c", self._host.libvirt_uri, *words]
        return subprocess.run(command, capture_output=True, text=True, timeout=30, check=False).stdout


@pytest.fixture
def names(host: Host) -> Iterator[Names]:
    names = Names(host)
    yield names
    for words in ("pool-destroy", "pool-undefine", "net-destroy", "net-undefine"):
        names.virsh(words, names.name)


async def connect(host: LibvirtHost) -> None:
    await host.connect(lambda _uid: None, lambda _why: None)


@pytest.fixture
async def libvirt_host(names: Names) -> AsyncIterator[LibvirtHost]:
    host = names.libvirt_host()
    yield host
    await host.close()


async def test_pool_and_network_are_made_and_start_with_the_host(libvirt_host: LibvirtHost, names: Names) -> None:
    await connect(libvirt_host)
    for info in (names.virsh("pool-info", names.name), names.virsh("net-info", names.name)):
        assert [line.split()[1] for line in info.splitlines() if "Autostart" in line] == ["yes"]
    assert libvirt_host.pool_path == names.path


async def test_what_was_stopped_is_started(libvirt_host: LibvirtHost, names: Names) -> None:
    await connect(libvirt_host)
    names.virsh("pool-destroy", names.name)
    names.virsh("net-destroy", names.name)
    await connect(libvirt_host)
    assert await libvirt_host.volumes() == []
    assert await libvirt_host.reservations() == []
    assert "active:         yes" in names.virsh("net-info", names.name).lower()


async def test_an_administrator_s_pool_is_used_where_it_is(libvirt_host: LibvirtHost, names: Names, host: Host) -> None:
    elsewhere = f"/var/lib/libvirt/elsewhere-{names.name}"
    names.virsh("pool-define-as", names.name, "dir", "--target", elsewhere)
    await connect(libvirt_host)
    assert libvirt_host.pool_path == elsewhere
    await libvirt_host.upload("image.raw", chunks([b"data"]), size=4)
    assert host.path(f"{elsewhere}/image.raw").read_bytes() == b"data"


async def test_a_network_with_other_addresses_is_refused(names: Names) -> None:
    await connect(first := names.libvirt_host())
    await first.close()
    other = names.libvirt_host(cidr="10.62.0.0/24")
    with pytest.raises(HostError, match=r"10\.61\.0\.1/24.*10\.62\.0\.1/24"):
        await connect(other)


async def test_volumes_that_others_make_or_remove_are_seen_and_missed(
    libvirt_host: LibvirtHost, names: Names, host: Host
) -> None:
    await connect(libvirt_host)
    file = host.path(f"{names.path}/other.raw")
    file.write_bytes(b"data")
    volume = await libvirt_host.volume("other.raw")
    assert volume is not None
    assert volume.capacity == 4
    file.unlink()
    assert await libvirt_host.volume("other.raw") is None
    await libvirt_host.upload("other.raw", chunks([b"again"]), size=5)
    assert file.read_bytes() == b"again"
    file.unlink()
    await libvirt_host.delete_volume("other.raw")


async def test_an_overlay_that_was_cut_off_in_the_making_is_made_anew(
    libvirt_host: LibvirtHost, names: Names, host: Host
) -> None:
    await connect(libvirt_host)
    await libvirt_host.upload("image.raw", chunks([b"data"]), size=4)
    host.path(f"{names.path}/disk.qcow2").write_bytes(b"")
    await libvirt_host.create_overlay("disk.qcow2", backing="image.raw", backing_format="raw", capacity=1 << 20)
    volume = await libvirt_host.volume("disk.qcow2")
    assert volume is not None
    assert (volume.capacity, volume.backing) == (1 << 20, "image.raw")


async def test_an_upload_takes_no_space_for_zeros(libvirt_host: LibvirtHost, names: Names, host: Host) -> None:
    await connect(libvirt_host)
    await libvirt_host.upload("sparse.raw", chunks([bytes(1 << 20)] * 64), size=64 << 20)
    status = os.stat(host.path(f"{names.path}/sparse.raw"))
    assert status.st_size == 64 << 20
    assert status.st_blocks * 512 < 1 << 20
