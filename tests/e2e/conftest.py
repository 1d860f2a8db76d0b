"""One whole Hypernova for all end-to-end tests: two hosts, guest images served over HTTP, one operator."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from hack import guest
from hack.stack import Stack
from support.user import User

NODES = ("node-a", "node-b")


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stack]:
    with Stack(tmp_path_factory.mktemp("hn")) as stack:
        stack.start_cluster()
        for node in NODES:
            stack.start_host(node)
        yield stack


@pytest.fixture(scope="session")
def _user(stack: Stack) -> User:
    images = guest.build()
    url = stack.serve(images.qcow2.parent)
    for component in (stack.operator(), *(stack.agent(node) for node in NODES)):
        component.start()
    user = User(stack, url, images)
    user.prepare()
    for node in NODES:
        stack.overcommit(node, cpu=64)
    return user


@pytest.fixture
def user(_user: User) -> Iterator[User]:
    """A user of a cloud whose parts are all up, and that is empty again after the test."""
    stack = _user.stack
    for component in (stack.operator(), *(stack.agent(node) for node in NODES)):
        component.start()
    yield _user
    _user.reset()
