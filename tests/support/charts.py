"""Our chart, rendered by the real Helm."""

from __future__ import annotations

import shutil
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import yaml

from hack.devcluster.install import NAMESPACE, REPOSITORY, plain_templates
from hack.helm import Helm

CHART = REPOSITORY / "charts/hypernova"
REGISTRY = "registry.example/hypernova"
MUTATING = "admissionregistration.k8s.io/v1/MutatingAdmissionPolicy"
RELEASE = ("hypernova", str(CHART), f"--namespace={NAMESPACE}", f"--set=image.registry={REGISTRY}")
KINDS = "crds.yaml"
PLAIN = {path.name for path in plain_templates()}

Object = dict[str, Any]


def render(helm: Helm, *flags: str, version: str = "1.36.0") -> str:
    """All that an install would apply to a cluster of a Kubernetes version, as YAML."""
    mutating = ["--api-versions", MUTATING] if version >= "1.36" else []
    return helm("template", *RELEASE, "--kube-version", version, *mutating, *flags)


def objects(text: str) -> list[Object]:
    """The objects in YAML."""
    return [each for each in yaml.load_all(text, Loader=yaml.CSafeLoader) if each]


def kinds(text: str) -> list[Object]:
    """Of a rendered chart, the kinds and the policies that belong to them."""
    return [obj for source, part in _templates(text) if source == KINDS for obj in objects(part)]


def our_own(text: str) -> list[Object]:
    """All else, without those of the templates that labs apply without Helm, which are tested elsewhere."""
    return [obj for source, part in _templates(text) if source not in (KINDS, *PLAIN) for obj in objects(part)]


def _templates(text: str) -> Iterator[tuple[str, str]]:
    for part in text.split("# Source: hypernova/templates/")[1:]:
        source, _, rest = part.partition("\n")
        yield source, rest


def name(obj: Object) -> str:
    """E.g. `Deployment hypernova-operator`."""
    return f"{obj['kind']} {obj['metadata']['name']}"


def pods(objs: Iterable[Object]) -> dict[str, Object]:
    """The Pods that objects would make, by the objects' names."""
    found = {}
    for obj in objs:
        spec = obj.get("spec", {})
        if obj["kind"] == "Pod":
            found[name(obj)] = {"metadata": {"labels": obj["metadata"]["labels"]}, "spec": spec}
        elif "template" in spec:
            found[name(obj)] = spec["template"]
    return found


def copied_chart(folder: Path, *, version: str) -> Path:
    """A copy of the chart in a folder, of another version, to be changed."""
    chart = folder / "hypernova"
    shutil.copytree(CHART, chart)
    file = chart / "Chart.yaml"
    metadata = yaml.safe_load(file.read_text())
    file.write_text(yaml.safe_dump(metadata | {"version": version, "appVersion": version}))
    return chart
