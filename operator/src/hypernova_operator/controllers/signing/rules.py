"""Who gets which certificate. Pure: a CertificateSigningRequest in; out come the certificate's contents, or why not.

Nothing of the request goes into the certificate unseen: what it may ask for is known in advance, to the letter, and
only the addresses of an agent are a choice of its own, among those that its Node and its Pod have.
"""

from __future__ import annotations

import base64
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address, ip_address

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from hypernova_api.certificates import (
    AGENT_ACCOUNT,
    CONDUCTOR_NAME,
    CONSOLE_ACCOUNT,
    CONSOLE_NAME,
    LIFETIME_SECONDS,
    OPERATOR_ACCOUNT,
    Signer,
)
from hypernova_api.conductor import server_name
from hypernova_kube.certificates import CLIENT_USAGES, SERVER_USAGES
from hypernova_kube.errors import in_words
from hypernova_kube.resources import Object
from hypernova_operator.controllers.signing.authority import Contents, PublicKey

LARGEST_REQUEST = 16 * 1024
"""Bytes. One of ours has 500."""

RSA_BITS = range(2048, 8192 + 1)
"""More would only keep us busy."""

_CLAIM = "authentication.kubernetes.io/"

Address = IPv4Address | IPv6Address


class Denied(Exception):
    """There will be no certificate for this request. The text is a sentence for whoever made it.

    Attributes:
        reason: CamelCase, of the condition Denied.
    """

    def __init__(self, reason: str, message: str) -> None:
        super().__init__(message)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Claim:
    """Where the requester's token says that it is."""

    node: str
    pod: str
    """Empty where the token is not bound to a Pod."""

    pod_uid: str


