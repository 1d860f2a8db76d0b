"""What an image installs is a part of the one lock."""

from __future__ import annotations

import pytest

from hack.images.locks import EXTRAS, LOCKS, closure, locks, part

NEEDS = {
    "web": ["http>=1", 'speed>=2; extra == "fast"', 'old; python_version < "3"'],
    "http": ["web", 'patch; python_full_version < "3.11.3"'],
    "speed": [],
    "patch": [],
}

LOCK = """\
http==1.0 \\
    --hash=sha256:aa \\
    --hash=sha256:bb
    # via web
speed==2.0 ; sys_platform != 'win32' \\
    --hash=sha256:cc
    # via web
"""


def test_what_a_requirement_leads_to_is_found_though_it_goes_in_a_circle() -> None:
    assert closure(["web"], NEEDS.get) == {"web", "http", "patch"}


def test_an_extra_leads_to_what_it_alone_needs() -> None:
    assert "speed" in closure(["web", "web[fast]>=3"], NEEDS.get)


def test_a_part_of_a_lock_has_its_lines_with_markers_and_hashes() -> None:
    assert part(LOCK, {"speed"}) == "speed==2.0 ; sys_platform != 'win32' \\\n    --hash=sha256:cc\n"


def test_what_the_lock_lacks_is_named() -> None:
    with pytest.raises(KeyError, match="wheel"):
        part(LOCK, {"http", "wheel"})


@pytest.mark.parametrize("component", EXTRAS)
def test_each_images_lock_is_what_the_common_lock_says_now(component: str) -> None:
    assert (LOCKS / f"{component}.lock").read_text() == locks()[component], "run python -m hack.images locks"
