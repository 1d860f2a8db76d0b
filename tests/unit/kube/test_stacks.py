"""A process that is asked where it is tells it, whatever hangs."""

import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

WAITS = """
    async def waiting_for_a_host() -> None:
        await asyncio.Event().wait()

    async def main() -> None:
        stacks.tell_on_signal()
        task = asyncio.create_task(waiting_for_a_host(), name="reconcile-web-1")
        print("ready", flush=True)
        await task
"""
HANGS = """
    def hanging_in_the_host() -> None:
        print("ready", flush=True)
        time.sleep(1000)

    async def main() -> None:
        stacks.tell_on_signal()
        hanging_in_the_host()
"""


@contextmanager
def program(text: str) -> Iterator["subprocess.Popen[str]"]:
    """A process that has begun to wait, or to hang."""
    imports = "import asyncio, time\nfrom hypernova_kube.process import stacks\n"
    source = imports + textwrap.dedent(text) + "\nasyncio.run(main())\n"
    pipes = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, "text": True}
    with subprocess.Popen([sys.executable, "-c", source], **pipes) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            yield process
        finally:
            process.kill()


def said(process: "subprocess.Popen[str]", last: str) -> str:
    """What it writes up to a line that has the last word."""
    assert process.stderr is not None
    lines = []
    for line in process.stderr:
        lines.append(line)
        if last in line:
            break
    return "".join(lines)


@pytest.mark.timeout(30)
def test_it_names_its_tasks_and_what_each_waits_for_as_often_as_it_is_asked() -> None:
    with program(WAITS) as process:
        for _ in range(2):
            process.send_signal(signal.SIGUSR1)
            told = said(process, "2 tasks")
            assert "reconcile-web-1" in told
            assert "in waiting_for_a_host" in told


@pytest.mark.timeout(30)
def test_it_tells_where_its_threads_are_also_when_the_event_loop_hangs() -> None:
    with program(HANGS) as process:
        process.send_signal(signal.SIGUSR1)
        assert "hanging_in_the_host" in said(process, "hanging_in_the_host")
