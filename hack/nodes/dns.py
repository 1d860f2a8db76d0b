"""The cluster's name server: dnsmasq, told of all Services that have an address.

`python dns.py KUBECONFIG FOLDER NAMESPACE ADDRESS` serves NAME.NS.svc.cluster.local and NAME.NS.svc at an IPv4 address
of a network namespace (e.g. `/proc/4711/ns/net`), until killed. The API server is asked from where this program is.
It ends when dnsmasq does. FOLDER's file `hosts` is there once both work.
"""

from __future__ import annotations

import asyncio
import signal
import sys
from collections.abc import Iterable
from pathlib import Path

from hypernova_kube.client import Client
from hypernova_kube.reflector import Reflector
from hypernova_kube.resources import Object, Resource

HOSTS = "hosts"
SERVICES = Resource("", "v1", "services", "Service")


def hosts(services: Iterable[Object]) -> str:
    """Names and addresses of Services in the form of /etc/hosts. Pure. Headless ones have none."""
    lines = []
    for service in services:
        address, metadata = service["spec"].get("clusterIP", "None"), service["metadata"]
        if address not in ("", "None"):
            name = f"{metadata['name']}.{metadata['namespace']}.svc"
            lines.append(f"{address} {name}.cluster.local {name}\n")
    return "".join(sorted(lines))


async def serve(kubeconfig: Path, folder: Path, namespace: str, address: str) -> None:
    """Until dnsmasq ends."""
    changed = asyncio.Event()
    async with await Client.connect(kubeconfig, component="dns") as client, asyncio.TaskGroup() as tasks:
        services = Reflector(client, SERVICES, lambda _: changed.set())
        watching = tasks.create_task(services.run())
        await services.synced.wait()
        _write(folder / HOSTS, services.objects.values())
        dnsmasq = await asyncio.create_subprocess_exec(*_command(folder, namespace, address))
        telling = tasks.create_task(_tell(dnsmasq, changed, services, folder / HOSTS))
        await dnsmasq.wait()
        for task in (watching, telling):
            task.cancel()


async def _tell(dnsmasq: asyncio.subprocess.Process, changed: asyncio.Event, services: Reflector, file: Path) -> None:
    while True:
        await changed.wait()
        changed.clear()
        _write(file, services.objects.values())
        dnsmasq.send_signal(signal.SIGHUP)  # it reads its file again, and forgets what it knew


def _write(file: Path, services: Iterable[Object]) -> None:
    file.write_text(hosts(services))


def _command(folder: Path, namespace: str, address: str) -> list[str]:
    return [
        *("nsenter", f"--net={namespace}", "--", "dnsmasq"),
        *("--keep-in-foreground", "--log-facility=-", "--conf-file=/dev/null", "--pid-file", "--user=root"),
        *("--bind-interfaces", "--except-interface=lo", f"--listen-address={address}"),
        # It knows what it is told and asks nobody: any other name does not exist.
        *("--no-resolv", "--no-hosts", f"--addn-hosts={folder / HOSTS}", "--local=/#/"),
    ]


if __name__ == "__main__":
    # Inherited by dnsmasq, which it would end until it has a handler of its own. It reads its file only after that.
    signal.signal(signal.SIGHUP, signal.SIG_IGN)
    asyncio.run(serve(Path(sys.argv[1]), Path(sys.argv[2]), sys.argv[3], sys.argv[4]))
