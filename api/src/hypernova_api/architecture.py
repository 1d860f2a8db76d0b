"""What kind of machine a host is and a guest needs, in libvirt's words."""

from __future__ import annotations

from typing import Literal

Architecture = Literal["x86_64", "aarch64", "ppc64le", "s390x", "riscv64"]
"""A processor's instruction set."""

DomainType = Literal["kvm", "qemu"]
"""`kvm` where the hardware helps, else `qemu`: emulation."""

Firmware = Literal["BIOS", "UEFI"]
"""What a guest boots by."""
