"""Certificates between our own processes: who signs what for whom, by the CertificateSigningRequests of Kubernetes.

The operator signs, with an authority of Hypernova's own. No certificate is good for two things: an agent's cannot pass
for the console proxy's, nor for that of another node.
"""

from __future__ import annotations

from enum import StrEnum

from hypernova_api.meta import GROUP

AUTHORITY = "hypernova-ca"
"""Name of a Secret (`tls.crt`, `tls.key`), which the operator alone reads, and of a ConfigMap (`ca.crt`) with what to
trust; both in the namespace of Hypernova."""

BUNDLE_KEY = "ca.crt"
"""Key of the ConfigMap, as PEM."""

CONSOLE_NAME = "hypernova-console"
"""Common name and only DNS name of the console proxy's client certificate."""

CONDUCTOR_NAME = "hypernova-operator"
"""Common name of the certificate that operators show agents as the conductor, and name of their Service."""

AGENT_ACCOUNT = "hypernova-node-agent"
CONSOLE_ACCOUNT = "hypernova-console"
OPERATOR_ACCOUNT = "hypernova-operator"
"""ServiceAccounts that may ask, in the namespace of Hypernova."""

LIFETIME_SECONDS = 24 * 3600
"""How long a certificate lasts at most, and unless less was asked for."""

BACKDATED_SECONDS = 300
"""A certificate is good already for so long before it was made: clocks differ."""


class Signer(StrEnum):
    """Signer names (spec.signerName): https://kubernetes.io/docs/reference/access-authn-authz/certificate-signing-requests/"""

    AGENT_SERVING = f"{GROUP}/agent-serving"
    """An agent as a server: usages `digital signature`, `server auth`; of DNS names, that of the node alone."""
    CONSOLE_CLIENT = f"{GROUP}/console-client"
    """The console proxy towards agents: usages `digital signature`, `client auth`; DNS name CONSOLE_NAME."""
    CONSOLE_SERVING = f"{GROUP}/console-serving"
    """The console proxy towards the API server: usages `digital signature`, `server auth`; DNS names of its Service,
    `hypernova-console.NAMESPACE.svc`."""
    CONDUCTOR_SERVING = f"{GROUP}/conductor-serving"
    """An operator towards agents, as the conductor: usages `digital signature`, `server auth`; DNS name of its Service,
    `hypernova-operator.NAMESPACE.svc`."""
