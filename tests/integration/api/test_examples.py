"""What examples/ show is what the API server takes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from hack.devcluster import Cluster

EXAMPLES = sorted((Path(__file__).parents[3] / "examples").glob("*.yaml"))
FILLED_IN = {"${IMAGE_URL}": "http://127.0.0.1/guest.qcow2", "${IMAGE_SHA256}": "a" * 64}


@pytest.fixture(params=EXAMPLES, ids=lambda path: path.name)
def example(request: pytest.FixtureRequest, cluster: Cluster) -> Iterator[str]:
    text: str = request.param.read_text()
    for variable, value in FILLED_IN.items():
        text = text.replace(variable, value)
    yield text
    cluster.kubectl("delete", "--ignore-not-found", "--wait=false", "--filename=-", input=text)
    # There is no agent here that would take the finalizer away.
    clear = json.dumps({"metadata": {"finalizers": None}})
    for name in cluster.kubectl("get", "instances", "--output=name").split():
        cluster.kubectl("patch", name, "--type=merge", f"--patch={clear}")


def test_an_example_is_taken_whole(example: str, cluster: Cluster) -> None:
    # No dry run: what an example puts into a namespace of its own could not be tried without the namespace.
    applied = cluster.kubectl("apply", "--warnings-as-errors", "--filename=-", input=example).splitlines()

    assert len(applied) == example.count("\nkind: ")
    assert [line for line in applied if not line.endswith(" created")] == []
