"""What is known of Instances is never older than what the agent itself has written."""

from typing import Any

from hypernova_agent.view import View
from hypernova_kube.reflector import Change
from hypernova_kube.resources import Key, Object, key_of
from support.guests import a_bound_instance

KEY = Key("shop", "web-1")


class Watch:
    """A reflector's objects, changed by hand."""

    def __init__(self) -> None:
        self.objects: dict[Key, Object] = {}
        self.view = View(self.objects)

    def tells(self, obj: Object) -> bool:
        old = self.objects.get(key_of(obj))
        self.objects[key_of(obj)] = obj
        return self.view.changed(Change(key_of(obj), old, obj))

    def tells_gone(self) -> None:
        self.view.changed(Change(KEY, self.objects.pop(KEY), None))


def version(number: int, **metadata: Any) -> Object:
    return a_bound_instance(metadata={"resourceVersion": str(number)} | metadata)


def test_our_own_write_is_seen_before_the_watch_tells_it() -> None:
    watch = Watch()
    watch.tells(version(9))
    watch.view.wrote(version(10))
    assert watch.view.get(KEY) == version(10)


def test_a_list_without_our_write_undoes_it() -> None:
    watch = Watch()
    watch.tells(version(9))
    watch.view.wrote(version(10))
    assert watch.view.listed() == [KEY]
    assert watch.view.get(KEY) == version(9)
    assert watch.view.listed() == []


def test_the_watch_is_believed_again_once_it_has_caught_up() -> None:
    watch = Watch()
    watch.tells(version(9))
    watch.view.wrote(version(11))
    watch.tells(version(10))
    assert watch.view.get(KEY) == version(11)
    for number in (11, 12):
        watch.tells(version(number))
        assert watch.view.get(KEY) == version(number)


def test_an_answer_that_comes_after_the_watch_has_told_more_is_dropped() -> None:
    watch = Watch()
    watch.tells(version(12))
    watch.view.wrote(version(11))
    assert watch.view.get(KEY) == version(12)


def test_what_is_gone_stays_gone_whatever_was_written() -> None:
    watch = Watch()
    watch.tells(version(9))
    watch.view.wrote(version(10))
    watch.tells_gone()
    assert watch.view.get(KEY) is None
    watch.view.wrote(version(11))
    assert watch.view.get(KEY) is None


def test_an_instance_made_anew_is_not_mistaken_for_the_one_before() -> None:
    watch = Watch()
    watch.tells(version(9, uid="old"))
    watch.view.wrote(version(20, uid="old"))
    watch.tells_gone()
    watch.tells(version(15, uid="new"))
    watch.view.wrote(version(21, uid="old"))
    assert watch.view.get(KEY) == version(15, uid="new")
    assert watch.view.key_of_uid("new") == KEY
    assert watch.view.key_of_uid("old") is None


def test_the_echo_of_our_own_write_is_no_news() -> None:
    watch = Watch()
    assert watch.tells(version(9))
    watch.view.wrote(version(10))
    assert not watch.tells(version(10))
    assert watch.tells(version(11))


def test_what_others_wrote_after_us_is_news() -> None:
    watch = Watch()
    watch.tells(version(9))
    watch.view.wrote(version(10))
    assert watch.tells(version(11))
    assert watch.view.get(KEY) == version(11)


def test_each_state_of_an_instance_is_read_once() -> None:
    watch = Watch()
    assert watch.view.instance(KEY) is None
    watch.tells(version(9))
    first = watch.view.instance(KEY)
    assert first is not None
    assert first is watch.view.instance(KEY)
    watch.view.wrote(version(10))
    second = watch.view.instance(KEY)
    assert second is not None
    assert (first.metadata.resource_version, second.metadata.resource_version) == ("9", "10")
    watch.tells_gone()
    assert watch.view.instance(KEY) is None
