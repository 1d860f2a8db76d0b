"""Whole Kubernetes nodes on one Linux machine: lab hosts with containerd, kubelet and kube-proxy beside their libvirtd.

    with KubeLab(Path("/tmp/mine")) as lab:
        node = lab.add_node("node-a", {"compute.hypernova.dev/hypervisor": "true"})
        lab.load(Path("operator.tar"))
        lab.cluster.kubectl("apply", "--filename=deployment.yaml")

Needs what `hack.devcluster` and `hack.lab` need, cgroup v1, and the Debian packages containerd, runc,
containernetworking-plugins, conntrack, iptables and nftables. `python -m hack.nodes FOLDER` takes down the lab in a
folder.
"""

from .kubelab import KubeLab
from .node import Node
from .oci import Image, write_archive

__all__ = ["Image", "KubeLab", "Node", "write_archive"]
