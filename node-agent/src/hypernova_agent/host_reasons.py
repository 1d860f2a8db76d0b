"""What a host's refusal is about, as far as its words tell."""

from __future__ import annotations

from hypernova_agent.host import HostError

_REASONS = (
    ("PoolFull", ("no space left on device", "disk quota exceeded"), "free space in the pool"),
    ("PoolReadOnly", ("read-only file system",), "mount the pool's file system writable"),
    ("OutOfMemory", ("cannot allocate memory", "cannot set up guest memory"), "free memory on the node"),
)
"""What a condition's reason is, the words that libvirt, QEMU and the C library have for it, and what to do."""


def reason_of(error: HostError) -> tuple[str, str]:
    """The reason for a condition, and the message with what to do. Pure."""
    message = str(error)
    for reason, words, cure in _REASONS:
        if any(word in message.lower() for word in words):
            return reason, f"{cure}: {message}"
    return "HostError", message
