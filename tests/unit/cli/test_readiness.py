"""When an Instance is as asked, and what is said when it is not."""

import pytest

from hypernova_api.instance import Instance
from hypernova_cli.readiness import is_left_off, is_settled, reason, state
from support.builders import a_condition, an_instance, stored


def an_instance_that(phase: str, *conditions: dict, generation: int = 2, seen: int = 2, **spec) -> Instance:
    status = {"phase": phase, "observedGeneration": seen, "conditions": list(conditions)}
    return Instance.parse(stored(an_instance(status=status, **spec), generation=generation))


READY = a_condition("Ready", True, "Running")
OFF = a_condition("Ready", False, "Completed", "the guest powered itself off, and restartPolicy Never leaves it so")


@pytest.mark.parametrize(
    ("instance", "settled"),
    [
        pytest.param(an_instance_that("Running", READY), True, id="ready, and about what is asked now"),
        pytest.param(an_instance_that("Running", READY, seen=1), False, id="ready, but about what was asked before"),
        pytest.param(
            an_instance_that("Running", READY | {"observedGeneration": 1}), False, id="the condition is older still"
        ),
        pytest.param(an_instance_that("Running", a_condition("Ready", False)), False, id="not ready"),
        pytest.param(an_instance_that("Pending"), False, id="nothing is said yet"),
        pytest.param(Instance.parse(stored(an_instance(), generation=2)), False, id="no status at all"),
    ],
)
def test_an_instance_is_as_asked_once_its_status_is_about_that_and_ready(instance, settled):
    assert is_settled(instance, 2) is settled


@pytest.mark.parametrize(
    ("instance", "left_off"),
    [
        pytest.param(an_instance_that("Stopped", OFF), True, id="ended by itself, left so"),
        pytest.param(an_instance_that("Stopped", OFF, seen=1), False, id="its agent has yet to look"),
        pytest.param(an_instance_that("Stopped", OFF, powerState="Stopped"), False, id="stopped as asked"),
        pytest.param(
            an_instance_that("Stopped", a_condition("Ready", False, "CrashLoopBackOff")), False, id="starts by itself"
        ),
        pytest.param(an_instance_that("Running", READY), False, id="runs"),
    ],
)
def test_a_guest_is_left_off_when_nothing_but_a_reboot_would_start_it(instance, left_off):
    assert is_left_off(instance) is left_off


@pytest.mark.parametrize(
    ("instance", "text"),
    [
        (an_instance_that("Running", READY), "Running"),
        (an_instance_that("Stopped", OFF), f"Stopped: {OFF['message']}"),
        (Instance.parse(stored(an_instance())), "Pending"),
    ],
)
def test_a_state_is_the_phase_and_why(instance, text):
    assert state(instance) == text


def test_what_ready_says_comes_before_what_the_scheduler_said():
    scheduled = a_condition("Scheduled", False, "NoHostFits", "0/3 hosts fit")
    assert reason(an_instance_that("Pending", scheduled)) == "0/3 hosts fit"
    bound = a_condition("Scheduled", True, "Bound", "bound to node node-a")
    assert reason(an_instance_that("Running", bound, a_condition("Ready", True, "Running", ""))) == ""
    assert reason(an_instance_that("Pending", scheduled, a_condition("Ready", False, "X", "off"))) == "off"
