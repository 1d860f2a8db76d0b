"""Who gets which certificate, and everything that somebody might try to get another one."""

from __future__ import annotations

import base64
from ipaddress import ip_address, ip_network
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import dsa, ec, ed25519, rsa
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID, ObjectIdentifier

from hypernova_api.certificates import AGENT_ACCOUNT, CONDUCTOR_NAME, CONSOLE_NAME, LIFETIME_SECONDS, Signer
from hypernova_kube.certificates import CLIENT_USAGES, SERVER_USAGES
from hypernova_operator.controllers.signing import rules
from hypernova_operator.controllers.signing.authority import Contents
from support.certificates import a_request, a_signing_request

NAMESPACE = "hypernova-system"
AGENT = f"system:serviceaccount:{NAMESPACE}:hypernova-node-agent"
CONSOLE = f"system:serviceaccount:{NAMESPACE}:hypernova-console"
SERVICE = f"hypernova-console.{NAMESPACE}.svc"
OPERATOR = f"system:serviceaccount:{NAMESPACE}:hypernova-operator"
CONDUCTOR = f"hypernova-operator.{NAMESPACE}.svc"

OWN = frozenset({ip_address("192.0.2.7"), ip_address("2001:db8::7")})
KEY = ec.generate_private_key(ec.SECP256R1())


def dns(*names: str) -> list[x509.GeneralName]:
    return [x509.DNSName(name) for name in names]


def ip(*addresses: str) -> list[x509.GeneralName]:
    return [x509.IPAddress(ip_address(address)) for address in addresses]


def an_agents(request: bytes | None = None, **other: Any) -> dict[str, Any]:
    """What the agent of node-a asks."""
    given = {"username": AGENT, "node_name": ["node-a"], "pod_name": ["agent-x"], "pod_uid": ["uid-1"]}
    return a_signing_request(request or a_request([*dns("node-a"), *ip("192.0.2.7")], key=KEY), **given | other)


def a_consoles(request: bytes | None = None, **other: Any) -> dict[str, Any]:
    """What the console proxy asks to be known to agents."""
    request = request or a_request(dns(CONSOLE_NAME), common_name=CONSOLE_NAME, key=KEY)
    given = {"username": CONSOLE, "signer": Signer.CONSOLE_CLIENT, "usages": CLIENT_USAGES}
    return a_signing_request(request, **given | other)


def a_consoles_server(request: bytes | None = None, **other: Any) -> dict[str, Any]:
    """What the console proxy asks to be known to the API server."""
    request = request or a_request(dns(SERVICE), common_name=CONSOLE_NAME, key=KEY)
    given = {"username": CONSOLE, "signer": Signer.CONSOLE_SERVING, "usages": SERVER_USAGES}
    return a_signing_request(request, **given | other)


def a_conductors(request: bytes | None = None, **other: Any) -> dict[str, Any]:
    """What an operator asks to be known to agents."""
    request = request or a_request(dns(CONDUCTOR), common_name=CONDUCTOR_NAME, key=KEY)
    given = {"username": OPERATOR, "signer": Signer.CONDUCTOR_SERVING, "usages": SERVER_USAGES}
    return a_signing_request(request, **given | other)


def decide(obj: dict[str, Any]) -> Contents:
    return rules.decide(obj, NAMESPACE, OWN)


def contents(obj: dict[str, Any]) -> tuple[Any, ...]:
    got = decide(obj)
    assert got.public_key == KEY.public_key()
    return got.common_name, got.dns_names, tuple(map(str, got.addresses)), got.usage, got.seconds


SERVER, CLIENT = ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH
DAY = LIFETIME_SECONDS

ALLOWED = {
    "an agent, as its node": (an_agents(), (AGENT_ACCOUNT, ("node-a",), ("192.0.2.7",), SERVER, DAY)),
    "an agent with no address": (
        an_agents(a_request(dns("node-a"), key=KEY)),
        (AGENT_ACCOUNT, ("node-a",), (), SERVER, DAY),
    ),
    "an agent with all of its addresses": (
        an_agents(a_request([*ip("2001:db8::7", "192.0.2.7"), *dns("node-a")], key=KEY)),
        (AGENT_ACCOUNT, ("node-a",), ("2001:db8::7", "192.0.2.7"), SERVER, DAY),
    ),
    "usages in any order": (
        an_agents(usages=reversed(SERVER_USAGES)),
        (AGENT_ACCOUNT, ("node-a",), ("192.0.2.7",), SERVER, DAY),
    ),
    "a shorter life": (an_agents(seconds=600), (AGENT_ACCOUNT, ("node-a",), ("192.0.2.7",), SERVER, 600)),
    "a longer life is cut": (an_agents(seconds=10 * DAY), (AGENT_ACCOUNT, ("node-a",), ("192.0.2.7",), SERVER, DAY)),
    "the console as a client": (a_consoles(), (CONSOLE_NAME, (CONSOLE_NAME,), (), CLIENT, DAY)),
    "the console as a server": (a_consoles_server(), (CONSOLE_NAME, (SERVICE,), (), SERVER, DAY)),
    "the operator as the conductor": (a_conductors(), (CONDUCTOR_NAME, (CONDUCTOR,), (), SERVER, DAY)),
}


