"""Our quantities and the API server's, compared by the API server itself."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hack.devcluster import Cluster
from hack.devcluster.errors import ClusterError
from hypernova_api.quantity import Quantity
from support.waiting import eventually

GROUP = "quantities.test.hypernova.dev"
OBJECTS = f"/apis/{GROUP}/v1/comparisons"
GOOD = [
    *("0", "1", "-1", "+7", "007", "1024", "5.", ".5", "0.5", "1.5", "1.0000000001", "-0.5"),
    *(f"{number}{suffix}" for number in ("1", "1.5", "-3") for suffix in ("n", "u", "m", "k", "M", "G", "T", "P")),
    *(f"{number}{suffix}" for number in ("1", "1.5", "-3") for suffix in ("Ki", "Mi", "Gi", "Ti", "Pi", "Ei")),
    *("1E", "1e3", "1E3", "1e+3", "1e-3", "12e0", "1e18"),
]
BAD = ["", " 1", "1 ", "1Gb", "1gi", "1 Gi", "1..2", "1KiB", "0x10", "1e", "1e+", "1_000", "--1", "1K"]
WITHOUT_A_DIGIT = ["Gi", ".", "-"]
"""Kubernetes takes them for 0; by us they are refused, as nobody can have meant that."""

SCHEMA = {
    "type": "object",
    "properties": {
        "good": {
            "type": "array",
            "maxItems": 100,
            "items": {
                "type": "object",
                "properties": {
                    "text": {"type": "string", "maxLength": 32},
                    "value": {"type": "string", "maxLength": 32},
                },
                "x-kubernetes-validations": [
                    {
                        # Our value is rounded up.
                        "rule": "quantity(self.text).compareTo(quantity(self.value)) <= 0"
                        " && quantity(self.text).compareTo(quantity(self.value).sub(1)) > 0",
                        "message": "is another amount",
                    }
                ],
            },
        },
        "bad": {
            "type": "array",
            "maxItems": 100,
            "items": {
                "type": "string",
                "maxLength": 32,
                "x-kubernetes-validations": [{"rule": "!isQuantity(self)", "message": "is a quantity"}],
            },
        },
    },
}
DEFINITION = {
    "metadata": {"name": f"comparisons.{GROUP}"},
    "spec": {
        "group": GROUP,
        "scope": "Cluster",
        "names": {"kind": "Comparison", "plural": "comparisons"},
        "versions": [{"name": "v1", "served": True, "storage": True, "schema": {"openAPIV3Schema": SCHEMA}}],
    },
}


@pytest.fixture
def comparisons(cluster: Cluster) -> Iterator[None]:
    """A kind whose rules compare quantities, for as long as the test runs."""
    definitions = "/apis/apiextensions.k8s.io/v1/customresourcedefinitions"
    cluster.admin.create(definitions, DEFINITION)
    eventually(lambda: cluster.admin.exists(OBJECTS), "the kind to be served")
    yield
    cluster.admin.delete(f"{definitions}/comparisons.{GROUP}")


@pytest.mark.usefixtures("comparisons")
def test_what_is_a_quantity_and_how_much_it_is_the_api_server_agrees_with_us(cluster: Cluster) -> None:
    good = [{"text": text, "value": str(Quantity(text).value)} for text in GOOD]

    cluster.admin.create(f"{OBJECTS}?dryRun=All", a_comparison(good=good, bad=BAD))

    with pytest.raises(ClusterError, match=r"good\[0\].*is another amount"):
        cluster.admin.create(f"{OBJECTS}?dryRun=All", a_comparison(good=[{"text": "2", "value": "1"}]))
    with pytest.raises(ClusterError, match=r"bad\[0\].*is a quantity"):
        cluster.admin.create(f"{OBJECTS}?dryRun=All", a_comparison(bad=WITHOUT_A_DIGIT))


def a_comparison(**lists: object) -> dict[str, object]:
    return {"apiVersion": f"{GROUP}/v1", "kind": "Comparison", "metadata": {"name": "all"}, **lists}


@pytest.mark.parametrize("text", BAD + WITHOUT_A_DIGIT)
def test_what_is_no_quantity_there_is_none_here(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        Quantity(text)
