"""What a host's refusal is about, and what to do about it, as far as its words tell."""

from __future__ import annotations

from hypernova_agent.host import HostError, HostFault

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


_CURES = (
    (
        ("failed to connect socket", "no such file or directory"),
        "install libvirt and QEMU on this node (on Debian: apt-get install libvirt-daemon-system qemu-system-x86 "
        "qemu-utils), or start libvirtd; if its socket is elsewhere, set agent.libvirt.socketDir of the chart",
    ),
    (
        ("failed to connect socket", "connection refused"),
        "start libvirtd on this node: systemctl start libvirtd",
    ),
    (
        ("failed to connect socket", "permission denied"),
        "set agent.libvirt.group of the chart to the number of the group that may open libvirt's socket (on this node: "
        "getent group libvirt), and unix_sock_rw_perms in its /etc/libvirt/libvirtd.conf to 0770",
    ),
    (
        ("failed to find user record",),
        "set agent.libvirt.user of the chart to a user that this node knows",
    ),
    (
        ("failed to find group record",),
        "set agent.libvirt.group of the chart to a group that this node knows",
    ),
    (
        ("authentication unavailable",),
        'set auth_unix_rw = "none" in /etc/libvirt/libvirtd.conf of this node, and restart libvirtd',
    ),
    (
        ("cannot find suitable emulator",),
        "install QEMU on this node (on Debian: apt-get install qemu-system-x86 qemu-utils), and restart libvirtd",
    ),
)
"""Words that libvirt has, all of them, for why a node cannot be used, and what to do."""


def cure_of(fault: HostFault) -> str:
    """What to do about a node that cannot be used; empty if the words do not tell. Pure."""
    message = str(fault).lower()
    return next((cure for words, cure in _CURES if all(word in message for word in words)), "")
