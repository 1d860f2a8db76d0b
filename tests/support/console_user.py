"""Consoles as their users reach them: `kubectl hypernova`, links of tickets, and what the proxy answers to both."""

from __future__ import annotations

import base64
import http.client
import json
import os
import pty
import socket
import ssl
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self
from urllib.parse import urlsplit

from playwright.sync_api import Page

from hack.nodes import KubeLab
from hack.stack import Stack
from support.bare_guest import Picture
from support.browsers import picture_of
from support.waiting import eventually

COMMAND = Path(sys.executable).parent / "kubectl-hypernova"
SUBRESOURCES = "/apis/subresources.compute.hypernova.dev/v1alpha1/namespaces/default/instances"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an HTTP server said."""

    status: int
    headers: dict[str, str]
    body: bytes

    @property
    def reason(self) -> str:
        """Of an error."""
        return str(json.loads(self.body)["reason"])

    @property
    def cookie(self) -> str:
        """That was set, without its attributes."""
        return self.headers["Set-Cookie"].partition(";")[0]


class ConsoleUser:
    """A ServiceAccount of the namespace default, with a role there."""

    def __init__(self, stack: Stack | KubeLab, name: str) -> None:
        self.name = name
        self.stack = stack
        self._kubeconfig = stack.cluster.service_account_kubeconfig("default", name)

    def grant(self, role: str) -> Self:
        """Give them a ClusterRole in the namespace; returns when that is known."""
        account = f"--serviceaccount=default:{self.name}"
        self.stack.cluster.kubectl("create", "rolebinding", self.name, f"--clusterrole={role}", account)
        asked = ("auth", "can-i", "list", "instances.compute.hypernova.dev")
        eventually(lambda: self._allowed(*asked), f"{self.name}'s role to be known")
        return self

    def withdraw(self) -> None:
        """Take the role away."""
        self.stack.cluster.kubectl("delete", "rolebinding", self.name)

    def may(self, verb: str, subresource: str, name: str = "") -> bool:
        """What kubectl says of their rights to a console (of an Instance, or of all)."""
        resource = "instances.subresources.compute.hypernova.dev" + (f"/{name}" if name else "")
        return self._allowed("auth", "can-i", verb, resource, f"--subresource={subresource}")

    def hypernova(self, *arguments: str, seconds: float = 60) -> subprocess.CompletedProcess[bytes]:
        """Run `kubectl hypernova`; its exit status is not looked at."""
        return subprocess.run([COMMAND, *arguments], env=self._environment, capture_output=True, timeout=seconds)

    def link(self, name: str, *flags: str) -> str:
        """The link that `kubectl hypernova vnc` would open."""
        done = self.hypernova("vnc", name, "--print-url", *flags)
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout.decode().strip()

    def screenshot(self, name: str) -> bytes:
        """A PNG of the guest's screen now."""
        done = self.hypernova("screenshot", name, "-o", "-")
        assert done.returncode == 0, done.stderr.decode()
        return done.stdout

    def ticket(self, name: str, type_: str) -> str:
        """A link, asked for at the API server."""
        manifest = json.dumps({"spec": {"type": type_}})
        answer = self.kubectl("create", f"--raw={SUBRESOURCES}/{name}/ticket", "--filename=-", input=manifest)
        return str(json.loads(answer)["status"]["url"])

    def kubectl(self, *arguments: str, input: str = "") -> str:  # noqa: A002 - subprocess's word
        """Raises CalledProcessError, with what kubectl said as its stderr."""
        command = [self.stack.cluster.bin_dir / "kubectl", *arguments]
        done = subprocess.run(
            command, env=self._environment, input=input, capture_output=True, text=True, timeout=60, check=True
        )
        return done.stdout

    @contextmanager
    def terminal(self, *arguments: str) -> Iterator[Terminal]:
        """`kubectl hypernova ...` on a terminal of its own; ended at the end of the block, if it has not by then."""
        outer, inner = pty.openpty()
        streams = {"stdin": inner, "stdout": inner, "stderr": inner}
        with subprocess.Popen([COMMAND, *arguments], env=self._environment, **streams) as program:
            os.close(inner)
            terminal = Terminal(outer, program)
            try:
                yield terminal
            finally:
                program.kill()
                os.close(outer)

    def _allowed(self, *asked: str) -> bool:
        """kubectl's answer; a no has an exit status of its own."""
        with suppress(subprocess.CalledProcessError):
            return self.kubectl(*asked).strip() == "yes"
        return False

    @property
    def _environment(self) -> dict[str, str]:
        return os.environ | {"KUBECONFIG": str(self._kubeconfig), "TERM": "xterm"}


