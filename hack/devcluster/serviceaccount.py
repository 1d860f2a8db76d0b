"""Tokens of ServiceAccounts, as their pods would have them."""

from __future__ import annotations

from typing import Any

from .admin import Admin

TOKEN_SECONDS = 24 * 3600


def issue_token(admin: Admin, namespace: str, name: str, node: str | None, *, audience: str = "") -> str:
    """A token of a ServiceAccount (made when missing), bound to a placeholder Pod on `node` when one is given.

    It is for the API server unless there is an `audience`.
    """
    accounts = f"/api/v1/namespaces/{namespace}/serviceaccounts"
    admin.ensure(accounts, {"metadata": {"name": name}})
    spec: dict[str, Any] = {"expirationSeconds": TOKEN_SECONDS} | ({"audiences": [audience]} if audience else {})
    if node is not None:
        admin.ensure("/api/v1/nodes", {"metadata": {"name": node}})
        pod = admin.ensure(f"/api/v1/namespaces/{namespace}/pods", placeholder_pod(name, node))
        metadata = pod["metadata"]
        spec["boundObjectRef"] = {
            "apiVersion": "v1",
            "kind": "Pod",
            "name": metadata["name"],
            "uid": metadata["uid"],
        }
    answer = admin.create(f"{accounts}/{name}/token", {"spec": spec})
    token: str = answer["status"]["token"]
    return token


def placeholder_pod(service_account: str, node: str) -> dict[str, Any]:
    """A Pod that is on a node as far as the API server knows, for tokens to be bound to; nobody runs it."""
    return {
        "metadata": {"name": f"{service_account}-{node}"},
        "spec": {
            "serviceAccountName": service_account,
            "automountServiceAccountToken": False,
            "nodeName": node,
            # Else a taint that a test puts on the node would evict it, and with it the token.
            "tolerations": [{"operator": "Exists"}],
            "containers": [{"name": "placeholder", "image": "placeholder"}],
        },
    }
