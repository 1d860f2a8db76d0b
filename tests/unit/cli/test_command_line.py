"""Arguments: what is taken, and what is refused before anything is done."""

import json
from pathlib import Path

import pytest
import yaml

from hypernova_api.action import InstanceAction
from hypernova_cli.__main__ import main, parser
from hypernova_cli.actions import action, progress
from hypernova_cli.console import DETACH, until_detached
from hypernova_cli.get import document
from hypernova_cli.logs import tail
from hypernova_kube.resources import Key
from support.builders import an_action, an_instance


@pytest.mark.parametrize("where", ["before", "after"])
def test_the_cluster_is_chosen_before_or_after_the_command(where):
    cluster = ["-n", "shop", "--context", "prod", "--kubeconfig", "/k"]
    line = [*cluster, "get"] if where == "before" else ["get", *cluster]
    asked = parser().parse_args(line)
    assert (asked.namespace, asked.context, asked.kubeconfig) == ("shop", "prod", Path("/k"))


@pytest.mark.parametrize(
    "line",
    [
        "",
        "fly web-1",
        "console",
        "console web-1 web-2",
        "stop",
        "stop web-1 --wait --timeout 0",
        "stop web-1 --wait --timeout soon",
        "get -o csv",
        "logs web-1 --tail -1",
        "logs web-1 --tail many",
        "vnc web-1 --proxy-only --print-url",
        "vnc web-1 --proxy-only --port 65536",
        "end-session",
    ],
)
def test_arguments_that_make_no_sense_are_refused_with_the_usage(line, capsys):
    with pytest.raises(SystemExit) as ended:
        main(line.split())
    assert ended.value.code == 2
    assert capsys.readouterr().err.startswith("usage: kubectl hypernova")


@pytest.mark.parametrize(
    "command",
    [
        "get",
        "console",
        "vnc",
        "screenshot",
        "logs",
        "start",
        "stop",
        "pause",
        "suspend",
        "reboot",
        "sessions",
        "end-session",
    ],
)
def test_the_help_of_each_command_has_examples_that_parse(command, capsys):
    with pytest.raises(SystemExit):
        parser().parse_args([command, "--help"])
    examples = capsys.readouterr().out.partition("examples:\n")[2]
    lines = [line.strip().removeprefix("kubectl hypernova ").partition("|")[0] for line in examples.splitlines()]
    assert lines
    assert all(parser().parse_args(line.split()).run for line in lines)


def test_a_kubeconfig_that_is_not_there_is_one_sentence(tmp_path, capfd):
    assert main(["get", "--kubeconfig", str(tmp_path / "none")]) == 1
    assert capfd.readouterr().err == f"error: no way to log in: kubeconfig {tmp_path}/none is not there\n"


@pytest.mark.parametrize(
    ("typed", "sent", "detached"),
    [
        (b"ls\r", b"ls\r", False),
        (b"ls\r\x1d", b"ls\r", True),
        (b"\x1d", b"", True),
        (b"a\x1db\x1d", b"a", True),
        (b"\x03", b"\x03", False),
        (b"", b"", False),
    ],
)
def test_what_is_typed_before_the_detach_key_reaches_the_guest(typed, sent, detached):
    assert until_detached(typed, DETACH) == (sent, detached)


def test_of_several_keys_that_detach_the_first_counts():
    assert until_detached(b"a\x03b\x1d", DETACH + b"\x03") == (b"a", True)


@pytest.mark.parametrize(
    ("lines", "end"),
    [(None, "a\nb\r\nc"), (0, ""), (1, "c"), (2, "b\r\nc"), (9, "a\nb\r\nc")],
)
def test_the_tail_of_a_log_is_its_last_lines(lines, end):
    assert tail("a\nb\r\nc", lines) == end


def test_an_action_is_named_after_the_instance_and_what_it_does():
    asked = action("Reboot", Key("shop", "web-1"), reboot={"type": "Hard"})
    assert asked["metadata"] == {"namespace": "shop", "generateName": "web-1-reboot-"}
    assert asked["spec"] == {"instance": "web-1", "type": "Reboot", "reboot": {"type": "Hard"}}


@pytest.mark.parametrize(
    ("status", "text"),
    [
        ({}, ""),
        ({"phase": "Pending"}, "Pending"),
        (
            {"phase": "Running", "steps": [{"name": "PowerOff", "startTime": "2026-01-01T00:00:00Z"}]},
            "Running: PowerOff",
        ),
        (
            {
                "phase": "Running",
                "progress": 40,
                "steps": [{"name": name, "startTime": "2026-01-01T00:00:00Z"} for name in ("A", "Upload")],
            },
            "Running: Upload, 40 %",
        ),
    ],
)
def test_the_progress_of_an_action_is_its_last_step(status, text):
    assert progress(InstanceAction.parse(an_action(status=status))) == text


def test_one_that_is_named_is_printed_as_itself_and_others_as_a_list():
    web = an_instance()
    assert json.loads(document([web], "json", single=True)) == web
    assert yaml.safe_load(document([web], "yaml", single=True)) == web
    assert json.loads(document([web, web], "json", single=False))["items"] == [web, web]
    assert json.loads(document([], "json", single=False))["kind"] == "List"
