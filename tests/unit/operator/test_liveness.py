"""An agent lives for as long as its Lease is renewed, by our own clock."""

from __future__ import annotations

import pytest

from hypernova_kube.reflector import Change
from hypernova_kube.resources import Key, Object
from hypernova_operator.cache import Cache
from hypernova_operator.cache.liveness import Liveness
from support.builders import a_hypervisor, a_hypervisor_status, a_node, stored


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def a_lease(renewed: str) -> Object:
    spec = {"holderIdentity": "node-a", "leaseDurationSeconds": 40, "acquireTime": "long ago", "renewTime": renewed}
    return {"metadata": {"namespace": "hypernova-system", "name": "hypervisor-node-a"}, "spec": spec}


KEY = Key("hypernova-system", "hypervisor-node-a")


def test_a_host_lives_from_a_renewal_until_its_duration_is_over() -> None:
    cache, clock = Cache(), Clock()
    liveness = Liveness(cache.hosts, clock)
    cache.nodes.put(stored(a_node()))
    cache.hypervisors.put(stored(a_hypervisor(status=a_hypervisor_status())))

    def trouble() -> str:
        return cache.hosts.get("node-a").trouble

    def sees(old: str | None, new: str | None) -> None:
        liveness.on_change(Change(KEY, old and a_lease(old), new and a_lease(new)))

    sees(None, "1")
    assert trouble() == "no heartbeat", "it may have been renewed last a year ago"
    clock.now = 10
    sees("1", "2")
    assert trouble() == ""
    clock.now = 49
    liveness.look()
    assert trouble() == ""
    clock.now = 50
    liveness.look()
    assert trouble() == "no heartbeat"
    sees("2", "3")
    assert trouble() == ""
    sees("3", None)
    assert trouble() == "no heartbeat"
    liveness.look()
    assert trouble() == "no heartbeat"


@pytest.mark.parametrize("hour", [9, 13], ids=["hours-behind", "hours-ahead"])
def test_an_agent_whose_clock_is_wrong_lives_while_it_renews_and_no_longer(hour: int) -> None:
    """Ours says 11:00, and is not asked."""
    cache, clock = Cache(), Clock()
    liveness = Liveness(cache.hosts, clock)
    cache.nodes.put(stored(a_node()))
    cache.hypervisors.put(stored(a_hypervisor(status=a_hypervisor_status())))
    old = None
    for second in range(0, 50, 10):
        clock.now = second
        new = a_lease(f"2026-11-21T{hour:02}:00:{second:02}.000000Z")
        liveness.on_change(Change(KEY, old, new))
        old = new
    clock.now = 79
    liveness.look()
    assert cache.hosts.get("node-a").trouble == ""
    assert not liveness.is_lost("node-a")
    clock.now = 80
    liveness.look()
    assert cache.hosts.get("node-a").trouble == "no heartbeat"


def test_of_an_agent_that_was_heard_of_once_nothing_is_sure_until_it_is_heard_again_or_stays_silent() -> None:
    clock = Clock()
    liveness = Liveness(Cache().hosts, clock)
    assert liveness.sure.is_set()
    liveness.on_change(Change(KEY, None, a_lease("1")))
    liveness.look()
    assert not liveness.sure.is_set()
    clock.now = 40
    liveness.look()
    assert liveness.sure.is_set(), "it is dead"
    liveness.on_change(Change(KEY, a_lease("1"), a_lease("2")))
    liveness.look()
    assert liveness.sure.is_set(), "it lives"
