"""Label selectors, as Kubernetes has them: which objects something is about, by their labels."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, ClassVar, Literal

from pydantic import Field

from hypernova_api.meta import Model, Rule

LABEL_KEY_PATTERN = (
    r"([a-z0-9]([-a-z0-9]*[a-z0-9])?(\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*/)?"
    r"[A-Za-z0-9]([-A-Za-z0-9_.]{0,61}[A-Za-z0-9])?"
)

LabelKey = Annotated[str, Field(max_length=317, pattern=f"^{LABEL_KEY_PATTERN}$")]
"""A label's key, with or without a prefix: `example.com/rack`."""

LabelValue = Annotated[str, Field(max_length=63, pattern=r"^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$")]
"""A label's value; may be empty."""


def label_keys(field: str) -> Rule:
    """The rule that the keys of a map may be labels' keys; what cannot exist would silently never match.

    Args:
        field: the map's name on the wire; may be absent.
    """
    return Rule(
        f"!has(self.{field}) || self.{field}.all(key, key.size() <= 317 && key.matches(r'^{LABEL_KEY_PATTERN}$'))",
        "a label's key is like rack or example.com/rack",
        field=f".{field}",
    )


class LabelRequirement(Model):
    """One thing that the labels must fulfil."""

    key: LabelKey
    """The label's key."""

    operator: Literal["In", "NotIn", "Exists", "DoesNotExist"]
    """How the label relates to `values`. NotIn and DoesNotExist hold where there is no such label."""

    values: Annotated[list[LabelValue], Field(max_length=64)] = Field(default_factory=list)
    """For In and NotIn: at least one. For Exists and DoesNotExist: none."""

    rules: ClassVar[list[Rule]] = [
        Rule(
            "(self.operator in ['In', 'NotIn']) == (has(self.values) && size(self.values) > 0)",
            "In and NotIn need values; Exists and DoesNotExist take none",
            field=".values",
        )
    ]

    def holds(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels fulfils it."""
        match self.operator:
            case "In":
                return labels.get(self.key) in self.values
            case "NotIn":
                return labels.get(self.key) not in self.values
            case "Exists":
                return self.key in labels
            case "DoesNotExist":
                return self.key not in labels


class LabelSelector(Model):
    """Objects by their labels: all that is said must hold; an empty selector selects everything."""

    match_labels: Annotated[dict[str, LabelValue], Field(max_length=32)] = Field(default_factory=dict)
    """Labels that must be there with just these values."""

    match_expressions: Annotated[list[LabelRequirement], Field(max_length=32)] = Field(default_factory=list)
    """What else the labels must fulfil."""

    rules: ClassVar[list[Rule]] = [label_keys("matchLabels")]

    def matches(self, labels: Mapping[str, str]) -> bool:
        """Whether an object with these labels is selected."""
        return all(labels.get(key) == value for key, value in self.match_labels.items()) and all(
            requirement.holds(labels) for requirement in self.match_expressions
        )
