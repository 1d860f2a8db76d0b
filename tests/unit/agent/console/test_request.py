"""What the console proxy may ask for."""

import pytest

from hypernova_agent.console.request import ConsoleRequest, Refused, read_request
from hypernova_kube.resources import Key

PATH = {"namespace": "shop", "name": "web-1"}
NEEDED = [("uid", "u-1"), ("user", "ada"), ("session", "shop/s-1")]


def test_what_is_not_said_is_no() -> None:
    asked = read_request(PATH, NEEDED, viewing=True)
    assert asked == ConsoleRequest(Key("shop", "web-1"), "u-1", "ada", "shop/s-1", False, False, False)


def test_all_can_be_said() -> None:
    asked = read_request(
        PATH, [*NEEDED, ("readOnly", "true"), ("exclusive", "true"), ("takeOver", "true")], viewing=True
    )
    assert (asked.read_only, asked.exclusive, asked.take_over) == (True, True, True)


def test_a_picture_begins_no_session() -> None:
    assert read_request(PATH, NEEDED[:2], viewing=False).session == ""


@pytest.mark.parametrize(
    ("query", "why"),
    [
        (NEEDED[1:], "uid is missing"),
        ([*NEEDED[:2], ("session", "")], "session is missing"),
        ([*NEEDED, ("readonly", "true")], "no parameter 'readonly'"),
        ([*NEEDED, ("uid", "u-2")], "uid is there twice"),
        ([*NEEDED, ("readOnly", "True")], "readOnly is true or false"),
        ([*NEEDED, ("readOnly", "")], "readOnly is true or false"),
        ([NEEDED[0], ("user", "a" * 1025), NEEDED[2]], "user is longer than 1024"),
        ([*NEEDED, ("x" * 1000, "")], "no parameter 'x{40}'"),
    ],
)
def test_what_is_not_as_it_should_be_is_refused_with_a_sentence(query: list[tuple[str, str]], why: str) -> None:
    with pytest.raises(Refused, match=why) as refused:
        read_request(PATH, query, viewing=True)
    assert (refused.value.status, refused.value.told["reason"]) == (400, "BadRequest")
