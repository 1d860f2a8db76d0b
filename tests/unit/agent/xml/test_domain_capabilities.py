"""What libvirt can give guests; the XML is libvirt 9.0's own, cut short."""

from xml.etree import ElementTree

from hypernova_agent.xml.capabilities import Cpu
from hypernova_agent.xml.domain_capabilities import model_xml, parse_domain_capabilities, parse_features

DOMAIN = """
<domainCapabilities>
  <path>/usr/bin/qemu-system-x86_64</path>
  <domain>kvm</domain>
  <machine>pc-q35-7.2</machine>
  <arch>x86_64</arch>
  <os supported='yes'>
    <enum name='firmware'>{firmware}</enum>
    <loader supported='yes'><enum name='type'><value>rom</value><value>pflash</value></enum>
      <enum name='secure'><value>no</value>{secure}</enum></loader>
  </os>
  <cpu>
    <mode name='host-passthrough' supported='yes'/>
    <mode name='host-model' supported='{host_model}'>
      <model fallback='forbid'>EPYC-Milan</model>
      <vendor>AMD</vendor>
      <feature policy='require' name='x2apic'/>
      <feature policy='disable' name='svm'/>
    </mode>
    <mode name='custom' supported='yes'><model usable='yes'>qemu64</model></mode>
  </cpu>
  <devices>
    <disk supported='yes'>
      <enum name='bus'><value>fdc</value><value>virtio</value></enum>
    </disk>
    <tpm supported='no'>
      <enum name='model'><value>tpm-crb</value></enum>
    </tpm>
    <hostdev supported='yes'>
      <enum name='subsysType'><value>usb</value><value>pci</value></enum>
      <enum name='pciBackend'>{backend}</enum>
    </hostdev>
  </devices>
  <features>
    <hyperv supported='yes'>
      <enum name='features'>{hyperv}</enum>
    </hyperv>
  </features>
</domainCapabilities>
"""
_SECURE = "<value>yes</value>"
PLAIN = DOMAIN.format(firmware="", secure="", hyperv="", host_model="no", backend="")
RICH = DOMAIN.format(
    firmware="<value>efi</value>",
    secure=_SECURE,
    hyperv="<value>relaxed</value><value>vapic</value>",
    host_model="yes",
    backend="<value>vfio</value>",
)


def test_what_guests_can_have_is_read() -> None:
    rich = parse_domain_capabilities(RICH)
    assert (rich.architecture, rich.uefi, rich.passthrough) == ("x86_64", True, True)
    assert rich.host_model == Cpu("EPYC-Milan", "AMD")
    assert ("disk", "bus", "virtio") in rich.devices


def test_secure_boot_and_interfaces_of_hyper_v_are_read() -> None:
    rich, plain = parse_domain_capabilities(RICH), parse_domain_capabilities(PLAIN)
    assert (rich.secure_boot, rich.hyperv) == (True, {"relaxed", "vapic"})
    assert (plain.secure_boot, plain.hyperv) == (False, frozenset())


def test_secure_boot_takes_firmware_that_libvirt_finds() -> None:
    loader_alone = DOMAIN.format(firmware="", secure=_SECURE, hyperv="", host_model="no", backend="")
    assert not parse_domain_capabilities(loader_alone).secure_boot


def test_what_is_missing_is_not_promised() -> None:
    plain = parse_domain_capabilities(PLAIN)
    assert (plain.uefi, plain.passthrough, plain.host_model, plain.host_model_xml) == (False, False, None, "")
    assert not [device for device in plain.devices if device[0] == "tpm"]


def test_the_processor_guests_get_can_be_handed_back_to_libvirt() -> None:
    cpu = ElementTree.fromstring(parse_domain_capabilities(RICH).host_model_xml)
    assert (cpu.tag, cpu.findtext("model")) == ("cpu", "EPYC-Milan")
    assert [(each.get("name"), each.get("policy")) for each in cpu.iterfind("feature")] == [
        ("x2apic", "require"),
        ("svm", "disable"),
    ]
    assert ElementTree.fromstring(model_xml("x86_64", "qemu64")).findtext("model") == "qemu64"


def test_only_features_that_are_there_count() -> None:
    cpu = "<cpu><feature policy='require' name='avx2'/><feature policy='disable' name='svm'/></cpu>"
    assert parse_features(cpu) == {"avx2"}
