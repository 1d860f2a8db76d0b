"""The console proxy's settings."""

from __future__ import annotations

from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal
from urllib.parse import urlsplit


@dataclass(frozen=True, slots=True)
class Settings:
    """Passes the consoles of guests on: to API servers as an aggregated API, to browsers as a page."""

    public_url: str = field(
        metadata={"doc": "Where browsers find the page, e.g. `https://console.example.com`; links begin so."}
    )

    assets: Path = field(metadata={"doc": "Folder with `novnc/` and `xterm/`, which the page loads."})

    namespace: str = field(default="hypernova-system", metadata={"doc": "Namespace of Hypernova."})

    kubeconfig: Path | None = field(
        default=None, metadata={"doc": "How to reach the API server. Without it: $KUBECONFIG, else as a Pod does."}
    )

    api_host: str = field(default="0.0.0.0", metadata={"doc": "Address on which API servers are answered."})  # noqa: S104 - a Service leads there; who has no front-proxy certificate is turned away

    api_port: int = field(
        default=8443, metadata={"doc": "Port on which API servers are answered, by TLS; 0 takes a free one."}
    )

    web_host: str = field(default="0.0.0.0", metadata={"doc": "Address on which browsers are answered."})  # noqa: S104 - as above; who has no ticket is turned away

    web_port: int = field(default=8080, metadata={"doc": "Port on which browsers are answered; 0 takes a free one."})

    web_tls_cert: Path | None = field(
        default=None,
        metadata={"doc": "Certificate chain shown to browsers, PEM. Without it: plain HTTP, for an Ingress before it."},
    )

    web_tls_key: Path | None = field(default=None, metadata={"doc": "The certificate's key, PEM."})

    ticket_seconds: int = field(default=60, metadata={"doc": "How long a link can be opened after it was made."})

    session_seconds: int = field(default=8 * 3600, metadata={"doc": "How long a session may last in all."})

    review_seconds: float = field(
        default=60.0, metadata={"doc": "How often it is looked whether a session's user still has the right to it."}
    )

    vnc_sharing: Literal["Shared", "Exclusive"] = field(
        default="Shared", metadata={"doc": "Whether several may look at one guest's screen at once."}
    )

    probe_host: str = field(default="127.0.0.1", metadata={"doc": "Address of /healthz, /readyz and /metrics."})

    probe_port: int = field(
        default=8083, metadata={"doc": "Port of /healthz, /readyz and /metrics; 0 takes a free one."}
    )

    log_level: Literal["debug", "info", "warning", "error"] = field(
        default="info", metadata={"doc": "Least severity that is logged."}
    )

    log_format: Literal["logfmt", "json"] = field(default="logfmt", metadata={"doc": "How log lines are written."})

    def __post_init__(self) -> None:
        url = urlsplit(self.public_url)
        if url.scheme not in ("http", "https") or not url.netloc or url.path.strip("/") or url.query or url.fragment:
            raise ValueError(f"--public-url: {self.public_url!r} is not of the form https://HOST[:PORT]")
        if (self.web_tls_cert is None) != (self.web_tls_key is None):
            raise ValueError("--web-tls-cert and --web-tls-key must be given together")
        for flag, seconds, most in (
            ("--ticket-seconds", self.ticket_seconds, 3600),
            ("--session-seconds", self.session_seconds, 7 * 24 * 3600),
            ("--review-seconds", self.review_seconds, 3600),
        ):
            if not 1 <= seconds <= most:
                raise ValueError(f"{flag}: {seconds} is not between 1 and {most}")

    @property
    def web_certificate(self) -> tuple[Path, Path] | None:
        """Files of the certificate chain that browsers are shown, and of its key."""
        return (self.web_tls_cert, self.web_tls_key) if self.web_tls_cert and self.web_tls_key else None
