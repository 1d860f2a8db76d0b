"""What is in an image, as a CycloneDX document: `sbom.py COMPONENT ROOT... > FILE`.

Read from what is installed below the folders ROOT, not from what was asked for: Debian's packages from the control
files in var/lib/dpkg/status.d, Python's from the metadata of each distribution, the page's from npm's lock where there
is one. The same content gives the same document, to the byte.
"""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from email.parser import Parser
from importlib.metadata import distributions
from pathlib import Path
from uuid import NAMESPACE_URL, uuid5

from cyclonedx.model.bom import Bom
from cyclonedx.model.component import Component, ComponentType
from cyclonedx.model.license import DisjunctiveLicense
from cyclonedx.output.json import JsonV1Dot5
from packageurl import PackageURL

OURS = "hypernova-operator"
SITE = "usr/local/lib/python3.11/dist-packages"


def debian(root: Path) -> Iterator[Component]:
    """Debian's packages."""
    for control in sorted((root / "var/lib/dpkg/status.d").glob("*")):
        if control.suffix == ".md5sums":
            continue
        fields = Parser().parsestr(control.read_text())
        source = (fields["Source"] or fields["Package"]).split()[0]
        qualifiers = {"arch": fields["Architecture"], "distro": "debian-12", "upstream": source}
        yield _component(fields["Package"], fields["Version"], "deb", namespace="debian", qualifiers=qualifiers)


def python(root: Path) -> Iterator[Component]:
    """Python's distributions, ours among them."""
    for found in distributions(path=[str(root / SITE)]):
        licence = found.metadata["License-Expression"] or found.metadata["License"]
        yield _component(found.name, found.version, "pypi", licence=licence)


def npm(root: Path) -> Iterator[Component]:
    """What the console's page is made with."""
    lock = root / "usr/share/hypernova/web/package-lock.json"
    if not lock.exists():
        return
    for path, package in json.loads(lock.read_text())["packages"].items():
        if path:
            name = path.removeprefix("node_modules/")
            scope, _, short = name.rpartition("/")
            yield _component(short, package["version"], "npm", namespace=scope or None, licence=package.get("license"))


def _component(
    name: str,
    version: str,
    kind: str,
    *,
    namespace: str | None = None,
    qualifiers: dict[str, str] | None = None,
    licence: str | None = None,
) -> Component:
    url = PackageURL(kind, namespace, name, version, qualifiers)
    # Some put the licence's whole text where its name belongs.
    named = [DisjunctiveLicense(name=licence)] if licence and "\n" not in licence else []
    return Component(
        name=name, version=version, type=ComponentType.LIBRARY, purl=url, bom_ref=url.to_string(), licenses=named
    )


def document(component: str, roots: list[Path], time: datetime) -> Bom:
    """The document about the image of `component`, whose content are the folders `roots` one over another."""
    found = {c.bom_ref.value: c for root in roots for read in (debian, python, npm) for c in read(root)}
    version = next(c.version for c in found.values() if c.name == OURS)
    bom = Bom(components=found.values())
    bom.metadata.component = Component(name=component, version=version, type=ComponentType.CONTAINER)
    bom.metadata.component.bom_ref.value = f"{component}:{version}"
    bom.metadata.timestamp = time
    bom.serial_number = uuid5(NAMESPACE_URL, " ".join(sorted(ref or "" for ref in found)))
    return bom


def main() -> None:
    """The command."""
    time = datetime.fromtimestamp(int(os.environ["SOURCE_DATE_EPOCH"]), UTC)
    print(JsonV1Dot5(document(sys.argv[1], [Path(root) for root in sys.argv[2:]], time)).output_as_string(indent=1))


if __name__ == "__main__":
    main()
