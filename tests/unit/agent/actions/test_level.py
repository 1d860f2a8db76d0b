"""What actions make of an Instance's status, and what they ask of its guest."""

from typing import Any

from hypernova_agent import names
from hypernova_agent.actions.level import ask_of, image_of, instance_patch, largest_disk, owed, reached
from hypernova_agent.ask import NOTHING, Ask
from hypernova_agent.host import Definition, Domain, DomainState
from hypernova_api.action import InstanceAction
from hypernova_api.instance import Instance, UserDataSource
from support.builders import Object, an_action, stored
from support.guests import GIB, OWNER, a_bound_image, a_bound_instance, a_key_pair, parsed
from support.patches import merged

NEW = a_bound_image("new", url=None, node_name="node-a")
REBUILD: Object = {"rebuild": {"image": NEW.to_wire(), "keyPairs": [a_key_pair().to_wire()]}}
RESCUE: Object = {"rescueImage": NEW.to_wire()}
UEFI = a_bound_image(properties={"firmware": "UEFI"})


def an_admitted_action(type_: str, status: Object | None = None, **spec: Any) -> InstanceAction:
    return InstanceAction.parse(stored(an_action(type_, status=status or {}, **spec), uid="act-uid"))


def after(instance: Object, action: InstanceAction) -> Instance:
    """The Instance with the action's patch, as the API server would have it."""
    patch = instance_patch(action, parsed(instance))
    assert patch is not None
    assert patch["metadata"] == {"resourceVersion": instance["metadata"]["resourceVersion"]}
    return parsed(merged(instance, patch))


def test_a_reboot_changes_nothing_of_the_instance() -> None:
    assert instance_patch(an_admitted_action("Reboot"), parsed(a_bound_instance())) is None


def test_a_rebuild_gives_the_instance_its_new_image_and_keys_and_keeps_the_rest() -> None:
    before = a_bound_instance(image=UEFI, status={"userData": "old"})
    status = after(before, an_admitted_action("Rebuild", REBUILD)).status
    assert status.image == NEW
    assert status.key_pairs == [a_key_pair()]
    assert (status.build, status.user_data) == ("act-uid", "old")
    assert status.addresses == parsed(before).status.addresses


def test_a_rebuild_with_user_data_replaces_it() -> None:
    action = an_admitted_action("Rebuild", REBUILD, rebuild={"userData": {"inline": "#cloud-config"}})
    assert after(a_bound_instance(), action).status.user_data == "#cloud-config"


def test_a_rebuild_with_user_data_in_a_secret_notes_where_it_stands_and_not_what_it_is() -> None:
    action = an_admitted_action("Rebuild", REBUILD, rebuild={"userData": {"secretKeyRef": {"name": "a", "key": "b"}}})
    status = after(a_bound_instance(status={"userData": "old"}), action).status
    assert status.user_data is None
    assert status.user_data_from == UserDataSource(action=action.metadata.name, uid="act-uid")
    inline = an_admitted_action("Rebuild", REBUILD, rebuild={"userData": {"inline": "#new"}})
    noted = a_bound_instance(status={"userDataFrom": {"action": "before", "uid": "before-uid"}})
    assert (after(noted, inline).status.user_data, after(noted, inline).status.user_data_from) == ("#new", None)


def test_what_has_been_rebuilt_is_not_rebuilt_again() -> None:
    instance = a_bound_instance(status={"build": "act-uid"})
    assert instance_patch(an_admitted_action("Rebuild", REBUILD), parsed(instance)) is None


def test_a_rescue_is_written_once_and_ended_by_its_counterpart() -> None:
    rescued = after(a_bound_instance(), an_admitted_action("Rescue", RESCUE))
    assert rescued.status.rescue is not None
    assert (rescued.status.rescue.action, rescued.status.rescue.image) == ("act-uid", NEW)
    assert instance_patch(an_admitted_action("Rescue", RESCUE), rescued) is None
    stored_rescue = a_bound_instance(status={"rescue": {"action": "act-uid", "image": NEW.to_wire()}})
    ended = after(stored_rescue, an_admitted_action("Unrescue"))
    assert ended.status.rescue is None
    assert instance_patch(an_admitted_action("Unrescue"), ended) is None


def test_only_what_is_thrown_away_or_asked_hard_loses_its_plug_at_once() -> None:
    assert ask_of(an_admitted_action("Reboot")) == Ask("act-uid", grace=None)
    assert ask_of(an_admitted_action("Reboot", reboot={"type": "Hard"})) == Ask("act-uid", grace=0.0)
    assert ask_of(an_admitted_action("Rebuild", REBUILD)) == Ask("act-uid", grace=0.0)
    assert ask_of(an_admitted_action("Rescue", RESCUE)) == Ask("act-uid", grace=None)
    assert ask_of(an_admitted_action("Unrescue")) == Ask("act-uid", grace=None)


def test_what_is_fetched_is_what_is_booted_and_only_a_root_disk_has_a_bound() -> None:
    instance = parsed(a_bound_instance(disk="4Gi"))
    rebuild, rescue = an_admitted_action("Rebuild", REBUILD), an_admitted_action("Rescue", RESCUE)
    assert (image_of(rebuild), largest_disk(rebuild, instance)) == (NEW, 4 * GIB)
    assert (image_of(rescue), largest_disk(rescue, instance)) == (NEW, 0)
    assert image_of(an_admitted_action("Reboot")) is None


def test_a_guest_has_had_its_power_on_when_it_runs_with_it_or_is_off_and_would() -> None:
    had, other = Definition(boot="act-uid"), Definition(boot="other")
    ask = Ask("act-uid")
    assert reached(ask, Domain(OWNER, DomainState.RUNNING, defined=had, running=had))
    assert not reached(ask, Domain(OWNER, DomainState.RUNNING, defined=had, running=other))
    assert reached(ask, Domain(OWNER, DomainState.SHUT_OFF, defined=had))
    assert not reached(ask, Domain(OWNER, DomainState.SHUT_OFF, defined=other))
    assert not reached(ask, None)


def test_what_a_deleted_action_has_begun_is_owed_to_the_guest_that_runs() -> None:
    instance = a_bound_instance()
    uid = instance["metadata"]["uid"]
    old, new, rescue = names.root_disk(uid), names.root_disk(uid, "b"), names.rescue_disk(uid, "r")
    plain = parsed(instance)
    rebuilt = parsed(a_bound_instance(status={"build": "b"}))
    rescued = parsed(a_bound_instance(status={"rescue": {"action": "r", "image": NEW.to_wire()}}))

    def runs_on(*volumes: str) -> Domain:
        definition = Definition(volumes=volumes)
        return Domain(OWNER, DomainState.RUNNING, defined=definition, running=definition)

    assert owed(plain, runs_on(old)) == NOTHING
    assert owed(plain, runs_on(rescue, old)) == NOTHING
    assert owed(rebuilt, runs_on(old)) == Ask("b", grace=0.0)
    assert owed(rebuilt, runs_on(new)) == NOTHING
    assert owed(rescued, runs_on(old)) == Ask("r")
    assert owed(rescued, runs_on(rescue, old)) == NOTHING
    assert owed(rebuilt, Domain(OWNER, DomainState.SHUT_OFF, defined=Definition(volumes=(old,)))) == Ask("b", grace=0.0)
    assert owed(rebuilt, None) == NOTHING
