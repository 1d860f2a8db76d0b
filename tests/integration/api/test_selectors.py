"""Our label selectors and the API server's, compared by the API server itself."""

from __future__ import annotations

import itertools

import pytest
from pydantic import ValidationError

from hack.devcluster import Cluster
from hack.devcluster.errors import ClusterError
from hypernova_api.selectors import LabelRequirement, LabelSelector

LABELS: dict[str, dict[str, str]] = {
    "nothing": {},
    "rack-1": {"rack": "r1"},
    "rack-2-ssd": {"rack": "r2", "example.com/disk": "ssd"},
    "ssd": {"example.com/disk": "ssd"},
    "empty": {"rack": "", "example.com/disk": "hdd"},
}
REQUIREMENTS = {
    "rack in (r1)": LabelRequirement(key="rack", operator="In", values=["r1"]),
    "rack in (,r2)": LabelRequirement(key="rack", operator="In", values=["", "r2"]),
    "rack notin (r1,r2)": LabelRequirement(key="rack", operator="NotIn", values=["r1", "r2"]),
    "example.com/disk": LabelRequirement(key="example.com/disk", operator="Exists"),
    "!example.com/disk": LabelRequirement(key="example.com/disk", operator="DoesNotExist"),
}
SELECTORS = {
    "": LabelSelector(),
    "rack=r2,example.com/disk=ssd": LabelSelector(match_labels={"rack": "r2", "example.com/disk": "ssd"}),
    "rack=": LabelSelector(match_labels={"rack": ""}),
} | {
    ",".join(chosen): LabelSelector(match_expressions=[REQUIREMENTS[text] for text in chosen])
    for size in (1, 2)
    for chosen in itertools.combinations(REQUIREMENTS, size)
}


def test_they_select_the_same(cluster: Cluster, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps"
    for name, labels in LABELS.items():
        cluster.admin.create(path, {"metadata": {"name": name, "labels": labels | {"of": "ours"}}})

    def selected(selector: str) -> set[str]:
        text = f"of=ours,{selector}".removesuffix(",") if selector else "of=ours"
        names = cluster.kubectl("get", "configmaps", f"--selector={text}", "--output=name", f"--namespace={namespace}")
        return {name.removeprefix("configmap/") for name in names.split()}

    ours = {
        text: {n for n, labels in LABELS.items() if selector.matches(labels)} for text, selector in SELECTORS.items()
    }
    assert ours == {text: selected(text) for text in SELECTORS}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        *((key, "") for key in ("a", "A.b_c-9", "example.com/rack", "a" * 63, "x.y-z.example/1", "0/0")),
        *(
            (key, "")
            for key in ("", "/", "a/", "/a", "a/b/c", "-a", "a-", "a b", "a" * 64, "Example.com/a", "é", "a..b/c")
        ),
        *(("a", value) for value in ("", "x", "X_y.z-9", "9", "v" * 63)),
        *(("a", value) for value in ("-", "x-", ".x", "a b", "a/b", "v" * 64, "é", "x\n")),
    ],
)
def test_a_label_that_cannot_exist_cannot_be_asked_for(key: str, value: str, cluster: Cluster, namespace: str) -> None:
    path = f"/api/v1/namespaces/{namespace}/configmaps?dryRun=All"

    def can_exist() -> bool:
        try:
            cluster.admin.create(path, {"metadata": {"name": "labelled", "labels": {key: value}}})
        except ClusterError:
            return False
        return True

    def can_be_asked_for() -> bool:
        try:
            LabelRequirement(key=key, operator="In", values=[value])
        except ValidationError:
            return False
        return True

    assert can_be_asked_for() == can_exist()
