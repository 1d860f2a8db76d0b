"""What is needed for what. To need another Debian package, add it here."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Purpose:
    """A reason to set the machine up. Every purpose includes the virtual environment with the locked dependencies."""

    packages: tuple[str, ...] = ()
    """Debian packages."""

    programs: tuple[str, ...] = ()
    """On PATH, and not from Debian: too old there."""

    package_lists: bool = False
    """Whether apt must know what there is to download."""

    libvirt_python: bool = False
    """Whether the virtual environment has libvirt's bindings, which are compiled."""


PURPOSES = {
    "unit": Purpose(),
    # Lua for the health checks of Argo CD.
    "cluster": Purpose(packages=("lua5.4", "openssl"), programs=("go",)),
    "libvirt": Purpose(
        packages=(
            *("libvirt-daemon-system", "libvirt-clients", "qemu-system-x86", "qemu-utils"),  # the hosts' hypervisor
            *("ovmf", "swtpm", "swtpm-tools"),  # for guests that boot by UEFI, and those with a TPM
            *("dnsmasq-base", "ebtables", "iproute2", "iptables", "nftables"),  # the networks libvirt makes for guests
            "libxml2-utils",  # xmllint, with which virt-xml-validate works
            *("gcc", "libc6-dev", "libvirt-dev", "pkg-config"),  # to compile libvirt-python and the lab's init
            *("procps", "util-linux"),  # sysctl, nsenter
        ),
        libvirt_python=True,
    ),
    "nodes": Purpose(
        packages=(
            *("containerd", "runc", "containernetworking-plugins"),  # what kubelet runs Pods with
            *("conntrack", "dnsmasq-base", "iproute2", "iptables", "nftables"),  # what kube-proxy writes Services into
            *("e2fsprogs", "procps", "util-linux"),
        ),
        programs=("go",),
    ),
    "images": Purpose(packages=("buildah", "mmdebstrap", "skopeo"), programs=("node", "npm"), package_lists=True),
    "guest": Purpose(packages=("binutils", "qemu-utils"), package_lists=True),
    "web": Purpose(programs=("node", "npm")),
    "browser": Purpose(
        packages=("chromium", "fonts-dejavu-core"),  # the consoles' page in a real browser, with letters to draw
        programs=("node", "npm"),
    ),
}

WHERE_FROM = {
    "go": "Go 1.26 or newer is needed: https://go.dev/doc/install",
    "node": "Node.js 20 or newer is needed: https://nodejs.org/en/download",
    "npm": "npm 10 or newer is needed, and comes with Node.js: https://nodejs.org/en/download",
}
"""What to tell who lacks a program."""


def combined(names: list[str]) -> Purpose:
    """One purpose that needs all that the named ones need."""
    purposes = [PURPOSES[name] for name in names]
    return Purpose(
        packages=tuple(sorted({package for purpose in purposes for package in purpose.packages})),
        programs=tuple(sorted({program for purpose in purposes for program in purpose.programs})),
        package_lists=any(purpose.package_lists for purpose in purposes),
        libvirt_python=any(purpose.libvirt_python for purpose in purposes),
    )
