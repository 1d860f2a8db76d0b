"""vnc and screenshot, through a real API server to a console proxy that is played."""

import asyncio
import signal
from contextlib import suppress
from pathlib import Path

import pytest

from hypernova_api.console import CloseCode
from support.console_api import PNG, a_refusal
from support.plugin import Plugin, finished

URL = "https://console.example.com/#ticket=shop/s-1/secret"


async def tunnel(process: asyncio.subprocess.Process) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
    """A VNC viewer's connection to the address that was printed."""
    line = (await process.stdout.readline()).decode()
    assert line.startswith("vnc://127.0.0.1:"), (line, await process.stderr.read())
    return await asyncio.open_connection("127.0.0.1", int(line.rpartition(":")[2]))


async def interrupted(process: asyncio.subprocess.Process) -> str:
    """What it has said, once it has been ended by Ctrl-C."""
    process.send_signal(signal.SIGINT)
    result = await finished(process)
    assert result.status == 130
    return result.err


def resident_mib(pid: int) -> int:
    """Memory of a process."""
    status = Path(f"/proc/{pid}/status").read_text()
    (line,) = (line for line in status.splitlines() if line.startswith("VmRSS"))
    return int(line.split()[1]) // 1024


async def test_a_link_is_printed_where_there_is_no_display(plugin, console_api, namespace):
    result = await plugin("vnc", "web-1", "--view-only")
    assert (result.status, result.text) == (0, f"{URL}\n")
    assert result.err.startswith("open it in a browser; it is good for one use within ")
    (ticket,) = console_api.tickets
    assert ticket["spec"] == {"type": "VNC", "readOnly": True}
    assert console_api.asked == [("admin", f"{namespace}/instances/web-1/ticket", {})]


async def test_where_there_is_a_browser_the_link_is_opened_in_it(cluster, namespace, console_api, tmp_path):
    browser = tmp_path / "browser"
    browser.write_text(f'#!/bin/sh\necho "$1" > {tmp_path}/opened\n')
    browser.chmod(0o755)
    result = await Plugin(cluster.kubeconfig, namespace, BROWSER=str(browser))("vnc", "web-1")
    assert (result.status, result.text) == (0, "")
    assert result.err.startswith("web-1 is opened in your browser")
    assert (tmp_path / "opened").read_text() == f"{URL}\n"


async def test_a_vnc_viewer_reaches_the_guest_by_a_local_port(plugin, console_api):
    process = await plugin.start("vnc", "web-1", "--proxy-only", "--view-only", "--take-over")
    reader, writer = await tunnel(process)
    viewer = await console_api.viewer()
    await viewer.send_bytes(b"RFB 003.008\n")
    assert await reader.readexactly(12) == b"RFB 003.008\n"
    writer.write(b"RFB 003.008\n")
    assert await viewer.receive_bytes() == b"RFB 003.008\n"
    second, other = await asyncio.open_connection(*writer.get_extra_info("peername"))
    await (await console_api.viewer()).send_bytes(b"hello")
    assert await second.readexactly(5) == b"hello"
    await viewer.close(code=CloseCode.TAKEN_OVER, message=b"bob has taken it over")
    assert await reader.read() == b""
    assert "web-1: bob has taken it over\n" in await interrupted(process)
    queries = [query for _, _, query in console_api.asked]
    assert queries[1:] == [{"readOnly": "true", "takeOver": "true"}] * 2
    for each in (writer, other):
        each.close()


async def test_a_viewer_that_does_not_read_stops_the_guests_bytes_and_fills_nobodys_memory(plugin, console_api):
    process = await plugin.start("vnc", "web-1", "--proxy-only")
    reader, writer = await tunnel(process)
    viewer = await console_api.viewer()
    chunk, sent = b"x" * (1 << 19), 0
    with suppress(TimeoutError):
        while sent < 100 << 20:  # kernels and the API server hold some MiB between them
            sent += len(chunk)
            async with asyncio.timeout(3):
                await viewer.send_bytes(chunk)
    assert sent < 100 << 20
    assert resident_mib(process.pid) < 200
    assert await reader.readexactly(sent) == b"x" * sent
    writer.close()
    await interrupted(process)


async def test_what_cannot_be_served_is_told_at_once(plugin, console_api):
    console_api.refusals["vnc"] = a_refusal(403, "Forbidden", "you may not")
    result = await plugin("vnc", "web-1", "--proxy-only")
    assert (result.status, result.err) == (1, "error: you may not\n")


async def test_a_port_that_is_taken_is_told(plugin, console_api):
    server = await asyncio.start_server(lambda reader, writer: None, "127.0.0.1", 0)
    port = server.sockets[0].getsockname()[1]
    result = await plugin("vnc", "web-1", "--proxy-only", "--port", str(port))
    server.close()
    assert result.status == 1
    assert result.err.startswith(f"error: 127.0.0.1 port {port} cannot be listened at")


async def test_a_screenshot_goes_to_a_file_or_a_pipe_and_never_to_a_terminal(plugin, console_api, tmp_path):
    result = await plugin("screenshot", "web-1", "-o", str(tmp_path / "x.png"))
    assert (result.status, result.out, (tmp_path / "x.png").read_bytes()) == (0, b"", PNG)
    assert (await plugin("screenshot", "web-1")).out == PNG
    async with plugin.in_terminal("screenshot", "web-1") as ours:
        assert await ours.ends() == 1
        await ours.shows("say where to, e.g. -o web-1.png")


async def test_a_file_that_cannot_be_written_is_told(plugin, console_api, tmp_path):
    result = await plugin("screenshot", "web-1", "-o", str(tmp_path / "none" / "x.png"))
    assert result.status == 1
    assert result.err.startswith("error: the picture cannot be written: ")


@pytest.mark.parametrize("command", ["vnc web-1", "vnc web-1 --proxy-only", "screenshot web-1", "console web-1"])
async def test_a_console_proxy_that_is_down_is_told(plugin, console_api, command):
    for name in ("vnc", "ticket", "screenshot", "serial"):
        console_api.refusals[name] = a_refusal(503, "ServiceUnavailable", "error trying to reach service: EOF")
    result = await plugin(*command.split())
    assert result.status == 1
    assert result.err.startswith("error: the console proxy does not answer: see `kubectl get apiservice ")
