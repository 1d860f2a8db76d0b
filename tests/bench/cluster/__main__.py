"""`make bench-cluster`: what users wait for and what our Pods take, installed by Helm on two nodes with kubelet.

The nodes have the images already: how long pulling takes is the registry's. BENCH_INSTALLS (3) clusters are made and
Hypernova is installed in each, as docs/install.md has it, until a first guest is READY. In the last of them Pods are
measured, idle and with BENCH_GUESTS (20) boot-sector guests, for BENCH_SECONDS (60) after as long to settle; and then
the leader goes, BENCH_FAILOVERS (5) times in each of three ways. (A kubelet that is killed takes no leader with it.)

Each bench ends with a line `RESULT {json}`. Figures are for this machine, all of which, control plane and emulated
guests included, shares its cores; `load` is its load average at the end.
"""

from __future__ import annotations

import os
import tempfile
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from statistics import median
from string import Template

from hack import guest, images
from hack.images import content
from hack.nodes import KubeLab
from hypernova_api.meta import HYPERVISOR_LABEL
from support.installed import ROOT, Installed
from support.waiting import eventually
from tests.bench.cluster.release import Release
from tests.bench.figures import result

NODES = ("node-a", "node-b")
INSTALLS = int(os.environ.get("BENCH_INSTALLS", "3"))
GUESTS = int(os.environ.get("BENCH_GUESTS", "20"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "60"))
FAILOVERS = int(os.environ.get("BENCH_FAILOVERS", "5"))

READY_MARK = "HYPERNOVA-GUEST READY"
GUEST_SECONDS = 300.0


def bench_sizes(archives: Mapping[str, Path]) -> None:
    """What is unpacked on a node's disk."""
    result("image_sizes", {f"{component}_mb": content.read(place).size / 1e6 for component, place in archives.items()})


def bench_install(installed: Installed) -> dict[str, float]:
    """Seconds from the beginning of `helm install` to all Pods ready, then a guest running, and READY."""
    example = Template((ROOT / "examples/quickstart.yaml").read_text())
    image = {
        "IMAGE_URL": f"{installed.images_url}/{installed.guest.qcow2.name}",
        "IMAGE_SHA256": installed.guest.sha256,
    }
    began = time.monotonic()
    installed.install()
    pods = time.monotonic() - began
    installed.kubectl("apply", "--filename=-", manifest=example.safe_substitute(image))
    installed.kubectl("wait", "instance/hello", "--for=jsonpath={.status.phase}=Running", "--timeout=120s")
    running = time.monotonic() - began
    log = installed.console_file("hello")
    assert log
    eventually(lambda: READY_MARK in log.read_text(errors="replace"), "the guest to be READY", GUEST_SECONDS)
    seconds = {"pods_ready": pods, "guest_running": running, "guest_ready": time.monotonic() - began}
    result("install_once", {f"{what}_s": value for what, value in seconds.items()} | load())
    return seconds


def bench_pods(release: Release, guests: int) -> None:
    """What each Pod takes when nothing is asked of it, beside what the chart has it request."""
    release.wait_whole()
    time.sleep(SECONDS)
    containers = release.containers()
    before = {part: container.usage() for part, container in containers.items()}
    time.sleep(SECONDS)
    for part, container in containers.items():
        first, last = before[part], container.usage()
        taken = {
            "guests": guests,
            "rss_mib": last.rss,
            "working_set_mib": last.working_set,
            "peak_mib": last.peak,
            "cpu_m": 1000 * (last.cpu - first.cpu) / (last.at - first.at),
        }
        result(f"pod_{part}", taken | container.requested | load())


def bench_failover(release: Release, name: str, lose: Callable[[str], float]) -> None:
    """From the loss of the leader until an Instance that was created right after it is bound."""
    seconds = []
    for number in range(FAILOVERS):
        release.wait_whole()
        instance = f"{name.replace('_', '-')}-{number}"
        seconds.append(lose(instance))
        release.installed.wait_running(instance, seconds=GUEST_SECONDS)
        release.installed.kubectl("delete", "instance", instance, "--timeout=120s")
    result(f"failover_{name}", spread(seconds) | load())


def spread(seconds: list[float]) -> dict[str, float]:
    """How many, and their least, middle and largest."""
    return {"tries": len(seconds), "min_s": min(seconds), "median_s": median(seconds), "max_s": max(seconds)}


def load() -> dict[str, float]:
    return {"load": os.getloadavg()[0]}


def main() -> None:
    """All benches; all but that of installing in the last cluster."""
    archives, built = images.archives(), guest.build()
    bench_sizes(archives)
    turns = []
    for turn in range(INSTALLS):
        with tempfile.TemporaryDirectory(prefix="hn-bench-") as folder, KubeLab(Path(folder) / "lab") as lab:
            for name in NODES:
                lab.add_node(name, {HYPERVISOR_LABEL: "true"})
            for archive in archives.values():
                lab.load(archive)
            (home := Path(folder) / "home").mkdir()
            installed = Installed.beside(lab, built, home)
            turns.append(bench_install(installed))
            if turn == INSTALLS - 1:
                bench_release(installed)
    for what in turns[0]:
        result(f"install_{what}", spread([turn[what] for turn in turns]))


def bench_release(installed: Installed) -> None:
    """What is there once it is installed."""
    installed.kubectl("delete", "instance", "hello", "--timeout=120s")
    installed.furnish()
    release = Release(installed)
    bench_pods(release, 0)
    guests = [f"guest-{number}" for number in range(GUESTS)]
    for name in guests:
        installed.create(name)
    installed.wait_running(*guests, seconds=GUEST_SECONDS)
    bench_pods(release, GUESTS)
    if FAILOVERS:
        bench_failover(release, "container_killed", release.kill_leader)
        bench_failover(release, "pod_deleted", release.delete_leader)
        bench_failover(release, "node_lost", release.cut_leader)


if __name__ == "__main__":
    main()
