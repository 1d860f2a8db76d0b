"""What Instances use of quotas, and who is told that it would be too much."""

from __future__ import annotations

import random
from typing import Any

import pytest

from hypernova_api.meta import CREATED_BY
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import Cache
from hypernova_operator.cache.records import Amount
from hypernova_operator.controllers.ledger import Ledger
from hypernova_operator.controllers.quotas import Charge, Quotas
from hypernova_operator.controllers.waiting import Named, Share
from support.builders import a_namespace, a_quota, an_instance
from support.caches import a_cache, sees, sees_gone

GI = 2**30
ONE = Amount(1, 1, GI, 10 * GI)
SHARED = {"matchLabels": {"project": "web"}}


def quotas(*objects: Object) -> tuple[Cache, Quotas]:
    cache = Cache()
    books = Quotas(cache)
    sees(cache, *objects)
    return cache, books


def a_charge(namespace: str = "shop", user: str = "alice", **amounts: int) -> Charge:
    return Charge(namespace, user, ONE._replace(**amounts))


def fill(books: Quotas, number: int, **parts: Any) -> None:
    for _ in range(number):
        books.charge(f"uid-{random.random()}", a_charge(**parts))


def told(books: Quotas, charge: Charge) -> str:
    unmet = books.exceeded(charge)
    return unmet.message if unmet else ""


def test_a_quota_is_used_up_to_its_limit_and_not_beyond() -> None:
    _, books = quotas(a_quota("default", "shop", hard={"instances": 10}))
    fill(books, 9)
    assert told(books, a_charge()) == ""
    fill(books, 1)
    unmet = books.exceeded(a_charge())
    assert unmet is not None
    assert unmet.reason == "QuotaExceeded"
    assert unmet.message == (
        "ComputeQuota shop/default allows 10 instances, 10 are used and this one needs 1; delete some or ask for more"
    )
    assert unmet.needs == {Share(Key("shop", "default"), "", ONE)}
    assert told(books, a_charge("other")) == "", "it is nobody else's"


@pytest.mark.parametrize(
    ("hard", "words"),
    [
        ({"vcpus": 3}, "allows 3 vCPUs, 2 are used and this one needs 2"),
        ({"memory": "5Gi"}, "allows 5Gi of memory, 4Gi are used and this one needs 2Gi"),
        ({"disk": "1Gi"}, "allows 1Gi of disk, 20Gi are used and this one needs 10Gi"),
        ({"instances": 0}, "allows 0 instances, 2 are used and this one needs 1"),
        ({"instances": 1, "vcpus": 1}, "allows 1 instance, 2 are used and this one needs 1"),
    ],
)
def test_what_is_lacking_is_told_with_numbers(hard: Object, words: str) -> None:
    _, books = quotas(a_quota("limits", "shop", hard=hard))
    fill(books, 2, vcpus=1, memory=2 * GI)
    assert words in told(books, a_charge(vcpus=2, memory=2 * GI))


def test_who_needs_none_of_what_is_lacking_is_not_in_its_way() -> None:
    _, books = quotas(a_quota("limits", "shop", hard={"disk": "5Gi"}))
    fill(books, 1)
    assert told(books, a_charge(disk=0)) == ""


def test_a_quota_without_limits_limits_nothing() -> None:
    _, books = quotas(a_quota("limits", "shop", hard={}))
    fill(books, 50)
    assert told(books, a_charge()) == ""


def test_each_user_has_a_share_of_their_own() -> None:
    _, books = quotas(a_quota("limits", "shop", hard={}, perUser={"instances": 2}))
    fill(books, 2, user="alice")
    assert told(books, a_charge(user="alice")) == (
        "ComputeQuota shop/limits allows each user 2 instances, 2 are used by alice and this one needs 1; delete some "
        "or ask for more"
    )
    assert told(books, a_charge(user="bob")) == ""
    fill(books, 2, user="")
    assert "used by somebody unknown" in told(books, a_charge(user="")), "who is not known is not free of limits"


def test_all_quotas_that_cover_a_namespace_hold() -> None:
    cache, books = quotas(
        a_namespace("shop", {"project": "web"}),
        a_namespace("shop-test", {"project": "web"}),
        a_namespace("other"),
        a_quota("own", "shop", hard={"instances": 3}),
        a_quota("project", "admin", hard={"instances": 4}, namespaceSelector=SHARED),
    )
    fill(books, 2, namespace="shop")
    fill(books, 1, namespace="shop-test")
    fill(books, 9, namespace="other")
    assert told(books, a_charge("shop")) == ""
    fill(books, 1, namespace="shop-test")
    assert "admin/project allows 4 instances, 4 are used" in told(books, a_charge("shop"))
    sees(cache, a_quota("project", "admin", hard={"instances": 9}, namespaceSelector=SHARED))
    fill(books, 1, namespace="shop")
    assert "shop/own allows 3 instances" in told(books, a_charge("shop"))
    assert told(books, a_charge("shop-test")) == ""


