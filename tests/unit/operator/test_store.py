"""The cache never goes back in time."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given
from hypothesis import strategies as st

from hypernova_kube.resources import Key
from hypernova_operator.cache.store import Store


@dataclass(frozen=True)
class Thing:
    key: Key
    version: int = field(compare=False)
    value: str


KEY = Key("default", "thing")


def thing(version: int, value: str = "", key: Key = KEY) -> Thing:
    return Thing(key, version, value or f"as of {version}")


def store_and_news() -> tuple[Store[Thing], list[tuple[str | None, str | None]]]:
    store: Store[Thing] = Store()
    news: list[tuple[str | None, str | None]] = []
    store.subscribe(lambda _key, old, new: news.append((old and old.value, new and new.value)))
    return store, news


def test_every_difference_is_told_once() -> None:
    store, news = store_and_news()
    store.put(thing(1, "a"))
    store.put(thing(1, "a"))
    store.put(thing(2, "b"))
    store.remove(KEY, 3)
    store.remove(KEY, 3)
    assert news == [(None, "a"), ("a", "b"), ("b", None)]


def test_a_change_of_nothing_that_matters_is_not_told_but_its_version_is_known() -> None:
    store, news = store_and_news()
    store.put(thing(1, "a"))
    store.put(thing(2, "a"))
    assert news == [(None, "a")]
    assert store.get(KEY).version == 2


def test_old_news_of_an_object_changes_nothing() -> None:
    store, _ = store_and_news()
    store.put(thing(5, "bound"))
    store.put(thing(4, "not bound"))
    store.remove(KEY, 4)
    assert store.get(KEY) == thing(5, "bound")


def test_an_object_that_is_gone_does_not_come_back_by_old_news() -> None:
    store, _ = store_and_news()
    store.put(thing(1))
    store.remove(KEY, 5)
    store.put(thing(4))
    assert store.get(KEY) is None


def test_a_new_object_of_the_name_of_one_that_is_gone_comes_in() -> None:
    store, news = store_and_news()
    store.put(thing(1, "first"))
    store.remove(KEY, 5)
    store.put(thing(6, "second"))
    assert news[-1] == (None, "second")


def test_a_sweep_finds_what_is_newer_or_unknown() -> None:
    store, _ = store_and_news()
    known, changed, new = (Key("", name) for name in ("known", "changed", "new"))
    store.put(thing(1, key=known))
    store.put(thing(2, key=changed))
    assert store.outdated({known: 1, changed: 4, new: 5}) == [changed, new]


def test_a_sweep_does_not_ask_for_what_was_deleted_since_it_was_listed() -> None:
    store, _ = store_and_news()
    store.remove(KEY, 7)
    assert store.outdated({KEY: 5}) == []


def test_a_sweep_removes_what_is_not_listed() -> None:
    store, news = store_and_news()
    store.put(thing(1, "a"))
    assert store.settle({}, 9) == 1
    assert news[-1] == ("a", None)


def test_a_sweep_spares_what_came_after_its_list() -> None:
    store, _ = store_and_news()
    store.put(thing(10))
    assert store.settle({}, 9) == 0
    assert store.get(KEY) is not None


def test_a_watch_that_lags_behind_a_sweep_brings_nothing_back() -> None:
    store, _ = store_and_news()
    store.put(thing(1))
    store.settle({}, 9)
    store.put(thing(5))
    assert store.get(KEY) is None


@given(
    st.lists(st.booleans(), min_size=1, max_size=12).flatmap(
        lambda exists: st.tuples(st.just(exists), st.lists(st.integers(0, len(exists) - 1), max_size=40))
    )
)
def test_in_whatever_order_news_comes_and_however_often_the_latest_counts(
    history: tuple[list[bool], list[int]],
) -> None:
    """`exists[n]` tells whether the object was there at version n+1; `heard` are the indexes in order of hearing."""
    exists, heard = history
    store, _ = store_and_news()
    for index in heard:
        version = index + 1
        if exists[index]:
            store.put(thing(version))
        else:
            store.remove(KEY, version)
    if heard:
        latest = max(heard)
        assert store.get(KEY) == (thing(latest + 1) if exists[latest] else None)
