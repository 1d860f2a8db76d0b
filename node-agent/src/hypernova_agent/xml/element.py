"""Building XML elements as nested calls, and writing them out."""

from __future__ import annotations

from collections.abc import Callable
from xml.etree import ElementTree

Element = ElementTree.Element


class _Elements:
    """`E.disk(E.source(pool="p"), type="volume")` is `<disk type="volume"><source pool="p"/></disk>`."""

    def __getattr__(self, tag: str) -> Callable[..., Element]:
        def build(*children: Element | str | None, **attributes: str | int | None) -> Element:
            return element(tag, *children, **attributes)

        return build


E = _Elements()


def element(tag: str, *children: Element | str | None, **attributes: str | int | None) -> Element:
    """An element whose tag is no Python name, or has a namespace (`{uri}instance`).

    Children and attributes that are None are left out; a child that is a string is the element's text.
    """
    made = ElementTree.Element(tag, {name: str(value) for name, value in attributes.items() if value is not None})
    for child in children:
        if isinstance(child, str):
            made.text = child
        elif child is not None:
            made.append(child)
    return made


def serialize(root: Element) -> str:
    """The element as indented text that ends in a newline."""
    ElementTree.indent(root)
    return ElementTree.tostring(root, encoding="unicode") + "\n"


def parse(xml: str) -> Element:
    """The root element of XML that libvirt wrote.

    libvirt is the host's own and trusted; what a user writes never comes here as XML.
    """
    return ElementTree.fromstring(xml)  # noqa: S314 - from libvirt, not from a user
