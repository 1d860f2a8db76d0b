"""The console proxy's place behind the API server: its Service and APIService, as a chart would make them.

While an APIService is there and its server does not answer, discovery is incomplete: the API server deletes no
namespace then, and collects no garbage. So it goes with the proxy.
"""

from __future__ import annotations

import json
from typing import Any

from hack.devcluster import Cluster
from hack.devcluster.install import NAMESPACE
from hack.devcluster.waiting import wait_until
from hypernova_api.certificates import CONSOLE_ACCOUNT
from hypernova_api.console import SUBRESOURCES_GROUP
from hypernova_api.meta import VERSION

API_SERVICE = f"{VERSION}.{SUBRESOURCES_GROUP}"
AVAILABLE_SECONDS = 60.0


def register(cluster: Cluster, port: int) -> None:
    """Have the API server pass the group on to a port of this machine. The operator adds whom to trust."""
    manifest = json.dumps({"apiVersion": "v1", "kind": "List", "items": [_service(port), _api_service(port)]})
    cluster.kubectl("apply", "--server-side", "--filename=-", input=manifest)


def unregister(cluster: Cluster) -> None:
    """Have it pass on nothing any more."""
    cluster.kubectl("delete", "--ignore-not-found", "apiservice", API_SERVICE)


def wait_available(cluster: Cluster) -> None:
    """Return when the API server reaches the console proxy and trusts it.

    Raises:
        ClusterError: it does not in time.
    """

    def available() -> bool:
        status = cluster.admin.get(f"/apis/apiregistration.k8s.io/v1/apiservices/{API_SERVICE}").get("status", {})
        return any(each["type"] == "Available" and each["status"] == "True" for each in status.get("conditions", ()))

    wait_until(available, seconds=AVAILABLE_SECONDS, what=f"APIService {API_SERVICE} to be available")


def _service(port: int) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": CONSOLE_ACCOUNT, "namespace": NAMESPACE},
        # There is no Pod network here, and loopback addresses are refused as endpoints.
        "spec": {"type": "ExternalName", "externalName": "localhost", "ports": [{"port": port}]},
    }


def _api_service(port: int) -> dict[str, Any]:
    return {
        "apiVersion": "apiregistration.k8s.io/v1",
        "kind": "APIService",
        "metadata": {"name": API_SERVICE},
        "spec": {
            "group": SUBRESOURCES_GROUP,
            "version": VERSION,
            "groupPriorityMinimum": 900,  # below that of the kinds: `instances` alone means those
            "versionPriority": 15,
            "service": {"name": CONSOLE_ACCOUNT, "namespace": NAMESPACE, "port": port},
        },
    }