@pytest.mark.parametrize(("obj", "expected"), ALLOWED.values(), ids=ALLOWED)
def test_what_is_ones_own_is_certified(obj: dict[str, Any], expected: tuple[Any, ...]) -> None:
    assert contents(obj) == expected


@pytest.mark.parametrize(
    "key",
    [ec.generate_private_key(ec.SECP384R1()), rsa.generate_private_key(65537, 2048)],
    ids=["EC P-384", "RSA 2048"],
)
def test_other_good_keys_are_certified(key: Any) -> None:
    assert decide(an_agents(a_request(dns("node-a"), key=key))).public_key == key.public_key()


def forged() -> bytes:
    """A request whose signature is by another key than the one in it."""
    good = x509.load_pem_x509_csr(a_request(dns("node-a")))
    der = bytearray(good.public_bytes(Encoding.DER))
    der[-5] ^= 0xFF  # in the signature, the last of it
    body = base64.encodebytes(bytes(der)).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n".encode()


def twice(names: list[x509.GeneralName]) -> bytes:
    """A request with the same extension twice, which builders refuse to make."""
    one = x509.SubjectAlternativeName(names)
    other = x509.UnrecognizedExtension(ObjectIdentifier("1.2.3.4"), one.public_bytes())
    pem = a_request(names, extensions=[other], key=KEY)
    der = x509.load_pem_x509_csr(pem).public_bytes(Encoding.DER)
    # 1.2.3.4 is as long, encoded, as 2.5.29.17.
    assert der.count(bytes([6, 3, 0x2A, 3, 4])) == 1
    der = der.replace(bytes([6, 3, 0x2A, 3, 4]), bytes([6, 3, 0x55, 0x1D, 0x11]))
    body = base64.encodebytes(der).decode()
    return f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n".encode()


def hashed(names: list[x509.GeneralName]) -> bytes:
    """A request with an attribute beside its extensions."""
    builder = x509.CertificateSigningRequestBuilder().subject_name(
        x509.Name(
            [x509.NameAttribute(NameOID.COMMON_NAME, AGENT_ACCOUNT), x509.NameAttribute(NameOID.COMMON_NAME, "b")]
        )
    )
    return (
        builder.add_extension(x509.SubjectAlternativeName(names), False).sign(KEY, SHA256()).public_bytes(Encoding.PEM)
    )


CA = x509.BasicConstraints(ca=True, path_length=None)
ANY_USE = x509.ExtendedKeyUsage([ExtendedKeyUsageOID.ANY_EXTENDED_KEY_USAGE])
MAIL, URI = x509.RFC822Name("root@example.com"), x509.UniformResourceIdentifier("spiffe://cluster/console")
DIRECTORY = x509.DirectoryName(x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, CONSOLE_NAME)]))

