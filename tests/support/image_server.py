"""An HTTP server for images that misbehaves on request.

url = server.add("linux.qcow2", guest.qcow2)            serves it well
server.add("x.img", b"...", status=503)                 answers with an error
server.add("x.img", b"...", truncate_at=1000)           promises all, closes the connection after 1000 bytes
server.add("x.img", b"...", chunked=True)               names no length
server.add("x.img", b"...", hold_at=1000)               stops after 1000 bytes, until server.release("x.img")
server.requests["x.img"]                                how often it was asked for
"""

import contextlib
import itertools
import threading
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import cast

_PIECE = 64 * 1024
_LONGEST_HOLD_S = 120.0
"""A test that forgets to release must not hang."""


@dataclass(frozen=True, slots=True)
class _File:
    content: bytes
    status: int
    truncate_at: int | None
    chunked: bool
    hold_at: int | None
    released: threading.Event = field(default_factory=threading.Event)

    def pieces(self) -> Iterator[bytes]:
        """What is sent of it, in the order it is sent."""
        end = len(self.content) if self.truncate_at is None else self.truncate_at
        stops = sorted({0, end, *range(0, end, _PIECE), *([self.hold_at] if self.hold_at is not None else [])})
        for start, stop in itertools.pairwise(stops):
            if start == self.hold_at:
                self.released.wait(_LONGEST_HOLD_S)
            yield self.content[start:stop]


class ImageServer(ThreadingHTTPServer):
    """See the module. Listens on a free port of the loopback interface."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.requests: Counter[str] = Counter()
        self.files: dict[str, _File] = {}

    @property
    def url(self) -> str:
        """Its address, without a closing slash."""
        return f"http://127.0.0.1:{self.server_port}"

    def add(
        self,
        name: str,
        content: bytes | Path,
        *,
        status: int = 200,
        truncate_at: int | None = None,
        chunked: bool = False,
        hold_at: int | None = None,
    ) -> str:
        """Serve content under a name, from now on; the URL."""
        data = content if isinstance(content, bytes) else content.read_bytes()
        self.files[name] = _File(data, status, truncate_at, chunked, hold_at)
        return f"{self.url}/{name}"

    def release(self, name: str) -> None:
        """Let the answers that are held, and all to come, go on."""
        self.files[name].released.set()


@contextlib.contextmanager
def running() -> Iterator[ImageServer]:
    """An ImageServer that serves while the block lasts."""
    with ImageServer() as server:
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
        thread.start()
        try:
            yield server
        finally:
            for name in server.files:
                server.release(name)
            server.shutdown()
            thread.join()


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_GET(self) -> None:
        server = cast("ImageServer", self.server)
        name = self.path.lstrip("/")
        server.requests[name] += 1
        file = server.files.get(name)
        if file is None or file.status != 200:
            self.send_error(file.status if file else 404)
            return
        self.send_response(200)
        if file.chunked:
            self.send_header("Transfer-Encoding", "chunked")
        else:
            self.send_header("Content-Length", str(len(file.content)))
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # the client went away, as it may
            self._send(file)

    def _send(self, file: _File) -> None:
        for piece in file.pieces():
            self.wfile.write(b"%x\r\n%b\r\n" % (len(piece), piece) if file.chunked else piece)
        if file.truncate_at is not None:
            self.close_connection = True
        elif file.chunked:
            self.wfile.write(b"0\r\n\r\n")

    def log_message(self, *args: object) -> None:
        """Nothing: tests look at `requests`."""
