"""Whom a real console proxy believes, what it gives away, and what outlives it."""

from __future__ import annotations

import asyncio
import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import aiohttp
import pytest
from aiohttp import WSMsgType

from hack.devcluster import pki
from hack.devcluster.install import NAMESPACE
from hack.stack.program import kept_port
from hypernova_api.certificates import AUTHORITY, BUNDLE_KEY, CONSOLE_NAME
from hypernova_api.console import LONGEST_MESSAGE, CloseCode
from hypernova_console.aggregated.discovery import GROUP_VERSION
from support.console_town import GREETING, PUBLIC_URL, SUBRESOURCES, Town, api_port

STRANGER = pki.Certificate("stranger", "/CN=stranger", authority="front-proxy-ca")


def names(town: Town) -> dict[str, object]:
    """How the proxy's API listener is dialled past the API server, by somebody who says to be its administrator."""
    bundle = town.cluster.admin.get(f"/api/v1/namespaces/{NAMESPACE}/configmaps/{AUTHORITY}")["data"][BUNDLE_KEY]
    return {
        "server_hostname": f"{CONSOLE_NAME}.{NAMESPACE}.svc",
        "headers": {"X-Remote-User": "admin", "X-Remote-Group": "system:masters"},
        "ssl": ssl.create_default_context(cadata=bundle),
    }


async def ask(town: Town, folder: Path, certificate: str) -> tuple[int, str]:
    """What comes of asking for a ticket in the administrator's name with a certificate of the cluster's."""
    how = await asyncio.to_thread(names, town)
    if certificate:
        keys = town.cluster.folder / "pki"
        how["ssl"].load_cert_chain(keys / f"{certificate}.crt", keys / f"{certificate}.key")
    path = f"/apis/{GROUP_VERSION}/namespaces/{town.namespace}/instances/web-1/ticket"
    async with aiohttp.ClientSession() as session:
        try:
            async with session.post(f"https://127.0.0.1:{api_port(folder)}{path}", **how) as answer:
                return answer.status, (await answer.json()).get("message", "")
        except aiohttp.ClientError:
            return 0, "cut off"


async def test_nobody_but_the_api_server_says_who_asks(town: Town, console_folder: Path):
    await asyncio.to_thread(pki.sign, town.cluster.folder / "pki", STRANGER)
    status, message = await ask(town, console_folder, "")
    assert (status, "only the API server may ask here" in message) == (401, True)
    assert (await ask(town, console_folder, STRANGER.name))[0] == 401
    # The cluster's own authority makes administrators, and no API servers.
    assert await ask(town, console_folder, pki.ADMIN.name) == (0, "cut off")
    assert await town.sessions() == []
    assert (await ask(town, console_folder, pki.FRONT_PROXY.name))[0] == 201


class Browser:
    """What a browser does with a link."""

    def __init__(self, town: Town, folder: Path, session: aiohttp.ClientSession) -> None:
        self._town = town
        self._base = f"http://127.0.0.1:{kept_port(folder / 'console.web-port')}"
        self._session = session
        self.cookies: dict[str, str] = {}
        self.place = ""

    async def open(self, ticket: str) -> tuple[int, str]:
        """Show a ticket; the code, and the reason if it is refused."""
        async with self._session.post(
            f"{self._base}/api/redeem", json={"ticket": ticket}, headers={"Origin": PUBLIC_URL}
        ) as answer:
            said = await answer.json()
            if answer.status == 200:
                self.place = said["url"]
                self.cookies = {name: morsel.value for name, morsel in answer.cookies.items()}
            return answer.status, said.get("reason", "")

    async def info(self) -> tuple[int, dict[str, object]]:
        async with self._session.get(f"{self._base}{self.place}info", headers=self._headers()) as answer:
            return answer.status, await answer.json()

    def stream(self):
        return self._session.ws_connect(f"{self._base}{self.place}stream", headers=self._headers())

    def _headers(self) -> dict[str, str]:
        # The cookies are marked Secure, as the page is public by https, and we are inside.
        cookies = "; ".join(f"{name}={value}" for name, value in self.cookies.items())
        return {"Origin": PUBLIC_URL, "Cookie": cookies}


@asynccontextmanager
async def browser(town: Town, folder: Path) -> AsyncIterator[Browser]:
    async with aiohttp.ClientSession(cookie_jar=aiohttp.DummyCookieJar()) as session:
        yield Browser(town, folder, session)


