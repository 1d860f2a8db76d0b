"""get, logs and sessions on a real API server; who may, and who may not."""

import asyncio
import base64
import json
import os
import sys
from pathlib import Path

import pytest
import yaml

from hypernova_api.console import SerialRole
from hypernova_kube.resources import Resource
from support.acted import INSTANCES
from support.builders import a_condition
from support.operators import RESOURCES
from support.plugin import Plugin, finished

SESSIONS = RESOURCES["ConsoleSession"]
TOKENS = Resource("", "v1", "serviceaccounts", "ServiceAccount")


async def test_get_shows_what_there_is_and_why_not(plugin, acted):
    await acted.instance("web-2")
    await acted.becomes("Pending", "web-2", a_condition("Scheduled", False, "NoHostFits", "0/3 hosts fit"))
    await acted.instance("web-1")
    await acted.becomes("Running")
    result = await plugin("get")
    header, first, second = result.lines
    assert header.split()[:3] == ["NAME", "PHASE", "FLAVOR"]
    assert first.split()[:3] == ["web-1", "Running", "m1.small"]
    assert second.split()[:2] == ["web-2", "Pending"]
    assert second.endswith("0/3 hosts fit")
    assert [line.split()[0] for line in (await plugin("get", "web-2")).lines] == ["NAME", "web-2"]


async def test_get_of_all_namespaces_names_them(plugin, acted, namespace):
    await acted.instance()
    result = await plugin("get", "-A")
    assert result.lines[0].startswith("NAMESPACE")
    assert [namespace, "web-1"] in [line.split()[:2] for line in result.lines]


async def test_get_prints_objects_as_kubectl_does(plugin, acted, client, namespace):
    await acted.instance()
    stored = await client.get(INSTANCES, "web-1", namespace)
    web = yaml.safe_load((await plugin("get", "web-1", "-o", "yaml")).text)
    assert web["metadata"]["uid"] == stored["metadata"]["uid"]
    listed = json.loads((await plugin("get", "-o", "json")).text)
    assert [each["metadata"]["name"] for each in listed["items"]] == ["web-1"]
    assert (await plugin("get", "-o", "name")).text == "instance.compute.hypernova.dev/web-1\n"


async def test_get_names_what_is_not_there_and_shows_the_rest(plugin, acted):
    await acted.instance()
    result = await plugin("get", "web-9", "web-1", "-o", "name")
    assert (result.status, result.text) == (1, "instance.compute.hypernova.dev/web-1\n")
    assert result.err == 'error: web-9: instances.compute.hypernova.dev "web-9" not found\n'


async def test_an_empty_namespace_is_said_to_be(plugin, namespace):
    result = await plugin("get")
    assert (result.status, result.text, result.err) == (0, "", f"no Instances in namespace {namespace}\n")


async def test_logs_are_the_answer_of_an_action(plugin, acted):
    await acted.instance()
    process = await plugin.start("logs", "web-1", "--tail", "2")
    action = await acted.action()
    assert action["spec"]["type"] == "GetConsoleLog"
    assert action["spec"]["getConsoleLog"] == {"bytes": 2048}
    await acted.report(action, "Succeeded", consoleLog="one\r\ntwo\r\nlogin: ")
    result = await finished(process)
    assert (result.status, result.out) == (0, b"two\r\nlogin: ")


async def test_logs_that_are_followed_go_on_where_the_log_ends(plugin, acted, console_api):
    await acted.instance()
    process = await plugin.start("logs", "web-1", "-f")
    await acted.report(await acted.action(), "Succeeded", consoleLog="boot\r\nlogin: ")
    viewer = await console_api.viewer()
    await viewer.send_str(SerialRole(writer=False, holder="").model_dump_json())
    await viewer.send_bytes(b"boot\r\nlogin: root\r\n")
    assert await process.stdout.readexactly(19) == b"boot\r\nlogin: root\r\n"
    process.terminate()
    assert (await finished(process)).status == 143
    assert console_api.asked[-1][2] == {"readOnly": "true"}


async def test_sessions_are_listed_and_ended(plugin, client, namespace):
    for name, instance in (("s-1", "web-1"), ("s-2", "web-2")):
        user = {"username": "ann", "groups": [], "extra": {}}
        spec = {"instanceName": instance, "instanceUID": "1", "type": "VNC", "user": user, "maxSeconds": 60}
        metadata = {"namespace": namespace, "name": name}
        kind = {"apiVersion": SESSIONS.api_version, "kind": SESSIONS.kind}
        await client.create(SESSIONS, {**kind, "metadata": metadata, "spec": spec})
    result = await plugin("sessions", "web-1")
    assert [line.split()[:4] for line in result.lines[1:]] == [["s-1", "web-1", "VNC", "ann"]]
    assert len((await plugin("sessions")).lines) == 3
    result = await plugin("end-session", "s-1", "s-9")
    assert (result.status, result.text) == (1, "s-1 is ended\n")
    assert "s-9" in result.err
    assert len((await plugin("sessions")).lines) == 2
    assert (await plugin("sessions", "web-1")).err == "nobody looks at web-1\n"


async def a_token(client, namespace: str, name: str) -> str:
    """A token of a ServiceAccount that may edit in its namespace."""
    await client.create(TOKENS, {"metadata": {"namespace": namespace, "name": name}})
    return (await client.create_at(TOKENS, name, {"spec": {}}, namespace, "token"))["status"]["token"]


def a_kubeconfig(admins: Path, folder: Path, user: dict, namespace: str) -> Path:
    """The cluster with another user, whose context has a namespace."""
    config = yaml.safe_load(admins.read_text())
    config["users"].append({"name": "other", "user": user})
    context = {"cluster": config["clusters"][0]["name"], "user": "other", "namespace": namespace}
    config["contexts"].append({"name": "others", "context": context})
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


