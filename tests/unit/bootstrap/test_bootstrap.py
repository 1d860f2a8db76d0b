from __future__ import annotations

import ast
import sys
from pathlib import Path

import pytest

from hack.bootstrap import debian, venv
from hack.bootstrap.command import BootstrapError, run
from hack.bootstrap.purposes import PURPOSES, combined


@pytest.fixture
def empty_path(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """PATH has nothing but this folder."""
    folder = tmp_path / "bin"
    folder.mkdir()
    monkeypatch.setenv("PATH", str(folder))
    return folder


@pytest.fixture
def checkout(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """A folder with a virtual environment without stamps."""
    (tmp_path / ".venv").mkdir()
    (tmp_path / ".venv" / "pyvenv.cfg").write_text("version = 3.11.2")
    (tmp_path / "requirements.lock").write_text("a==1")
    monkeypatch.setattr(venv, "VENV", tmp_path / ".venv")
    monkeypatch.setattr(venv, "STAMPS", tmp_path / ".venv" / ".stamps")
    return tmp_path


def install_dpkg_query(folder: Path, answer: str) -> None:
    program = folder / "dpkg-query"
    program.write_text(f"#!/bin/sh\n{answer}\n")
    program.chmod(0o755)


def test_unit_tests_need_no_package_no_program_and_no_libvirt() -> None:
    unit = PURPOSES["unit"]
    assert (unit.packages, unit.programs, unit.libvirt_python) == ((), (), False)


def test_purposes_together_need_what_each_needs_once() -> None:
    both = combined(["libvirt", "guest"])
    assert set(both.packages) == {*PURPOSES["libvirt"].packages, *PURPOSES["guest"].packages}
    assert both.packages.count("qemu-utils") == 1
    assert both.libvirt_python
    assert both.package_lists
    assert combined(["cluster", "unit"]).programs == ("go",)


def test_only_completely_installed_packages_are_not_missing(empty_path: Path) -> None:
    install_dpkg_query(
        empty_path,
        "echo openssl install ok installed; echo gcc install ok half-configured; echo no nftables >&2; exit 1",
    )
    assert debian.missing(["openssl", "gcc", "nftables"]) == ["gcc", "nftables"]


@pytest.mark.usefixtures("empty_path")
def test_where_there_is_no_apt_the_packages_are_named() -> None:
    with pytest.raises(BootstrapError, match="made for Debian, and there is no apt-get to install: gcc"):
        debian.install(["gcc"])


def test_without_root_the_packages_are_named(empty_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (empty_path / "apt-get").touch(mode=0o755)
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    with pytest.raises(BootstrapError, match="root is needed to install: gcc openssl"):
        debian.install(["gcc", "openssl"])


def test_nothing_missing_needs_neither_apt_nor_root(empty_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    install_dpkg_query(empty_path, "echo gcc install ok installed")
    monkeypatch.setattr("os.geteuid", lambda: 1000)
    debian.install(["gcc"])


def test_a_step_is_done_once_for_each_content_of_its_lock_file(checkout: Path) -> None:
    done: list[str] = []

    def step() -> None:
        done.append((checkout / "requirements.lock").read_text())

    for lock in ("a==1", "a==1", "a==2", "a==2"):
        (checkout / "requirements.lock").write_text(lock)
        venv._once("dependencies", checkout / "requirements.lock", step)
    assert done == ["a==1", "a==2"]


def test_a_step_that_failed_is_done_again(checkout: Path) -> None:
    def fail() -> None:
        raise BootstrapError("no network")

    done: list[str] = []
    with pytest.raises(BootstrapError):
        venv._once("dependencies", checkout / "requirements.lock", fail)
    venv._once("dependencies", checkout / "requirements.lock", lambda: done.append("again"))
    assert done == ["again"]


def test_a_failed_command_shows_what_it_printed_and_a_good_one_nothing(capfd: pytest.CaptureFixture[str]) -> None:
    assert run(["sh", "-c", "echo fine; echo really >&2"], seconds=10) == "fine\nreally\n"
    with pytest.raises(BootstrapError, match="exit status 3\nbroken mirror\n"):
        run(["sh", "-c", "echo broken mirror >&2; exit 3"], seconds=10)
    with pytest.raises(BootstrapError, match="sleep 60: no end after 0 s"):
        run(["sleep", "60"], seconds=0.05)
    assert capfd.readouterr() == ("", "")


def test_it_imports_nothing_that_a_fresh_machine_lacks() -> None:
    for module in Path(venv.__file__).parent.glob("*.py"):
        for node in ast.walk(ast.parse(module.read_text())):
            names = [alias.name for alias in node.names] if isinstance(node, ast.Import) else []
            if isinstance(node, ast.ImportFrom) and node.level == 0:
                names = [node.module or ""]
            assert {name.partition(".")[0] for name in names} <= sys.stdlib_module_names, module.name
