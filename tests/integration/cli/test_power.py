"""start, stop, pause, suspend and reboot on a real API server."""

import asyncio

import pytest

from hypernova_kube.client import Client
from support.acted import Acted
from support.builders import a_condition
from support.plugin import Plugin, finished


@pytest.mark.parametrize(
    ("command", "power_state"),
    [("stop", "Stopped"), ("pause", "Paused"), ("suspend", "Suspended"), ("start", "Running")],
)
async def test_a_power_command_sets_what_the_instance_is_to_do(plugin, acted, command, power_state):
    await acted.instance(powerState="Paused" if command != "pause" else "Running")
    result = await plugin(command, "web-1")
    assert (result.status, result.text, result.err) == (0, f"web-1 is to be {power_state}\n", "")
    assert (await acted.get())["spec"]["powerState"] == power_state
    assert await acted.actions() == []


async def test_with_wait_it_returns_when_the_agent_says_so_and_tells_how_it_goes(plugin, acted):
    await acted.instance()
    await acted.becomes("Running")
    process = await plugin.start("stop", "web-1", "--wait")
    await acted.asked("Stopped")
    assert await process.stderr.readline() == b"web-1: Running\n"
    await acted.becomes(
        "Running", "web-1", a_condition("Ready", False, "Stopping", "the power button has been pressed")
    )
    assert await process.stderr.readline() == b"web-1: Running: the power button has been pressed\n"
    await acted.becomes("Stopped")
    result = await finished(process)
    assert (result.status, result.text) == (0, "web-1 is Stopped\n")


async def test_what_does_not_come_in_time_is_told_with_the_last_that_was_seen(plugin, acted):
    await acted.instance()
    await acted.becomes("Running")
    result = await plugin("stop", "web-1", "--wait", "--timeout", "0.5")
    assert result.status == 1
    assert "error: web-1: after 0.5 s it is not so yet: Running; it goes on" in result.err


async def test_of_several_those_that_can_be_are_stopped_and_the_others_are_named(plugin, acted):
    await acted.instance("web-1")
    await acted.instance("web-2")
    result = await plugin("stop", "web-1", "web-3", "web-2")
    assert result.status == 1
    assert sorted(result.lines) == ["web-1 is to be Stopped", "web-2 is to be Stopped"]
    assert result.err == 'error: web-3: instances.compute.hypernova.dev "web-3" not found\n'


async def test_an_instance_that_is_deleted_meanwhile_ends_the_wait(plugin, acted):
    await acted.instance()
    process = await plugin.start("stop", "web-1", "--wait")
    await acted.asked("Stopped")
    await acted.clear()
    result = await finished(process)
    assert result.status == 1
    assert "web-1" in result.err


async def test_a_guest_that_has_ended_by_itself_is_started_again_by_an_action(plugin, acted):
    await acted.instance(restartPolicy="Never")
    await acted.becomes("Stopped", "web-1", a_condition("Ready", False, "Completed", "the guest powered itself off"))
    process = await plugin.start("start", "web-1", "--wait")
    action = await acted.action()
    assert action["spec"]["type"] == "Reboot"
    assert action["spec"]["instance"] == "web-1"
    await acted.becomes("Running")
    result = await finished(process)
    assert (result.status, result.text) == (0, "web-1 is Running\n")


@pytest.mark.parametrize(("flags", "how"), [([], "Soft"), (["--hard"], "Hard")])
async def test_a_reboot_is_an_action(plugin, acted, flags, how):
    await acted.instance()
    result = await plugin("reboot", "web-1", *flags)
    action = await acted.action()
    assert result.text == f"web-1 is to reboot (instanceaction/{action['metadata']['name']})\n"
    assert action["metadata"]["name"].startswith("web-1-reboot-")
    assert action["spec"]["reboot"] == {"type": how}


async def test_with_wait_a_reboot_returns_when_it_is_done(plugin, acted):
    await acted.instance()
    process = await plugin.start("reboot", "web-1", "--wait")
    action = await acted.action()
    await acted.report(action, "Running", steps=[{"name": "PowerOff", "startTime": "2026-01-01T00:00:00Z"}])
    while await process.stderr.readline() != b"web-1: Running: PowerOff\n":
        assert not process.stderr.at_eof()
    await acted.report(action, "Succeeded", a_condition("Complete", True, "Succeeded"))
    result = await finished(process)
    assert (result.status, result.text) == (0, "web-1 has been rebooted\n")


async def test_a_reboot_that_fails_says_why(plugin, acted):
    await acted.instance()
    process = await plugin.start("reboot", "web-1", "--wait")
    action = await acted.action()
    await acted.report(action, "Failed", a_condition("Complete", False, "Locked", "web-1 is locked: audit"))
    result = await finished(process)
    assert result.status == 1
    name = action["metadata"]["name"]
    assert result.err.endswith(f"error: web-1: InstanceAction {name} has failed: web-1 is locked: audit\n")


async def test_an_action_that_nobody_looks_at_is_told_where_to_look(plugin, acted):
    await acted.instance()
    result = await plugin("reboot", "web-1", "--wait", "--timeout", "0.5")
    assert result.status == 1
    assert "is still not looked at after 0.5 s; it goes on: see `kubectl describe instanceaction web-1-reboot-" in (
        result.err
    )


async def test_an_api_server_that_is_away_for_a_while_does_not_end_a_wait(own_cluster):
    async with await Client.connect(own_cluster.kubeconfig) as client:
        acted = Acted(client, "default")
        await acted.instance()
        await acted.becomes("Running")
        process = await Plugin(own_cluster.kubeconfig, "default").start("stop", "web-1", "--wait")
        await acted.asked("Stopped")
        assert await process.stderr.readline() == b"web-1: Running\n"
        await asyncio.to_thread(own_cluster.stop_apiserver, kill=True)
        await asyncio.to_thread(own_cluster.start_apiserver)
        await acted.becomes("Stopped")
        result = await finished(process)
        assert (result.status, result.text) == (0, "web-1 is Stopped\n")