def an_exec_plugin(folder: Path, status: dict) -> dict:
    """A kubeconfig's user that a program logs in."""
    program = folder / "log-in"
    api = "client.authentication.k8s.io/v1"
    answer = json.dumps({"apiVersion": api, "kind": "ExecCredential", "status": status})
    program.write_text(f"#!{sys.executable}\nprint({answer!r})\n")
    program.chmod(0o755)
    return {"exec": {"apiVersion": api, "command": str(program), "interactiveMode": "Never"}}


@pytest.mark.parametrize("how", ["certificate", "token", "exec plugin's token", "exec plugin's certificate"])
async def test_any_login_of_a_kubeconfig_will_do(cluster, client, namespace, acted, console_api, tmp_path, how):
    pki = cluster.folder / "pki"
    certificate, key = (pki / f"admin.{kind}" for kind in ("crt", "key"))
    if "token" in how:
        token = await a_token(client, namespace, "ann")
        cluster.kubectl(
            "create",
            "clusterrolebinding",
            namespace,
            "--clusterrole=cluster-admin",
            f"--serviceaccount={namespace}:ann",
        )
        user = {"token": token} if how == "token" else an_exec_plugin(tmp_path, {"token": token})
    elif how == "certificate":
        user = {
            "client-certificate-data": base64.b64encode(certificate.read_bytes()).decode(),
            "client-key-data": base64.b64encode(key.read_bytes()).decode(),
        }
    else:
        status = {"clientCertificateData": certificate.read_text(), "clientKeyData": key.read_text()}
        user = an_exec_plugin(tmp_path, status)
    await acted.instance()
    kubeconfig = a_kubeconfig(cluster.kubeconfig, tmp_path, user, namespace)
    theirs = Plugin(kubeconfig, "")
    result = await theirs("--context", "others", "get", "-o", "name")
    assert (result.status, result.text) == (0, "instance.compute.hypernova.dev/web-1\n")
    async with theirs.in_terminal("console", "web-1", "--context", "others") as ours:
        viewer = await console_api.viewer()
        await viewer.send_bytes(b"login: ")
        await ours.shows("login: ")
    user_seen = f"system:serviceaccount:{namespace}:ann" if "token" in how else "admin"
    assert console_api.asked == [(user_seen, f"{namespace}/instances/web-1/serial", {})]
    if "token" in how:
        cluster.kubectl("delete", "clusterrolebinding", namespace)


@pytest.mark.parametrize(
    ("command", "right"),
    [
        ("get", "list instances of compute.hypernova.dev"),
        ("stop web-1", "patch instances of compute.hypernova.dev"),
        ("reboot web-1", "create instanceactions of compute.hypernova.dev"),
        ("logs web-1", "create instanceactions of compute.hypernova.dev"),
        ("sessions", "list consolesessions of compute.hypernova.dev"),
        ("console web-1", "get instances/serial of subresources.compute.hypernova.dev"),
        ("vnc web-1", "create instances/ticket of subresources.compute.hypernova.dev"),
        ("vnc web-1 --proxy-only", "get instances/vnc of subresources.compute.hypernova.dev"),
        ("screenshot web-1", "get instances/screenshot of subresources.compute.hypernova.dev"),
    ],
)
async def test_a_right_that_is_missing_is_named(cluster, namespace, command, right):
    poor = Plugin(cluster.service_account_kubeconfig(namespace, "poor"), namespace)
    result = await poor(*command.split())
    assert result.status == 1
    user = f"system:serviceaccount:{namespace}:poor"
    assert f"you ({user}) lack the right to {right} in namespace {namespace}: ask who" in result.err


@pytest.mark.parametrize("command", ["console web-1", "vnc web-1", "vnc web-1 --proxy-only", "screenshot web-1"])
async def test_a_console_proxy_that_is_not_installed_is_told(plugin, command):
    result = await plugin(*command.split())
    assert result.status == 1
    assert result.err.startswith("error: this cluster has no console proxy")


async def test_credentials_that_are_not_taken_are_told(cluster, namespace, tmp_path):
    kubeconfig = a_kubeconfig(cluster.kubeconfig, tmp_path, {"token": "forged"}, namespace)
    result = await Plugin(kubeconfig, namespace)("--context", "others", "get")
    assert (result.status, result.err) == (
        1,
        "error: the API server does not take your credentials: log in anew, or choose another --context\n",
    )


async def test_an_exec_plugin_that_fails_is_told_in_its_own_words(cluster, namespace, tmp_path):
    user = an_exec_plugin(tmp_path, {})
    (tmp_path / "log-in").write_text("#!/bin/sh\necho 'your session is over' >&2\nexit 3\n")
    kubeconfig = a_kubeconfig(cluster.kubeconfig, tmp_path, user, namespace)
    result = await Plugin(kubeconfig, namespace)("--context", "others", "get")
    assert result.status == 1
    assert "your session is over" in result.err


async def test_kubectl_runs_it_as_its_plugin(cluster, acted, namespace, tmp_path):
    await acted.instance()
    program = tmp_path / "kubectl-hypernova"
    program.write_text(f'#!/bin/sh\nexec {sys.executable} -m hypernova_cli "$@"\n')
    program.chmod(0o755)
    kubectl = await asyncio.create_subprocess_exec(
        *(str(cluster.bin_dir / "kubectl"), "hypernova", "get", "-n", namespace, "-o", "name"),
        env=os.environ | {"KUBECONFIG": str(cluster.kubeconfig), "PATH": f"{tmp_path}:{os.environ['PATH']}"},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    assert (await finished(kubectl)).text == "instance.compute.hypernova.dev/web-1\n"
