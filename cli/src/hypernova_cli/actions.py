"""InstanceActions: asking for one, and waiting for what comes of it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from hypernova_api.action import COMPLETE, FINISHED, ActionPhase, ActionType, InstanceAction
from hypernova_api.conditions import find
from hypernova_api.meta import GROUP, VERSION
from hypernova_cli.errors import CliError
from hypernova_cli.objects import states
from hypernova_cli.tables import printable
from hypernova_kube.client import Client
from hypernova_kube.resources import Key, Object, Resource

ACTIONS = Resource.of(InstanceAction)


def action(type_: ActionType, instance: Key, **spec: object) -> Object:
    """An InstanceAction, to be named by the API server after the Instance and what it does. Pure."""
    return {
        "apiVersion": f"{GROUP}/{VERSION}",
        "kind": InstanceAction.kind,
        "metadata": {"namespace": instance.namespace, "generateName": f"{instance.name}-{type_.lower()}-"},
        "spec": {"instance": instance.name, "type": type_, **spec},
    }


async def begin(client: Client, obj: Object) -> Key:
    """Ask for the action; returns its key."""
    created = await client.create(ACTIONS, obj)
    return Key(created["metadata"]["namespace"], created["metadata"]["name"])


async def finished(client: Client, key: Key, seconds: float, say: Callable[[str], None]) -> InstanceAction:
    """The action, once it has worked.

    Args:
        client: the API server.
        key: the action's.
        seconds: how long to wait.
        say: told how it goes.

    Raises:
        CliError: it has not worked, or not in time.
        NotFound: it was deleted.
    """
    phase, told = "not looked at", ""
    try:
        async with asyncio.timeout(seconds), aclosing(states(client, ACTIONS, key)) as objects:
            async for obj in objects:
                now = InstanceAction.parse(obj)
                if now.status.phase in FINISHED:
                    return _worked(now)
                if progress(now) != told:
                    told = progress(now)
                    say(told)
                phase = now.status.phase or phase
    except TimeoutError:
        pass
    raise CliError(
        f"InstanceAction {key.name} is still {phase} after {seconds:g} s; it goes on: "
        f"see `kubectl describe instanceaction {key.name} -n {key.namespace}`"
    )


def progress(what: InstanceAction) -> str:
    """How far an action is, in words; empty if there is nothing to say. Pure."""
    phase, steps = what.status.phase, what.status.steps
    percent = f", {what.status.progress} %" if what.status.progress is not None else ""
    step = f": {steps[-1].name}{percent}" if steps else ""
    return f"{phase.value}{step}" if phase is not None else ""


def _worked(done: InstanceAction) -> InstanceAction:
    if done.status.phase is ActionPhase.SUCCEEDED:
        return done
    condition = find(done.status.conditions, COMPLETE)
    why = f"{condition.message or condition.reason}" if condition else "it does not say why"
    raise CliError(f"InstanceAction {done.metadata.name} has failed: {printable(why)}")
