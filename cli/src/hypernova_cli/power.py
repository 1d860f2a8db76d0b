"""`start`, `stop`, `pause`, `suspend`: what a guest should do. And `reboot`."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial

from hypernova_api.instance import Instance, PowerState
from hypernova_cli.actions import action, begin, finished
from hypernova_cli.commandline import Commands, seconds
from hypernova_cli.errors import CliError
from hypernova_cli.objects import INSTANCES, each, states
from hypernova_cli.readiness import is_left_off, is_settled, state
from hypernova_cli.shell import Shell
from hypernova_kube.resources import Key


@dataclass(frozen=True, slots=True)
class _Command:
    """A command that sets spec.powerState."""

    name: str
    power_state: PowerState
    summary: str
    details: str


_COMMANDS = (
    _Command(
        "start",
        "Running",
        "let guests run",
        """\
One that is off boots, one that is paused or suspended goes on where it was. One that has ended by itself, and that
its restartPolicy leaves off, is started by an InstanceAction of type Reboot.""",
    ),
    _Command(
        "stop",
        "Stopped",
        "shut guests down",
        """\
The power button is pressed; the plug is pulled when the guest still runs after the Instance's
terminationGracePeriodSeconds.""",
    ),
    _Command(
        "pause", "Paused", "let guests' CPUs stand still", "What is in memory stays there; `start` lets them go on."
    ),
    _Command("suspend", "Suspended", "put guests' memory on disk", "`start` lets them go on from there."),
)


def add(commands: Commands) -> None:
    """Add the commands."""
    for command in _COMMANDS:
        name = command.name
        parser = commands.add(
            name,
            partial(_set, command.power_state),
            command.summary,
            details=f"{command.details}\nSets spec.powerState: where git has the Instance, change it there instead.",
            examples=f"{name} web-1\n{name} web-1 web-2 --wait",
        )
        _add_common(parser)
    parser = commands.add(
        "reboot",
        _reboot,
        "reboot guests",
        details="""\
Presses the power button, and pulls the plug when the guest still runs after the Instance's
terminationGracePeriodSeconds; then starts it, with all that was waiting for a restart. It is an InstanceAction, which
stays as the record of it.""",
        examples="reboot web-1\nreboot web-1 --hard --wait",
    )
    parser.add_argument("--hard", action="store_true", help="pull the plug at once")
    _add_common(parser)


def _add_common(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("names", metavar="NAME", nargs="+", help="an Instance")
    parser.add_argument("--wait", action="store_true", help="return when it is so")
    parser.add_argument(
        "--timeout", type=seconds, default=300.0, metavar="SECONDS", help="with --wait: how long (%(default)g)"
    )


async def _set(power_state: PowerState, asked: argparse.Namespace, shell: Shell) -> int:
    async def one(name: str) -> None:
        key, terminal = Key(shell.namespace, name), shell.terminal
        patch = {"spec": {"powerState": power_state}}
        instance = Instance.parse(await shell.client.patch(INSTANCES, name, patch, shell.namespace))
        if power_state == "Running" and is_left_off(instance):
            # Its spec says Running already: that changes nothing.
            await begin(shell.client, action("Reboot", key, reboot={"type": "Hard"}))
        if not asked.wait:
            terminal.print(f"{name} is to be {power_state}")
            return
        said = await _settled(shell, key, instance, asked.timeout, lambda text: terminal.say(f"{name}: {text}"))
        terminal.print(f"{name} is {said}")

    return await each(asked.names, one, shell.terminal)


async def _reboot(asked: argparse.Namespace, shell: Shell) -> int:
    async def one(name: str) -> None:
        terminal = shell.terminal
        how = {"type": "Hard" if asked.hard else "Soft"}
        key = await begin(shell.client, action("Reboot", Key(shell.namespace, name), reboot=how))
        if not asked.wait:
            terminal.print(f"{name} is to reboot (instanceaction/{key.name})")
            return
        await finished(shell.client, key, asked.timeout, lambda text: terminal.say(f"{name}: {text}"))
        terminal.print(f"{name} has been rebooted")

    return await each(asked.names, one, shell.terminal)


async def _settled(shell: Shell, key: Key, wanted: Instance, limit: float, say: Callable[[str], None]) -> str:
    """What the Instance is, once it is as its spec has it.

    Raises:
        CliError: it was not so in time.
        NotFound: it was deleted.
    """
    said = ""
    left_off = is_left_off(wanted)
    try:
        async with asyncio.timeout(limit), aclosing(states(shell.client, INSTANCES, key)) as objects:
            async for obj in objects:
                now = Instance.parse(obj)
                left_off &= is_left_off(now)
                if is_settled(now, wanted.metadata.generation):
                    return state(now)
                if state(now) != said and not left_off:
                    said = state(now)
                    say(said)
    except TimeoutError:
        pass
    raise CliError(f"after {limit:g} s it is not so yet: {said or 'its status says nothing'}; it goes on")
