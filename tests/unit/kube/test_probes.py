import aiohttp
import pytest
from prometheus_client import CollectorRegistry, Counter

from hypernova_kube.process.probes import Probes


@pytest.fixture
def reasons():
    return {"live": [], "ready": []}


@pytest.fixture
async def ask(reasons):
    registry = CollectorRegistry()
    Counter("things", "Counted.", registry=registry).inc(3)
    probes = Probes("127.0.0.1", 0, registry, lambda: reasons["live"], lambda: reasons["ready"])
    async with probes, aiohttp.ClientSession() as session:

        async def get(path):
            async with session.get(f"http://127.0.0.1:{probes.port}{path}") as response:
                return response.status, await response.text(), response.content_type

        yield get


async def test_all_well_is_ok(ask):
    assert await ask("/healthz") == (200, "ok\n", "text/plain")
    assert await ask("/readyz") == (200, "ok\n", "text/plain")


async def test_why_not_is_told_line_by_line(ask, reasons):
    reasons["ready"] = ["instances not listed yet", "libvirt is not connected"]
    assert await ask("/readyz") == (503, "instances not listed yet\nlibvirt is not connected\n", "text/plain")
    assert (await ask("/healthz"))[0] == 200
    reasons["live"] = ["no watch event for 400 s"]
    assert (await ask("/healthz"))[:2] == (503, "no watch event for 400 s\n")


async def test_metrics_are_those_of_the_registry_given(ask):
    status, text, kind = await ask("/metrics")
    assert (status, kind) == (200, "text/plain")
    assert "things_total 3.0" in text
    assert "python_info" not in text


async def test_other_paths_are_not_found(ask):
    assert (await ask("/"))[0] == 404
