"""`make bench-console`: what it costs to pass consoles on, beside direct sockets and beside bare websockify.

A real QEMU's updates are recorded, then played by a stand-in for the node's agent: by mTLS to the console proxy, and on
a bare socket to viewers directly and to websockify. BENCH_SESSIONS (200) viewers each ask for BENCH_RATE (5) updates a
second for BENCH_SECONDS (10): directly, then through the proxy, in turn. BENCH_FLOOD_MIB (256) is what one viewer reads
as fast as he can, through websockify and through the proxy in turn, and what all ask for who then do not read.
BENCH_IDLE (10000) connections say nothing.

Each bench ends with a line `RESULT {json}`. Figures are for this machine; compare ratios. Where it may, all of it runs
at real-time priority, so that it is not the machine's other work that is measured.
"""

from __future__ import annotations

import asyncio
import contextlib
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from pathlib import Path
from socket import create_connection, create_server
from statistics import median
from typing import Any

from tests.bench.console import player, proxy, recording
from tests.bench.console.viewer import Viewer
from tests.bench.figures import percentile, result
from tests.bench.meter import cpu_seconds, resident_mib
from tests.support.authority import Authority
from tests.support.waiting import eventually

SESSIONS = int(os.environ.get("BENCH_SESSIONS", "200"))
RATE = float(os.environ.get("BENCH_RATE", "5"))
SECONDS = float(os.environ.get("BENCH_SECONDS", "10"))
FLOOD_MIB = int(os.environ.get("BENCH_FLOOD_MIB", "256"))
IDLE = int(os.environ.get("BENCH_IDLE", "10000"))
TURNS = 2
"""How often the sides that are compared take turns."""
FLOODS = 7
"""The same where it is about one viewer, which is over soon."""

STALLED_SECONDS = 5.0
"""Until all that is kept for viewers who do not read is kept."""

Connect = Callable[[], Awaitable[Viewer]]


async def watched(viewers: list[Viewer], updates: list[bytes]) -> list[float]:
    """Milliseconds from asking to the last byte, of all updates that all viewers ask for, each at a steady rate."""
    loop = asyncio.get_running_loop()
    start = loop.time() + 0.1

    async def watch(number: int, viewer: Viewer) -> list[float]:
        seen = []
        for turn in range(round(RATE * SECONDS)):
            await asyncio.sleep(start + (turn + number / SESSIONS) / RATE - loop.time())
            which = (turn + number) % len(updates)
            seen.append(1000 * await viewer.update(which, len(updates[which])))
        return seen

    seen = await asyncio.gather(*(watch(number, viewer) for number, viewer in enumerate(viewers)))
    return [milliseconds for one in seen for milliseconds in one]


async def bench_sessions(direct: Connect, relayed: Connect, pid: int, updates: list[bytes]) -> None:
    """Latency through the proxy beside that of direct sockets, and what the sessions cost it."""
    without, through, cpu, memory = [], [], 0.0, 0.0
    for _ in range(TURNS):
        async with connected(direct) as viewers:
            without += await watched(viewers, updates)
        before = resident_mib(pid)
        async with connected(relayed) as viewers:
            spent = cpu_seconds(pid)
            through += await watched(viewers, updates)
            cpu += cpu_seconds(pid) - spent
            # The first turn's: in later ones, memory that was freed is used again.
            memory = memory or (resident_mib(pid) - before) / SESSIONS
    figures = {"sessions": SESSIONS, "updates": len(through), "bytes_per_update": sum(map(len, updates)) / len(updates)}
    for percent in (50, 99):
        figures[f"direct_p{percent}_ms"] = percentile(without, percent)
        figures[f"proxy_p{percent}_ms"] = percentile(through, percent)
        figures[f"added_p{percent}_ms"] = percentile(through, percent) - percentile(without, percent)
    figures["proxy_cpu_percent_of_a_core"] = 100 * cpu / (TURNS * SECONDS)
    figures["memory_mib_per_session"] = memory
    result("console_sessions", figures)


async def bench_stalled(relayed: Connect, pid: int) -> None:
    """Viewers who ask for a lot and read none of it: what the proxy keeps for them."""
    before = resident_mib(pid)
    async with connected(relayed) as viewers:
        for viewer in viewers:
            viewer.stall(FLOOD_MIB)
        await asyncio.sleep(STALLED_SECONDS)
        memory = (resident_mib(pid) - before) / SESSIONS
    result("console_stalled", {"sessions": SESSIONS, "asked_mib": FLOOD_MIB, "memory_mib_per_session": memory})


async def bench_throughput(relayed: Connect, websockify: Connect) -> None:
    """One viewer who reads as fast as he can, through either in turn; the median of each."""
    ours, theirs = [], []
    for _ in range(FLOODS):
        for connect, seconds in ((websockify, theirs), (relayed, ours)):
            viewer = await connect()
            seconds.append(await viewer.flood(FLOOD_MIB))
            viewer.close()
    proxy_rate, websockify_rate = FLOOD_MIB / median(ours), FLOOD_MIB / median(theirs)
    result(
        "console_throughput",
        {
            "proxy_mib_per_s": proxy_rate,
            "websockify_mib_per_s": websockify_rate,
            "ratio": proxy_rate / websockify_rate,
        },
    )


