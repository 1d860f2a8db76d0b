"""Log lines that are events with keys: `log.info("bound", instance=key, node=node, took_ms=0.4)`."""

import json
import logging
import sys
import time
from collections.abc import Mapping
from typing import Any, Literal, TextIO, TypedDict, Unpack

Style = Literal["logfmt", "json"]

_BREAKING = frozenset('="\\ ')
"""Printable characters that would break a logfmt line; of all space, only the plain one is printable."""


class Keys(TypedDict, total=False):
    """Every key a log line of ours may carry: one word for one thing, everywhere. Add here what is missing."""

    # What it is about.
    instance: object
    """namespace/name of an Instance."""
    node: str
    """Name of a Kubernetes node."""
    session: object
    """namespace/name of a ConsoleSession."""
    console: str
    """What of a guest is looked at: VNC, Serial."""
    image: object
    flavor: str
    domain: str
    volume: str
    pool: str
    network: str
    address: str
    mac: str
    lease: object
    signer: str
    """spec.signerName of a CertificateSigningRequest."""
    user: str
    """As the API server has authenticated it."""
    resource: str
    """Plural name of a resource."""
    key: object
    """Key of an object whose kind the code does not know."""
    namespace: str
    name: str
    uid: str
    queue: str

    # What happens to it.
    phase: str
    step: str
    action: str
    state: object
    reason: str
    """CamelCase, as in a condition."""
    message: str
    cause: object
    error: object
    """What went wrong, as one line."""

    # How much, how long, how often.
    count: int
    hosts: int
    attempts: int
    bytes: int
    total_bytes: int
    took_ms: float
    age_s: float
    retry_in_s: float
    timeout_s: float

    # The process and its surroundings.
    identity: str
    component: str
    version: str
    url: str
    path: object
    port: int
    signal: str
    settings: object


class Logger:
    """Writes events with keys to the standard library's logger of the same name."""

    def __init__(self, name: str) -> None:
        self._logger = logging.getLogger(name)

    def debug(self, event: str, **keys: Unpack[Keys]) -> None:
        """For developers."""
        self._log(logging.DEBUG, event, keys)

    def info(self, event: str, **keys: Unpack[Keys]) -> None:
        """For those who run the system: the story of one instance in a few lines."""
        self._log(logging.INFO, event, keys)

    def warning(self, event: str, **keys: Unpack[Keys]) -> None:
        """Something went wrong, and will be tried again or got by without."""
        self._log(logging.WARNING, event, keys)

    def error(self, event: str, **keys: Unpack[Keys]) -> None:
        """Something went wrong and stays so until somebody acts."""
        self._log(logging.ERROR, event, keys)

    def exception(self, event: str, **keys: Unpack[Keys]) -> None:
        """An exception nobody expected, being handled right now: logged with its traceback."""
        self._log(logging.ERROR, event, keys, exc_info=True)

    def _log(self, level: int, event: str, keys: Mapping[str, object], exc_info: bool = False) -> None:
        if self._logger.isEnabledFor(level):
            # Two frames up is the line that logs.
            self._logger.log(level, event, extra={"keys": keys}, exc_info=exc_info, stacklevel=3)


def get_logger(name: str) -> Logger:
    """The logger of the module of that name."""
    return Logger(name)


def configure(level: str = "info", style: Style = "logfmt", stream: TextIO | None = None) -> None:
    """Send all log lines of this process, libraries' too, to `stream` (standard error) from `level` up."""
    handler = logging.StreamHandler(stream or sys.stderr)
    handler.setFormatter(_JsonFormatter() if style == "json" else _LogfmtFormatter())
    logging.basicConfig(level=level.upper(), handlers=[handler], force=True)


def _fields(record: logging.LogRecord) -> dict[str, Any]:
    second = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(record.created))
    return {
        "time": f"{second}.{int(record.msecs):03d}Z",
        "level": record.levelname.lower(),
        "event": record.getMessage(),
        **getattr(record, "keys", {}),
        "logger": record.name,
    }


class _JsonFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        fields = _fields(record)
        if record.exc_info:
            fields["traceback"] = self.formatException(record.exc_info)
        return json.dumps({key: _plain(value) for key, value in fields.items()}, ensure_ascii=False)


class _LogfmtFormatter(logging.Formatter):
    def format(self, record: logging.LogRecord) -> str:
        line = " ".join(f"{key}={_quoted(value)}" for key, value in _fields(record).items())
        return f"{line}\n{self.formatException(record.exc_info)}" if record.exc_info else line


def _plain(value: object) -> object:
    """As JSON has it, or as text: keys and paths are not lists and objects to a reader."""
    return value if value is None or isinstance(value, bool | int | float) else str(value)


def _quoted(value: object) -> str:
    text = f"{value:.6g}" if isinstance(value, float) else str(value)
    plain = text and text.isprintable() and not _BREAKING.intersection(text)
    return text if plain else json.dumps(text, ensure_ascii=False)
