"""OpenStack Nova's own scheduler, timed without a cloud around it. Runs in the environment of `nova_environment`.

HostManager, HostStates, filters, weighers and all objects are Nova's, with its defaults. Only what it would read from
its database is handed to it, and every claim in placement is granted: neither takes any of the time, here. In service
they come on top. Two times are taken:

- the decision: filter, weigh, pick the best and consume its resources, on HostStates that are there;
- the whole of `_schedule()`: what Nova does for each request, with HostStates made anew, the allocation candidates
  copied, and alternates named.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from unittest import mock

import nova.conf
from nova import config, context, objects, servicegroup
from nova.scheduler import host_manager, manager, utils

from tests.bench.scheduler.measuring import (
    AGGREGATES,
    GROUP_MEMBERS,
    INSTANCES_PER_HOST,
    Cloud,
    Figures,
    main,
    timed,
)
from tests.bench.scheduler.nova_objects import (
    CELL,
    a_compute_node,
    a_request,
    a_service,
    an_aggregate,
    an_allocation,
    new_uuid,
)


class Hosts(host_manager.HostManager):
    """Nova's, but that it is handed what it reads from the database."""

    def __init__(self, ctx: context.RequestContext, count: int, rng: random.Random) -> None:
        super().__init__()
        names = [f"node-{i:05}" for i in range(count)]
        self._services = {name: a_service(ctx, name) for name in names}
        self._computes = {CELL: [a_compute_node(ctx, name, rng) for name in names]}
        self.update_aggregates([an_aggregate(ctx, i, names) for i in range(AGGREGATES)])
        for name in names:
            uuids = [new_uuid(rng) for _ in range(INSTANCES_PER_HOST)]
            instances = {uuid: objects.Instance(ctx, uuid=uuid, host=name) for uuid in uuids}
            self._instance_info[name] = {"instances": instances, "updated": True}

    @property
    def members(self) -> dict[str, str]:
        """An Instance each on the first hosts: uuid by host."""
        hosts = list(self._services)[:GROUP_MEMBERS]
        return {host: next(iter(self._instance_info[host]["instances"])) for host in hosts}

    @property
    def providers(self) -> list[str]:
        """Uuids of the compute nodes, which are placement's resource providers."""
        return [compute.uuid for compute in self._computes[CELL]]

    def states(self, ctx: context.RequestContext) -> list[host_manager.HostState]:
        """HostStates of all hosts, new."""
        return list(self.get_host_states_by_uuids(ctx, self.providers, None))

    def refresh_cells_caches(self) -> None:
        self.cells = {CELL: objects.CellMapping(uuid=CELL)}
        self.enabled_cells = list(self.cells.values())

    def _init_aggregates(self) -> None:
        """They come later."""

    def _init_instance_info(self, computes_by_cell: object = None) -> None:
        """They come later."""

    def _get_computes_for_cells(self, ctx: context.RequestContext, cells: object, compute_uuids: object) -> object:
        return self._computes, self._services


class Scheduler(manager.SchedulerManager):
    """Nova's, but that it connects to nothing."""

    placement_client = None

    def __init__(self, hosts: Hosts) -> None:
        self.host_manager = hosts
        self.servicegroup_api = servicegroup.API()

    def decide(self, spec: objects.RequestSpec, states: list[host_manager.HostState]) -> list[host_manager.HostState]:
        """Filter, weigh, pick, consume: the hosts that passed, the chosen one first."""
        passing = self._get_sorted_hosts(spec, states, 0)
        self._consume_selected_host(passing[0], spec, spec.instance_uuid)
        return passing


def measure(cloud: Cloud) -> Figures:
    """Makes the cloud and times both."""
    rng = random.Random(cloud.hosts)
    config.parse_args(["nova-scheduler"], default_config_files=[], configure_db=False, init_rpc=False)
    nova.conf.CONF.set_override("service_down_time", 86_400)  # nobody sends heartbeats here
    objects.register_all()
    ctx = context.RequestContext("user", "project", is_admin=True)
    hosts = Hosts(ctx, cloud.hosts, rng)
    states = hosts.states(ctx)
    scheduler = Scheduler(hosts)

    def requests(repeats: int) -> Iterator[objects.RequestSpec]:
        return (a_request(ctx, new_uuid(rng), hosts.members if cloud.group else {}) for _ in range(repeats))

    passing = len(scheduler.decide(next(requests(1)), states))
    decision = timed("decision", lambda spec: scheduler.decide(spec, states), requests(cloud.repeats))

    candidates = {provider: [an_allocation(provider)] for provider in hosts.providers}
    summaries = {provider: {} for provider in hosts.providers}

    def schedule(spec: objects.RequestSpec) -> object:
        uuids = [spec.instance_uuid]
        return scheduler._schedule(ctx, spec, uuids, candidates, summaries, "1.36", return_alternates=True)

    with mock.patch.object(utils, "claim_resources", return_value=True):
        whole = timed("whole", schedule, requests(cloud.repeats))
    return {"passing_hosts": passing, **decision, **whole}


if __name__ == "__main__":
    main(measure)
