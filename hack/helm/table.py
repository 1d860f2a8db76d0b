"""The table of a chart's values, made from the comments of its values.yaml.

A value's comment is the block of `# ` lines right above its key. A mapping whose keys have comments of their own is a
section and gets no row; any other key is a row, and wants a comment.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass

import yaml

MARKS = re.compile(r"(<!-- values -->\n).*?(<!-- end -->)", re.DOTALL)


@dataclass(frozen=True, slots=True)
class Value:
    """One value that users can set."""

    path: str
    """As `--set` takes it, e.g. `console.ingress.host`."""

    default: str
    """As JSON."""

    doc: str
    """Its comment, as one paragraph; empty if it has none."""


def values(text: str) -> list[Value]:
    """All values of a values.yaml, in its order."""
    root = yaml.compose(text)
    return list(_values(root, text.splitlines(), "")) if root else []


def table(text: str) -> list[str]:
    """The lines of a Markdown table of a values.yaml.

    Raises:
        ValueError: a value has no comment.
    """
    rows = ["| value | default | meaning |", "|---|---|---|"]
    for value in values(text):
        if not value.doc:
            raise ValueError(f"{value.path} has no comment above it")
        # A pipe would end the cell, within backticks too.
        rows.append(" | ".join((f"| `{value.path}`", f"`{value.default}`", value.doc.replace("|", "\\|"))) + " |")
    return rows


def filled(page: str, text: str) -> str:
    """A page with the table of a values.yaml between `<!-- values -->` and `<!-- end -->`.

    Raises:
        ValueError: the page has no such place, or a value has no comment.
    """
    lines = "\n".join(table(text))
    new, places = MARKS.subn(lambda match: f"{match[1]}{lines}\n{match[2]}", page)
    if places != 1:
        raise ValueError(f"the page has {places} places for the table, not one")
    return new


def _values(node: yaml.Node, lines: list[str], prefix: str) -> Iterator[Value]:
    if not isinstance(node, yaml.MappingNode):
        return
    for key, value in node.value:
        path = prefix + key.value
        inner = list(_values(value, lines, f"{path}."))
        if any(each.doc for each in inner):
            yield from inner
        else:
            yield Value(path, json.dumps(_plain(value)), _comment(lines, key.start_mark))


def _comment(lines: list[str], place: yaml.Mark) -> str:
    if lines[place.line][: place.column].strip():
        return ""  # within braces: the comment above is not its own
    start = " " * place.column + "# "
    above = []
    for line in reversed(lines[: place.line]):
        if not line.startswith(start):
            break
        above.append(line.removeprefix(start).strip())
    return " ".join(reversed(above))


def _plain(node: yaml.Node) -> object:
    return yaml.safe_load(yaml.serialize(node))
