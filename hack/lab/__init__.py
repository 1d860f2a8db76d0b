"""Lab hosts: several machines with their own libvirtd, QEMU, network and host name on one Linux machine.

    with Lab(Path("/tmp/lab")) as lab:
        host = lab.host("node-a")
        host.up()
        host.start_libvirtd()
        libvirt.open(host.libvirt_uri)

Needs root and the Debian packages libvirt-daemon-system, libvirt-clients, qemu-system-x86, dnsmasq-base, iptables,
iproute2, util-linux, gcc and libc6-dev.
"""

from hack.lab.errors import LabError
from hack.lab.host import Host
from hack.lab.lab import Lab

__all__ = ["Host", "Lab", "LabError"]
