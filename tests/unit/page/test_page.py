"""What can be told of the consoles' page without a browser."""

import json
import re
from importlib.resources import files
from pathlib import Path

import pytest

from hypernova_api.console import CloseCode

PAGE = Path(str(files("hypernova_console"))) / "page"
INDEX = (PAGE / "index.html").read_text()
SCRIPTS = {path.name: path.read_text() for path in sorted((PAGE / "js").glob("*.js"))}
MANIFESTS = Path(__file__).parents[3] / "console" / "web"


def test_the_markup_needs_no_policy_but_the_strict_one() -> None:
    assert not re.search(r"<style|\sstyle=|\son\w+=|javascript:", INDEX)
    assert re.findall(r"<script[^>]*>", INDEX) == ['<script type="module" src="/static/js/main.js">']


@pytest.mark.parametrize("path", [path.relative_to(PAGE).as_posix() for path in PAGE.rglob("*.*")])
def test_no_file_names_another_origin(path: str) -> None:
    addresses = re.findall(r"(?:https?|wss?)://[^\s\"')]+", (PAGE / path).read_text())
    assert set(addresses) <= {"http://www.w3.org/2000/svg"}


def test_what_scripts_look_for_is_in_the_markup() -> None:
    wanted = {name for script in SCRIPTS.values() for name in re.findall(r'(?:byId|\bon)\("([a-z-]+)"', script)}
    assert len(wanted) > 20
    assert wanted <= set(re.findall(r'\bid="([a-z-]+)"', INDEX))


def test_the_icons_that_are_used_are_drawn() -> None:
    used = re.findall(r"/static/icons\.svg#([a-z-]+)", INDEX)
    assert used
    assert set(used) <= set(re.findall(r'<symbol id="([a-z-]+)"', (PAGE / "icons.svg").read_text()))


def test_each_close_code_has_its_words_and_the_final_ones_are_not_tried_again() -> None:
    endings = SCRIPTS["endings.js"]
    reasons = {int(code): reason for code, reason in re.findall(r'\[(4\d{3}), "(\w+)"\]', endings)}
    assert set(reasons) == {code.value for code in CloseCode}
    states = dict(re.findall(r"^  (\w+): \{\n    state: \"(\w+)\"", endings, re.MULTILINE))
    assert {code: states[reasons[code]] == "ended" for code in CloseCode} == {code: code.final for code in CloseCode}


def test_what_npm_fetches_is_pinned_by_version_and_content_from_wherever_it_comes() -> None:
    wanted = json.loads((MANIFESTS / "package.json").read_text())["dependencies"]
    lock = json.loads((MANIFESTS / "package-lock.json").read_text())["packages"]
    locked = {path.removeprefix("node_modules/"): package for path, package in lock.items() if path}
    assert {name: package["version"] for name, package in locked.items()} == wanted
    assert all(package["integrity"].startswith("sha512-") for package in locked.values())
    assert not any("resolved" in package for package in locked.values())
