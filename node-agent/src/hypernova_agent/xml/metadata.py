"""What a domain says of itself: whose it is, what it was made for, how its guest's last run went.

libvirt keeps one element per XML namespace, and sets it as a whole. So what changes by itself, the run, has a namespace
of its own: to note it is one write, and whoever defines the domain anew forgets it by not writing it.
"""

from __future__ import annotations

from dataclasses import dataclass
from xml.etree import ElementTree

from hypernova_agent.host import Owner, Run
from hypernova_agent.xml.element import E, Element, element, parse, serialize

NAMESPACE = "https://compute.hypernova.dev/domain/v1"
"""Of what whoever defines the domain says of it."""

RUN_NAMESPACE = "https://compute.hypernova.dev/run/v1"
"""Of what is noted of its guest's last run."""

RUN_PREFIX = "hypernova-run"
"""How people see it named."""

ElementTree.register_namespace("hypernova", NAMESPACE)
ElementTree.register_namespace(RUN_PREFIX, RUN_NAMESPACE)

_INSTANCE = f"{{{NAMESPACE}}}instance"
_RECORD = f"{{{NAMESPACE}}}record"
_RUN = f"{{{RUN_NAMESPACE}}}run"


@dataclass(frozen=True, slots=True)
class Metadata:
    """What a domain's <metadata> has of ours. A domain that runs has it as it was when it was started."""

    owner: Owner
    digest: str = ""
    """As `Definition.digest`."""

    boot: str = ""
    """As `Definition.boot`."""

    record: str = ""
    """Text, e.g. JSON, for whoever finds the domain without its Instance."""

    run: Run = Run.NONE


def metadata_element(metadata: Metadata) -> Element:
    """The child of <metadata> that all but the run is in. https://libvirt.org/formatdomain.html#general-metadata"""
    owner = metadata.owner
    return element(
        _INSTANCE,
        element(_RECORD, metadata.record) if metadata.record else None,
        namespace=owner.namespace,
        name=owner.name,
        uid=owner.uid,
        digest=metadata.digest or None,
        boot=metadata.boot or None,
    )


def run_xml(run: Run) -> str:
    """The child of <metadata> that the run is in, without its namespace: libvirt puts it in."""
    return serialize(E.run(mark=run))


def parse_metadata(xml: str) -> Metadata | None:
    """Our metadata in the XML of a domain; None if it is not one of ours.

    One that an earlier agent has defined says less: what it leaves out is empty.
    """
    return metadata_of(parse(xml))


def metadata_of(root: Element) -> Metadata | None:
    """As `parse_metadata`, of XML that has been parsed."""
    instance = root.find(f"./metadata/{_INSTANCE}[@namespace][@name][@uid]")
    if instance is None:
        return None
    said = instance.attrib
    run = root.find(f"./metadata/{_RUN}")
    return Metadata(
        Owner(uid=said["uid"], namespace=said["namespace"], name=said["name"]),
        digest=said.get("digest", ""),
        boot=said.get("boot", ""),
        record=instance.findtext(f"./{_RECORD}", ""),
        run=_run(run.get("mark", "")) if run is not None else Run.NONE,
    )


def _run(mark: str) -> Run:
    # A later agent may have words that this one does not know.
    return Run(mark) if mark in set(Run) else Run.NONE
