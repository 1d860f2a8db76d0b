"""What goes of libraries, and what stays."""

from __future__ import annotations

import pytest

from images.trim import unneeded


@pytest.mark.parametrize(
    ("file", "goes"),
    [
        ("kubernetes/aio/client/models/v1_pod.py", True),
        ("kubernetes/aio/client/models/__init__.py", False),
        ("kubernetes/client/models/v1_object_meta.py", False),
        ("kubernetes/aio/client/api_client.py", False),
        ("numpy/_core/tests/test_umath.py", True),
        ("numpy/_core/numeric.py", False),
        ("aiohttp/_http_parser.pyx", True),
        ("kopf/py.typed", False),
    ],
)
def test_of_a_library_what_nobody_loads_goes(file: str, goes: bool) -> None:
    assert unneeded(file, None) is goes


@pytest.mark.parametrize(
    ("file", "goes"),
    [
        ("hypernova_agent/sync.py", False),
        ("hypernova_operator/operator.py", True),
        ("hypernova_operator-0.1.0.dist-info/METADATA", False),
    ],
)
def test_of_our_own_the_component_and_the_metadata_stay(file: str, goes: bool) -> None:
    assert unneeded(file, frozenset({"hypernova_api", "hypernova_agent"})) is goes
