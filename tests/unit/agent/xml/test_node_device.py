"""PCI devices of a host; the XML is libvirt's own, cut short."""

import pytest

from hypernova_agent.host import PciDevice
from hypernova_agent.xml.node_device import parse_pci_device

DEVICE = """
<device>
  <name>pci_0000_65_00_1</name>
  <path>/sys/devices/pci0000:64/0000:64:00.0/0000:65:00.1</path>
  <parent>pci_0000_64_00_0</parent>
  <driver><name>nvidia</name></driver>
  <capability type='pci'>
    <class>{class_}</class>
    <domain>0</domain>
    <bus>101</bus>
    <slot>0</slot>
    <function>1</function>
    <product id='0x20b0'>GA100 [A100 SXM4 40GB]</product>
    <vendor id='0x10de'>NVIDIA Corporation</vendor>
    <iommuGroup number='7'/>
    {numa}
    <pci-express/>
  </capability>
</device>
"""


def test_a_device_has_its_address_and_names_in_hex_and_its_cell() -> None:
    xml = DEVICE.format(class_="0x030200", numa="<numa node='1'/>")
    assert parse_pci_device(xml) == PciDevice("0000:65:00.1", "10de", "20b0", cell=1)


def test_a_device_of_which_the_host_knows_no_cell_has_none() -> None:
    assert parse_pci_device(DEVICE.format(class_="0x030200", numa="")) == PciDevice(
        "0000:65:00.1", "10de", "20b0", None
    )


@pytest.mark.parametrize("class_", ["0x060000", "0x060100", "0x060400"], ids=["host", "isa", "pci"])
def test_bridges_are_left_out(class_: str) -> None:
    assert parse_pci_device(DEVICE.format(class_=class_, numa="")) is None