class Terminal:
    """What somebody sees and types who sits at it."""

    def __init__(self, descriptor: int, program: subprocess.Popen[bytes]) -> None:
        self._descriptor = descriptor
        self._program = program
        self._seen = b""
        os.set_blocking(descriptor, False)

    def type(self, text: bytes) -> None:
        """Press keys."""
        os.write(self._descriptor, text)

    def wait(self, text: str, seconds: float = 60) -> None:
        """Until it shows a text."""
        try:
            eventually(lambda: text in self.seen, f"{text!r} on the terminal", seconds)
        except AssertionError as error:
            error.add_note(f"it shows:\n{self._seen.decode(errors='replace')}")
            raise

    @property
    def seen(self) -> str:
        """All that it has shown."""
        with suppress(BlockingIOError, OSError):
            while read := os.read(self._descriptor, 65536):
                self._seen += read
        return self._seen.decode(errors="replace")

    def ended(self, seconds: float = 30) -> int:
        """The program's exit status."""
        return self._program.wait(seconds)


def redeem(link: str, at: str = "", *, origin: str | None = None) -> Answer:
    """What a browser's page does with a link's ticket; `at` another replica of the proxy than the link's."""
    parts = urlsplit(link)
    own = f"{parts.scheme}://{parts.netloc}"
    ticket = parts.fragment.removeprefix("ticket=")
    headers = {"Content-Type": "application/json", "Origin": own if origin is None else origin}
    return ask(at or own, "POST", "/api/redeem", headers, {"ticket": ticket})


def first_words(context: ssl.SSLContext, address: tuple[str, int], name: str) -> bytes:
    """What a TLS server with a certificate for that name answers to a request; empty if it hangs up.

    With TLS 1.3, the handshake of a client is over before the server has looked at his certificate.
    """
    with (
        socket.create_connection(address, timeout=10) as plain,
        context.wrap_socket(plain, server_hostname=name) as tls,
        suppress(ssl.SSLError, ConnectionResetError),
    ):
        tls.sendall(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n")
        return tls.recv(1024)
    return b""


def ask(server: str, method: str, path: str, headers: dict[str, str], body: Any = None) -> Answer:
    """One request; `server` as `http://127.0.0.1:1234`."""
    connection = http.client.HTTPConnection(urlsplit(server).netloc, timeout=30)
    try:
        connection.request(method, path, json.dumps(body) if body is not None else None, headers)
        response = connection.getresponse()
        return Answer(response.status, dict(response.getheaders()), response.read())
    finally:
        connection.close()


def picture(page: Page, png: bytes) -> Picture:
    """What a PNG shows, as a browser decodes it. `page` is any, e.g. a blank one: nothing of it is changed."""
    return picture_of(page.evaluate(_DECODE, base64.b64encode(png).decode()))


_DECODE = """async (png) => {
  const bytes = Uint8Array.from(atob(png), (each) => each.charCodeAt(0));
  const image = await createImageBitmap(new Blob([bytes], { type: "image/png" }));
  const canvas = new OffscreenCanvas(image.width, image.height);
  const context = canvas.getContext("2d");
  context.drawImage(image, 0, 0);
  const { data } = context.getImageData(0, 0, canvas.width, canvas.height);
  let text = "";
  for (let at = 0; at < data.length; at += 8192) text += String.fromCharCode(...data.subarray(at, at + 8192));
  return { width: canvas.width, height: canvas.height, pixels: btoa(text) };
}"""
