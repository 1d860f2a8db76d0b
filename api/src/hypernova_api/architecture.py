"""What kind of machine a host is and a guest needs, in libvirt's words."""

from __future__ import annotations

from typing import Literal

Architecture = Literal["x86_64", "aarch64", "ppc64le", "s390x", "riscv64"]
"""A processor's instruction set."""

DomainType = Literal["kvm", "qemu"]
"""`kvm` where the hardware helps, else `qemu`: emulation."""

Firmware = Literal["BIOS", "UEFI"]
"""What a guest boots by."""

SecureBoot = Literal["Required", "Optional", "Disabled"]
"""Whether a guest's firmware boots only what is signed: always, where the host can, never."""

TpmVersion = Literal["2.0"]
"""The version of a guest's trusted platform module."""

WatchdogAction = Literal["Disabled", "Reset", "PowerOff", "Pause", "None"]
"""What happens to a guest that has started its watchdog and stopped to feed it. `Disabled`: there is no watchdog.
`None`: only the host's log tells."""

OsType = Literal["Linux", "Windows"]
"""What the guest runs, as far as its machine differs for it."""
