"""`python -m hack.demo up`: boots the quickstart's guest and says what to type next; `down` takes all of it away."""

from __future__ import annotations

import argparse
import json
import shutil
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from string import Template

from hack import guest
from hack.devcluster import ClusterError, build
from hack.lab import LabError
from hack.stack import Stack
from hack.web import WebError

FOLDER = Path(tempfile.gettempdir()) / "hypernova-demo"
EXAMPLE = Path(__file__).parents[2] / "examples" / "quickstart.yaml"
NODE = "node-a"
INSTANCE = "hello"
READY_MARK = "HYPERNOVA-GUEST READY"
TICKETS = f"/apis/subresources.compute.hypernova.dev/v1alpha1/namespaces/default/instances/{INSTANCE}/ticket"
LINK_SECONDS = 600
"""How long the link at the end can be opened: longer than in earnest, for those who read first."""

BOOT_MARK = "HYPERNOVA-GUEST BOOT"
READY_SECONDS = 180
"""How long the guest may take; under emulation on a busy machine it boots in tens of seconds, else in about 6."""


class NotReadyError(Exception):
    """The guest did not report READY in time; the message has what is known of it."""


def main() -> int:
    """Returns the exit status: 0 only if the guest reported READY (up), or nothing is left (down)."""
    parser = argparse.ArgumentParser(prog="python -m hack.demo", description=__doc__)
    parser.add_argument("verb", choices=["up", "down"])
    stack = Stack(FOLDER)
    if parser.parse_args().verb == "down":
        down(stack)
        return 0
    try:
        up(stack)
    except KeyboardInterrupt:
        print("\ninterrupted: taking everything down again", file=sys.stderr)
        down(stack)
        return 130
    except (ClusterError, LabError, NotReadyError, WebError, guest.CommandError) as error:
        print(f"\n{error}\n\nLogs are in {FOLDER}/logs; `make demo-down` takes everything away.", file=sys.stderr)
        return 1
    return 0


def up(stack: Stack) -> None:
    """Start what does not run yet, apply the quickstart, wait for its guest, and show it."""
    with stage("devcluster binary"):
        build()
    with stage("test guest"):
        images = guest.build()
    with stage("control plane"):
        stack.start_cluster()
    with stage(f"host {NODE}"):
        stack.start_host(NODE)
    with stage("operator, node agent"):
        url = stack.serve(images.qcow2.parent)
        stack.operator().start()
        stack.agent(NODE).start()
    with stage("console proxy"):
        stack.start_console("--ticket-seconds", str(LINK_SECONDS))
    with stage("kubectl apply"):
        manifest = stack.folder / "quickstart.yaml"
        values = {"IMAGE_URL": f"{url}/{images.qcow2.name}", "IMAGE_SHA256": images.sha256}
        manifest.write_text(Template(EXAMPLE.read_text()).safe_substitute(values))
        stack.cluster.apply(manifest)
    with stage("guest READY"):
        log = wait_for_guest(stack)
    show(stack, manifest, log)


def wait_for_guest(stack: Stack) -> str:
    """The boot lines of the guest once it has reported READY.

    Raises:
        NotReadyError: it has not in time.
    """
    deadline = time.monotonic() + READY_SECONDS
    while time.monotonic() < deadline:
        instance = json.loads(stack.cluster.kubectl("get", "instance", INSTANCE, "-o", "json"))
        if node := instance.get("status", {}).get("nodeName"):
            # Only what was written since the last boot: an Instance that was stopped is READY anew.
            _, mark, log = stack.console_log(node, instance["metadata"]["uid"]).rpartition(BOOT_MARK)
            if READY_MARK in log and instance["status"]["phase"] == "Running":
                return mark + log
        time.sleep(0.25)
    description = stack.cluster.kubectl("describe", "instance", INSTANCE)
    raise NotReadyError(f"the guest has not reported READY within {READY_SECONDS} s:\n{description}")


def show(stack: Stack, manifest: Path, log: str) -> None:
    """What there is now, and what to try next."""
    path, kubeconfig = f"{stack.cluster.bin_dir}:{Path(sys.executable).parent}", stack.cluster.kubeconfig
    ticket = json.loads(stack.cluster.kubectl("create", f"--raw={TICKETS}", "--filename=-", input="{}"))
    boot_lines = "\n".join(f"  {line}" for line in log.splitlines() if line.strip())
    print(f"""
$ kubectl get instances
{stack.cluster.kubectl("get", "instances").rstrip()}

The guest's serial console:
{boot_lines}

Try next:
  export KUBECONFIG={kubeconfig} PATH={path}:$PATH
  kubectl get hypernova                # everything of ours, as tables
  kubectl describe instance {INSTANCE}
  kubectl hypernova console {INSTANCE}    # its serial line; Enter for a shell, Ctrl-] leaves
  kubectl hypernova vnc {INSTANCE}        # its screen, in the browser
  kubectl patch instance {INSTANCE} --type merge -p '{{"spec": {{"powerState": "Stopped"}}}}'
  kubectl delete instance {INSTANCE} && kubectl apply -f {manifest}

Logs are in {stack.folder}/logs. `make demo-down` takes everything away.

Its screen, in a browser on this machine, once and within {LINK_SECONDS // 60} minutes:
  {ticket["status"]["url"]}""")


def down(stack: Stack) -> None:
    """Leave no process, namespace, interface, mount or file of the demo."""
    with stage("demo down"):
        stack.down()
        shutil.rmtree(stack.folder, ignore_errors=True)


@contextmanager
def stage(title: str) -> Iterator[None]:
    """Prints what has been done and how long it took; on a terminal, also what is being done."""
    started = time.monotonic()
    if sys.stdout.isatty():
        print(f"==> {title} ...", end="\r", flush=True)
    yield
    print(f"==> {title}: {time.monotonic() - started:.1f} s", flush=True)


if __name__ == "__main__":
    sys.exit(main())
