"""A small HTTP server for images, on the loopback interface alone."""

from __future__ import annotations

import contextlib
import functools
import threading
from collections.abc import Iterator
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

LOOPBACK = "127.0.0.1"


def server(folder: Path, port: int = 0) -> ThreadingHTTPServer:
    """A server of the files in a folder, bound but not yet serving.

    Args:
        folder: what it serves.
        port: where; 0 takes a free one.

    Raises:
        OSError: the port is taken.
    """
    handler = functools.partial(_Files, directory=str(folder))
    return ThreadingHTTPServer((LOOPBACK, port), handler)


def url(of: ThreadingHTTPServer) -> str:
    """Its address, without a closing slash."""
    return f"http://{LOOPBACK}:{of.server_port}"


@contextlib.contextmanager
def serving(it: ThreadingHTTPServer) -> Iterator[str]:
    """Serve in a thread of this process; gives the server's address."""
    thread = threading.Thread(target=it.serve_forever, kwargs={"poll_interval": 0.05}, name="image-server")
    thread.start()
    try:
        yield url(it)
    finally:
        it.shutdown()
        thread.join()
        it.server_close()


class _Files(SimpleHTTPRequestHandler):
    """Files of one folder; connections are kept."""

    protocol_version = "HTTP/1.1"

    def list_directory(self, path: object) -> None:
        """No listings: who fetches an image knows its name."""
        self.send_error(404)
