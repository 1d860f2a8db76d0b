"""A real Kubernetes control plane on this machine, for the demo, the tests and the benches.

    with Cluster(Path("/tmp/mine")) as cluster:
        install(cluster)
        print(cluster.kubectl("get", "crds"))

`python -m hack.devcluster --help` offers the same to a shell.
"""

from .build import build
from .cluster import Cluster
from .errors import ClusterError
from .install import install, wait_installed
from .network import Network

__all__ = ["Cluster", "ClusterError", "Network", "build", "install", "wait_installed"]
