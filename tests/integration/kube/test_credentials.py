"""Tokens that end while we run, on a real API server."""

import os
from pathlib import Path

import pytest
import yaml

from hypernova_kube.client import Client
from hypernova_kube.errors import Forbidden, Unauthorized
from hypernova_kube.resources import NODES, Resource
from support.waiting import eventually_async

SERVICE_ACCOUNTS = Resource("", "v1", "serviceaccounts", "ServiceAccount")
REVIEWS = Resource("authentication.k8s.io", "v1", "selfsubjectreviews", "SelfSubjectReview", namespaced=False)


async def a_token(client: Client, namespace: str, name: str) -> str:
    """A token of a new ServiceAccount; it ends with the ServiceAccount."""
    await client.create(SERVICE_ACCOUNTS, {"metadata": {"namespace": namespace, "name": name}})
    tokens = Resource("", "v1", f"serviceaccounts/{name}/token", "TokenRequest")
    return (await client.create(tokens, {"metadata": {"namespace": namespace}, "spec": {}}))["status"]["token"]


async def who_am_i(client: Client) -> str:
    review = await client.create(REVIEWS, {"metadata": {}})
    return review["status"]["userInfo"]["username"]


def by_token_file(kubeconfig: Path, folder: Path, token: str) -> Path:
    """The kubeconfig, but with a token read from a file beside it instead of the certificate."""
    (folder / "token").write_text(token)
    config = yaml.safe_load(kubeconfig.read_text())
    config["users"][0]["user"] = {"tokenFile": str(folder / "token")}
    path = folder / "kubeconfig"
    path.write_text(yaml.safe_dump(config))
    return path


async def test_a_token_that_ends_is_replaced_by_the_one_its_file_holds_and_no_request_fails(
    cluster, client, namespace, tmp_path
):
    first, second = [await a_token(client, namespace, name) for name in ("first", "second")]
    async with await Client.connect(by_token_file(cluster.kubeconfig, tmp_path, first)) as ours:
        assert await who_am_i(ours) == f"system:serviceaccount:{namespace}:first"
        (tmp_path / "new").write_text(second)
        os.replace(tmp_path / "new", tmp_path / "token")  # as kubelet does
        await client.delete(SERVICE_ACCOUNTS, "first", namespace)

        # The server goes on knowing the first for some seconds; asked again and again, it never refuses us.
        async def renewed() -> bool:
            return await who_am_i(ours) == f"system:serviceaccount:{namespace}:second"

        await eventually_async(renewed, "the second token")


async def test_a_token_that_ends_without_another_is_unauthorized(cluster, client, namespace, tmp_path):
    token = await a_token(client, namespace, "only")
    async with await Client.connect(by_token_file(cluster.kubeconfig, tmp_path, token)) as ours:
        await client.delete(SERVICE_ACCOUNTS, "only", namespace)

        async def refused() -> bool:
            try:
                await who_am_i(ours)
            except Unauthorized:
                return True
            return False

        await eventually_async(refused, "the refusal")


async def test_what_a_service_account_may_not_do_is_forbidden(cluster, client, namespace, tmp_path):
    token = await a_token(client, namespace, "poor")
    async with await Client.connect(by_token_file(cluster.kubeconfig, tmp_path, token)) as ours:
        with pytest.raises(Forbidden, match="cannot list resource"):
            await ours.list(NODES)


async def test_no_certificate_or_key_of_a_kubeconfig_stays_in_a_file_while_we_run(cluster, tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    for _ in range(2):  # the second time, too, they are found
        async with await Client.connect(cluster.kubeconfig) as client:
            assert await client.get_raw("/readyz") == "ok"
            assert list(tmp_path.iterdir()) == []
