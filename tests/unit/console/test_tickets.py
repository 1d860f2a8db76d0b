import random

import pytest

from hypernova_console.tickets import Ticket, digest_of, matches, new_secret
from hypernova_kube.resources import Key

SECRET = new_secret(random.Random(1).randbytes)


def test_a_ticket_is_read_as_it_was_written():
    ticket = Ticket(Key("shop", "web-1-0a1b"), SECRET)
    assert Ticket.parse(ticket.text()) == ticket
    assert ticket.text() == f"shop/web-1-0a1b/{SECRET}"


def test_a_secret_has_256_bits_and_needs_no_escape_in_a_url():
    assert len(new_secret(lambda count: b"\xff" * count)) == 43
    assert new_secret(lambda count: b"\xff" * count).strip("_") == "8"
    assert len({new_secret() for _ in range(100)}) == 100


@pytest.mark.parametrize(
    "text",
    [
        "",
        SECRET,
        f"web-1/{SECRET}",
        f"shop/web-1/{SECRET}=",
        f"shop/web-1/{SECRET[:-1]}",
        f"shop/web-1/{SECRET}\n",
        f"shop/../web-1/{SECRET}",
        f"../consolesessions/{SECRET}",
        f"shop/web-1?x/{SECRET}",
        f"Shop/web-1/{SECRET}",
        f"shop/web/1/{SECRET}",
        f"{'n' * 64}/web-1/{SECRET}",
        f"shop/{'n' * 254}/{SECRET}",
        "shop/web-1/" + "ä" * 43,
    ],
)
def test_what_is_no_ticket_is_not_looked_up(text: str):
    with pytest.raises(ValueError, match="not a ticket"):
        Ticket.parse(text)


def test_only_the_very_secret_matches_its_digest():
    digest = digest_of(SECRET)
    assert matches(SECRET, digest)
    assert not matches(SECRET[:-1] + ("A" if SECRET[-1] != "A" else "B"), digest)
    assert not matches("", digest)
    assert not matches(digest, digest)
    assert not matches(SECRET, None)


def test_who_prints_a_ticket_by_mistake_prints_no_secret():
    ticket = Ticket(Key("shop", "web-1"), SECRET)
    assert SECRET not in f"{ticket} {ticket!r}"
