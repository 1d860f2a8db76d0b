"""`hypernova-operator`: the process; and `hypernova-operator explain`, which asks a cluster what it would do."""

from __future__ import annotations

import asyncio
import os
import sys

from prometheus_client import CollectorRegistry

import hypernova_kube.metrics
from hypernova_kube.client import Client
from hypernova_kube.credentials import log_in_from
from hypernova_kube.errors import LeadershipLost, NoCredentials
from hypernova_kube.process import logs, stacks
from hypernova_kube.process.probes import Probes
from hypernova_kube.process.settings import parse
from hypernova_operator.cache.sweep import StoreRestored
from hypernova_operator.conductor.server import Conductor
from hypernova_operator.explain.command import explain
from hypernova_operator.metrics import Metrics
from hypernova_operator.operator import Operator
from hypernova_operator.settings import Settings

log = logs.get_logger("hypernova_operator")


async def operate(settings: Settings) -> None:
    """Run an operator until it is told to stop."""
    stacks.tell_on_signal()
    registry = CollectorRegistry()
    kube_metrics = hypernova_kube.metrics.Metrics(registry)
    async with await Client.connect(settings.kubeconfig, component="operator", metrics=kube_metrics) as client:
        operator_metrics = Metrics(registry)
        operator = Operator(client, log_in_from(settings.kubeconfig), settings, operator_metrics)
        probes = Probes(
            settings.probe_host, settings.probe_port, registry, operator.why_not_live, operator.why_not_ready
        )
        conductor = Conductor(
            client, settings.namespace, settings.conductor_host, settings.conductor_port, operator_metrics
        )
        async with probes, asyncio.TaskGroup() as group:
            log.info("serving probes", port=probes.port, identity=settings.identity)
            # Before the operator: kopf, on its end, cancels what was begun after it.
            conducting = group.create_task(conductor.run(), name="conductor")
            await operator.run()
            conducting.cancel()


def main() -> int:
    """The command; its exit status is not 0 when the operator should be started anew."""
    arguments = sys.argv[1:]
    if arguments[:1] == ["explain"]:
        return asyncio.run(explain(arguments[1:], parse(Settings, [], os.environ)))
    settings = parse(Settings, arguments, os.environ)
    logs.configure(settings.log_level, settings.log_format)
    status = 0
    try:
        asyncio.run(operate(settings))
    except* NoCredentials as group:
        log.error("no credentials", error=group.exceptions[0])
        status = 1
    except* LeadershipLost:  # told in the log where it happened
        status = 1
    except* StoreRestored as group:
        log.error("begins anew", error=group.exceptions[0])
        status = 1
    return status


if __name__ == "__main__":
    sys.exit(main())
