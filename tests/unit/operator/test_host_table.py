"""Claims and capacity under anything that can happen."""

from __future__ import annotations

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, rule

from hypernova_operator.scheduler import Claim, HostTable, Placement, Refusal, Resources, decide
from support.scheduling import GI, a_host, a_table, a_want

SMALL = a_want(vcpus=1, memory=GI, disk=GI).resources


def free(table: HostTable, name: str) -> Resources:
    host = next(host for host in table if host.name == name)
    return host.total - table.claimed(name)


def test_claiming_again_changes_nothing() -> None:
    table = a_table(a_host("a", vcpus=4))
    table.claim("uid", "a", SMALL)
    table.claim("uid", "a", SMALL)
    assert table.claimed("a") == SMALL


def test_claiming_elsewhere_moves_the_claim() -> None:
    table = a_table(a_host("a"), a_host("b"))
    table.claim("uid", "a", SMALL)
    table.claim("uid", "b", SMALL)
    assert table.claim_of("uid") == Claim("b", SMALL)
    assert table.claimed("a") == Resources()


def test_releasing_again_changes_nothing() -> None:
    table = a_table(a_host("a"))
    table.claim("uid", "a", SMALL)
    assert table.release("uid")
    assert not table.release("uid")
    assert table.claimed("a") == Resources()


def test_a_claim_may_come_before_its_host() -> None:
    table = HostTable()
    table.claim("uid", "a", SMALL)
    table.put(a_host("a", vcpus=1))
    assert isinstance(decide(table, a_want()), Refusal)


def test_claims_outlive_their_host() -> None:
    table = a_table(a_host("a", vcpus=1))
    table.claim("uid", "a", SMALL)
    table.remove("a")
    table.put(a_host("a", vcpus=1))
    assert isinstance(decide(table, a_want()), Refusal)


def test_claims_of_nothing_can_be_released_in_any_order() -> None:
    table = a_table(a_host("a"))
    for uid in ("1", "2"):
        table.claim(uid, "a", Resources())
    assert table.release("1")
    assert table.release("2")


def test_the_table_grows_with_its_hosts() -> None:
    table = a_table(*(a_host(f"node-{number:03}", memory=number * GI) for number in range(1, 101)))
    assert decide(table, a_want()) == Placement("node-100", considered=100, passed=100, weight=1.0)


class Cloud(RuleBasedStateMachine):
    """Instances come and go, hosts come, change and go."""

    uids = Bundle("uids")

    def __init__(self) -> None:
        super().__init__()
        self.table = HostTable()
        self.placed: dict[str, tuple[str, Resources]] = {}
        self.count = 0

    @rule(
        name=st.sampled_from("abcdef"),
        vcpus=st.integers(0, 8),
        memory=st.integers(0, 8),
        disk=st.integers(0, 8),
        usable=st.booleans(),
    )
    def host_changes(self, name: str, vcpus: int, memory: int, disk: int, usable: bool) -> None:
        claimed = self.table.claimed(name)
        # A host may shrink below its claims; nothing can be promised of it then but that it gets no more.
        self.table.put(
            a_host(
                name,
                trouble="" if usable else "no heartbeat",
                vcpus=max(vcpus, claimed.vcpus),
                memory=max(memory, claimed.memory),
                disk=max(disk, claimed.disk),
            )
        )

    @rule(name=st.sampled_from("abcdef"))
    def host_leaves(self, name: str) -> None:
        self.table.remove(name)

    @rule(target=uids, vcpus=st.integers(1, 4), memory=st.integers(1, 4), disk=st.integers(0, 4))
    def instance_comes(self, vcpus: int, memory: int, disk: int) -> str:
        want = a_want(vcpus, memory, disk)
        fitting = {
            host.name
            for host in self.table
            if not host.trouble
            and all(
                left >= needed
                for left, needed in zip(_amounts(free(self.table, host.name)), _amounts(want.resources), strict=True)
            )
        }
        decision = decide(self.table, want)
        self.count += 1
        uid = f"uid-{self.count}"
        if isinstance(decision, Refusal):
            assert not fitting, "one that could be placed was not"
            assert sum(verdict.hosts for verdict in decision.verdicts) == decision.considered == len(self.table)
        else:
            assert decision.host in fitting
            assert decision.passed == len(fitting)
            self.table.claim(uid, decision.host, want.resources)
            self.placed[uid] = (decision.host, want.resources)
        return uid

    @rule(uid=consumes(uids))
    def instance_goes(self, uid: str) -> None:
        assert self.table.release(uid) == (uid in self.placed)
        self.placed.pop(uid, None)

    @rule(uid=uids)
    def its_bind_is_seen_once_more(self, uid: str) -> None:
        if uid in self.placed:
            self.table.claim(uid, *self.placed[uid])

    @invariant()
    def no_host_is_beyond_its_capacity(self) -> None:
        for host in self.table:
            assert min(_amounts(free(self.table, host.name))) >= 0

    @invariant()
    def the_books_are_right(self) -> None:
        for name in "abcdef":
            claims = [resources for host, resources in self.placed.values() if host == name]
            assert self.table.claimed(name) == sum(claims, start=Resources())


def _amounts(resources: Resources) -> tuple[int, int, int]:
    return resources.vcpus, resources.memory, resources.disk


Cloud.TestCase.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)
TestCloud = Cloud.TestCase
