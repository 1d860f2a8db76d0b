"""Every prefix of every plan: an agent that dies anywhere ends where one that lives would have, and does nothing twice.

From every kind of guest to everything that can be asked of one, over a host in memory, with the agent's own executor.
"""

import copy
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from hypernova_agent import names
from hypernova_agent.ask import Ask
from hypernova_agent.capacity import Room
from hypernova_agent.desired import Desired, Guest, Nic
from hypernova_agent.execute import Executor
from hypernova_agent.guest_config import HostProfile
from hypernova_agent.host import DomainState, HostError, Reservation, Run
from hypernova_agent.images.store import CachedImage, ImageStore
from hypernova_agent.memory import Backoffs, Memory, Moment
from hypernova_agent.observed import observe
from hypernova_agent.plan import plan
from hypernova_agent.steps import Change, RemoveFinalizer, Step, Wait
from hypernova_api.instance import BoundImage, BoundRescue
from support.guests import GIB, OWNER, RESERVATION, UID, a_bound_image, a_guest
from support.memory_host import Machine, MemoryHost, MemoryVolume
from support.secrets import Secrets

ACTION, EARLIER = "7a0c0d1e-0000-4000-8000-00000000ac71", "7a0c0d1e-0000-4000-8000-000000000001"
PROFILE = HostProfile("kvm", "x86_64", disk=64 * GIB, cpus=64, memory=64 * GIB)
START_OF_TIME = datetime(2026, 11, 21, tzinfo=UTC)
SECOND = Reservation(mac="52:54:00:00:01:07", ip="10.60.1.7", hostname="web-1.shop.net1")

GUEST = a_guest()
LAUNCHED = replace(GUEST, launched=True)
TWO_CARDS = replace(LAUNCHED, nics=(Nic(RESERVATION), Nic(SECOND, up=False)))
LARGER = replace(a_guest(vcpus=4, memory=4 * GIB, disk=8 * GIB), launched=True)
OTHER = replace(LAUNCHED, cpu_model="EPYC")
REBUILT = replace(LAUNCHED, image=a_bound_image("debian-13"), build=ACTION)
RESCUED = replace(LAUNCHED, rescue=BoundRescue(action=ACTION, image=a_bound_image("rescue")))
RESCUED_BEFORE = replace(LAUNCHED, rescue=BoundRescue(action=EARLIER, image=a_bound_image("rescue")))


class ReadyImages(ImageStore):
    """Images that are there as soon as somebody asks for them."""

    def __init__(self, host: MemoryHost) -> None:
        self._memory_host = host

    async def find(self, sha256: str) -> CachedImage | None:
        return CachedImage(names.image(sha256), "qcow2", GIB)

    async def ensure(self, image: BoundImage, limit: int) -> CachedImage:
        self._memory_host.machine.volumes[names.image(image.sha256)] = MemoryVolume()
        return CachedImage(names.image(image.sha256), "qcow2", GIB)


class Crash(Exception):
    """The agent dies."""


@dataclass(slots=True)
class Agent:
    """One that follows plans until there is nothing left to do, or dies after a number of steps."""

    machine: Machine
    lives_for: int = 1000
    now: float = 0.0
    steps: list[Step] = field(default_factory=list)
    gone: bool = False
    """The Instance's object, with its last finalizer."""

    async def bring(self, desired: Desired) -> None:
        host, memory, backoffs = MemoryHost(self.machine), Memory(), Backoffs()
        await host.connect(lambda _: None, lambda _: None)
        executor = Executor(host, ReadyImages(host), PROFILE, self._remove_finalizer, Secrets().fetch)
        executor.set_room(Room(vcpus=64, memory=64 * GIB, disk=64 * GIB))
        for _ in range(60):
            now = Moment(self.now, START_OF_TIME + timedelta(seconds=self.now))
            seen = await observe(host, desired, await host.domain(UID))
            observed, _ = memory.complete(seen, desired, now, backoffs)
            steps = plan(desired, observed)
            for step in steps:
                if isinstance(step, Wait):
                    self.now = step.until
                    break
                memory.about_to(step, now)
                try:
                    await executor.run(step)
                except HostError:
                    if not isinstance(step, Change):
                        raise
                    memory.was_refused(step, now)
                else:
                    memory.has_done(step, now)
                self.steps.append(step)
                if self.gone:
                    return
                if len(self.steps) == self.lives_for:
                    raise Crash
            if not steps:
                return
        raise AssertionError(f"no end: {steps}")

    async def _remove_finalizer(self, _: RemoveFinalizer) -> None:
        assert not self.machine.domains, "the finalizer must not go before the domain"
        left = [name for name in self.machine.volumes if names.is_of(UID, name)]
        assert not left, "the finalizer must not go before the volumes"
        assert not self.machine.reservations, "the finalizer must not go before the addresses"
        self.gone = True


