"""Keys, certificates and kubeconfigs of a cluster, made with openssl."""

from __future__ import annotations

import base64
import json
import subprocess
from dataclasses import dataclass
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

    extensions: tuple[str, ...] = ("extendedKeyUsage=clientAuth",)
    authority: str = "ca"


ADMIN = Certificate("admin", "/O=system:masters/CN=admin")
CONTROLLER_MANAGER = Certificate("kube-controller-manager", "/CN=system:kube-controller-manager")
API_SERVER = Certificate(
    "kube-apiserver",
    "/CN=kube-apiserver",
    (
        "extendedKeyUsage=serverAuth",
        f"subjectAltName=IP:127.0.0.1,IP:{KUBERNETES_SERVICE},DNS:localhost,DNS:kubernetes.default.svc",
    ),
)
# What the API server shows aggregated API servers. An authority of its own, so that no other client certificate of
# the cluster can pass for it and name any user it likes.
FRONT_PROXY = Certificate("front-proxy", "/CN=front-proxy", authority="front-proxy-ca")

USERS = (ADMIN, CONTROLLER_MANAGER)
"""Those who get a kubeconfig."""


def make(folder: Path) -> None:
    """All keys and certificates of a new cluster, into the existing `folder`.

    Raises:
        ClusterError: openssl is missing or refused.
    """
    for authority in ("ca", "front-proxy-ca"):
        files = ("-keyout", f"{authority}.key", "-out", f"{authority}.crt")
        _openssl(folder, "req", "-x509", *NEW_KEY, *files, "-subj", f"/CN={authority}", "-days", LIFETIME_DAYS)
    for certificate in (*USERS, API_SERVER, FRONT_PROXY):
        _sign(folder, certificate)
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


def _sign(folder: Path, certificate: Certificate) -> None:
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
