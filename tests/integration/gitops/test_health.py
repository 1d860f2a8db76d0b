"""The health checks of examples/gitops, run: Argo CD's by Lua, Flux's by the API server's own CEL."""

from __future__ import annotations

import copy
import subprocess
import uuid
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import yaml

from hack.devcluster import Cluster
from hypernova_api.kinds import KINDS
from hypernova_api.meta import FINALIZER, GROUP, VERSION
from hypernova_kube.client import Client
from hypernova_kube.errors import Invalid
from hypernova_kube.resources import Object
from support.builders import an_instance
from support.gitops import GITOPS
from support.health_cases import CASES, Health
from support.operators import RESOURCES
from support.waiting import eventually_async

CHECKS = GITOPS / "argocd/health"
PREFIX = f"resource.customizations.health.{GROUP}_"
NO_STATUS = {"Flavor", "Image", "KeyPair"}
JUDGE = "gitops.test/judge"
ADMISSION = "/apis/admissionregistration.k8s.io/v1"

# What Argo CD lets a check use: the base library and tables.
SANDBOX = """
string, io, os, debug, utf8, coroutine, math = nil, nil, nil, nil, nil, nil, nil
local health = dofile(arg[1])
print(health.status)
print(health.message or "")
"""


def lua(value: Any) -> str:
    """A JSON value as Lua writes it."""
    match value:
        case dict():
            return "{" + ", ".join(f"[{lua(key)}] = {lua(each)}" for key, each in value.items()) + "}"
        case list():
            return "{" + ", ".join(map(lua, value)) + "}"
        case bool():
            return str(value).lower()
        case None:
            return "nil"
        case str():
            return '"' + "".join(f"\\{byte:03d}" for byte in value.encode()) + '"'
    return repr(value)


def argo(obj: Object) -> tuple[str, str]:
    """Status and message by the check of the object's kind."""
    check = CHECKS / f"{obj['kind']}.lua"
    program = f"obj = {lua(obj)}\n{SANDBOX}"
    ran = subprocess.run(
        ["lua5.4", "-", str(check)], input=program, capture_output=True, text=True, timeout=30, check=False
    )
    assert ran.returncode == 0, ran.stderr
    status, _, message = ran.stdout.partition("\n")
    return status, message.strip()


def expressions() -> dict[str, Object]:
    """Flux's expressions by kind."""
    kustomizations = yaml.safe_load_all((GITOPS / "flux/kustomizations.yaml").read_text())
    return {each["kind"]: each for one in kustomizations for each in one["spec"]["healthCheckExprs"]}


def flux(exprs: Object) -> str:
    """One expression, for the object of an admission, that says what Flux says, whose variables are parts of it."""
    verdict = (
        f"({exprs['inProgress']}) ? 'InProgress' : ({exprs['failed']}) ? 'Failed' "
        f": ({exprs['current']}) ? 'Current' : 'InProgress'"
    )
    return f"[object.spec].map(spec, [object.status].map(status, {verdict})[0])[0]"


@pytest.fixture(scope="module")
def judge(cluster: Cluster) -> Iterator[None]:
    """The API server refuses to annotate an object with JUDGE, and says what Flux thinks of it."""
    made = []
    for kind, exprs in expressions().items():
        name = f"flux-{kind.lower()}-{uuid.uuid4().hex[:6]}"
        rule = {"apiGroups": [GROUP], "apiVersions": ["*"], "operations": ["UPDATE"]}
        spec = {
            "matchConstraints": {"resourceRules": [rule | {"resources": [RESOURCES[kind].plural]}]},
            "matchConditions": [
                {"name": "judged", "expression": f"'{JUDGE}' in object.metadata.?annotations.orValue({{}})"}
            ],
            # What fails to be evaluated is waited for.
            "validations": [{"expression": "false", "message": "InProgress", "messageExpression": flux(exprs)}],
        }
        binding = {"policyName": name, "validationActions": ["Deny"]}
        for collection, body in (("policies", spec), ("policybindings", binding)):
            path = f"{ADMISSION}/validatingadmission{collection}"
            cluster.admin.create(path, {"metadata": {"name": name}, "spec": body})
            made.append(f"{path}/{name}")
    yield
    for path in reversed(made):
        cluster.admin.delete(path)


