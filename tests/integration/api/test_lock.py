"""A locked Instance, and what else is for those who may `administer` it."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from hack.devcluster import Cluster
from hack.devcluster.errors import ClusterError
from hypernova_api.action import ADMINISTER
from hypernova_api.meta import CREATED_BY, FINALIZER, GROUP
from hypernova_kube.resources import Object
from support.builders import an_action, an_instance, without
from support.waiting import eventually

RBAC = "/apis/rbac.authorization.k8s.io/v1"

EDITOR = "lock-bob"
"""Edits the namespace."""
KEEPER = "lock-eve"
"""Edits the namespace, and may administer web-1 alone, by a group."""
KEEPERS = "web-keepers"
ADMINISTRATOR = "lock-ann"
"""Has Hypernova's own role for administrators, and no right by the namespace."""

LOCKED = {"locked": {"reason": "audit until Friday"}}
REFUSED = (
    r"the Instance is locked \(audit until Friday\): only who may `administer` it can change or delete it, which "
    r"lock-bob may not. Ask an administrator, who can also take spec.locked off"
)


@dataclass(frozen=True, slots=True)
class Users:
    """What users do in a namespace."""

    cluster: Cluster
    namespace: str

    def create(self, user: str, obj: Object) -> Object:
        manifest = json.dumps(without(obj, "metadata.namespace"))
        made: Object = json.loads(self(user, "create", "--filename=-", "--output=json", manifest=manifest))
        return made

    def patch(self, user: str, patch: dict[str, Any], name: str = "web-1", *flags: str) -> None:
        self(user, "patch", "instance", name, "--type=merge", f"--patch={json.dumps(patch)}", *flags)

    def spec(self, name: str = "web-1") -> dict[str, Any]:
        spec: dict[str, Any] = json.loads(self("", "get", "instance", name, "--output=json"))["spec"]
        return spec

    def may(self, user: str, deed: str) -> bool:
        try:
            return self(user, "auth", "can-i", *deed.split()) == "yes\n"
        except ClusterError:  # kubectl's exit status for a no
            return False

    def __call__(self, user: str, *arguments: str, manifest: str = "") -> str:
        groups = ["system:authenticated", *([KEEPERS] if user == KEEPER else [])]
        identity = [f"--as={user}", *(f"--as-group={group}" for group in groups)] if user else []
        return self.cluster.kubectl(*arguments, *identity, f"--namespace={self.namespace}", input=manifest)


@pytest.fixture
def users(cluster: Cluster, namespace: str) -> Iterator[Users]:
    """The three, with their rights in force."""
    users = Users(cluster, namespace)
    for user in (EDITOR, KEEPER):
        users("", "create", "rolebinding", user, "--clusterrole=edit", f"--user={user}")
    rule = {"apiGroups": [GROUP], "resources": ["instances"], "resourceNames": ["web-1"], "verbs": ["administer"]}
    cluster.admin.create(f"{RBAC}/namespaces/{namespace}/roles", {"metadata": {"name": KEEPERS}, "rules": [rule]})
    users("", "create", "rolebinding", KEEPERS, f"--role={KEEPERS}", f"--group={KEEPERS}")
    binding = f"{namespace}-administrator"
    administrator = ["--clusterrole=hypernova-administrator", f"--user={ADMINISTRATOR}"]
    users("", "create", "clusterrolebinding", binding, *administrator)
    rights = [(EDITOR, "create instances"), (KEEPER, "administer instances/web-1"), (ADMINISTRATOR, "delete instances")]
    eventually(lambda: all(users.may(user, deed) for user, deed in rights), "the rights to be in force")
    yield users
    users("", "delete", "clusterrolebinding", binding)
    # There is no agent here that would take the finalizer away.
    clear = json.dumps({"metadata": {"finalizers": None}})
    users("", "delete", "instances", "--all", "--wait=false")
    for name in users("", "get", "instances", "--output=name").split():
        users("", "patch", name, "--type=merge", f"--patch={clear}")


@pytest.mark.parametrize(
    "change",
    [
        {"powerState": "Stopped"},
        {"locked": None},
        {"locked": {"reason": "another"}},
        {"locked": None, "powerState": "Stopped"},
    ],
    ids=["stop it", "unlock it", "lock it for another reason", "unlock and stop it"],
)
def test_who_may_only_edit_cannot_change_a_locked_instance(change: dict[str, Any], users: Users) -> None:
    users.create(EDITOR, an_instance(**LOCKED))

    with pytest.raises(ClusterError, match=REFUSED):
        users.patch(EDITOR, {"spec": change})

    assert users.spec()["locked"] == LOCKED["locked"]
    assert users.spec()["powerState"] == "Running"


@pytest.mark.parametrize("which", [["web-1"], ["--all"]], ids=["it", "all of the namespace"])
def test_who_may_only_edit_cannot_delete_a_locked_instance(which: list[str], users: Users) -> None:
    users.create(EDITOR, an_instance(**LOCKED))

    with pytest.raises(ClusterError, match=REFUSED):
        users(EDITOR, "delete", "instances", *which, "--wait=false")


