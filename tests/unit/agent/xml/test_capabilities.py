"""What libvirt says of a host; the XML is libvirt 9.0's own, cut short."""

from hypernova_agent.host import HostCell
from hypernova_agent.xml.capabilities import Capabilities, Cpu, parse_capabilities

MIB = 1 << 20
GIB = 1 << 30

HOST = """
<capabilities>
  <host>
    <uuid>ab3a1c81-4369-56a9-bd2a-abab37687689</uuid>
    <cpu>
      <arch>x86_64</arch>
      <model>kvm64</model>
      <vendor>AMD</vendor>
      <topology sockets='1' dies='1' cores='2' threads='1'/>
      <feature name='vme'/>
    </cpu>
  </host>
  <guest>
    <os_type>hvm</os_type>
    <arch name='i686'><wordsize>32</wordsize><domain type='qemu'/><domain type='kvm'/></arch>
  </guest>
  <guest>
    <os_type>hvm</os_type>
    <arch name='x86_64'>
      <wordsize>64</wordsize>
      <emulator>/usr/bin/qemu-system-x86_64</emulator>
      <machine maxCpus='255'>pc-i440fx-7.2</machine>
      <domain type='qemu'/>{kvm}
    </arch>
  </guest>
</capabilities>
"""

TOPOLOGY = """
<capabilities>
  <host>
    <cpu><arch>x86_64</arch></cpu>
    <topology>
      <cells num='2'>
        <cell id='1'>
          <memory unit='KiB'>16777216</memory>
          <pages unit='KiB' size='4'>4194304</pages>
          <pages unit='KiB' size='2048'>0</pages>
          <pages unit='KiB' size='1048576'>0</pages>
          <cpus num='2'>
            <cpu id='2' socket_id='1' die_id='0' core_id='0' siblings='2'/>
            <cpu id='3'/>
          </cpus>
        </cell>
        <cell id='0'>
          <memory unit='KiB'>16777216</memory>
          <pages unit='KiB' size='4'>3145728</pages>
          <pages unit='KiB' size='2048'>512</pages>
          <pages unit='KiB' size='1048576'>3</pages>
          <cpus num='4'>
            <cpu id='0' socket_id='0' die_id='0' core_id='0' siblings='0,4'/>
            <cpu id='1' socket_id='0' die_id='0' core_id='1' siblings='1,5'/>
            <cpu id='4' socket_id='0' die_id='0' core_id='0' siblings='0,4'/>
            <cpu id='5' socket_id='0' die_id='0' core_id='1' siblings='1,5'/>
          </cpus>
        </cell>
      </cells>
    </topology>
  </host>
</capabilities>
"""


def test_a_host_with_kvm_offers_both_domain_types() -> None:
    assert parse_capabilities(HOST.format(kvm="<domain type='kvm'/>")) == Capabilities(
        "x86_64", Cpu("kvm64", "AMD"), frozenset({"kvm", "qemu"}), ()
    )


def test_kvm_for_another_architecture_does_not_count() -> None:
    assert parse_capabilities(HOST.format(kvm="")).domain_types == {"qemu"}


def test_a_host_whose_cpu_libvirt_does_not_know_has_no_model() -> None:
    bare = parse_capabilities("<capabilities><host><cpu><arch>x86_64</arch></cpu></host></capabilities>")
    assert bare == Capabilities("x86_64", Cpu("", ""), frozenset(), ())


def test_cells_have_their_cores_and_the_huge_pages_set_aside_and_cpus_that_are_offline_are_nobody_s() -> None:
    cells = parse_capabilities(TOPOLOGY).cells
    assert cells == (
        HostCell(0, (frozenset({0, 4}), frozenset({1, 5})), 16 * GIB, {2 * MIB: 512, GIB: 3}),
        HostCell(1, (frozenset({2}),), 16 * GIB),
    )
    assert (cells[0].cpus, cells[0].ordinary_memory) == ({0, 1, 4, 5}, 12 * GIB)
