"""What can go wrong with a devcluster, in words for the person in front of it."""

from __future__ import annotations


class ClusterError(Exception):
    """A component did not build, start or stop, or kubectl said no; the message says which, and where to look."""
