"""Which Kubernetes a cluster is of: the one of go.mod, or an older minor that KUBERNETES asks for."""

from __future__ import annotations

import json
import re

import pytest

from hack.devcluster import Cluster, ClusterError
from hack.devcluster.build import OLDER, SOURCE, read_recipe
from hack.devcluster.install import REPOSITORY


def supported() -> tuple[int, int]:
    """The oldest and the newest minor that the chart's README says."""
    said = re.search(
        r"^Kubernetes 1\.(\d+) to 1\.(\d+)\.$", (REPOSITORY / "charts/hypernova/README.md").read_text(), re.M
    )
    assert said is not None
    return int(said[1]), int(said[2])


def test_there_is_a_recipe_for_each_minor_that_is_supported_and_each_makes_another_binary(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    oldest, newest = supported()
    minors = [f"1.{minor}" for minor in range(oldest, newest + 1)]
    recipes = []
    for minor in minors:
        monkeypatch.setenv("KUBERNETES", minor)
        recipes.append(read_recipe())

    assert [recipe.kubernetes.removeprefix("v").rpartition(".")[0] for recipe in recipes] == minors
    assert len({recipe.key for recipe in recipes}) == len(minors)
    assert list(OLDER) == minors[:-1]


@pytest.mark.parametrize("nothing", [None, ""], ids=["not set", "empty"])
def test_who_asks_for_none_gets_that_of_go_mod(nothing: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    if nothing is None:
        monkeypatch.delenv("KUBERNETES", raising=False)
    else:
        monkeypatch.setenv("KUBERNETES", nothing)

    recipe = read_recipe()

    assert f"k8s.io/kubernetes {recipe.kubernetes}\n" in (SOURCE / "go.mod").read_text()
    assert not recipe.derived


def test_another_is_refused_and_told_which_there_are(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES", "1.31")

    with pytest.raises(
        ClusterError, match=r"KUBERNETES=1\.31: there is no recipe for it, only for 1\.32, .* and 1\.36"
    ):
        read_recipe()


def test_server_and_kubectl_are_of_the_release_that_was_asked_for(cluster: Cluster) -> None:
    versions = json.loads(cluster.kubectl("version", "--output=json"))

    asked = read_recipe().kubernetes
    assert [versions[each]["gitVersion"] for each in ("serverVersion", "clientVersion")] == [asked, asked]
