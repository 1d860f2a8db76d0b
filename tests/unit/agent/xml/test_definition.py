"""What a domain is made of, and what it says of itself, read back from its XML."""

from dataclasses import replace

import pytest

from hypernova_agent.host import Definition, Link, Owner, Run
from hypernova_agent.xml.definition import parse_definition
from hypernova_agent.xml.element import E, parse, serialize
from hypernova_agent.xml.metadata import NAMESPACE, RUN_NAMESPACE, Metadata, metadata_element, parse_metadata, run_xml

MIB = 1 << 20
GIB = 1 << 30
OWNER = Owner(uid="4f8c1a9e-6b1d-4a57-9d0e-0c3d5e7f9a21", namespace="shop", name="web-1")
ALL = Metadata(OWNER, digest="d1", boot="b2", record='{"spec": "<&>"}', run=Run.BEGUN)


def domain(metadata: Metadata) -> str:
    # As libvirt does: one element per namespace, which it puts in itself.
    run = parse(run_xml(metadata.run))
    run.tag = f"{{{RUN_NAMESPACE}}}{run.tag}"
    return serialize(E.domain(E.metadata(metadata_element(metadata), run)))


def test_all_that_a_domain_says_of_itself_is_read_back() -> None:
    assert parse_metadata(domain(ALL)) == ALL


def test_a_definition_has_what_can_change_of_it_in_it() -> None:
    found = parse_definition(domain(ALL))
    assert (found.digest, found.boot) == ("d1", "b2")


def test_a_domain_that_an_earlier_agent_defined_says_whose_it_is() -> None:
    xml = (
        f'<domain><metadata><h:instance xmlns:h="{NAMESPACE}" namespace="shop" name="web-1" uid="{OWNER.uid}"/>'
        "</metadata></domain>"
    )
    assert parse_metadata(xml) == Metadata(OWNER)


@pytest.mark.parametrize(
    "metadata",
    [
        "",
        "<metadata/>",
        "<metadata><instance namespace='shop' name='web-1' uid='1'/></metadata>",
        f"<metadata><instance xmlns='{NAMESPACE}'/></metadata>",
        f"<metadata><instance xmlns='{NAMESPACE}' uid='1' name='web-1'/></metadata>",
    ],
    ids=["none", "empty", "another-s", "says-nothing", "lacks-namespace"],
)
def test_what_does_not_say_whose_it_is_is_none_of_ours(metadata: str) -> None:
    assert parse_metadata(f"<domain>{metadata}</domain>") is None


def test_a_word_of_a_later_agent_for_a_run_is_none_known() -> None:
    known = domain(ALL)
    assert parse_metadata(known.replace('mark="begun"', 'mark="pondered"')) == replace(ALL, run=Run.NONE)


@pytest.mark.parametrize(
    ("xml", "vcpus", "max_vcpus"),
    [
        ("<vcpu placement='static'>3</vcpu>", 3, 3),
        ("<vcpu placement='static' current='1'>4</vcpu>", 1, 4),
        ("", 1, 1),
    ],
    ids=["all", "some", "unsaid"],
)
def test_vcpus_are_those_it_has_and_those_it_can_have(xml: str, vcpus: int, max_vcpus: int) -> None:
    found = parse_definition(f"<domain>{xml}</domain>")
    assert (found.vcpus, found.max_vcpus) == (vcpus, max_vcpus)


_CELL = "<cpu><numa><cell id='0' cpus='0' memory='1048576' unit='KiB'/></numa></cpu>"


def _plugged(*parts: str) -> str:
    return f"<devices><memory model='virtio-mem'><target>{''.join(parts)}<node>0</node></target></memory></devices>"


@pytest.mark.parametrize(
    ("xml", "memory", "max_memory"),
    [
        ("<memory unit='KiB'>524288</memory>", 512 * MIB, 512 * MIB),
        ("<memory>524288</memory>", 512 * MIB, 512 * MIB),
        ("<memory unit='GiB'>2</memory>", 2 * GIB, 2 * GIB),
        ("<memory unit='KiB'>524288</memory><currentMemory unit='KiB'>262144</currentMemory>", 256 * MIB, 512 * MIB),
        (
            f"<memory>3145728</memory>{_CELL}"
            + _plugged("<size unit='GiB'>2</size>", "<requested unit='MiB'>512</requested>"),
            1536 * MIB,
            3 * GIB,
        ),
        (
            f"<memory>3145728</memory><currentMemory>3145728</currentMemory>{_CELL}"
            + _plugged(
                "<size unit='KiB'>2097152</size>",
                "<requested unit='KiB'>524288</requested>",
                "<current unit='KiB'>131072</current>",
            ),
            1152 * MIB,
            3 * GIB,
        ),
        ("<memory unit='GiB'>3</memory>" + _plugged("<size unit='GiB'>2</size>"), 3 * GIB, 3 * GIB),
        ("", 0, 0),
    ],
    ids=["plain", "no-unit", "our-unit", "balloon", "plugged-off", "plugged-running", "plugged-whole", "unsaid"],
)
def test_memory_is_what_it_has_and_what_it_can_have(xml: str, memory: int, max_memory: int) -> None:
    found = parse_definition(f"<domain>{xml}</domain>")
    assert (found.memory, found.max_memory) == (memory, max_memory)


def test_disks_and_network_cards_are_in_order() -> None:
    xml = """
        <domain><devices>
          <disk type='volume' device='disk'><source pool='hypernova' volume='a.root.qcow2' index='2'/></disk>
          <disk type='file' device='cdrom'><source file='/by/hand.iso'/></disk>
          <disk type='volume' device='disk'><source pool='hypernova' volume='a.config.iso'/></disk>
          <interface type='network'><mac address='52:54:00:00:00:01'/><link state='up'/></interface>
          <interface type='network'><mac address='52:54:00:00:00:02'/><link state='down'/></interface>
          <interface type='network'><mac address='52:54:00:00:00:03'/></interface>
        </devices></domain>
    """
    found = parse_definition(xml)
    assert found.volumes == ("a.root.qcow2", "a.config.iso")
    assert found.links == (
        Link("52:54:00:00:00:01"),
        Link("52:54:00:00:00:02", up=False),
        Link("52:54:00:00:00:03"),
    )


def test_a_domain_that_says_nothing_is_made_of_as_good_as_nothing() -> None:
    assert parse_definition("<domain/>") == Definition(vcpus=1, max_vcpus=1)
