"""What can go wrong with a devcluster, in words for the person in front of it.

ClusterError
└── Refused
"""

from __future__ import annotations


class ClusterError(Exception):
    """A component did not build, start or stop, or kubectl said no; the message says which, and where to look."""


class Refused(ClusterError):
    """The API server answered a request with an error."""

    def __init__(self, request: str, status: int, text: str) -> None:
        super().__init__(f"{request}: {status} {text.strip()}")
        self.status = status
        """Of HTTP, e.g. 404."""
