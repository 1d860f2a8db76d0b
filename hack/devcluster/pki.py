"""Keys, certificates and kubeconfigs of a cluster, made with openssl."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass, replace
from pathlib import Path

from .errors import ClusterError

LIFETIME_DAYS = "3650"
NEW_KEY = ("-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes")

# First address of the service range: the API server answers there by the name `kubernetes.default.svc`.
SERVICE_RANGE = "10.96.0.0/16"
KUBERNETES_SERVICE = "10.96.0.1"


@dataclass(frozen=True, slots=True)
class Certificate:
    """A key pair signed by one of the two authorities; kept as NAME.crt and NAME.key."""

    name: str
    subject: str
    """Kubernetes reads CN as the user and O as the group."""

    addresses: tuple[str, ...] = ()
    """Of a server; empty for a client."""

    names: tuple[str, ...] = ()
    """DNS names of a server."""

    authority: str = "ca"

    @property
    def extensions(self) -> list[str]:
        """As openssl writes them."""
        if not self.addresses:
            return ["extendedKeyUsage=clientAuth"]
        alternatives = [f"IP:{address}" for address in self.addresses] + [f"DNS:{name}" for name in self.names]
        return ["extendedKeyUsage=serverAuth", f"subjectAltName={','.join(alternatives)}"]


ADMIN = Certificate("admin", "/O=system:masters/CN=admin")
CONTROLLER_MANAGER = Certificate("kube-controller-manager", "/CN=system:kube-controller-manager")
SCHEDULER = Certificate("kube-scheduler", "/CN=system:kube-scheduler")
API_SERVER = Certificate(
    "kube-apiserver",
    "/CN=kube-apiserver",
    addresses=("127.0.0.1", KUBERNETES_SERVICE),
    names=("localhost", "kubernetes.default.svc"),
)
# What the API server shows kubelets, for logs and exec.
API_KUBELET = Certificate("kube-apiserver-kubelet", "/O=system:masters/CN=kube-apiserver-kubelet-client")
# What the API server shows aggregated API servers. An authority of its own, so that no other client certificate of
# the cluster can pass for it and name any user it likes.
FRONT_PROXY = Certificate("front-proxy", "/CN=front-proxy", authority="front-proxy-ca")

USERS = (ADMIN, CONTROLLER_MANAGER, SCHEDULER)
"""Those who get a kubeconfig."""


def make(folder: Path, address: str | None) -> None:
    """All keys and certificates of a new cluster, into the existing `folder`.

    Args:
        folder: where to.
        address: of the API server, beside loopback.

    Raises:
        ClusterError: openssl is missing or refused.
    """
    for authority in ("ca", "front-proxy-ca"):
        files = ("-keyout", f"{authority}.key", "-out", f"{authority}.crt")
        _openssl(folder, "req", "-x509", *NEW_KEY, *files, "-subj", f"/CN={authority}", "-days", LIFETIME_DAYS)
    api_server = replace(API_SERVER, addresses=API_SERVER.addresses + ((address,) if address else ()))
    for certificate in (*USERS, api_server, API_KUBELET, FRONT_PROXY):
        sign(folder, certificate)
    _openssl(folder, "ecparam", "-name", "prime256v1", "-genkey", "-noout", "-out", "service-account.key")
    _openssl(folder, "ec", "-in", "service-account.key", "-pubout", "-out", "service-account.pub")


def client_kubeconfig(pki: Path, certificate: Certificate, url: str) -> str:
    """A kubeconfig for the holder of a client certificate, everything embedded."""
    user = {
        "client-certificate-data": _base64(pki / f"{certificate.name}.crt"),
        "client-key-data": _base64(pki / f"{certificate.name}.key"),
    }
    return kubeconfig(pki, certificate.name, user, url)


def kubeconfig(pki: Path, name: str, user: dict[str, str], url: str) -> str:
    """A kubeconfig for a user with these credentials. JSON, which is YAML too."""
    cluster = {"server": url, "certificate-authority-data": _base64(pki / "ca.crt")}
    return json.dumps(
        {
            "apiVersion": "v1",
            "kind": "Config",
            "current-context": "devcluster",
            "contexts": [{"name": "devcluster", "context": {"cluster": "devcluster", "user": name}}],
            "clusters": [{"name": "devcluster", "cluster": cluster}],
            "users": [{"name": name, "user": user}],
        },
        indent=2,
    )


def write_private(path: Path, text: str) -> None:
    """Writes a file that holds a secret."""
    path.touch(mode=0o600)
    path.write_text(text)


def sign(folder: Path, certificate: Certificate) -> None:
    """One more key and its certificate.

    Raises:
        ClusterError: openssl is missing or refused.
    """
    name, authority = certificate.name, certificate.authority
    extensions = [argument for extension in certificate.extensions for argument in ("-addext", extension)]
    _openssl(
        folder,
        *("req", "-x509", *NEW_KEY, "-keyout", f"{name}.key", "-out", f"{name}.crt", "-days", LIFETIME_DAYS),
        *("-CA", f"{authority}.crt", "-CAkey", f"{authority}.key", "-subj", certificate.subject),
        *("-addext", "basicConstraints=critical,CA:FALSE", *extensions),
    )


def _openssl(folder: Path, *arguments: str) -> None:
    try:
        subprocess.run(["openssl", *arguments], cwd=folder, check=True, capture_output=True, text=True, timeout=60)
    except FileNotFoundError:
        raise ClusterError("openssl is missing; apt-get install openssl") from None
    except subprocess.CalledProcessError as error:
        raise ClusterError(f"openssl {' '.join(arguments)} failed: {error.stderr}") from None


def _base64(path: Path) -> str:
    return base64.b64encode(path.read_bytes()).decode()
