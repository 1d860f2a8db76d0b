"""Our scheduler, timed: decide, and claim what was decided, on a table that is there, as it always is in service."""

from __future__ import annotations

import os
import random
from collections.abc import Iterator
from uuid import UUID

from hypernova_operator.scheduler import (
    Aggregate,
    Claim,
    Group,
    Host,
    HostTable,
    Placement,
    Request,
    Resources,
    decide,
)
from tests.bench.meter import resident_mib
from tests.bench.scheduler.measuring import AGGREGATES, GROUP_MEMBERS, INSTANCES_PER_HOST, Cloud, Figures, main, timed

GI = 2**30
GROUP = Group("bench/group", "AntiAffinity", 1)
IMAGES = [f"{number:064x}" for number in range(10)]


def ours(cloud: Cloud) -> Figures:
    """The figures of one cloud; `memory_mib` is what the table takes, claims included."""
    rng = random.Random(cloud.hosts)
    before = resident_mib(os.getpid())
    table = a_table(cloud, rng)
    memory = resident_mib(os.getpid()) - before
    want = a_request(group=cloud.group)

    def place(uid: str) -> Placement:
        placement = decide(table, want)
        assert isinstance(placement, Placement), placement
        table.claim(uid, Claim(placement.host, want.resources, GROUP.key if cloud.group else "", want.image))
        return placement

    def instances() -> Iterator[str]:
        for _ in range(cloud.repeats):
            uid = new_uid(rng)
            yield uid
            if cloud.group:
                table.release(uid)  # the group keeps its size

    first = new_uid(rng)
    passing = place(first).passed
    table.release(first)
    return {"passing_hosts": passing, "memory_mib": memory, **timed("decision", place, instances())}


def new_uid(rng: random.Random) -> str:
    """As Kubernetes writes them."""
    return str(UUID(int=rng.getrandbits(128)))


def a_table(cloud: Cloud, rng: random.Random) -> HostTable:
    """Hosts that all pass, unevenly filled."""
    aggregates = [Aggregate(f"aggregate-{number}") for number in range(AGGREGATES)]
    zones = AGGREGATES // 2
    table = HostTable()
    for number in range(cloud.hosts):
        name = f"node-{number:05}"
        table.put(a_host(name, f"az{number % zones}", tuple(aggregates[number % zones :: zones])))
        for instance in range(INSTANCES_PER_HOST):
            member = cloud.group and number < GROUP_MEMBERS and instance == 0
            table.claim(new_uid(rng), a_claim(name, rng, group=GROUP.key if member else ""))
    return table


def a_host(name: str, zone: str, aggregates: tuple[Aggregate, ...]) -> Host:
    """64 CPUs, 256 GiB, 4,000 GiB, overcommitted as Nova's are."""
    return Host(
        name,
        labelled=True,
        trouble="",
        maintenance=False,
        disabled="",
        total=Resources(16 * 64, 256 * GI * 3 // 2, 4000 * GI),
        zones=(zone,),
        aggregates=aggregates,
        architecture="x86_64",
        domain_type="kvm",
        qemu_version=7_002_000,
    )


def a_claim(host: str, rng: random.Random, *, group: str) -> Claim:
    """An Instance of 1 to 4 CPUs."""
    vcpus = rng.randint(1, 4)
    return Claim(host, Resources(vcpus, 2 * GI * vcpus, 20 * GI * vcpus), group, rng.choice(IMAGES))


def a_request(*, group: bool) -> Request:
    """An m1.small."""
    return Request(
        1,
        2 * GI,
        20 * GI,
        image=IMAGES[0],
        architecture="x86_64",
        domain_type="kvm",
        group=GROUP if group else None,
    )


if __name__ == "__main__":
    main(ours)
