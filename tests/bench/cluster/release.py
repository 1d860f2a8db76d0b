"""Our Pods by what they are for, and what users wait for when the one that leads goes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from typing import Any

from hack.devcluster.install import NAMESPACE
from hack.images.archives import COMPONENTS
from hack.nodes import Node
from support.builders import an_instance
from support.installed import Installed
from support.operators import LEADER
from support.waiting import eventually
from tests.bench.cluster.usage import Container

WHOLE_SECONDS = 400.0
BOUND_SECONDS = 120.0
INSTANCES = "/apis/compute.hypernova.dev/v1alpha1/namespaces/default/instances"


class Release:
    """What Helm has installed, as it is now."""

    def __init__(self, installed: Installed) -> None:
        self.installed = installed

    def containers(self) -> dict[str, Container]:
        """Each Pod's only one, by its part, e.g. `operator_leader`, `agent_node_a` or `console_1`."""
        leader, parts = self._leader(), dict[str, Container]()
        for pod in self._pods():
            node = self.installed.lab.node(pod["spec"]["nodeName"])
            match pod["metadata"]["labels"]["app.kubernetes.io/component"]:
                case "operator":
                    part = "operator_leader" if pod["metadata"]["name"] == leader else "operator_standby"
                case "node-agent":
                    part = f"agent_{node.name.replace('-', '_')}"
                case other:
                    part = f"{other}_{sum(each.startswith(other) for each in parts) + 1}"
            parts[part] = Container(pod, node)
        return dict(sorted(parts.items()))

    def wait_whole(self) -> None:
        """Return once all Pods are ready, and one of them leads."""
        self.installed.rolled_out()
        eventually(self._is_whole, "all Pods to be ready, and one to lead", WHOLE_SECONDS)

    # The one that leads goes

    def kill_leader(self, name: str) -> float:
        """Its container is killed."""
        return self._until_bound(name, self.containers()["operator_leader"].kill)

    def delete_leader(self, name: str) -> float:
        """Its Pod is deleted, as a drain does it: it is told."""
        pod = self._leader()
        where = (f"--namespace={NAMESPACE}", "--wait=false")
        return self._until_bound(name, lambda: self.installed.kubectl("delete", "pod", pod, *where))

    def cut_leader(self, name: str) -> float:
        """Its node loses power, and gets it back afterwards."""
        node = self._leaders_node()
        seconds = self._until_bound(name, node.host.power_cut)
        node.power_cut()  # and what is left of its Pods
        node.start()
        return seconds

    def _until_bound(self, name: str, act: Callable[[], object]) -> float:
        """Seconds from before something is done until an Instance, created right after it, is bound."""
        admin = self.installed.lab.cluster.admin
        wanted: dict[str, Any] = {"flavor": "m1.boot", "image": {"name": "boot"}, "terminationGracePeriodSeconds": 0}
        began = time.monotonic()
        act()
        admin.create(INSTANCES, an_instance(name, **wanted))
        eventually(
            lambda: admin.get(f"{INSTANCES}/{name}").get("status", {}).get("nodeName"),
            f"{name} to be bound",
            BOUND_SECONDS,
        )
        return time.monotonic() - began

    def _leader(self) -> str:
        """The name of the Pod that leads."""
        path = "jsonpath={.spec.holderIdentity}"
        holder = self.installed.kubectl("get", "lease", LEADER, f"--namespace={NAMESPACE}", f"--output={path}")
        return holder.rpartition("_")[0]

    def _leaders_node(self) -> Node:
        (pod,) = [pod for pod in self._pods() if pod["metadata"]["name"] == self._leader()]
        return self.installed.lab.node(pod["spec"]["nodeName"])

    def _pods(self) -> list[dict[str, Any]]:
        """Those that stay, by name."""
        selected = (f"--namespace={NAMESPACE}", f"--selector=app.kubernetes.io/component in ({','.join(COMPONENTS)})")
        return list(json.loads(self.installed.kubectl("get", "pods", *selected, "--output=json"))["items"])

    def _is_whole(self) -> bool:
        pods = self._pods()
        return all(map(_is_ready, pods)) and self._leader() in {pod["metadata"]["name"] for pod in pods}


def _is_ready(pod: dict[str, Any]) -> bool:
    conditions = {each["type"]: each["status"] for each in pod["status"].get("conditions", ())}
    return conditions.get("Ready") == "True" and "deletionTimestamp" not in pod["metadata"]
