"""What users get: each component's image, as its archive has it."""

from __future__ import annotations

import json
import re
import stat
import tomllib
from importlib.metadata import distributions
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from hack.images.locks import LOCKS, REPOSITORY

if TYPE_CHECKING:
    from conftest import Image

pytestmark = pytest.mark.timeout(3600)  # the first of them builds the images, if nobody has

SITE = "usr/local/lib/python3.11/dist-packages"
PACKAGES = {"operator": "hypernova_operator", "node-agent": "hypernova_agent", "console": "hypernova_console"}
LIMITS = {"operator": 150, "node-agent": 150, "console": 100}
"""MB, unpacked."""

IMPORT_ALL = """
import importlib, pkgutil, sys
for name in sys.argv[1:]:
    package = importlib.import_module(name)
    for module in pkgutil.walk_packages(package.__path__, name + "."):
        if not module.name.endswith("__main__"):
            importlib.import_module(module.name)
print(len(sys.modules))
"""


def test_its_program_runs_as_nobody_in_a_root_file_system_that_cannot_be_written(image: Image) -> None:
    assert image.content.config["User"] == "10001:10001"
    program = image.content.config["Entrypoint"]

    assert f"usage: {program[0]}" in image.run(*program, "--help")


def test_every_module_of_ours_finds_what_it_imports(image: Image) -> None:
    names = ("hypernova_api", "hypernova_kube", PACKAGES[image.component])

    assert int(image.run("/usr/bin/python3", "-c", IMPORT_ALL, *names)) > 500


def test_every_library_finds_those_it_is_linked_with(image: Image) -> None:
    objects = [path for path in image.root.rglob("*.so*") if path.is_file() and not path.is_symlink()]
    loader = next((image.root / "usr").rglob("ld-linux*.so.2"))
    inside = [f"/{path.relative_to(image.root)}" for path in objects if path.name != loader.name]
    program = (
        "import subprocess, sys\n"
        "for path in sys.argv[2:]:\n"
        "    said = subprocess.run([sys.argv[1], '--list', path], capture_output=True, text=True)\n"
        "    if 'not found' in said.stdout + said.stderr: print(path, said.stdout, said.stderr)\n"
    )

    assert len(inside) > 50
    assert image.run("/usr/bin/python3", "-c", program, f"/{loader.relative_to(image.root)}", *inside) == ""


def test_it_trusts_the_authorities_that_debian_does_and_not_the_builders(image: Image) -> None:
    program = "import ssl; print(ssl.create_default_context().cert_store_stats()['x509_ca'])"
    debians = list((image.root / "usr/share/ca-certificates/mozilla").glob("*.crt"))

    assert int(image.python(program)) == len(debians) > 100


def test_names_are_looked_up_in_the_hosts_file_first(image: Image) -> None:
    assert re.search(r"^hosts: files dns$", (image.root / "etc/nsswitch.conf").read_text(), re.MULTILINE)


def test_nothing_in_it_installs_compiles_or_gives_a_prompt(image: Image) -> None:
    programs = {
        path.name
        for folder in ("usr/bin", "usr/sbin", "usr/local/bin", SITE + "/bin")
        for path in (image.root / folder).glob("*")
    }

    assert programs == {"python3", "python3.11", *image.content.config["Entrypoint"]}
    for name in ("pip", "setuptools", "ensurepip", "wheel"):
        assert not list(image.root.rglob(f"{name}/__init__.py")), name


def test_no_file_gives_rights_and_none_is_everybodys_to_write_but_temporary_ones(image: Image) -> None:
    for path in image.root.rglob("*"):
        if path.is_symlink():
            continue
        mode = path.stat().st_mode
        assert not mode & (stat.S_ISUID | stat.S_ISGID), path
        assert not mode & stat.S_IWOTH or path.relative_to(image.root) in map(Path, ("tmp", "var/tmp", "var/lock")), (
            path
        )


def test_nothing_of_the_build_is_left(image: Image) -> None:
    for name in ("root/.cache", "root/.bash_history", "build", "locks", "wheels", "etc/pip.conf", "var/lib/apt"):
        assert not (image.root / name).exists(), name
    assert not list((image.root / "tmp").iterdir())
    assert not list(image.root.rglob("machine-authorities*"))


