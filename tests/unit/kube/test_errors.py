import json

import pytest

from hypernova_kube.errors import (
    AlreadyExists,
    ApiError,
    BadRequest,
    Conflict,
    Expired,
    Forbidden,
    Invalid,
    NotFound,
    ServerError,
    TooManyRequests,
    Unauthorized,
    from_body,
    from_status,
)


def a_status(code: int, reason: str, message: str = "because", **details: object) -> dict:
    return {"kind": "Status", "code": code, "reason": reason, "message": message, "details": details}


@pytest.mark.parametrize(
    ("code", "reason", "error"),
    [
        (400, "BadRequest", BadRequest),
        (401, "Unauthorized", Unauthorized),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "AlreadyExists", AlreadyExists),
        (409, "Conflict", Conflict),
        (410, "Expired", Expired),
        (410, "Gone", Expired),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", TooManyRequests),
        (500, "InternalError", ServerError),
        (503, "ServiceUnavailable", ServerError),
        (504, "Timeout", ServerError),
        (405, "MethodNotAllowed", ApiError),
    ],
)
def test_each_status_is_its_own_error(code, reason, error):
    raised = from_status(a_status(code, reason))
    assert type(raised) is error
    assert (raised.status, raised.reason, raised.message) == (code, reason, "because")


def test_an_error_reads_as_the_servers_sentence():
    raised = from_status(a_status(404, "NotFound", 'instances "web-1" not found', name="web-1", kind="instances"))
    assert str(raised) == 'instances "web-1" not found (404 NotFound)'
    assert raised.details["name"] == "web-1"


def test_the_wait_a_server_asks_for_is_told():
    assert from_body(429, json.dumps(a_status(429, "TooManyRequests")).encode(), retry_after=3).retry_after == 3
    assert from_status(a_status(504, "Timeout", retryAfterSeconds=7)).retry_after == 7


@pytest.mark.parametrize(
    ("code", "body", "error", "text"),
    [
        (502, b"<html>\n<h1>Bad Gateway</h1></html>", ServerError, "<html> <h1>Bad Gateway</h1></html> (502)"),
        (404, b"404 page not found\n", NotFound, "404 page not found (404)"),
        (403, b"", Forbidden, "HTTP status 403 without a body (403)"),
        (500, b'{"kind": "Pod"}', ServerError, '{"kind": "Pod"} (500)'),
        (500, b"\xff\xfe", ServerError, "\ufffd\ufffd (500)"),
        (409, b"[]", Conflict, "[] (409)"),
    ],
)
def test_a_body_that_is_no_status_still_tells_something(code, body, error, text):
    raised = from_body(code, body)
    assert type(raised) is error
    assert str(raised) == text


def test_a_long_foreign_body_is_cut():
    assert len(str(from_body(502, b"x" * 1_000_000))) < 3000
