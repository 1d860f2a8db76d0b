"""Who may have what user data: every way to come by it, and everything that somebody might try."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from hypernova_api.action import InstanceAction
from hypernova_api.conductor import AUDIENCE
from hypernova_api.instance import USER_DATA_LIMIT, Instance, SecretKeyReference
from hypernova_kube.resources import Key, Object
from hypernova_operator.conductor import rules
from hypernova_operator.conductor.rules import Refused, Wanted
from support.builders import an_action, an_instance, stored

NAMESPACE = "hypernova-system"
AGENT = f"system:serviceaccount:{NAMESPACE}:hypernova-node-agent"
NODE = "authentication.kubernetes.io/node-name"
WANTED = Wanted(Key("shop", "web-1"), "uid-1")
REBUILT = Wanted(Key("shop", "web-1"), "uid-1", "act-1", "act-uid")
REFERENCE = {"secretKeyRef": {"name": "web-init", "key": "user-data"}}
FOUND = SecretKeyReference(name="web-init", key="user-data")


def reviewed(
    username: str = AGENT, nodes: list[str] | None = None, audiences: list[str] | None = None, **status: Any
) -> Object:
    """A TokenReview as the API server answers it."""
    user = {"username": username, "extra": {NODE: ["node-a"] if nodes is None else nodes}}
    audiences = [AUDIENCE] if audiences is None else audiences
    return {"status": {"authenticated": True, "user": user, "audiences": audiences} | status}


def an_instance_on(node: str | None = "node-a", uid: str = "uid-1", **spec: Any) -> Instance:
    obj = an_instance(namespace="shop", status={"nodeName": node} if node else {}, **spec)
    obj["metadata"]["uid"] = uid
    return Instance.parse(stored(obj))


def a_rebuild(uid: str = "act-uid", bound: str = "uid-1", type_: str = "Rebuild", **spec: Any) -> InstanceAction:
    given: Object = {"instance": "web-1"} | ({"rebuild": {"userData": REFERENCE}} if type_ == "Rebuild" else {}) | spec
    obj = an_action(type_, "act-1", "shop", status={"instanceUID": bound}, **given)
    obj["metadata"]["uid"] = uid
    return InstanceAction.parse(stored(obj))


def reason(refused: pytest.ExceptionInfo[Refused]) -> tuple[int, str]:
    return refused.value.status, refused.value.reason.value


def test_an_agent_is_on_the_node_that_its_token_is_bound_to() -> None:
    assert rules.node_of(reviewed(), NAMESPACE) == "node-a"


NO_AGENTS: dict[str, tuple[Object, tuple[int, str]]] = {
    "nothing was answered": ({}, (401, "Unauthenticated")),
    "an expired token, or rubbish": (reviewed(authenticated=False), (401, "Unauthenticated")),
    "a token for somebody else": (reviewed(audiences=["https://kubernetes.default.svc"]), (401, "Unauthenticated")),
    "a reviewer who knows no audiences": (reviewed(audiences=[]), (401, "Unauthenticated")),
    "another account": (reviewed(f"system:serviceaccount:{NAMESPACE}:hypernova-console"), (403, "NotAnAgent")),
    "an agent's namesake": (reviewed("system:serviceaccount:default:hypernova-node-agent"), (403, "NotAnAgent")),
    "a kubelet": (reviewed("system:node:node-a"), (403, "NotAnAgent")),
    "an administrator": (reviewed("kubernetes-admin"), (403, "NotAnAgent")),
    "a token of no Pod": (reviewed(nodes=[]), (403, "NotAnAgent")),
    "a token of a Pod without node": (reviewed(nodes=[""]), (403, "NotAnAgent")),
    "a token of two nodes": (reviewed(nodes=["node-a", "node-b"]), (403, "NotAnAgent")),
}


@pytest.mark.parametrize(("review", "expected"), NO_AGENTS.values(), ids=NO_AGENTS)
def test_who_is_no_agent_is_told_so(review: Object, expected: tuple[int, str]) -> None:
    with pytest.raises(Refused) as refused:
        rules.node_of(review, NAMESPACE)
    assert reason(refused) == expected


NOT_ITS_OWN: dict[str, tuple[Instance | None, tuple[int, str]]] = {
    "none of that name": (None, (404, "InstanceNotFound")),
    "another that has come to bear the name": (an_instance_on(uid="uid-2"), (404, "InstanceNotFound")),
    "one on another node": (an_instance_on("node-b"), (403, "NotItsNode")),
    "one on no node yet": (an_instance_on(None), (403, "NotItsNode")),
}


@pytest.mark.parametrize(("instance", "expected"), NOT_ITS_OWN.values(), ids=NOT_ITS_OWN)
def test_an_agent_gets_nothing_of_what_is_not_its_own(instance: Instance | None, expected: tuple[int, str]) -> None:
    with pytest.raises(Refused) as refused:
        rules.checked(instance, WANTED, "node-a")
    assert reason(refused) == expected


def test_an_instances_secret_is_the_one_that_its_user_named() -> None:
    assert rules.secret_of_instance(rules.checked(an_instance_on(userData=REFERENCE), WANTED, "node-a")) == FOUND


def test_a_rebuilds_secret_is_the_one_that_its_user_named() -> None:
    assert rules.secret_of_action(a_rebuild(), REBUILT) == FOUND


@pytest.mark.parametrize("spec", [{}, {"userData": {"inline": "#!"}}], ids=["none", "inline"])
def test_an_instance_that_names_no_secret_has_none(spec: Object) -> None:
    with pytest.raises(Refused) as refused:
        rules.secret_of_instance(an_instance_on(**spec))
    assert reason(refused) == (404, "NoUserData")


NOT_OF_THE_INSTANCE: dict[str, tuple[InstanceAction | None, tuple[int, str]]] = {
    "one that is gone": (None, (404, "UserDataNotFound")),
    "another that has come to bear the name": (a_rebuild(uid="act-2"), (404, "UserDataNotFound")),
    "one of another Instance": (a_rebuild(instance="web-2"), (404, "NoUserData")),
    "one of a former Instance of the name": (a_rebuild(bound="uid-0"), (404, "NoUserData")),
    "one that nobody has admitted": (a_rebuild(bound=""), (404, "NoUserData")),
    "one that rebuilds nothing": (a_rebuild(type_="Reboot"), (404, "NoUserData")),
    "one that brings nothing": (a_rebuild(rebuild={"keyPairs": []}), (404, "NoUserData")),
    "one that brings it inline": (a_rebuild(rebuild={"userData": {"inline": "#"}}), (404, "NoUserData")),
}


@pytest.mark.parametrize(("action", "expected"), NOT_OF_THE_INSTANCE.values(), ids=NOT_OF_THE_INSTANCE)
def test_an_action_opens_no_secret_but_that_of_its_own_rebuild(
    action: InstanceAction | None, expected: tuple[int, str]
) -> None:
    with pytest.raises(Refused) as refused:
        rules.secret_of_action(action, REBUILT)
    assert reason(refused) == expected


def a_secret(content: bytes) -> Object:
    return {"data": {"user-data": base64.b64encode(content).decode()}}


@pytest.mark.parametrize("content", [b"", b"#cloud-config\n", b"\x1f\x8b\x00\xff", b"x" * USER_DATA_LIMIT])
def test_any_bytes_are_handed_out_as_they_are(content: bytes) -> None:
    assert rules.content_of(a_secret(content), FOUND) == content


NOT_THERE: dict[str, tuple[Object | None, tuple[int, str], str]] = {
    "no Secret": (None, (404, "UserDataNotFound"), "there is no Secret web-init in the Instance's namespace"),
    "an empty one": ({}, (404, "UserDataNotFound"), "Secret web-init has no key user-data"),
    "another key": ({"data": {"a": "eA=="}}, (404, "UserDataNotFound"), "Secret web-init has no key user-data"),
    "too much": (a_secret(b"x" * (USER_DATA_LIMIT + 1)), (409, "UserDataTooLarge"), "is over 64 KiB"),
    "rubbish": ({"data": {"user-data": "not-base64!"}}, (404, "UserDataNotFound"), "Secret web-init is not in base64"),
}


@pytest.mark.parametrize(("secret", "expected", "words"), NOT_THERE.values(), ids=NOT_THERE)
def test_what_is_not_there_is_named(secret: Object | None, expected: tuple[int, str], words: str) -> None:
    with pytest.raises(Refused, match=words) as refused:
        rules.content_of(secret, FOUND)
    assert reason(refused) == expected


def test_who_may_not_read_says_what_to_type() -> None:
    assert str(rules.forbidden("shop", NAMESPACE)).endswith(
        "kubectl create rolebinding hypernova-user-data --namespace shop --clusterrole=hypernova-user-data "
        "--serviceaccount=hypernova-system:hypernova-operator"
    )
