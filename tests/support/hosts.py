"""Fixtures: lab hosts with real libvirt, the guests that boot in them, and a server for their images."""

from collections.abc import Iterator

import pytest

from hack.guest import Guest, build
from hack.lab import Host, Lab
from support.image_server import ImageServer, running


@pytest.fixture(scope="session")
def host(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Host]:
    """A host with libvirtd that all tests share: leave it as it was, and break it never."""
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield from lab.up("shared")


@pytest.fixture
def lab(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lab]:
    """A lab of the test's own, without hosts yet: `lab.up("host-a", "host-b")` gives two that it may break."""
    # Not below a folder with the test's name: the paths of libvirt's sockets have 107 bytes at most.
    with Lab(tmp_path_factory.mktemp("lab")) as lab:
        yield lab


@pytest.fixture
def own_host(lab: Lab) -> Host:
    """A host with libvirtd of the test's own, to be broken."""
    (host,) = lab.up("own")
    return host


@pytest.fixture(scope="session")
def guest() -> Guest:
    """The images of the test guest."""
    return build()


@pytest.fixture
def image_server() -> Iterator[ImageServer]:
    """An HTTP server for images, empty yet, that misbehaves on request."""
    with running() as server:
        yield server