def wants(power_state: Any = "Running", guest: Guest = LAUNCHED, **parts: Any) -> Desired:
    return Desired(**{"owner": OWNER, "power_state": power_state, "grace": 30.0, "guest": guest} | parts)


def asked(guest: Guest = LAUNCHED, power_state: Any = "Running", **parts: Any) -> Desired:
    return wants(power_state, guest, ask=Ask(ACTION, 0.0), **parts)


def _ends(machine: Machine, state: DomainState) -> None:
    machine.domains[UID].state, machine.domains[UID].running = state, None


HAVE: dict[str, list[Desired]] = {
    "nothing": [],
    "running": [wants(guest=GUEST)],
    "stopped": [wants("Stopped", GUEST)],
    "paused": [wants("Paused", GUEST)],
    "suspended": [wants(guest=GUEST), wants("Suspended")],
    "running, not to be started again": [wants(guest=GUEST, restart_policy="Never")],
    "with two network cards": [wants(guest=replace(TWO_CARDS, launched=False))],
    "rescued": [wants(guest=GUEST), wants(guest=RESCUED_BEFORE, ask=Ask(EARLIER, 0.0))],
    "larger": [wants(guest=replace(LARGER, launched=False))],
}
WANT: dict[str, Desired] = {
    "running": wants(),
    "stopped": wants("Stopped"),
    "stopped at once": wants("Stopped", grace=0.0),
    "paused": wants("Paused"),
    "suspended": wants("Suspended"),
    "never started again": wants(restart_policy="Never"),
    "deleted": wants(deleting=True),
    "deleted at once": wants(deleting=True, grace=0.0),
    "rebooted": asked(),
    "rebooted softly": wants(ask=Ask(ACTION)),
    "rebooted, not to be started again": asked(restart_policy="Never"),
    "rebuilt": asked(REBUILT),
    "rebuilt and off": asked(REBUILT, "Stopped"),
    "rescued": asked(RESCUED),
    "larger": wants(guest=LARGER),
    "larger and rebooted": asked(LARGER),
    "another machine, rebooted": asked(OTHER),
    "with two network cards": wants(guest=TWO_CARDS),
}


async def a_machine(having: list[Desired]) -> Machine:
    """One that has been brought where an agent brings it. Guests mind their power buttons, but slowly: never."""
    machine = Machine()
    for desired in having:
        await Agent(machine).bring(desired)
    return machine


def adapted(desired: Desired, having: list[Desired]) -> Desired:
    """Nothing has been launched where there is nothing."""
    guest = cast("Guest", desired.guest)
    return desired if having else replace(desired, guest=replace(guest, launched=False))


def told(machine: Machine) -> dict[str, Any]:
    """All of a machine that matters in the end, starts and boots among it: none is to happen twice."""
    domain = machine.domains.get(UID)
    return {
        "domain": domain and (domain.state, domain.defined, domain.running, domain.saved, domain.run),
        "starts": domain and (domain.starts, domain.boots),
        "volumes": {name: volume.capacity for name, volume in machine.volumes.items() if not names.is_image(name)},
        "reservations": machine.reservations,
    }


@pytest.mark.parametrize("want", WANT)
@pytest.mark.parametrize("have", HAVE)
async def test_a_crash_after_any_step_ends_where_none_would_have(have: str, want: str) -> None:
    desired, start = adapted(WANT[want], HAVE[have]), await a_machine(HAVE[have])
    whole = Agent(copy.deepcopy(start))
    await whole.bring(desired)
    for count in range(1, len(whole.steps) + 1):
        agent = Agent(copy.deepcopy(start), lives_for=count)
        with suppress(Crash):
            await agent.bring(desired)
        if not agent.gone:
            await Agent(agent.machine).bring(desired)
        assert told(agent.machine) == told(whole.machine), f"after {whole.steps[:count]}"