def test_its_labels_say_what_it_is(image: Image) -> None:
    labels = image.content.config["Labels"]
    prefix = "org.opencontainers.image"

    assert labels[f"{prefix}.title"] == f"Hypernova {image.component}"
    assert labels[f"{prefix}.version"] == _project()["version"]
    assert labels[f"{prefix}.licenses"] == _project()["license"]
    assert re.fullmatch(r"[0-9a-f]{40}(-changed)?", labels[f"{prefix}.revision"])
    assert f"{prefix}.source" in labels


def test_the_program_knows_its_own_version(image: Image) -> None:
    program = "from importlib.metadata import version; print(version('hypernova-operator'))"

    assert image.python(program).strip() == _project()["version"]


def test_it_has_the_libraries_of_its_lock_and_no_others(image: Image) -> None:
    locked = re.findall(r"^([\w.-]+)==", (LOCKS / f"{image.component}.lock").read_text(), re.MULTILINE)
    apart = {"libvirt-python"} if image.component == "node-agent" else set()

    assert {_plain(name) for name in _distributions(image)} == {*map(_plain, locked), *apart, "hypernova-operator"}


def test_its_list_of_contents_is_what_its_files_say(image: Image) -> None:
    listed = json.loads((image.root / f"var/lib/db/sbom/hypernova-{image.component}.cdx.json").read_text())
    assert listed["bomFormat"] == "CycloneDX"

    controls = (image.root / "var/lib/dpkg/status.d").glob("*")
    debian = dict(_package(control.read_text()) for control in controls if control.suffix != ".md5sums")
    assert _listed(listed, "deb") == debian
    assert _listed(listed, "pypi") == _distributions(image)
    assert bool(_listed(listed, "npm")) == (image.component == "console")


def test_every_file_of_debians_belongs_to_a_package_that_is_listed(image: Image) -> None:
    known = set()
    for sums in (image.root / "var/lib/dpkg/status.d").glob("*.md5sums"):
        known |= {line.split("  ", 1)[1] for line in sums.read_text().splitlines()}
    here = {
        str(path.relative_to(image.root))
        for path in (image.root / "usr/lib").rglob("*.so*")
        if path.is_file() and not path.is_symlink()
    }

    assert {name for name in here if name not in known and name.removeprefix("usr/") not in known} == set()


def test_a_change_of_our_code_changes_one_small_layer(image: Image) -> None:
    ours = sum(path.stat().st_size for path in (image.root / SITE).glob("hypernova_*/**/*") if path.is_file())

    assert ours < image.content.layers[-1] < ours + 100_000


def test_it_is_as_small_as_promised(image: Image) -> None:
    assert image.content.size < LIMITS[image.component] * 1_000_000


def test_the_documented_sizes_are_those_measured(image: Image) -> None:
    page = (REPOSITORY / "docs/images.md").read_text()
    documented = re.search(rf"^\| {image.component} \| (\d+) MB ", page, re.MULTILINE)

    assert documented, f"docs/images.md has no row for {image.component}"
    assert abs(int(documented[1]) - image.content.size / 1e6) < 3


def test_the_agents_image_speaks_to_libvirt(unpacked: dict[str, Image]) -> None:
    program = "import libvirt; print(libvirt.getVersion()); print(libvirt.open('test:///default').getType())"

    version, kind = unpacked["node-agent"].python(program).split()

    assert int(version) >= 9_000_000
    assert kind == "TEST"


def test_the_consoles_image_has_the_page_and_what_it_loads(unpacked: dict[str, Image]) -> None:
    program = (
        "import os; from pathlib import Path; from hypernova_console.web.assets import Assets\n"
        "print(*Assets.read(Path(os.environ['HYPERNOVA_ASSETS'])).static)"
    )

    served = unpacked["console"].python(program).split()

    assert any(name.endswith("rfb.js") for name in served)
    assert any(name.endswith("xterm.mjs") for name in served)


def _project() -> dict[str, Any]:
    project: dict[str, Any] = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    return project


def _distributions(image: Image) -> dict[str, str]:
    return {_plain(found.name): found.version for found in distributions(path=[str(image.root / SITE)])}


def _listed(document: dict[str, Any], kind: str) -> dict[str, str]:
    found = (component for component in document["components"] if component["purl"].startswith(f"pkg:{kind}/"))
    return {_plain(component["name"]): component["version"] for component in found}


def _package(control: str) -> tuple[str, str]:
    fields = dict(line.split(": ", 1) for line in control.splitlines() if re.match(r"(Package|Version): ", line))
    return _plain(fields["Package"]), fields["Version"]


def _plain(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()
