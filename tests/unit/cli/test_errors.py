"""Errors, in the words of who reads them."""

import pytest

from hypernova_cli.errors import proxied, sentence
from hypernova_kube.errors import ApiError, NoCredentials, Unauthorized, Unreachable, from_body, from_status

FORBIDDEN = (
    'instances.subresources.compute.hypernova.dev "web-1" is forbidden: User "bob" cannot get resource '
    '"instances/serial" in API group "subresources.compute.hypernova.dev" in the namespace "shop"'
)


def an_error(code: int, reason: str, message: str) -> ApiError:
    return from_status({"kind": "Status", "code": code, "reason": reason, "message": message})


@pytest.mark.parametrize(
    ("error", "text"),
    [
        pytest.param(
            an_error(403, "Forbidden", FORBIDDEN),
            "you (bob) lack the right to get instances/serial of subresources.compute.hypernova.dev in namespace shop: "
            "ask who administers it for a Role that has it",
            id="a right of a namespace",
        ),
        pytest.param(
            an_error(
                403,
                "Forbidden",
                'nodes is forbidden: User "bob" cannot list resource "nodes" in API group "" at the cluster scope',
            ),
            "you (bob) lack the right to list nodes of core in all of the cluster: ask who administers it for a Role "
            "that has it",
            id="a right of the cluster",
        ),
        pytest.param(
            an_error(403, "Forbidden", "web-1 is locked: audit"), "web-1 is locked: audit", id="an admission policy"
        ),
        pytest.param(
            an_error(409, "GuestOff", "The guest is off."),
            "The guest is off; start it with `kubectl hypernova start`",
            id="off",
        ),
        pytest.param(
            an_error(409, "InUse", "alice has it"),
            "alice has it; --take-over takes it from whoever has it",
            id="in use",
        ),
        pytest.param(
            an_error(404, "NotFound", 'instances "x" not found'), 'instances "x" not found', id="no such Instance"
        ),
        pytest.param(
            from_body(404, b"404 page not found\n"),
            "this cluster does not know Instances: Hypernova is not installed in it",
            id="no such kind",
        ),
        pytest.param(
            Unauthorized(401, "Unauthorized", "Unauthorized"),
            "the API server does not take your credentials: log in anew, or choose another --context",
            id="who are you",
        ),
        pytest.param(Unreachable("GET /: refused"), "the API server does not answer: GET /: refused", id="no answer"),
        pytest.param(NoCredentials("kubeconfig x"), "no way to log in: kubeconfig x", id="no kubeconfig"),
    ],
)
def test_an_error_is_one_sentence_that_says_what_to_do(error, text):
    assert sentence(error) == text


def test_a_console_proxy_that_is_not_installed_is_told_from_an_instance_that_is_not_there():
    assert "has no console proxy" in str(proxied(from_body(404, b"404 page not found\n")))
    assert proxied(an_error(404, "NotFound", 'instances "x" not found')) is None
    assert proxied(an_error(404, "InstanceNotHere", "no such Instance")) is None


def test_a_console_proxy_that_does_not_answer_is_told_from_a_node_that_does_not():
    assert "does not answer" in str(proxied(from_body(503, b"service unavailable\n")))
    assert "does not answer" in str(proxied(an_error(503, "ServiceUnavailable", "error trying to reach service")))
    assert proxied(an_error(503, "HostUnreachable", "node-a does not answer")) is None