@dataclass(frozen=True, slots=True)
class _Terms:
    account: str
    common_name: str
    usages: tuple[str, ...]
    usage: ObjectIdentifier


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What a request says, every part of it read."""

    subject: tuple[tuple[ObjectIdentifier, str | bytes], ...]
    extensions: Mapping[ObjectIdentifier, x509.ExtensionType]
    key: object
    is_signed: bool
    """Whether with that key."""


_TERMS: Mapping[str, _Terms] = {
    Signer.AGENT_SERVING: _Terms(AGENT_ACCOUNT, AGENT_ACCOUNT, SERVER_USAGES, ExtendedKeyUsageOID.SERVER_AUTH),
    Signer.CONSOLE_CLIENT: _Terms(CONSOLE_ACCOUNT, CONSOLE_NAME, CLIENT_USAGES, ExtendedKeyUsageOID.CLIENT_AUTH),
    Signer.CONSOLE_SERVING: _Terms(CONSOLE_ACCOUNT, CONSOLE_NAME, SERVER_USAGES, ExtendedKeyUsageOID.SERVER_AUTH),
    Signer.CONDUCTOR_SERVING: _Terms(OPERATOR_ACCOUNT, CONDUCTOR_NAME, SERVER_USAGES, ExtendedKeyUsageOID.SERVER_AUTH),
}


def is_open(obj: Object) -> bool:
    """Whether a request is for one of our signers and has no final answer."""
    status = obj.get("status", {})
    ended = any(condition["type"] in ("Denied", "Failed") for condition in status.get("conditions", []))
    return obj["spec"]["signerName"] in _TERMS and not ended and not status.get("certificate")


def claim(obj: Object) -> Claim | None:
    """The node that the requester is on, as the API server has found in its token; None where that tells none."""
    extra = obj["spec"].get("extra", {})

    def only(name: str) -> str:
        values = extra.get(_CLAIM + name, [])
        return values[0] if len(values) == 1 else ""

    node = only("node-name")
    return Claim(node, only("pod-name"), only("pod-uid")) if node else None


def addresses_of(claimed: Claim, node: Object, pod: Object | None) -> frozenset[Address]:
    """The addresses that an agent may call its own.

    Args:
        claimed: where the agent is.
        node: that Node.
        pod: the Pod of that name in Hypernova's namespace, if there is one.
    """
    addresses = node.get("status", {}).get("addresses", [])
    found = [each["address"] for each in addresses]
    if (
        pod is not None
        and pod["metadata"]["uid"] == claimed.pod_uid
        and pod["spec"].get("nodeName") == claimed.node
        and pod["spec"].get("serviceAccountName") == AGENT_ACCOUNT
    ):
        found += [each["ip"] for each in pod.get("status", {}).get("podIPs", [])]
    return frozenset(address for each in found if (address := _parsed(each)) is not None)


def decide(obj: Object, namespace: str, addresses: frozenset[Address]) -> Contents:
    """What the certificate for an open request is to say.

    Args:
        obj: the CertificateSigningRequest.
        namespace: Hypernova's.
        addresses: that the requester may call its own.

    Raises:
        Denied: there is to be none.
    """
    spec = obj["spec"]
    signer, terms = spec["signerName"], _TERMS[spec["signerName"]]
    account = f"system:serviceaccount:{namespace}:{terms.account}"
    if spec.get("username") != account:
        raise Denied("WrongUser", f"only {account} may ask {signer} for certificates, not {spec.get('username')}")
    if sorted(spec.get("usages", [])) != sorted(terms.usages):
        raise Denied("WrongUsages", f"certificates of {signer} are for {_listed(terms.usages)} and nothing else")
    wanted = _read(spec.get("request", ""))
    if wanted.subject != ((NameOID.COMMON_NAME, terms.common_name),):
        raise Denied("WrongSubject", f"the subject of certificates of {signer} is CN={terms.common_name} alone")
    own = addresses if signer == Signer.AGENT_SERVING else frozenset()
    name = _dns_name(obj, namespace)
    return Contents(
        terms.common_name,
        (name,),
        _checked_addresses(wanted, name, own),
        terms.usage,
        _checked_key(wanted),
        min(spec.get("expirationSeconds") or LIFETIME_SECONDS, LIFETIME_SECONDS),
    )


def _dns_name(obj: Object, namespace: str) -> str:
    """The one DNS name that the requester has."""
    match Signer(obj["spec"]["signerName"]):
        case Signer.AGENT_SERVING:
            claimed = claim(obj)
            if claimed is None:
                raise Denied(
                    "NoNode", "the token it was asked with is not bound to one node: ask with the token of the Pod"
                )
            return claimed.node
        case Signer.CONSOLE_CLIENT:
            return CONSOLE_NAME
        case Signer.CONSOLE_SERVING:
            return f"{CONSOLE_NAME}.{namespace}.svc"
        case Signer.CONDUCTOR_SERVING:
            return server_name(namespace)


def _read(encoded: str) -> _Wanted:
    if len(encoded) > LARGEST_REQUEST * 4 // 3:
        raise Denied("NotUnderstood", f"the request is larger than {LARGEST_REQUEST} bytes")
    try:
        request = x509.load_pem_x509_csr(base64.b64decode(encoded, validate=True))
        return _Wanted(
            tuple((each.oid, each.value) for each in request.subject),
            {each.oid: each.value for each in request.extensions},
            request.public_key(),
            request.is_signature_valid,
        )
    except Exception as error:
        # cryptography reads each part as it is looked at, and has an exception for each thing that can be wrong with
        # it. Whoever sends such a thing is to hear of it once; we are not to meet it again and again.
        raise Denied("NotUnderstood", f"the request can't be read: {in_words(error)}") from error


def _checked_key(wanted: _Wanted) -> PublicKey:
    if not wanted.is_signed:
        raise Denied("WrongSignature", "the request is not signed with the key that it is for")
    match wanted.key:
        case ec.EllipticCurvePublicKey(curve=ec.SECP256R1() | ec.SECP384R1()) as key:
            return key
        case rsa.RSAPublicKey(key_size=size) as key if size in RSA_BITS:
            return key
    bits = f"{RSA_BITS.start} to {RSA_BITS.stop - 1} bits"
    raise Denied("WrongKey", f"the key must be EC P-256 or P-384, or RSA with {bits}")


def _checked_addresses(wanted: _Wanted, name: str, own: frozenset[Address]) -> tuple[Address, ...]:
    """The addresses that the request wants beside its name."""
    names = wanted.extensions.get(x509.SubjectAlternativeName.oid)
    if len(wanted.extensions) != 1 or not isinstance(names, x509.SubjectAlternativeName):
        raise Denied("UnwantedExtension", "the request must have subject alternative names, and no other extension")
    if any(not isinstance(each, x509.DNSName | x509.IPAddress) for each in names):
        raise Denied("WrongName", "only DNS names and IP addresses are certified")
    dns_names = names.get_values_for_type(x509.DNSName)
    if dns_names != [name]:
        raise Denied("WrongName", f"{_listed(dns_names)} was asked for, and the one name to be had is {name}")
    asked = names.get_values_for_type(x509.IPAddress)
    found = tuple(each for each in asked if isinstance(each, Address) and each in own)
    if len(found) < len(asked):
        others = _listed(str(each) for each in asked if each not in own)
        raise Denied("WrongAddress", f"{others} is no address of {name}; its own are {_listed(map(str, own))}")
    return found


def _parsed(text: str) -> Address | None:
    """An address; None for a host name, which Nodes have among their addresses."""
    try:
        return ip_address(text)
    except ValueError:
        return None


def _listed(words: Iterable[str]) -> str:
    return ", ".join(sorted(words)) or "none"