async def a_ticket(town: Town) -> str:
    path = f"/apis/{GROUP_VERSION}/namespaces/{town.namespace}/instances/web-1/ticket"
    answer = json.loads(await town.kubectl("create", "--raw", path, "--filename=-", stdin="{}"))
    return answer["status"]["url"].partition("#ticket=")[2]


async def closing(viewer: aiohttp.ClientWebSocketResponse) -> int | None:
    async with asyncio.timeout(30):
        while (message := await viewer.receive()).type is WSMsgType.BINARY:
            pass
    assert message.type is WSMsgType.CLOSE, message
    return message.data


async def test_a_browser_gets_a_console_for_a_link_once(town: Town, console_folder: Path):
    ticket = await a_ticket(town)
    forged = ticket[:-1] + ("A" if ticket[-1] != "A" else "B")
    async with browser(town, console_folder) as mallory, browser(town, console_folder) as alice:
        assert await mallory.open(forged) == (401, "TicketUnknown")
        assert await alice.open(ticket) == (200, "")
        assert await mallory.open(ticket) == (401, "TicketUsed")
        status, info = await alice.info()
        assert (status, info["user"], info["type"], info["instance"]["name"]) == (200, "admin", "VNC", "web-1")
        async with alice.stream() as viewer:
            assert await viewer.receive_bytes() == GREETING
            await town.kubectl("delete", "consolesessions", "--all")
            assert await closing(viewer) == CloseCode.REVOKED
        assert (await alice.info())[0] == 401
    assert town.console.metric("hypernova_console_tickets_total", result="TicketUsed") >= 1
    assert town.console.metric("hypernova_console_tickets_total", result="TicketUnknown") >= 1
    assert town.console.metric("hypernova_console_endings_total", type="VNC", reason="REVOKED") >= 1


async def test_a_session_outlives_the_proxy_that_began_it(town: Town, console_folder: Path):
    viewing = town.client.websocket(SUBRESOURCES, "web-1", town.namespace, "vnc", {}, longest_message=LONGEST_MESSAGE)
    async with browser(town, console_folder) as alice:
        assert await alice.open(await a_ticket(town)) == (200, "")
        async with alice.stream() as page, viewing as terminal:
            assert await page.receive_bytes() == await terminal.receive_bytes() == GREETING
            await asyncio.to_thread(town.console.stop)
            try:
                assert await closing(page) == await closing(terminal) == CloseCode.UNREACHABLE
                # What has no key to come again with is gone; the page's session is for another replica to go on with.
                (left,) = await town.sessions()
                assert alice.place.split("/")[3] == left["metadata"]["name"]
            finally:
                await asyncio.to_thread(town.console.start)
        async with alice.stream() as page:
            assert await page.receive_bytes() == GREETING


async def test_no_secret_is_in_any_log(town: Town, console_folder: Path):
    ann = await town.user("ann", "edit")
    asked = await ann.create_at(SUBRESOURCES, "web-1", {}, town.namespace, "ticket")
    ticket = asked["status"]["url"].partition("#ticket=")[2]
    unused = await a_ticket(town)
    async with browser(town, console_folder) as alice:
        await alice.open(f"{ticket}x")
        await alice.open(ticket)
        await alice.open(ticket)
        await alice.info()
        async with alice.stream() as page:
            await page.receive_bytes()
        alice.cookies = {name: f"{value[:-1]}_" for name, value in alice.cookies.items()}
        await alice.info()
        keys = list(alice.cookies.values())
    kubeconfig = town.cluster.service_account_kubeconfig(town.namespace, "ann")
    token = json.loads(kubeconfig.read_text())["users"][0]["user"]["token"]
    secrets = [ticket.rpartition("/")[2], unused.rpartition("/")[2], *keys, token, token.rpartition(".")[2]]
    logs = {
        "console": town.console.log,
        "kube-apiserver": town.cluster.components["kube-apiserver"].log.read_text(),
        "operator": (console_folder / "operator.log").read_text(),
    }
    assert "ticket redeemed" in logs["console"]
    assert "ticket refused" in logs["console"]
    for name, text in logs.items():
        for secret in secrets:
            assert secret[:-1] not in text, f"a secret is in the log of {name}"
        assert "Bearer" not in text
        assert "Cookie:" not in text


@pytest.mark.parametrize("path", ["/apis", "/openapi/v2", f"/apis/{GROUP_VERSION}"])
async def test_not_even_discovery_is_for_strangers(town: Town, console_folder: Path, path: str):
    how = await asyncio.to_thread(names, town)
    async with (
        aiohttp.ClientSession() as session,
        session.get(f"https://127.0.0.1:{api_port(console_folder)}{path}", **how) as answer,
    ):
        assert answer.status == 401