@pytest.mark.parametrize("user", [KEEPER, ADMINISTRATOR])
def test_who_may_administer_it_changes_unlocks_and_deletes_it(user: str, users: Users) -> None:
    users.create(EDITOR, an_instance(**LOCKED))

    users.patch(user, {"spec": {"powerState": "Stopped"}})
    users.patch(user, {"spec": {"locked": None}})
    users.patch(EDITOR, {"spec": {"powerState": "Running"} | LOCKED})
    users(user, "delete", "instance", "web-1", "--wait=false")


def test_the_right_to_administer_one_instance_is_none_to_another(users: Users) -> None:
    users.create(EDITOR, an_instance("web-2", **LOCKED))

    with pytest.raises(ClusterError, match="which lock-eve may not"):
        users.patch(KEEPER, {"spec": {"locked": None}}, "web-2")


def test_what_our_components_write_is_not_locked(users: Users) -> None:
    users.create(EDITOR, an_instance(**LOCKED))

    users.patch(EDITOR, {"metadata": {"labels": {"team": "web"}, "finalizers": [FINALIZER, "example.com/audit"]}})
    users.patch("", {"status": {"phase": "Stopped"}}, "web-1", "--subresource=status")
    users(KEEPER, "delete", "instance", "web-1", "--wait=false")
    users.patch(EDITOR, {"metadata": {"finalizers": None}})


def test_who_applies_what_is_there_already_is_let_pass(users: Users) -> None:
    manifest = json.dumps(without(an_instance(**LOCKED), "metadata.namespace"))
    for user in (KEEPER, EDITOR):
        users(user, "apply", "--server-side", "--force-conflicts", "--filename=-", manifest=manifest)


def test_a_locked_instance_holds_the_deletion_of_its_namespace_which_says_why(users: Users, namespace: str) -> None:
    users.create(EDITOR, an_instance(finalizers=[FINALIZER], **LOCKED))
    users("", "delete", "namespace", namespace, "--wait=false")

    def told() -> bool:
        status = json.loads(users("", "get", "namespace", namespace, "--output=json"))["status"]
        return "the Instance is locked (audit until Friday)" in json.dumps(status.get("conditions"))

    eventually(told, "the namespace to say why it stays")
    users.patch(ADMINISTRATOR, {"spec": {"locked": None}})
    # Kubernetes tries again after twice the time each time, up to a minute.
    deleted_at = "--output=jsonpath={.metadata.deletionTimestamp}"
    eventually(lambda: users("", "get", "instance", "web-1", deleted_at), "the unlocked Instance to be deleted", 90)
    # Before its deletion the finalizer would be put back.
    users.patch("", {"metadata": {"finalizers": None}})
    eventually(lambda: not users.cluster.kubectl("get", "namespace", namespace, "--ignore-not-found"), "it to go", 90)


@pytest.mark.usefixtures("mutating")
@pytest.mark.parametrize(("user", "administers"), [(EDITOR, False), (KEEPER, True), (ADMINISTRATOR, True)])
def test_an_action_says_who_created_it_and_whether_he_may_administer_its_instance(
    user: str, administers: bool, users: Users
) -> None:
    annotations = users.create(user, an_action(annotations={"a": "b"}))["metadata"]["annotations"]

    assert annotations == {"a": "b", CREATED_BY: user} | ({ADMINISTER: "true"} if administers else {})


@pytest.mark.usefixtures("mutating")
def test_the_right_to_administer_is_of_the_instance_that_the_action_names(users: Users) -> None:
    assert ADMINISTER not in users.create(KEEPER, an_action(instance="web-2"))["metadata"]["annotations"]


def test_nobody_can_claim_to_administer_an_instance(users: Users) -> None:
    refused = "the annotation compute.hypernova.dev/administer is for those who may `administer` Instance web-1, which "
    with pytest.raises(ClusterError, match=refused + "lock-bob may not: leave it out"):
        users.create(EDITOR, an_action(annotations={ADMINISTER: "true"}))
    users.create(EDITOR, an_action())
    for forged in ({ADMINISTER: "true"}, {CREATED_BY: KEEPER}):
        patch = json.dumps({"metadata": {"annotations": forged}})
        with pytest.raises(ClusterError, match="cannot be added, changed or removed after creation"):
            users(EDITOR, "patch", "instanceaction", "act-1", "--type=merge", f"--patch={patch}")


@pytest.mark.usefixtures("mutating")
def test_an_action_that_is_replaced_loses_nothing_that_admission_wrote(users: Users) -> None:
    made = users.create(KEEPER, an_action())
    users(EDITOR, "replace", "--filename=-", manifest=json.dumps(without(an_action(), "metadata.namespace")))

    kept = json.loads(users("", "get", "instanceaction", "act-1", "--output=json"))
    assert kept["metadata"]["annotations"] == made["metadata"]["annotations"]


def test_to_reset_the_state_is_for_who_may_administer_the_instance(users: Users) -> None:
    refused = (
        "ResetState is for those who may `administer` Instance web-1, which lock-bob may not: ask an administrator"
    )
    with pytest.raises(ClusterError, match=refused):
        users.create(EDITOR, an_action("ResetState"))
    for user in (KEEPER, ADMINISTRATOR):
        users.create(user, an_action("ResetState", f"by-{user}"))