async def bench_websockify(connect: Connect, pid: int, updates: list[bytes]) -> None:
    """The same sessions through websockify, a process to each, for comparison."""
    before = own_mib(pid)
    async with connected(connect) as viewers:
        seen = await watched(viewers, updates)
        memory = (own_mib(pid) - before) / SESSIONS
    result(
        "websockify_sessions",
        {
            "sessions": SESSIONS,
            **{f"p{percent}_ms": percentile(seen, percent) for percent in (50, 99)},
            "memory_mib_per_session": memory,
        },
    )


async def bench_idle(port: int, pid: int, relayed: Connect, length: int) -> None:
    """Connections that ask for nothing: what they cost, and whether they are in anybody's way."""
    memory, cpu = resident_mib(pid), cpu_seconds(pid)
    began = time.monotonic()
    idle = [create_connection(("127.0.0.1", port)) for _ in range(IDLE)]
    viewer = await relayed()
    seen = [1000 * await viewer.update(0, length) for _ in range(100)]
    figures = {
        "connections": len(idle),
        "memory_kib_per_connection": 1024 * (resident_mib(pid) - memory) / len(idle),
        "proxy_cpu_ms_per_connection": 1000 * (cpu_seconds(pid) - cpu) / len(idle),
        "update_p50_ms": percentile(seen, 50),
        "update_p99_ms": percentile(seen, 99),
    }
    for connection in idle:
        connection.settimeout(60)
        assert connection.recv(1) == b"", "an idle connection got something"
        connection.close()
    viewer.close()
    result("console_idle", {**figures, "all_cut_after_s": time.monotonic() - began})


@contextlib.asynccontextmanager
async def connected(connect: Connect) -> AsyncIterator[list[Viewer]]:
    """As many viewers as there are sessions."""
    viewers = [await connect() for _ in range(SESSIONS)]
    try:
        yield viewers
    finally:
        for viewer in viewers:
            viewer.close()


def own_mib(pid: int) -> float:
    """Memory of a process and its children; what they share with others is divided among them."""
    pids = [pid, *map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split())]
    lines = [line for each in pids for line in Path(f"/proc/{each}/smaps_rollup").read_text().splitlines()]
    return sum(int(line.split()[1]) for line in lines if line.startswith("Pss:")) / 1024


@contextlib.contextmanager
def forked(serve: Callable[..., None], *arguments: Any) -> Iterator[tuple[int, Any]]:
    """A process of its own while the block lasts: its id, and what it tells first."""
    # Forked, as TLS contexts are no data that could be sent.
    context = multiprocessing.get_context("fork")
    ours, theirs = context.Pipe()
    child = context.Process(target=serve, args=(*arguments, theirs), daemon=True)
    child.start()
    try:
        assert child.pid
        yield child.pid, ours.recv()
    finally:
        child.kill()
        child.join()


@contextlib.contextmanager
def websockified(target_port: int) -> Iterator[tuple[int, int]]:
    """Bare websockify in front of a port while the block lasts: its id and port."""
    with create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "websockify", f"127.0.0.1:{port}", f"127.0.0.1:{target_port}"]
    with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL) as process:
        try:
            eventually(lambda: answers(port), "websockify to listen")
            yield process.pid, port
        finally:
            process.terminate()


def answers(port: int) -> bool:
    """Whether anybody listens there."""
    with contextlib.suppress(ConnectionRefusedError), create_connection(("127.0.0.1", port)):
        return True
    return False


async def main() -> None:
    """All benches, one after the other."""
    with contextlib.suppress(PermissionError):
        os.sched_setscheduler(0, os.SCHED_RR, os.sched_param(1))
    updates = recording.recorded(200)
    authority = Authority()
    with (
        forked(player.play, updates, authority.server(proxy.NODE)) as (_, (tls_port, bare_port)),
        forked(proxy.serve, tls_port, authority.client("hypernova-console")) as (proxy_pid, proxy_port),
        forked(proxy.serve, tls_port, authority.client("hypernova-console")) as (fresh_pid, fresh_port),
        websockified(bare_port) as (websockify_pid, websockify_port),
    ):

        async def direct() -> Viewer:
            return await Viewer.bare(bare_port)

        async def relayed() -> Viewer:
            return await Viewer.framed(proxy_port, proxy.PATH)

        async def websockify() -> Viewer:
            return await Viewer.framed(websockify_port, "/")

        await bench_idle(proxy_port, proxy_pid, relayed, len(updates[0]))
        await bench_sessions(direct, relayed, proxy_pid, updates)
        await bench_throughput(relayed, websockify)
        await bench_websockify(websockify, websockify_pid, updates)
        # In a proxy that has no memory left over from what was before.
        await bench_stalled(lambda: Viewer.framed(fresh_port, proxy.PATH), fresh_pid)


if __name__ == "__main__":
    asyncio.run(main())
