"""What the chart says twice is the same: values and schema, settings and processes, metrics and alerts."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client import CollectorRegistry

import hypernova_kube.metrics
from hypernova_agent.metrics import AgentMetrics
from hypernova_agent.settings import Settings as AgentSettings
from hypernova_api.flavor import Flavor
from hypernova_api.meta import GROUP, VERSION
from hypernova_console.metrics import ConsoleMetrics
from hypernova_console.settings import Settings as ConsoleSettings
from hypernova_kube.process.settings import settings_of
from hypernova_operator.metrics import Metrics as OperatorMetrics
from hypernova_operator.settings import Settings as OperatorSettings

CHART = Path(__file__).parents[3] / "charts/hypernova"
SCHEMA: dict[str, Any] = json.loads((CHART / "values.schema.json").read_text())
VALUES: dict[str, Any] = yaml.safe_load((CHART / "values.yaml").read_text())
FILES = ("rules.yaml", "dashboard.json")


def closed(schema: Any, path: str = "") -> Iterator[str]:
    """Paths of objects with named properties that take others, too."""
    if isinstance(schema, dict):
        if "properties" in schema and "type" in schema and schema.get("additionalProperties") is not False:
            yield path
        for key, each in schema.items():
            yield from closed(each, f"{path}/{key}")


def keys(values: dict[str, Any], schema: dict[str, Any], path: str = "") -> Iterator[str]:
    """Paths that only values or only their schema has."""
    known = schema.get("properties")
    if known is None:
        return
    for key in values.keys() ^ known.keys():
        yield f"{path}{key}"
    for key, each in values.items():
        if isinstance(each, dict) and each and key in known:
            yield from keys(each, known[key], f"{path}{key}.")


def metrics() -> set[str]:
    """All names that our processes' /metrics have."""
    registry = CollectorRegistry()
    hypernova_kube.metrics.Metrics(registry)
    for of in (AgentMetrics, ConsoleMetrics, OperatorMetrics):
        of(registry)
    suffixes = {"counter": ("_total",), "gauge": ("",), "histogram": ("_bucket", "_sum", "_count")}
    return {family.name + suffix for family in registry.collect() for suffix in suffixes[family.type]}


def test_the_schema_lets_no_typo_pass_anywhere() -> None:
    assert list(closed(SCHEMA)) == []


def test_values_and_schema_have_the_same_keys() -> None:
    assert list(keys(VALUES, SCHEMA)) == ["global"]


@pytest.mark.parametrize(
    ("component", "settings"),
    [("operator", OperatorSettings), ("agent", AgentSettings), ("console", ConsoleSettings)],
)
def test_settings_are_those_of_the_process(component: str, settings: type) -> None:
    known = {setting.name for setting in settings_of(settings)}
    offered = SCHEMA["properties"][component]["properties"]["settings"]["properties"]

    assert {re.sub(r"([A-Z])", r"_\1", name).lower() for name in offered} <= known


@pytest.mark.parametrize("name", VALUES["flavors"])
def test_the_first_flavors_are_flavors(name: str) -> None:
    spec = VALUES["flavors"][name]

    Flavor.parse({"apiVersion": f"{GROUP}/{VERSION}", "kind": "Flavor", "metadata": {"name": name}, "spec": spec})


@pytest.mark.parametrize("file", FILES)
def test_alerts_and_panels_are_about_metrics_that_there_are(file: str) -> None:
    named = set(re.findall(r"\bhypernova_[a-z_]+", (CHART / "files" / file).read_text()))

    assert named
    assert named <= metrics()