STATES: dict[str, Any] = {
    "Running": [(DomainState.RUNNING, False)],
    "Stopped": [(DomainState.SHUT_OFF, False)],
    "Paused": [(DomainState.PAUSED, False)],
    # A guest that is off has nothing to put on disk.
    "Suspended": [(DomainState.SHUT_OFF, True), (DomainState.SHUT_OFF, False)],
}


@pytest.mark.parametrize("then", STATES)
@pytest.mark.parametrize("first", STATES)
@pytest.mark.parametrize("have", HAVE)
async def test_the_last_of_several_edits_wins_wherever_the_first_was_left(have: str, first: Any, then: Any) -> None:
    # Never: whoever takes a stop of ours for the guest's own end would leave it off.
    having, start = HAVE[have], await a_machine(HAVE[have])
    guest = cast("Guest", having[-1].guest) if having else GUEST
    guest = replace(guest, launched=bool(having))
    whole = Agent(copy.deepcopy(start))
    await whole.bring(wants(first, guest, restart_policy="Never"))
    for count in range(1, len(whole.steps) + 1):
        agent = Agent(copy.deepcopy(start), lives_for=count)
        with suppress(Crash):
            await agent.bring(wants(first, guest, restart_policy="Never"))
        await Agent(agent.machine).bring(wants(then, guest, restart_policy="Never"))
        domain = agent.machine.domains[UID]
        assert (domain.state, domain.saved is not None) in STATES[then]


@pytest.mark.parametrize("state", [DomainState.SHUT_OFF, DomainState.CRASHED])
@pytest.mark.parametrize(
    ("policy", "restarted"),
    [
        ("Always", {DomainState.SHUT_OFF, DomainState.CRASHED}),
        ("OnFailure", {DomainState.CRASHED}),
        ("Never", set()),
    ],
)
async def test_what_becomes_of_a_guest_that_ended_by_itself_is_known_to_an_agent_that_did_not_see_it(
    policy: Any, restarted: set[DomainState], state: DomainState
) -> None:
    machine = await a_machine([wants(guest=GUEST, restart_policy=policy)])
    _ends(machine, state)
    for _ in range(3):
        await Agent(machine).bring(wants(restart_policy=policy))
    domain = machine.domains[UID]
    assert (domain.state is DomainState.RUNNING) == (state in restarted)
    assert domain.boots == (2 if state in restarted else 1)


@pytest.mark.parametrize("policy", ["OnFailure", "Never"])
async def test_one_that_stays_off_runs_again_by_stop_and_start_or_by_a_reboot(policy: Any) -> None:
    for again in ([wants("Stopped", restart_policy=policy)], [asked(restart_policy=policy)]):
        machine = await a_machine([wants(guest=GUEST, restart_policy=policy)])
        _ends(machine, DomainState.SHUT_OFF)
        for desired in (wants(restart_policy=policy), *again, wants(restart_policy=policy)):
            await Agent(machine).bring(desired)
        assert machine.domains[UID].state is DomainState.RUNNING
        assert machine.domains[UID].run is Run.BEGUN


async def test_a_rebuild_leaves_nothing_of_what_was_before() -> None:
    machine = await a_machine([wants(guest=GUEST), asked(REBUILT)])
    own = {name for name in machine.volumes if names.is_of(UID, name)}
    assert own == {names.root_disk(UID, ACTION), names.config_drive(UID, ACTION), names.console_log(UID)}


async def test_a_rescued_guest_finds_its_own_disk_second_and_an_unrescued_one_nothing_of_the_rescue() -> None:
    machine = await a_machine([wants(guest=GUEST), asked(RESCUED)])
    rescue, root = names.rescue_disk(UID, ACTION), names.root_disk(UID)
    assert machine.domains[UID].defined.volumes == (rescue, root, names.config_drive(UID))
    await Agent(machine).bring(wants(ask=Ask(EARLIER, 0.0)))
    assert machine.domains[UID].defined.volumes == (root, names.config_drive(UID))
    assert rescue not in machine.volumes


async def test_a_guest_is_given_what_it_can_take_without_being_started_anew() -> None:
    small = a_guest(vcpus=1, memory=2 * GIB)
    machine = await a_machine([wants(guest=small), wants(guest=replace(LARGER, launched=True))])
    domain = machine.domains[UID]
    assert domain.running is not None
    assert (domain.running.vcpus, domain.running.memory, domain.boots) == (4, 4 * GIB, 1)
    assert machine.volumes[names.root_disk(UID)].capacity == 8 * GIB