def test_a_namespace_comes_to_a_project_with_all_that_it_uses_and_leaves_with_it() -> None:
    project = a_quota("project", "admin", hard={"instances": 3}, namespaceSelector=SHARED)
    cache, books = quotas(a_namespace("shop", {"project": "web"}), a_namespace("late"), project)
    fill(books, 1, namespace="shop")
    fill(books, 2, namespace="late")
    assert told(books, a_charge("shop")) == ""
    sees(cache, a_namespace("late", {"project": "web"}))
    assert "3 are used" in told(books, a_charge("shop"))
    sees_gone(cache, a_namespace("late"))
    assert told(books, a_charge("shop")) == ""


def test_where_several_namespaces_share_a_quota_one_that_was_not_seen_yet_waits() -> None:
    project = a_quota("project", "admin", hard={"instances": 3}, namespaceSelector=SHARED)
    cache, books = quotas(project)
    unmet = books.exceeded(a_charge("shop"))
    assert unmet is not None
    assert (unmet.reason, unmet.needs) == ("NamespaceNotFound", {Named("Namespace", Key("", "shop"))})
    sees(cache, a_namespace("shop"))
    assert books.exceeded(a_charge("shop")) is None


def test_a_quota_that_comes_late_counts_what_is_used_already_and_one_that_goes_limits_nothing() -> None:
    cache, books = quotas()
    fill(books, 5)
    assert told(books, a_charge()) == ""
    sees(cache, a_quota("limits", "shop", hard={"instances": 5}))
    assert "5 are used" in told(books, a_charge())
    sees_gone(cache, a_quota("limits", "shop"))
    assert told(books, a_charge()) == ""


def test_an_instance_counts_once_however_often_it_is_told_of() -> None:
    _, books = quotas(a_quota("limits", "shop", hard={"vcpus": 5}))
    for _ in range(3):
        books.charge("uid", a_charge(vcpus=2))
    books.charge("uid", a_charge(vcpus=3))
    assert "3 are used" in told(books, a_charge(vcpus=3))
    assert books.discharge("uid")
    assert not books.discharge("uid")
    assert told(books, a_charge(vcpus=5)) == ""


@pytest.mark.parametrize("seed", range(20))
def test_sums_are_those_of_the_charges_whatever_happened_before(seed: int) -> None:
    rng = random.Random(seed)
    project = a_quota("project", "admin", hard={}, namespaceSelector=SHARED)
    cache, books = quotas(a_quota("own", "a", hard={}), project)
    charges: dict[str, Charge] = {}
    members: set[str] = set()
    for _ in range(200):
        uid, namespace = f"uid-{rng.randrange(20)}", rng.choice("abc")
        match rng.randrange(4):
            case 0 | 1:
                charges[uid] = a_charge(namespace, rng.choice(["alice", "bob"]), vcpus=rng.randrange(1, 9))
                books.charge(uid, charges[uid])
            case 2:
                assert books.discharge(uid) == (charges.pop(uid, None) is not None)
            case 3:
                (members.add if rng.random() < 0.5 else members.discard)(namespace)
                sees(cache, a_namespace(namespace, {"project": "web"} if namespace in members else {}))
        for quota in cache.quotas.store:
            covered = members if quota.selector else {"a"}
            tally = books.used(quota)
            inside = [charge for charge in charges.values() if charge.namespace in covered]
            assert tally.total.vcpus == sum(charge.amount.vcpus for charge in inside)
            assert tally.total.instances == len(inside)
            assert set(tally.users) == {charge.user for charge in inside}


def test_a_bound_instance_uses_its_whole_size_wherever_on_the_host_that_comes_from() -> None:
    flavor = {
        "name": "pinned",
        "vcpus": 4,
        "memory": "8Gi",
        "rootDisk": "10Gi",
        "cpu": {"policy": "Dedicated"},
        "hugePageSize": "1Gi",
    }
    instance = an_instance(
        namespace="shop", annotations={CREATED_BY: "alice"}, status={"nodeName": "node-a", "flavor": flavor}
    )
    cache = a_cache(a_quota("limits", "shop"))
    ledger = Ledger(cache, lambda: None)
    sees(cache, a_quota("limits", "shop", hard={"vcpus": 5}), instance)
    (quota,) = ledger.quotas.covering("shop")
    tally = ledger.quotas.used(quota)
    assert tally.total == Amount(1, 4, 8 * GI, 10 * GI)
    assert tally.users == {"alice": tally.total}
    claim = ledger.table.claimed("node-a")
    assert (claim.vcpus, claim.memory) == (0, 0), "of the shared CPUs and of ordinary memory it takes nothing"
    sees_gone(cache, instance)
    assert ledger.quotas.used(quota).total == Amount()
