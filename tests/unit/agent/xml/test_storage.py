"""Pool and volumes."""

from pathlib import Path

import pytest

from hypernova_agent.host import Volume
from hypernova_agent.xml.storage import (
    DirectoryPool,
    OverlayVolume,
    RawVolume,
    parse_pool_path,
    parse_volume,
    parse_volume_format,
    pool_xml,
    volume_xml,
)
from support.golden import assert_golden

GOLDEN = Path(__file__).parents[1] / "golden"
POOL = "/var/lib/libvirt/hypernova"

# As libvirt 9.0 describes an overlay.
OVERLAY = """
<volume type='file'>
  <name>web.root.qcow2</name>
  <key>/var/lib/libvirt/hypernova/web.root.qcow2</key>
  <capacity unit='bytes'>10737418240</capacity>
  <allocation unit='bytes'>200704</allocation>
  <physical unit='bytes'>196624</physical>
  <target>
    <path>/var/lib/libvirt/hypernova/web.root.qcow2</path>
    <format type='qcow2'/>
    <permissions><mode>0600</mode><owner>0</owner><group>0</group></permissions>
    <compat>1.1</compat>
    <clusterSize unit='B'>65536</clusterSize>
    <features/>
  </target>
  <backingStore>
    <path>/var/lib/libvirt/hypernova/debian.image</path>
    <format type='raw'/>
    <permissions><mode>0600</mode><owner>0</owner><group>0</group></permissions>
  </backingStore>
</volume>
"""


def test_the_pool_is_a_folder() -> None:
    assert_golden(pool_xml(DirectoryPool("hypernova", POOL)), GOLDEN / "pool.xml")


@pytest.mark.parametrize(
    ("volume", "file"),
    [
        (RawVolume("debian.image", 4096), "volume-raw.xml"),
        (OverlayVolume("web.root.qcow2", 10 << 30, f"{POOL}/debian.image", "qcow2"), "volume-overlay-on-qcow2.xml"),
        (OverlayVolume("web.root.qcow2", 10 << 30, f"{POOL}/debian.image", "raw"), "volume-overlay-on-raw.xml"),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
def test_a_volume_is_exactly_this(volume: RawVolume | OverlayVolume, file: str) -> None:
    assert_golden(volume_xml(volume), GOLDEN / file)


def test_a_volume_is_read_with_what_it_lies_on() -> None:
    assert parse_volume(OVERLAY) == Volume("web.root.qcow2", 10737418240, 200704, backing="debian.image")
    assert parse_volume_format(OVERLAY) == "qcow2"


def test_a_volume_that_lies_on_nothing_says_so() -> None:
    alone = "<volume><name>a</name><capacity unit='bytes'>5</capacity><allocation unit='bytes'>0</allocation></volume>"
    assert parse_volume(alone) == Volume("a", 5, 0)
    assert parse_volume_format(alone) is None


def test_the_path_of_a_pool_is_where_libvirt_says() -> None:
    assert parse_pool_path("<pool type='dir'><target><path>/srv/vm</path></target></pool>") == "/srv/vm"


def test_a_pool_without_a_folder_has_no_path() -> None:
    assert parse_pool_path("<pool type='rbd'><name>hypernova</name></pool>") is None