@pytest.fixture(scope="module")
def project(cluster: Cluster) -> Iterator[str]:
    """A namespace for all of them."""
    name = f"test-{uuid.uuid4().hex[:8]}"
    cluster.admin.create("/api/v1/namespaces", {"metadata": {"name": name}})
    yield name
    cluster.admin.delete(f"/api/v1/namespaces/{name}")


def name_of(health: Health) -> str:
    return f"{health.obj['kind']}: {health.what}"


@pytest.fixture(params=CASES, ids=name_of)
async def case(request: pytest.FixtureRequest, client: Client, project: str) -> AsyncIterator[tuple[Health, Object]]:
    """A case, and the object as the API server has it."""
    health: Health = request.param
    obj, resource = copy.deepcopy(health.obj), RESOURCES[health.obj["kind"]]
    metadata = obj["metadata"]
    if resource.namespaced:
        metadata["namespace"] = project
    else:
        metadata["name"] += f"-{uuid.uuid4().hex[:6]}"
    made = await client.create(resource, obj)
    name, where = metadata["name"], metadata.get("namespace", "")
    if health.conditions or health.status:
        status = {**health.status, **({"conditions": list(health.conditions)} if health.conditions else {})}
        if health.observed is not None:
            status["observedGeneration"] = health.observed
        made = await client.patch(resource, name, {"status": status}, where, subresource="status")
    yield health, made
    await client.delete(resource, name, where)
    if made["metadata"].get("finalizers"):
        await client.patch(resource, name, {"metadata": {"finalizers": None}}, where)


def test_argo_cd_has_a_check_of_every_kind_with_a_status() -> None:
    generator = yaml.safe_load((CHECKS / "kustomization.yaml").read_text())["configMapGenerator"][0]
    named = dict(file.split("=") for file in generator["files"])
    assert named == {f"{PREFIX}{kind.kind}": f"{kind.kind}.lua" for kind in KINDS if kind.kind not in NO_STATUS}


def test_flux_has_expressions_for_every_kind_with_a_status_that_a_directory_can_have() -> None:
    assert set(expressions()) == {kind.kind for kind in KINDS} - NO_STATUS - {"ConsoleSession"}
    assert {each["apiVersion"] for each in expressions().values()} == {f"{GROUP}/{VERSION}"}


async def test_argo_cd_judges(case: tuple[Health, Object]) -> None:
    health, obj = case
    status, message = argo(obj)
    assert (status, health.message in message) == (health.argo, True), message


@pytest.mark.usefixtures("judge")
@pytest.mark.parametrize("case", [health for health in CASES if health.flux], ids=name_of, indirect=True)
async def test_flux_judges(case: tuple[Health, Object], client: Client) -> None:
    health, obj = case
    metadata = obj["metadata"]
    resource = RESOURCES[obj["kind"]]
    # As Flux does, before it looks at any expression.
    observed = obj.get("status", {}).get("observedGeneration", metadata["generation"])
    if observed != metadata["generation"]:
        assert health.flux == "InProgress"
        return

    async def verdict() -> str | None:
        try:
            asked = {"metadata": {"annotations": {JUDGE: "now"}}}
            await client.patch(resource, metadata["name"], asked, metadata.get("namespace", ""))
        except Invalid as refusal:
            return str(refusal).removesuffix(" (422 Invalid)").rsplit(": ", 1)[-1]
        await client.patch(
            resource, metadata["name"], {"metadata": {"annotations": {JUDGE: None}}}, metadata.get("namespace", "")
        )
        return None

    assert await eventually_async(verdict, "the policy to be in force") == health.flux


async def test_argo_cd_waits_for_an_instance_that_is_being_deleted(client: Client, namespace: str) -> None:
    obj = an_instance(namespace=namespace, finalizers=[FINALIZER])
    instances, name = RESOURCES["Instance"], obj["metadata"]["name"]
    await client.create(instances, obj)
    await client.delete(instances, name, namespace)
    assert argo(await client.get(instances, name, namespace))[0] == "Progressing"
    await client.patch(instances, name, {"metadata": {"finalizers": None}}, namespace)
