"""The command line of each component: pure functions of a cluster's layout and ports."""

from __future__ import annotations

from .layout import Layout, Ports
from .network import Network
from .pki import API_KUBELET, CONTROLLER_MANAGER, SCHEDULER, SERVICE_RANGE

ETCD = "etcd"
API_SERVER = "kube-apiserver"
CONTROLLERS = "kube-controller-manager"
PODS = "kube-scheduler"


ENVIRONMENT = {"GOGC": "400", "GOMEMLIMIT": "6GiB"}
"""Of all components: memory is plenty, CPU is not. It takes a fifth off what an API server spends on a write; beyond
the limit, which only tens of thousands of objects reach, garbage is collected as often as it takes."""


def api_url(ports: Ports) -> str:
    """Where the API server answers."""
    return f"https://127.0.0.1:{ports.api}"


def etcd(layout: Layout, ports: Ports) -> list[str]:
    """Etcd, one member."""
    client, peer = f"http://127.0.0.1:{ports.etcd}", f"http://127.0.0.1:{ports.etcd_peer}"
    return [
        "etcd",
        f"--data-dir={layout.etcd}",
        f"--listen-client-urls={client}",
        f"--advertise-client-urls={client}",
        f"--listen-peer-urls={peer}",
        f"--initial-advertise-peer-urls={peer}",
        f"--initial-cluster=default={peer}",
        "--log-level=warn",
        # A write survives etcd's death, though not the machine's: far faster, and no more is needed here.
        "--unsafe-no-fsync",
    ]


def kube_apiserver(layout: Layout, ports: Ports) -> list[str]:
    """The API server, with what a kubeadm cluster has: RBAC, Node authorizer, service accounts, aggregation."""
    pki = layout.pki
    return [
        "kube-apiserver",
        f"--etcd-servers=http://127.0.0.1:{ports.etcd}",
        "--bind-address=127.0.0.1",
        f"--secure-port={ports.api}",
        # Nobody dials it, but it must not be loopback: that is refused as an endpoint of the kubernetes Service.
        "--advertise-address=10.255.255.254",
        f"--service-cluster-ip-range={SERVICE_RANGE}",
        f"--tls-cert-file={pki}/kube-apiserver.crt",
        f"--tls-private-key-file={pki}/kube-apiserver.key",
        f"--client-ca-file={pki}/ca.crt",
        "--authorization-mode=Node,RBAC",
        "--enable-admission-plugins=NodeRestriction",
        "--allow-privileged=true",
        # Else a terminated API server waits a minute for the controllers to let go of their watches.
        "--shutdown-watch-termination-grace-period=1s",
        # As clusters of a thousand nodes have it. A write takes seats by how many watch its kind: of the default 600
        # there are enough for some 16 writes at once of a kind that a thousand agents watch.
        "--max-requests-inflight=1500",
        "--max-mutating-requests-inflight=500",
        "--service-account-issuer=https://kubernetes.default.svc",
        f"--service-account-key-file={pki}/service-account.pub",
        f"--service-account-signing-key-file={pki}/service-account.key",
        f"--requestheader-client-ca-file={pki}/front-proxy-ca.crt",
        "--requestheader-allowed-names=front-proxy",
        "--requestheader-username-headers=X-Remote-User",
        "--requestheader-group-headers=X-Remote-Group",
        "--requestheader-extra-headers-prefix=X-Remote-Extra-",
        f"--proxy-client-cert-file={pki}/front-proxy.crt",
        f"--proxy-client-key-file={pki}/front-proxy.key",
    ]


def kube_controller_manager(layout: Layout) -> list[str]:
    """The controllers: garbage collection, namespaces, service accounts, certificate signing, ..."""
    pki, kubeconfig = layout.pki, layout.kubeconfig(CONTROLLER_MANAGER.name)
    return [
        "kube-controller-manager",
        f"--kubeconfig={kubeconfig}",
        "--use-service-account-credentials",
        f"--service-account-private-key-file={pki}/service-account.key",
        f"--root-ca-file={pki}/ca.crt",
        f"--cluster-signing-cert-file={pki}/ca.crt",
        f"--cluster-signing-key-file={pki}/ca.key",
        "--leader-elect=false",
        "--secure-port=0",  # no port, nobody asks
        # The default of 20 a second makes a start of 0.6 s one of 4.
        "--kube-api-qps=1000",
        "--kube-api-burst=1000",
    ]


def kube_scheduler(layout: Layout) -> list[str]:
    """The scheduler of Pods."""
    return [
        "kube-scheduler",
        f"--kubeconfig={layout.kubeconfig(SCHEDULER.name)}",
        "--leader-elect=false",
        "--secure-port=0",  # no port, nobody asks
    ]


WITHOUT_KUBELETS = [
    # This controller would taint all nodes as unreachable after 50 s.
    "--controllers=*,-node-lifecycle-controller",
]
"""For the controllers, where Nodes are objects and nothing more."""

FOR_KUBELETS = [
    # A node counts as lost after 15 s of silence rather than 50: long for a kubelet that reports every 2 s.
    "--node-monitor-grace-period=15s",
    "--node-monitor-period=1s",
]
"""For the controllers, where each Node has a kubelet."""


WITHOUT_MUTATION = (
    "--feature-gates=MutatingAdmissionPolicy=false",
    *(
        f"--runtime-config=admissionregistration.k8s.io/v1/mutatingadmission{kind}=false"
        for kind in ("policies", "policybindings")
    ),
)
"""For the API server: be without MutatingAdmissionPolicy, as those before 1.36 are."""


def for_nodes(layout: Layout, network: Network) -> list[str]:
    """For the API server: be reachable for nodes and Pods, and reach them."""
    pki = layout.pki
    return [
        "--bind-address=0.0.0.0",
        f"--advertise-address={network.address}",
        # Aggregated API servers and webhooks are Pods: dialled directly, as no kube-proxy is here.
        "--enable-aggregator-routing=true",
        f"--kubelet-client-certificate={pki}/{API_KUBELET.name}.crt",
        f"--kubelet-client-key={pki}/{API_KUBELET.name}.key",
        f"--kubelet-certificate-authority={pki}/ca.crt",
        "--kubelet-preferred-address-types=InternalIP",
        # Else a Pod's token, said to last an hour, lasts a year, and who never reads the next one is not found out.
        "--service-account-extend-token-expiration=false",
    ]


def command_lines(layout: Layout, ports: Ports, network: Network | None) -> dict[str, list[str]]:
    """Argv of each component, in the order they are started; with a scheduler where a network has nodes for Pods."""
    lines = {
        ETCD: etcd(layout, ports),
        API_SERVER: kube_apiserver(layout, ports),
        CONTROLLERS: kube_controller_manager(layout),
    }
    if network is None:
        lines[CONTROLLERS] += WITHOUT_KUBELETS
        return lines
    lines[API_SERVER] += for_nodes(layout, network)  # of a flag given twice the last counts
    lines[CONTROLLERS] += FOR_KUBELETS
    return lines | {PODS: kube_scheduler(layout)}