REFUSED = {
    # Who asks.
    "another account": (an_agents(username="system:serviceaccount:default:hypernova-node-agent"), "WrongUser"),
    "a user": (an_agents(username="jane"), "WrongUser"),
    "an administrator": (an_agents(username="kubernetes-admin"), "WrongUser"),
    "an agent, as the conductor": (a_conductors(username=AGENT, node_name=["node-a"]), "WrongUser"),
    "the console, as the conductor": (a_conductors(username=CONSOLE), "WrongUser"),
    "the operator of another namespace": (
        a_conductors(username="system:serviceaccount:default:hypernova-operator"),
        "WrongUser",
    ),
    "the operator, as the console": (a_consoles_server(username=OPERATOR), "WrongUser"),
    "the conductor under the console's name": (
        a_conductors(a_request(dns(SERVICE), common_name=CONDUCTOR_NAME)),
        "WrongName",
    ),
    "the conductor as a client": (a_conductors(usages=CLIENT_USAGES), "WrongUsages"),
    "the conductor at an address": (
        a_conductors(a_request([*dns(CONDUCTOR), *ip("192.0.2.7")], common_name=CONDUCTOR_NAME)),
        "WrongAddress",
    ),
    "nobody": (an_agents(username=""), "WrongUser"),
    "an agent that asks for the console's": (a_consoles(username=AGENT, node_name=["node-a"]), "WrongUser"),
    "an agent that asks for the console's server": (a_consoles_server(username=AGENT), "WrongUser"),
    "the console that asks for an agent's": (an_agents(username=CONSOLE), "WrongUser"),
    # Which node.
    "no node in the token": (an_agents(node_name=[]), "NoNode"),
    "two nodes in the token": (an_agents(node_name=["node-a", "node-b"]), "NoNode"),
    "an empty node in the token": (an_agents(node_name=[""]), "NoNode"),
    "the name of another node": (an_agents(a_request(dns("node-b"))), "WrongName"),
    "the name of another node, too": (an_agents(a_request(dns("node-a", "node-b"))), "WrongName"),
    "the name twice": (an_agents(a_request(dns("node-a", "node-a"))), "WrongName"),
    "a wildcard": (an_agents(a_request(dns("*"))), "WrongName"),
    "a wildcard beside the name": (an_agents(a_request(dns("node-a", "*.example.com"))), "WrongName"),
    "the console's name": (an_agents(a_request(dns(CONSOLE_NAME))), "WrongName"),
    "no name but an address": (an_agents(a_request(ip("192.0.2.7"))), "WrongName"),
    "the name in other letters": (an_agents(a_request(dns("Node-A"))), "WrongName"),
    "the name with an end": (an_agents(a_request(dns("node-a\0.example.com"))), "WrongName"),
    "an address of another": (an_agents(a_request([*dns("node-a"), *ip("192.0.2.8")])), "WrongAddress"),
    "an address of another, too": (
        an_agents(a_request([*dns("node-a"), *ip("192.0.2.7", "192.0.2.8")])),
        "WrongAddress",
    ),
    "loopback": (an_agents(a_request([*dns("node-a"), *ip("127.0.0.1")])), "WrongAddress"),
    "an address as IPv6 has IPv4": (an_agents(a_request([*dns("node-a"), *ip("::ffff:192.0.2.7")])), "WrongAddress"),
    "an address for the console": (
        a_consoles(a_request([*dns(CONSOLE_NAME), *ip("192.0.2.7")], common_name=CONSOLE_NAME)),
        "WrongAddress",
    ),
    "another service's name": (
        a_consoles_server(a_request(dns("kubernetes.default.svc"), common_name=CONSOLE_NAME)),
        "WrongName",
    ),
    "the console's name of another namespace": (
        a_consoles_server(a_request(dns("hypernova-console.shop.svc"), common_name=CONSOLE_NAME)),
        "WrongName",
    ),
    # For what.
    "client's usage of a server": (an_agents(usages=CLIENT_USAGES), "WrongUsages"),
    "both usages": (an_agents(usages=[*SERVER_USAGES, "client auth"]), "WrongUsages"),
    "signing of certificates": (an_agents(usages=[*SERVER_USAGES, "cert sign"]), "WrongUsages"),
    "no usages": (an_agents(usages=[]), "WrongUsages"),
    "a usage twice": (an_agents(usages=[*SERVER_USAGES, "server auth"]), "WrongUsages"),
    "server's usage of a client": (a_consoles(usages=SERVER_USAGES), "WrongUsages"),
    # As whom.
    "the console's common name": (an_agents(a_request(dns("node-a"), common_name=CONSOLE_NAME)), "WrongSubject"),
    "the node as common name": (an_agents(a_request(dns("node-a"), common_name="node-a")), "WrongSubject"),
    "a group of Kubernetes": (an_agents(a_request(dns("node-a"), organization="system:masters")), "WrongSubject"),
    "two common names": (an_agents(hashed(dns("node-a"))), "WrongSubject"),
    # What else.
    "an authority": (an_agents(a_request(dns("node-a"), extensions=[CA])), "UnwantedExtension"),
    "any use": (an_agents(a_request(dns("node-a"), extensions=[ANY_USE])), "UnwantedExtension"),
    "no names at all": (an_agents(a_request([])), "UnwantedExtension"),
    "names twice": (an_agents(twice(dns("node-a"))), "NotUnderstood"),
    "a mail address": (an_agents(a_request([*dns("node-a"), MAIL])), "WrongName"),
    "a URI": (an_agents(a_request([*dns("node-a"), URI])), "WrongName"),
    "a name of a directory": (an_agents(a_request([*dns("node-a"), DIRECTORY])), "WrongName"),
    # With which key.
    "a small RSA key": (an_agents(a_request(dns("node-a"), key=rsa.generate_private_key(65537, 1024))), "WrongKey"),
    "a small curve": (an_agents(a_request(dns("node-a"), key=ec.generate_private_key(ec.SECP224R1()))), "WrongKey"),
    "a curve of another kind": (
        an_agents(a_request(dns("node-a"), key=ec.generate_private_key(ec.SECP256K1()))),
        "WrongKey",
    ),
    "DSA": (an_agents(a_request(dns("node-a"), key=dsa.generate_private_key(1024))), "WrongKey"),
    "a signature of nobody": (an_agents(forged()), "WrongSignature"),
    # Nothing of the kind.
    "nothing": (an_agents() | {"spec": an_agents()["spec"] | {"request": ""}}, "NotUnderstood"),
    "no base64": (an_agents() | {"spec": an_agents()["spec"] | {"request": "%%%"}}, "NotUnderstood"),
    "no PEM": (an_agents(b"\0\1\2"), "NotUnderstood"),
    "no request in PEM": (
        an_agents(b"-----BEGIN CERTIFICATE REQUEST-----\nAAAA\n-----END CERTIFICATE REQUEST-----\n"),
        "NotUnderstood",
    ),
    "a megabyte": (an_agents(a_request(dns("node-a")) + b"\n" * 2**20), "NotUnderstood"),
}


