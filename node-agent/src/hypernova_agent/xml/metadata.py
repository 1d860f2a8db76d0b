"""What a domain says of itself: whose it is. libvirt keeps it as long as the domain."""

from __future__ import annotations

from xml.etree import ElementTree

from hypernova_agent.host import Owner
from hypernova_agent.xml.element import Element, element, parse

NAMESPACE = "https://compute.hypernova.dev/domain/v1"
"""libvirt keeps one metadata element per XML namespace; this one is ours."""

ElementTree.register_namespace("hypernova", NAMESPACE)


def owner_element(owner: Owner) -> Element:
    """The child of <metadata> that names the Instance. https://libvirt.org/formatdomain.html#general-metadata"""
    return element(f"{{{NAMESPACE}}}instance", namespace=owner.namespace, name=owner.name, uid=owner.uid)


def parse_owner(xml: str) -> Owner:
    """The Instance that `owner_element` named, from the metadata libvirt returns.

    Raises:
        KeyError: it is not complete.
    """
    found = parse(xml).attrib
    return Owner(uid=found["uid"], namespace=found["namespace"], name=found["name"])
