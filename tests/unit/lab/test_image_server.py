"""The image server behaves, and misbehaves, as it is told."""

import http.client
import threading
import urllib.error
import urllib.request

import pytest

from support.image_server import ImageServer

IMAGE = bytes(range(256)) * 1024


def fetch(url: str) -> bytes:
    with urllib.request.urlopen(url, timeout=10) as answer:
        return bytes(answer.read())


def test_it_serves_and_counts(image_server: ImageServer) -> None:
    url = image_server.add("good.img", IMAGE)
    assert fetch(url) == fetch(url) == IMAGE
    assert image_server.requests["good.img"] == 2


def test_without_a_length_all_still_comes(image_server: ImageServer) -> None:
    url = image_server.add("chunked.img", IMAGE, chunked=True)
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.headers["Content-Length"] is None
        assert answer.read() == IMAGE


@pytest.mark.parametrize("chunked", [False, True])
def test_a_truncated_body_ends_before_its_end(image_server: ImageServer, chunked: bool) -> None:
    url = image_server.add("short.img", IMAGE, truncate_at=1000, chunked=chunked)
    with pytest.raises(http.client.IncompleteRead) as error:
        fetch(url)
    assert error.value.partial == IMAGE[:1000]


@pytest.mark.parametrize("status", [403, 503])
def test_errors_are_answered(image_server: ImageServer, status: int) -> None:
    url = image_server.add("broken.img", IMAGE, status=status)
    with pytest.raises(urllib.error.HTTPError) as error:
        fetch(url)
    error.value.close()
    assert error.value.code == status


def test_what_it_does_not_have_is_not_found(image_server: ImageServer) -> None:
    with pytest.raises(urllib.error.HTTPError) as error:
        fetch(f"{image_server.url}/nothing")
    error.value.close()
    assert error.value.code == 404


def test_a_held_answer_goes_on_when_it_is_released(image_server: ImageServer) -> None:
    url = image_server.add("held.img", IMAGE, hold_at=1000)
    with urllib.request.urlopen(url, timeout=10) as answer:
        assert answer.read(1000) == IMAGE[:1000]
        rest: list[bytes] = []
        reader = threading.Thread(target=lambda: rest.append(answer.read()))
        reader.start()
        reader.join(0.05)
        assert reader.is_alive()
        image_server.release("held.img")
        reader.join(10)
    assert rest == [IMAGE[1000:]]
