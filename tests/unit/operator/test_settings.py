"""What an administrator can say about decisions, and what is refused in words."""

from __future__ import annotations

import pytest

from hypernova_api.aggregate import WeightMultipliers
from hypernova_kube.process.settings import parse
from hypernova_operator.cache.aggregates import NO_LIMITS, Limits
from hypernova_operator.scheduler import DEFAULT_POLICY, Policy
from hypernova_operator.scheduler.weights import WEIGHTS
from hypernova_operator.settings import Settings


def settings(*flags: str) -> Settings:
    return parse(Settings, flags, {})


def test_who_says_nothing_gets_the_default() -> None:
    assert settings().policy == DEFAULT_POLICY
    assert settings().limits == NO_LIMITS


def test_all_of_it_reaches_the_scheduler() -> None:
    said = settings(
        *("--strategy", "Stack", "--choose-among", "3", "--weight-multipliers", "freeMemory=2.5,builds=-1"),
        *("--max-instances-per-host", "50", "--max-builds-per-host", "4"),
    )
    assert said.policy == Policy("Stack", {"freeMemory": 2.5, "builds": -1.0}, 3)
    assert said.limits == Limits(50, 4)


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--weight-multipliers", "freeRam=2"), "there is no weight 'freeRam'; there are "),
        (("--weight-multipliers", "freeMemory"), "write 'freeMemory' with a number, like freeMemory=2"),
        (("--weight-multipliers", "freeMemory=much"), "write 'freeMemory' with a number"),
        (("--weight-multipliers", "freeMemory=nan"), "write 'freeMemory' with a number"),
        (("--strategy", "Random"), "none of Spread, Stack"),
        (("--choose-among", "0"), "--choose-among must be at least 1"),
        (("--max-builds-per-host", "-1"), "--max-builds-per-host must be at least 0"),
    ],
    ids=lambda value: " ".join(value) if isinstance(value, tuple) else "",
)
def test_what_makes_no_sense_is_refused(flags: tuple[str, ...], words: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        settings(*flags)
    assert ended.value.code == 2
    assert words in capsys.readouterr().err


def test_an_unknown_weight_is_answered_with_all_there_are(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        settings("--weight-multipliers", "luck=1")
    told = capsys.readouterr().err.rsplit("there are ", 1)[1].strip()
    assert told.split(", ") == sorted(weight.name for weight in WEIGHTS)


def test_weights_have_the_same_names_in_aggregates() -> None:
    assert {weight.name for weight in WEIGHTS} == {field.alias for field in WeightMultipliers.model_fields.values()}
