"""The authority is made once, and put back as it was."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from prometheus_client import CollectorRegistry

from hypernova_api.certificates import AUTHORITY, BUNDLE_KEY
from hypernova_kube.errors import AlreadyExists
from hypernova_kube.resources import Key
from hypernova_operator.controllers.signing.authority import LIFETIME, BrokenAuthority, new_authority
from hypernova_operator.controllers.signing.keeping import CONFIG_MAPS, SECRETS, Keeper
from hypernova_operator.metrics import Metrics
from support.fake_api import FakeApi, Trouble

NOW = datetime(2030, 1, 1, tzinfo=UTC)
KEY = Key("hn", AUTHORITY)


class Clock:
    def __init__(self) -> None:
        self.now = NOW

    def __call__(self) -> datetime:
        return self.now


def a_keeper(api: FakeApi, clock: Clock | None = None, **other: Any) -> Keeper:
    return Keeper(api.client(**other), KEY.namespace, Metrics(CollectorRegistry()), wall_clock=clock or Clock())


def trusted(api: FakeApi) -> dict[str, str]:
    data: dict[str, str] = api.find(CONFIG_MAPS, KEY)["data"]
    return data


async def test_it_is_made_once_and_all_are_told() -> None:
    api, changes = FakeApi(), []
    keeper = a_keeper(api)
    keeper.subscribe(lambda: changes.append(1))
    await keeper.keep()
    first = keeper.authority
    assert first is not None
    await keeper.keep()
    assert trusted(api) == {BUNDLE_KEY: first.bundle}
    assert keeper.authority is first
    assert changes == [1]
    assert api.requests.count("create") == 2
    assert "patch" not in api.requests


async def test_a_leader_after_it_takes_it_over() -> None:
    api = FakeApi()
    one, two = a_keeper(api), a_keeper(api)
    await one.keep()
    await two.keep()
    assert one.authority is not None
    assert two.authority is not None
    assert one.authority.bundle == two.authority.bundle


async def test_who_comes_second_in_a_race_takes_the_first_ones() -> None:
    api, first = FakeApi(), new_authority(NOW)

    def trouble(verb: str) -> Trouble | None:
        if verb == "create" and not api.stored:
            api.put(SECRETS, first.secret(KEY.namespace))
            return Trouble(refused=AlreadyExists(409, "AlreadyExists", "there is one"))
        return None

    keeper = a_keeper(api, trouble=trouble)
    await keeper.keep()
    assert trusted(api) == {BUNDLE_KEY: first.bundle}


@pytest.mark.parametrize("data", [{}, {BUNDLE_KEY: "mine"}, {"other.crt": "mine"}], ids=["emptied", "changed", "more"])
async def test_whom_to_trust_is_put_right(data: dict[str, str]) -> None:
    api = FakeApi()
    keeper = a_keeper(api)
    await keeper.keep()
    before = trusted(api)
    api.put(CONFIG_MAPS, api.find(CONFIG_MAPS, KEY) | {"data": data})
    await keeper.keep()
    assert trusted(api) == before


async def test_a_secret_that_was_replaced_is_another_authority() -> None:
    api, other, changes = FakeApi(), new_authority(NOW), []
    keeper = a_keeper(api)
    keeper.subscribe(lambda: changes.append(1))
    await keeper.keep()
    api.put(SECRETS, other.secret(KEY.namespace))
    await keeper.keep()
    assert keeper.authority is not None
    assert keeper.authority.bundle == other.bundle == trusted(api)[BUNDLE_KEY]
    assert changes == [1, 1]


async def test_a_secret_that_is_none_is_left_alone() -> None:
    api = FakeApi()
    api.put(SECRETS, {"metadata": {"name": AUTHORITY, "namespace": "hn"}, "data": {}})
    keeper = a_keeper(api)
    with pytest.raises(BrokenAuthority, match=r"tls\.crt"):
        await keeper.keep()
    assert keeper.authority is None
    assert api.find(SECRETS, KEY)["data"] == {}


async def test_an_authority_that_has_ended_signs_no_more_and_says_what_to_do() -> None:
    api, clock = FakeApi(), Clock()
    keeper = a_keeper(api, clock)
    await keeper.keep()
    clock.now += LIFETIME + timedelta(seconds=1)
    assert keeper.authority is None
    with pytest.raises(BrokenAuthority, match="delete the Secret hypernova-ca"):
        await keeper.keep()
