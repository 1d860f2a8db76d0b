"""What libvirt says of a host; the XML is libvirt 9.0's own, cut short."""

from hypernova_agent.xml.capabilities import Capabilities, Cpu, parse_capabilities, parse_host_model

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

DOMAIN = """
<domainCapabilities>
  <domain>kvm</domain>
  <arch>x86_64</arch>
  <cpu>
    <mode name='host-passthrough' supported='yes'/>
    <mode name='host-model' supported='{supported}'>
      <model fallback='forbid'>EPYC-Milan</model>
      <vendor>AMD</vendor>
      <feature policy='require' name='x2apic'/>
    </mode>
    <mode name='custom' supported='yes'><model usable='yes'>qemu64</model></mode>
  </cpu>
</domainCapabilities>
"""


def test_a_host_with_kvm_offers_both_domain_types() -> None:
    assert parse_capabilities(HOST.format(kvm="<domain type='kvm'/>")) == Capabilities(
        "x86_64", Cpu("kvm64", "AMD"), frozenset({"kvm", "qemu"})
    )


def test_kvm_for_another_architecture_does_not_count() -> None:
    assert parse_capabilities(HOST.format(kvm="")).domain_types == {"qemu"}


def test_a_host_whose_cpu_libvirt_does_not_know_has_no_model() -> None:
    bare = parse_capabilities("<capabilities><host><cpu><arch>x86_64</arch></cpu></host></capabilities>")
    assert bare == Capabilities("x86_64", Cpu("", ""), frozenset())


def test_the_model_guests_get_is_read_where_they_can_have_it() -> None:
    assert parse_host_model(DOMAIN.format(supported="yes")) == Cpu("EPYC-Milan", "AMD")
    assert parse_host_model(DOMAIN.format(supported="no")) is None
