"""What can be done to an Instance in which state: one line a case."""

from typing import Any

import pytest

from hypernova_agent.actions.precondition import refusal
from hypernova_agent.host import Domain, DomainState
from hypernova_api.action import InstanceAction
from support.builders import Object, an_action, stored
from support.guests import OWNER, a_bound_image, a_bound_instance, parsed

RUNNING = Domain(OWNER, DomainState.RUNNING)
OFF = Domain(OWNER, DomainState.SHUT_OFF)
STALLED = Domain(OWNER, DomainState.STALLED)
IMAGE = a_bound_image("other").to_wire()
RESCUED: Object = {"status": {"rescue": {"action": "uid", "image": IMAGE}}}
STOPPED: Object = {"powerState": "Stopped"}
SUSPENDED: Object = {"powerState": "Suspended"}
PAUSED: Object = {"powerState": "Paused"}

CASES: dict[str, tuple[str, Object, Domain | None, str]] = {
    "a running guest is rebooted": ("Reboot", {}, RUNNING, ""),
    "one that has ended by itself is, too": ("Reboot", {}, OFF, ""),
    "one whose CPUs stand still is, too": ("Reboot", PAUSED, RUNNING, ""),
    "one that should be off is not": ("Reboot", STOPPED, OFF, "NotRunning"),
    "nor one whose memory is on disk": ("Reboot", SUSPENDED, OFF, "Suspended"),
    "nor one that has not been built": ("Reboot", {}, None, "NotBuilt"),
    "a rescue system can be rebooted": ("Reboot", RESCUED, RUNNING, ""),
    "a guest that is off can be rebuilt": ("Rebuild", STOPPED, OFF, ""),
    "so can one that could never be built": ("Rebuild", {}, None, ""),
    "a rescued one cannot": ("Rebuild", RESCUED, RUNNING, "Rescued"),
    "memory on disk is not thrown away by a rebuild": ("Rebuild", SUSPENDED, OFF, "Suspended"),
    "any guest with a disk can be rescued": ("Rescue", {}, OFF, ""),
    "a rescued one needs no second rescue": ("Rescue", RESCUED, RUNNING, "AlreadyRescued"),
    "what has no disk cannot be rescued": ("Rescue", {}, None, "NotBuilt"),
    "a rescue ends once": ("Unrescue", RESCUED, RUNNING, ""),
    "and only where there is one": ("Unrescue", {}, RUNNING, "NotRescued"),
    "a running guest's disk can be copied": ("Snapshot", {}, RUNNING, ""),
    "so can one's that is off": ("Snapshot", STOPPED, OFF, ""),
    "and one's whose memory is on disk": ("Snapshot", SUSPENDED, OFF, ""),
    "what has no disk cannot be copied": ("Snapshot", {}, None, "NotBuilt"),
    "a rescued guest's disk is not": ("Snapshot", RESCUED, RUNNING, "Rescued"),
    "an NMI needs a running guest": ("InjectNMI", {}, RUNNING, ""),
    "one that is off gets none": ("InjectNMI", {}, OFF, "NotRunning"),
    "nor one that its disk stopped": ("InjectNMI", {}, STALLED, "NotRunning"),
    "a rescue system can be dumped": ("InjectNMI", RESCUED, RUNNING, ""),
    "a password needs a running guest": ("SetPassword", {}, OFF, "NotRunning"),
    "and the guest itself, not its rescue system": ("SetPassword", RESCUED, RUNNING, "Rescued"),
    "guests that are off tell nothing": ("GetGuestInfo", STOPPED, OFF, "NotRunning"),
    "those that are not built neither": ("GetGuestInfo", {}, None, "NotBuilt"),
    "a log can be read while the guest is off": ("GetConsoleLog", STOPPED, OFF, ""),
    "and before there is one": ("GetConsoleLog", {}, None, ""),
}


def an_admitted_action(type_: str, spec: Object | None = None, **status: Any) -> InstanceAction:
    resolved = {"rebuild": {"image": IMAGE, "keyPairs": []}, "rescueImage": IMAGE, "phase": "Pending"}
    return InstanceAction.parse(stored(an_action(type_, status=resolved | status, **(spec or {}))))


@pytest.mark.parametrize(("type_", "parts", "domain", "reason"), CASES.values(), ids=CASES.keys())
def test_an_action_begins_only_where_it_can_work(type_: str, parts: Object, domain: Domain | None, reason: str) -> None:
    why = refusal(an_admitted_action(type_), parsed(a_bound_instance(**parts)), domain)
    assert (why.reason if why is not None else "") == reason


@pytest.mark.parametrize(
    ("type_", "missing"), [("Rebuild", "rebuild"), ("Rescue", "rescueImage")], ids=["rebuild", "rescue"]
)
def test_what_was_admitted_without_an_image_is_refused(type_: str, missing: str) -> None:
    why = refusal(an_admitted_action(type_, **{missing: None}), parsed(a_bound_instance()), RUNNING)
    assert why is not None
    assert why.reason == "BindingIncomplete"
