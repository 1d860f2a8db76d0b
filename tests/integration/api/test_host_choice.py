"""Who may say which host an Instance goes to: those who may `use` its Hypervisor."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from hack.devcluster import Cluster
from hack.devcluster.errors import ClusterError
from hypernova_api.meta import GROUP
from hypernova_kube.resources import Object
from support.builders import an_instance, without
from support.waiting import eventually

RBAC = "/apis/rbac.authorization.k8s.io/v1"

OPERATIONS = "ops-ann"
"""Runs the hosts, and edits the namespace."""
ONE_HOST = "ops-eve"
"""Edits the namespace, and may use node-a alone."""
EDITOR = "dev-bob"
"""Edits the namespace."""
OTHER = "gitops"
"""Edits the namespace too."""

BY_NAME: Object = {"nodeName": "node-a"}
BY_LABEL: Object = {"nodeSelector": {"kubernetes.io/hostname": "node-a", "rack": "r1"}}
REFUSALS = [
    pytest.param(
        BY_NAME,
        "spec.scheduling.nodeName node-a is for those who may `use` the Hypervisor of that name, which dev-bob may "
        "not: leave it out, or ask an administrator",
        id="by nodeName",
    ),
    pytest.param(
        BY_LABEL,
        "kubernetes.io/hostname node-a in spec.scheduling.nodeSelector is for those who may `use` the Hypervisor of "
        "that name, which dev-bob may not: leave it out, or ask an administrator",
        id="by the label that says the same",
    ),
]
WAYS = pytest.mark.parametrize("choice", [BY_NAME, BY_LABEL], ids=["by nodeName", "by label"])


@dataclass(frozen=True, slots=True)
class Users:
    """What users do with Instances in a namespace."""

    cluster: Cluster
    namespace: str

    def create(self, user: str, **scheduling: Any) -> None:
        self._kubectl(user, "create", "--filename=-", manifest=manifest(**scheduling))

    def apply(self, user: str, **scheduling: Any) -> str:
        """Server-side, as GitOps tools do; the whole desired state, with a label that is new."""
        desired = manifest(**scheduling)
        desired["metadata"]["labels"] = {"applied-by": user}
        return self._kubectl(user, "apply", "--server-side", "--force-conflicts", "--filename=-", manifest=desired)

    def patch(self, user: str, scheduling: dict[str, Any] | None) -> None:
        patch = json.dumps({"spec": {"scheduling": scheduling}})
        self._kubectl(user, "patch", "instance", "web-1", "--type=merge", f"--patch={patch}")

    def scheduling(self) -> dict[str, Any]:
        text = self._kubectl("", "get", "instance", "web-1", "--output=json")
        spec: dict[str, Any] = json.loads(text)["spec"]
        return spec.get("scheduling", {})

    def _kubectl(self, user: str, *arguments: str, manifest: Object | None = None) -> str:
        identity = [f"--as={user}", "--as-group=system:authenticated"] if user else []
        return self.cluster.kubectl(
            *arguments, *identity, f"--namespace={self.namespace}", input=json.dumps(manifest or {})
        )


def manifest(**scheduling: Any) -> Object:
    return without(an_instance(**({"scheduling": scheduling} if scheduling else {})), "metadata.namespace")


@pytest.fixture
def users(cluster: Cluster, namespace: str) -> Iterator[Users]:
    """The four, with their rights in force."""
    users = Users(cluster, namespace)
    for user in (OPERATIONS, ONE_HOST, EDITOR, OTHER):
        cluster.kubectl(
            "create", "rolebinding", user, "--clusterrole=edit", f"--user={user}", f"--namespace={namespace}"
        )
    everything, one = f"{namespace}-administrator", f"{namespace}-one-host"
    rule = {"apiGroups": [GROUP], "resources": ["hypervisors"], "resourceNames": ["node-a"], "verbs": ["use"]}
    cluster.admin.create(f"{RBAC}/clusterroles", {"metadata": {"name": one}, "rules": [rule]})
    for name, role, user in [(everything, "hypernova-administrator", OPERATIONS), (one, one, ONE_HOST)]:
        cluster.kubectl("create", "clusterrolebinding", name, f"--clusterrole={role}", f"--user={user}")
    rights = [(OPERATIONS, "use hypervisors"), (ONE_HOST, "use hypervisors/node-a"), (EDITOR, "create instances")]
    eventually(lambda: all(_may(users, user, deed) for user, deed in rights), "the rights to be in force")
    yield users
    cluster.kubectl("delete", "clusterrolebinding", everything, one)
    cluster.kubectl("delete", "clusterrole", one)
    # There is no agent here that would take the finalizer away.
    clear = json.dumps({"metadata": {"finalizers": None}})
    cluster.kubectl("delete", "instances", "--all", "--wait=false", f"--namespace={namespace}")
    for name in cluster.kubectl("get", "instances", "--output=name", f"--namespace={namespace}").split():
        cluster.kubectl("patch", name, "--type=merge", f"--patch={clear}", f"--namespace={namespace}")


def _may(users: Users, user: str, deed: str) -> bool:
    try:
        answer = users.cluster.kubectl("auth", "can-i", *deed.split(), f"--as={user}", f"--namespace={users.namespace}")
    except ClusterError:  # kubectl's exit status for a no
        return False
    return answer.strip() == "yes"


@pytest.mark.parametrize(("choice", "refusal"), REFUSALS)
def test_an_editor_of_the_namespace_cannot_choose_a_host(choice: Object, refusal: str, users: Users) -> None:
    with pytest.raises(ClusterError) as at_creation:
        users.create(EDITOR, **choice)
    users.create(EDITOR, group="web")
    with pytest.raises(ClusterError) as at_update:
        users.patch(EDITOR, choice)

    assert refusal in str(at_creation.value)
    assert refusal in str(at_update.value)


@WAYS
@pytest.mark.parametrize("user", [OPERATIONS, ONE_HOST])
def test_who_may_use_the_hypervisor_chooses_it(user: str, choice: Object, users: Users) -> None:
    users.create(user, **choice)
    users.patch(user, None)
    users.patch(user, choice)

    assert users.scheduling() == choice


def test_the_right_to_use_one_host_is_none_to_use_another(users: Users) -> None:
    with pytest.raises(ClusterError, match="nodeName node-b is for those who may `use`"):
        users.create(ONE_HOST, nodeName="node-b")
    users.create(ONE_HOST, **BY_NAME)
    with pytest.raises(ClusterError, match="nodeName node-b is for those who may `use`"):
        users.patch(ONE_HOST, {"nodeName": "node-b"})


@WAYS
def test_an_editor_may_leave_what_an_administrator_chose_and_take_it_out_but_not_change_it(
    choice: Object, users: Users
) -> None:
    users.create(OPERATIONS, **choice)
    elsewhere = json.loads(json.dumps(choice).replace("node-a", "node-b"))

    users.patch(EDITOR, {"group": "web"})
    with pytest.raises(ClusterError, match=r"node-b .*is for those who may `use`"):
        users.patch(EDITOR, elsewhere)
    assert users.scheduling() == choice | {"group": "web"}

    users.patch(EDITOR, dict.fromkeys(choice))
    assert users.scheduling() == {"group": "web"}
    with pytest.raises(ClusterError, match=r"node-a .*is for those who may `use`"):
        users.patch(EDITOR, choice)


@WAYS
def test_another_user_may_apply_what_is_there_already(choice: Object, users: Users) -> None:
    users.apply(OPERATIONS, **choice)

    users.apply(OTHER, **choice)

    assert users.scheduling() == choice


def test_other_labels_in_a_node_selector_are_for_everybody(users: Users) -> None:
    users.create(EDITOR, nodeSelector={"rack": "r1"}, tolerations=[{"operator": "Exists"}])
