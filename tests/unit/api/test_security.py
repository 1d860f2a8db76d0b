"""docs/security.md says each right of each component: no more and no fewer than the chart's roles give."""

import re
from pathlib import Path

import pytest

from support import audit

TEXT = (Path(__file__).parents[3] / "docs/security.md").read_text()
RIGHTS = audit.rights()
RESOURCES = {right.resource for right in RIGHTS}


def told(account: str) -> set[tuple[str, str]]:
    """Resource and verb of each row of a component's table; names of single objects are passed over."""
    section = TEXT.partition(f"\n### {account}\n")[2].partition("\n#")[0]
    rows = [[cell.strip() for cell in line.split("|")[1:-1]] for line in section.splitlines() if line.startswith("| `")]
    return {
        (resource, verb.strip("¹ "))
        for resources, verbs, _ in rows
        for resource in re.findall(r"`([^`]+)`", resources)
        for verb in verbs.split(",")
        if resource in RESOURCES
    }


@pytest.mark.parametrize("account", audit.ACCOUNTS)
def test_each_right_of_a_component_is_told_with_why(account: str) -> None:
    assert told(account) == {(right.resource, right.verb) for right in RIGHTS if right.account == account}
