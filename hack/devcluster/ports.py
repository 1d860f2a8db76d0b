"""Free ports on loopback, kept for us from choosing until use."""

from __future__ import annotations

import random
import socket
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

from .errors import ClusterError

# Below the range from which Linux takes ports of outgoing connections (32768-60999): a port chosen here may be left
# for a moment, while its component restarts, and nobody's connection will sit on it.
CHOICE = range(20000, 32000)


@contextmanager
def reserved(count: int) -> Iterator[list[int]]:
    """`count` free TCP ports of 127.0.0.1, which no other `reserved` gets while the block runs.

    They are bound but do not listen. The option SO_REUSEADDR is set once they are bound, so that a server that sets
    it too, as Go's and Python's do, can listen on them within the block, while another `reserved` is refused.

    Raises:
        ClusterError: nearly all ports are taken.
    """
    with ExitStack() as stack:
        yield [_reserve(stack) for _ in range(count)]


def _reserve(stack: ExitStack) -> int:
    for port in random.sample(CHOICE, 100):
        try:
            claim = stack.enter_context(socket.socket())
            claim.bind(("127.0.0.1", port))  # fails if anybody has it
            claim.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)  # from here on a server may share it
        except OSError:
            continue
        return port
    raise ClusterError(f"no free port of 127.0.0.1 in {CHOICE.start}-{CHOICE.stop - 1}")
