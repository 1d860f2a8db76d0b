"""Instances and ConsoleSessions as lines of tables. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from hypernova_api.conditions import find
from hypernova_api.console import ConsoleSession
from hypernova_api.instance import Instance, Phase
from hypernova_api.meta import CREATED_BY
from hypernova_api.quantity import Quantity
from hypernova_cli.readiness import READY, reason
from hypernova_cli.tables import moment, since, table, until

_UP = {Phase.RUNNING, Phase.RESCUED}
_GIB = 1 << 30


def instances(found: Sequence[Instance], now: datetime, *, namespaces: bool, wide: bool) -> str:
    """A table of Instances."""
    header = ["NAME", "PHASE", "FLAVOR", "VCPU", "MEMORY", "DISK", "ADDRESSES", "NODE", "AGE", "UP", "IMAGE"]
    if wide:
        header += ["ZONE", "RESTARTS", "LOCKED", "CREATED-BY"]
    header.append("WHY")
    rows = [_instance(each, now, wide=wide) for each in found]
    return _table(header, rows, [each.metadata.namespace for each in found] if namespaces else None)


def sessions(found: Sequence[ConsoleSession], now: datetime, *, namespaces: bool) -> str:
    """A table of ConsoleSessions."""
    header = ["SESSION", "INSTANCE", "TYPE", "USER", "STATE", "AGE", "ENDS-IN"]
    rows = [_session(each, now) for each in found]
    return _table(header, rows, [each.metadata.namespace for each in found] if namespaces else None)


def _table(header: list[str], rows: list[list[str]], namespaces: list[str] | None) -> str:
    if namespaces is None:
        return table(header, rows)
    return table(["NAMESPACE", *header], [[name, *row] for name, row in zip(namespaces, rows, strict=True)])


def _instance(instance: Instance, now: datetime, *, wide: bool) -> list[str]:
    metadata, spec, status = instance.metadata, instance.spec, instance.status
    flavor = status.flavor
    row = [
        metadata.name,
        status.phase.value if status.phase is not None else Phase.PENDING.value,
        flavor.name if flavor else spec.flavor,
        str(flavor.vcpus) if flavor else "",
        _amount(flavor.memory) if flavor else "",
        _amount(flavor.root_disk) if flavor else "",
        ",".join(address.ip for address in status.addresses),
        status.node_name or "",
        since(moment(metadata.creation_timestamp), now),
        since(_up_since(instance), now),
        spec.image.name,
    ]
    if wide:
        restarts, locked = str(status.restart_count), spec.locked.reason if spec.locked else ""
        row += [status.availability_zone or "", restarts, locked, metadata.annotations.get(CREATED_BY, "")]
    return [*row, reason(instance)]


def _session(session: ConsoleSession, now: datetime) -> list[str]:
    spec, status = session.spec, session.status
    if status.started_at is None:
        state, ends = "Offered", moment(spec.ticket.expires_at) if spec.ticket else None
    else:
        state, ends = "Open", moment(status.expires_at)
    return [
        session.metadata.name,
        spec.instance_name,
        f"{spec.type.value} (read-only)" if spec.read_only else spec.type.value,
        spec.user.username,
        state,
        since(moment(session.metadata.creation_timestamp), now),
        until(ends, now),
    ]


def _up_since(instance: Instance) -> datetime | None:
    """When the guest was last found to run after it had not, as far as its status tells."""
    ready = find(instance.status.conditions, READY)
    if instance.status.phase not in _UP or ready is None or ready.status != "True":
        return None
    return moment(ready.last_transition_time)


def _amount(amount: Quantity) -> str:
    """As it was written, but in GiB where that is a whole number of them: 8192Mi is 8Gi."""
    if amount.value == 0:
        return ""  # the image's own size
    return f"{amount.value // _GIB}Gi" if amount.value % _GIB == 0 else str(amount)
