"""From one release to the next, back again, and to none and up again: guests run on, and creations go on."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml

from hack.devcluster.errors import ClusterError
from hack.devcluster.install import NAMESPACE
from hypernova_api.console import CloseCode
from support.builders import a_flavor, an_image, an_instance
from support.charts import CHART, copied_chart
from support.console_user import ConsoleUser, Terminal
from support.installed import RELEASE, Installed
from support.meanwhile import meanwhile
from support.waiting import eventually

LINUX = ("linux-1", "linux-2", "linux-3")
KEYS = "keys"
GUESTS = (*LINUX, KEYS, *(f"sector-{number}" for number in range(1, 7)))

INSTANCES, DEFINITION = "instances.compute.hypernova.dev", "files/crds/instances.yaml"

FIELD = "restartPolicy"
"""Of Instances, that the previous release does not know."""

NEXT = "99.0.0"
"""The release after it."""

AGAIN_SECONDS = 60.0
"""Within which a console can be opened again whose agent or proxy was replaced; a busy machine takes its time."""

# The first waits for images to be loaded, Pods to roll out and guests to boot.
pytestmark = pytest.mark.timeout(900)


@dataclass(frozen=True, slots=True)
class Releases:
    """The release that ten guests run in, and the one after it: images of another tag, and a field more."""

    installed: Installed
    next: Path
    """Its chart."""

    previous: int
    """Its revision."""

    def knows_field(self) -> bool:
        """Whether Instances have the field."""
        wanted = an_instance("try", flavor="m1.boot", image={"name": "boot"}, **{FIELD: "Never"})
        try:
            self.installed.kubectl("create", "--dry-run=server", "--filename=-", manifest=json.dumps(wanted))
        except ClusterError as error:
            if f'unknown field "spec.{FIELD}"' not in str(error):
                raise
            return False
        return True

    def tags(self) -> set[str]:
        """Of the images of all our Pods."""
        path = "jsonpath={.items[*].spec.containers[*].image}"
        names = self.installed.kubectl("get", "pods", f"--namespace={NAMESPACE}", f"--output={path}").split()
        return {name.rpartition(":")[2] for name in names}


@pytest.fixture(scope="module")
def releases(installed: Installed, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Releases]:
    """The previous release, with ten guests."""
    version = str(yaml.safe_load((CHART / "Chart.yaml").read_text())["appVersion"])
    chart = copied_chart(tmp_path_factory.mktemp("previous"), version=version)
    definition = chart / DEFINITION
    kind = yaml.safe_load(definition.read_text())
    del _fields(kind)[FIELD]
    definition.write_text(yaml.safe_dump(kind))
    installed.tag(NEXT)
    with _timed("the previous release is installed"):
        installed.install(chart)
    _make_guests(installed)
    releases = Releases(installed, copied_chart(tmp_path_factory.mktemp("next"), version=NEXT), installed.revision)
    yield releases
    kinds = installed.get("customresourcedefinition", INSTANCES)["metadata"]
    if kinds["labels"]["app.kubernetes.io/version"] == NEXT:  # too new for whatever is installed after us
        installed.rollback(releases.previous)


def _make_guests(installed: Installed) -> None:
    url, guest = installed.images_url, installed.guest
    linux = {"url": f"{url}/{guest.qcow2.name}", "sha256": guest.sha256}
    keys = {"url": f"{url}/{guest.keys_sector.name}", "sha256": guest.keys_sector_sha256}
    installed.apply(
        a_flavor("m1.linux", memory="96Mi", rootDisk="1Gi"),
        an_image("linux", format="qcow2", source=linux),
        an_image("keys", format="raw", source=keys),
    )
    with _timed("ten guests run"):
        for name in GUESTS:
            given = {"flavor": "m1.linux"} if name in LINUX else {}
            installed.create(name, "linux" if name in LINUX else "keys" if name == KEYS else "boot", **given)
        installed.wait_running(*GUESTS, seconds=180)
        for name in LINUX:
            eventually(lambda name=name: "HYPERNOVA-GUEST READY" in installed.console_log(name), f"{name}'s READY", 180)


@pytest.fixture(scope="module")
def somebody(releases: Releases) -> ConsoleUser:
    """Who may edit what is in the namespace, and so may use consoles."""
    return ConsoleUser(releases.installed.lab, "somebody").grant("edit")


def test_an_upgrade_restarts_no_guest_loses_no_creation_and_tells_viewers(
    releases: Releases, somebody: ConsoleUser
) -> None:
    installed = releases.installed
    assert not releases.knows_field()
    with unharmed(releases, somebody, "upgrade"):
        installed.upgrade(releases.next)
    assert releases.tags() == {NEXT}
    assert releases.knows_field()
    assert installed.get("instance", KEYS)["spec"][FIELD] == "Always"


def test_a_rollback_restarts_no_guest_loses_no_creation_and_tells_viewers(
    releases: Releases, somebody: ConsoleUser
) -> None:
    installed = releases.installed
    if releases.tags() != {NEXT}:
        installed.upgrade(releases.next)
    users = ("untouched", "touched")
    for name in users:
        installed.create(name, **{FIELD: "Never"})
    installed.wait_running(*users)
    with unharmed(releases, somebody, "rollback", *users):
        installed.rollback(releases.previous)
    assert NEXT not in releases.tags()
    # The kinds go back with all else. What they do not know they refuse, do not show where it was used, and forget with
    # the next write of the object.
    assert not releases.knows_field()
    assert [installed.get("instance", name)["spec"].get(FIELD) for name in users] == [None, None]
    installed.kubectl("label", "instance", "touched", "touched=yes")
    with with_field(installed):
        eventually(releases.knows_field, "the field to be known again")
        assert [installed.get("instance", name)["spec"].get(FIELD) for name in users] == ["Never", "Always"]


@contextmanager
def with_field(installed: Installed) -> Iterator[None]:
    """The kind has the field, for the time of the block, without an upgrade."""
    known = yaml.safe_load((CHART / DEFINITION).read_text())
    _set_field(installed, _fields(known)[FIELD])
    try:
        yield
    finally:
        _set_field(installed, None)


def _set_field(installed: Installed, schema: dict[str, Any] | None) -> None:
    """As Helm would: what anybody else had written, the next install would find a conflict."""
    kind = installed.get("customresourcedefinition", INSTANCES)
    fields = _fields(kind)
    fields.pop(FIELD, None)
    if schema is not None:
        fields[FIELD] = schema
    metadata = {key: kind["metadata"][key] for key in ("name", "labels", "annotations")}
    wanted = {key: kind[key] for key in ("apiVersion", "kind", "spec")} | {"metadata": metadata}
    how = ("--server-side", "--force-conflicts", "--field-manager=helm", "--filename=-")
    installed.kubectl("apply", *how, manifest=json.dumps(wanted))


def _fields(kind: dict[str, Any]) -> dict[str, Any]:
    """Of the spec of its only version."""
    (version,) = kind["spec"]["versions"]
    fields: dict[str, Any] = version["schema"]["openAPIV3Schema"]["properties"]["spec"]["properties"]
    return fields


def test_an_uninstall_leaves_guests_and_objects_and_the_next_install_takes_them_up(releases: Releases) -> None:
    installed = releases.installed
    before, objects = lives(installed, GUESTS), uids(installed, GUESTS)
    deleted, *kept = GUESTS[::-1]
    with meanwhile(installed.lab.cluster.kubeconfig) as seen:
        with _timed("uninstalled"):
            installed.helm("uninstall", RELEASE, f"--namespace={NAMESPACE}")
            for component in ("operator", "node-agent", "console"):
                eventually(lambda component=component: not installed.pods(component), f"no {component} to be left", 90)
        assert lives(installed, GUESTS) == before
        installed.create("later")
        installed.kubectl("delete", "instance", deleted, "--wait=false")
        with _timed("installed again"):
            installed.install()
        with _timed("what was asked for meanwhile is done"):
            installed.wait_running("later")
            installed.kubectl("wait", f"instance/{deleted}", "--for=delete", "--timeout=60s")
    assert seen.passed(*kept) == {"Running"}
    assert uids(installed, kept) == {name: objects[name] for name in kept}
    assert lives(installed, kept) == {name: before[name] for name in kept}
    installed.kubectl("delete", "instance", KEYS, "--timeout=60s")
    assert KEYS not in installed.guests()


def lives(installed: Installed, names: tuple[str, ...] | list[str]) -> dict[str, tuple[int, str]]:
    """What is another for a guest that was started anew: its QEMU, and of a Linux also what it says of its boot."""
    found = installed.guests()
    return {name: (found[name], installed.boot_id(name) if name in LINUX else "") for name in names}


def uids(installed: Installed, names: tuple[str, ...] | list[str]) -> dict[str, str]:
    return {name: installed.get("instance", name)["metadata"]["uid"] for name in names}


@contextmanager
def unharmed(releases: Releases, somebody: ConsoleUser, what: str, *others: str) -> Iterator[None]:
    """Something is done to the release in the block, and no guest, creation or viewer is worse off for it."""
    installed, guests = releases.installed, (*GUESTS, *others)
    before, objects, warned = lives(installed, guests), uids(installed, guests), warnings(installed)
    with (
        meanwhile(installed.lab.cluster.kubeconfig, prefix=f"during-{what}", looking_at=GUESTS[-1]) as seen,
        somebody.terminal("console", KEYS) as terminal,
    ):
        terminal.wait("HYPERNOVA-GUEST KEYS")
        try:
            with _timed(what):
                yield
        finally:
            print(f"{len(seen.created)} created, {len(seen.refused)} creations refused {seen.refused}", file=sys.stderr)
            for each in seen.breaks:
                print(f"{each.ending}: again after {each.seconds:.1f} s, {each.tries} tries", file=sys.stderr)
            print(*told(terminal), sep="\n", file=sys.stderr)
        eventually(lambda: seen.connected, "the screen to be looked at again", AGAIN_SECONDS)
        eventually(lambda: told(terminal)[-1] == "[you write]", "the serial line to be connected again", AGAIN_SECONDS)
        terminal.type(f"typed after the {what}".encode())
        terminal.wait(f"typed after the {what}")
        heard = told(terminal)
    assert lives(installed, guests) == before
    assert uids(installed, guests) == objects
    assert seen.passed(*guests) == {"Running"}

    assert len(seen.created) >= 3
    assert seen.refused == []
    installed.wait_running(*seen.created, seconds=180)
    assert seen.passed(*seen.created) <= {"", "Pending", "Building", "Running"}
    assert warnings(installed) == warned

    assert seen.breaks
    for each in seen.breaks:
        assert each.ending.code == CloseCode.UNREACHABLE
        assert each.ending.reason
    assert "[connected again to the serial console of keys]" in heard
    assert not [line for line in heard if "cut" in line]
    installed.kubectl("delete", "instances", *seen.created, "--wait=false")


def told(terminal: Terminal) -> list[str]:
    """What `kubectl hypernova console` itself has said, beside what the guest did."""
    return [line for line in terminal.seen.splitlines() if line.startswith("[")]


def warnings(installed: Installed) -> set[str]:
    """That users were told of Instances."""
    selected = "--field-selector=type=Warning,involvedObject.kind=Instance"
    events = json.loads(installed.kubectl("get", "events", selected, "--output=json"))["items"]
    return {f"{each['involvedObject']['name']}: {each['reason']}: {each['message']}" for each in events}


@contextmanager
def _timed(what: str) -> Iterator[None]:
    began = time.monotonic()
    yield
    print(f"{what} in {time.monotonic() - began:.1f} s", file=sys.stderr)