@pytest.mark.parametrize(("obj", "reason"), REFUSED.values(), ids=REFUSED)
def test_what_is_not_ones_own_is_refused(obj: dict[str, Any], reason: str) -> None:
    with pytest.raises(rules.Denied) as refusal:
        decide(obj)
    assert refusal.value.reason == reason
    assert len(str(refusal.value)) > 20


def test_a_key_without_a_hash_is_refused() -> None:
    names = x509.SubjectAlternativeName(dns("node-a"))
    subject = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, AGENT_ACCOUNT)])
    builder = x509.CertificateSigningRequestBuilder().subject_name(subject).add_extension(names, critical=False)
    request = builder.sign(ed25519.Ed25519PrivateKey.generate(), None).public_bytes(Encoding.PEM)
    with pytest.raises(rules.Denied, match="P-256"):
        decide(an_agents(request))


def test_any_flipped_bit_of_a_request_is_refused_or_changes_nothing() -> None:
    der = x509.load_pem_x509_csr(a_request([*dns("node-a"), *ip("192.0.2.7")], key=KEY)).public_bytes(Encoding.DER)
    allowed = contents(an_agents())
    for position in range(len(der)):
        broken = bytearray(der)
        broken[position] ^= 1 << position % 8
        body = base64.encodebytes(bytes(broken)).decode()
        request = f"-----BEGIN CERTIFICATE REQUEST-----\n{body}-----END CERTIFICATE REQUEST-----\n".encode()
        try:
            assert contents(an_agents(request)) == allowed
        except rules.Denied:
            continue


@pytest.mark.parametrize(
    ("obj", "expected"),
    [
        (an_agents(), True),
        (an_agents(conditions=["Approved"]), True),
        (an_agents(conditions=["Denied"]), False),
        (an_agents(conditions=["Approved", "Failed"]), False),
        (an_agents() | {"status": {"certificate": "AAAA"}}, False),
        (an_agents(signer="kubernetes.io/kubelet-serving"), False),
        (an_agents(signer=f"{Signer.AGENT_SERVING}-too"), False),
    ],
    ids=["new", "approved", "denied", "failed", "signed", "another's", "almost ours"],
)
def test_open_are_those_of_our_signers_without_an_answer(obj: dict[str, Any], expected: bool) -> None:
    assert rules.is_open(obj) is expected


def node(*addresses: str) -> dict[str, Any]:
    return {"status": {"addresses": [{"type": "InternalIP", "address": each} for each in addresses]}}


def pod(uid: str = "uid-1", on: str = "node-a", account: str = AGENT_ACCOUNT) -> dict[str, Any]:
    spec = {"nodeName": on, "serviceAccountName": account}
    return {"metadata": {"uid": uid}, "spec": spec, "status": {"podIPs": [{"ip": "10.1.1.1"}, {"ip": "fd00::1"}]}}


@pytest.mark.parametrize(
    ("pod", "expected"),
    [
        (pod(), {"192.0.2.7", "10.1.1.1", "fd00::1"}),
        (None, {"192.0.2.7"}),
        (pod(uid="uid-2"), {"192.0.2.7"}),
        (pod(on="node-b"), {"192.0.2.7"}),
        (pod(account="other"), {"192.0.2.7"}),
        (pod() | {"status": {}}, {"192.0.2.7"}),
    ],
    ids=["its Pod", "no Pod", "made anew", "on another node", "of another account", "without an address yet"],
)
def test_an_agents_addresses_are_its_nodes_and_its_pods(pod: dict[str, Any] | None, expected: set[str]) -> None:
    claim = rules.claim(an_agents())
    assert claim is not None
    found = rules.addresses_of(claim, node("192.0.2.7", "node-a.example.com"), pod)
    assert found == {ip_address(each) for each in expected}


def test_a_network_is_no_address() -> None:
    with pytest.raises(rules.Denied):
        decide(an_agents(a_request([*dns("node-a"), x509.IPAddress(ip_network("192.0.2.0/24"))])))
