"""What containerd, CNI, kubelet and kube-proxy of a node are told: pure functions. JSON is YAML too."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from . import pause

POD_NETWORK = "10.244.0.0/16"
"""All Pods' addresses. Node N has 10.244.N.0/24."""

CONTAINERD_SOCKET = "/run/containerd/containerd.sock"


@dataclass(frozen=True, slots=True)
class Credentials:
    """Files of a kubelet, as it sees them."""

    authority: Path
    """Whose certificates it trusts: the API server's."""

    certificate: Path
    key: Path
    """What it shows the API server, which asks it for logs."""


def pod_subnet(number: int) -> str:
    """The addresses of a node's Pods."""
    return f"10.244.{number}.0/24"


def containerd() -> str:
    """Of containerd 1.6 and 1.7, as config.toml."""
    return f"""\
version = 2
[plugins."io.containerd.grpc.v1.cri"]
  sandbox_image = "{pause.NAME}"
  # Without CAP_SYS_RESOURCE no process may be spared from the OOM killer: runc would fail at every sandbox.
  restrict_oom_score_adj = true
  disable_apparmor = true
  [plugins."io.containerd.grpc.v1.cri".cni]
    bin_dir = "/usr/lib/cni"
    conf_dir = "/etc/cni/net.d"
"""


def cni(number: int) -> str:
    """Pods on a bridge, known by their own addresses on every node."""
    bridge = {
        "type": "bridge",
        "bridge": "cni0",
        "isGateway": True,
        "ipMasq": False,
        "hairpinMode": True,
        "ipam": {
            "type": "host-local",
            "ranges": [[{"subnet": pod_subnet(number)}]],
            "routes": [{"dst": "0.0.0.0/0"}],
        },
    }
    host_ports = {"type": "portmap", "capabilities": {"portMappings": True}}
    return json.dumps({"cniVersion": "1.0.0", "name": "pods", "plugins": [bridge, host_ports]})


def kubelet(cgroup: str, dns: str, credentials: Credentials) -> str:
    """Of kubelet.

    Args:
        cgroup: the node's own branch, made already.
        dns: the name server of Pods.
        credentials: its files.
    """
    configuration: dict[str, Any] = {
        "apiVersion": "kubelet.config.k8s.io/v1beta1",
        "kind": "KubeletConfiguration",
        "failCgroupV1": False,
        "cgroupDriver": "cgroupfs",
        "cgroupRoot": f"/{cgroup}",
        "kubeletCgroups": f"/{cgroup}/kubelet",  # it moves there, and so ends up in what is removed with the node
        "containerRuntimeEndpoint": f"unix://{CONTAINERD_SOCKET}",
        # What the machine may refuse.
        "oomScoreAdj": 0,
        "maxOpenFiles": 20000,
        "failSwapOn": False,
        # A lost node is found out in seconds.
        "nodeStatusUpdateFrequency": "2s",
        "nodeLeaseDurationSeconds": 8,
        # A collected image could not be pulled again, and the disk is shared with everything else.
        "imageGCHighThresholdPercent": 100,
        "imageGCLowThresholdPercent": 99,
        "evictionHard": {"memory.available": "100Mi", "nodefs.available": "200Mi", "imagefs.available": "200Mi"},
        "resolvConf": "/run/resolv.conf",
        "clusterDNS": [dns],
        "clusterDomain": "cluster.local",
        "authentication": {
            "anonymous": {"enabled": False},
            "webhook": {"enabled": True},
            "x509": {"clientCAFile": str(credentials.authority)},
        },
        "authorization": {"mode": "Webhook"},
        "tlsCertFile": str(credentials.certificate),
        "tlsPrivateKeyFile": str(credentials.key),
    }
    return json.dumps(configuration, indent=2)


def kube_proxy(node: str, kubeconfig: Path) -> str:
    """Of kube-proxy.

    Args:
        node: its name.
        kubeconfig: as the host sees it.
    """
    configuration = {
        "apiVersion": "kubeproxy.config.k8s.io/v1alpha1",
        "kind": "KubeProxyConfiguration",
        "mode": "nftables",
        "hostnameOverride": node,
        "clientConnection": {"kubeconfig": str(kubeconfig)},
        "detectLocalMode": "ClusterCIDR",
        "clusterCIDR": POD_NETWORK,
        # The machine's limits, which are not to be changed from inside a namespace.
        "conntrack": {"maxPerCore": 0, "min": 0, "tcpEstablishedTimeout": "0s", "tcpCloseWaitTimeout": "0s"},
    }
    return json.dumps(configuration, indent=2)
