"""Where the API server is and who we are to it, by the rules of the official client.

`kubernetes.aio.config` reads kubeconfigs (tokens, client certificates, exec plugins, OIDC) and service accounts into
its `Configuration`; this module takes from that only what our own HTTP session needs. The generated client of that
package is loaded lazily and stays unloaded: importing this costs 0.2 s and 15 MB more than aiohttp and pydantic do.
"""

import asyncio
import os
import ssl
from collections.abc import Awaitable, Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from kubernetes.aio.client.configuration import Configuration
from kubernetes.aio.config import ConfigException, kube_config, load_kube_config
from kubernetes.aio.config.incluster_config import SERVICE_HOST_ENV_NAME, InClusterConfigLoader
from yaml import YAMLError

from hypernova_kube.errors import NoCredentials

SERVICE_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")


@dataclass(frozen=True, slots=True)
class Login:
    """One login: the server, and what to show it."""

    server: str
    """URL without a trailing slash; may have a path."""

    tls: ssl.SSLContext
    """Trusts the cluster's CA, and carries the client certificate if there is one."""

    configuration: Configuration

    @property
    def server_name(self) -> str | None:
        """The name the server's certificate must carry, where that is not the URL's."""
        name: str | None = self.configuration.tls_server_name
        return name

    @property
    def proxy(self) -> str | None:
        """The proxy the kubeconfig names. Proxies of the environment are for other traffic."""
        proxy: str | None = self.configuration.proxy
        return proxy

    async def authorization(self) -> str | None:
        """The Authorization header's value; a service account's token is read anew every minute.

        Raises:
            NoCredentials: the token's file is gone or empty.
        """
        try:
            value: str | None = await self.configuration.get_api_key_with_prefix("BearerToken")
        except (ConfigException, OSError) as error:
            raise NoCredentials(f"service account token: {error}") from error
        return value.strip() if value else None


LogIn = Callable[[], Awaitable[Login]]
"""Logs in (again): reads kubeconfig, token and certificates anew, and runs the exec plugin if there is one."""


def log_in_from(
    kubeconfig: Path | None,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
    *,
    context: str = "",
) -> LogIn:
    """How to log in: by the kubeconfig given, else $KUBECONFIG, else as the Pod we are in, else ~/.kube/config.

    `context` is one of the kubeconfig's; its current one if it is empty.
    """
    paths = _kubeconfigs(kubeconfig, environ)
    if paths is None:
        return lambda: _by_service_account(service_account, environ)
    return lambda: _by_kubeconfig(paths, context)


def namespace_of(
    kubeconfig: Path | None,
    environ: Mapping[str, str] = os.environ,
    service_account: Path = SERVICE_ACCOUNT,
    *,
    context: str = "",
) -> str:
    """The namespace that is meant where none is named: the context's, or the Pod's we are in; else `default`.

    Raises:
        NoCredentials: there is no such context, or no kubeconfig.
    """
    paths = _kubeconfigs(kubeconfig, environ)
    if paths is None:
        told = service_account / "namespace"
        return told.read_text().strip() if told.exists() else "default"
    with _broken_is_no_credentials(paths):
        merged = kube_config.KubeConfigMerger(paths).config
        current = kube_config.KubeConfigLoader(merged, active_context=context or None).current_context
        return str(current["context"].get("namespace") or "default")


def _kubeconfigs(kubeconfig: Path | None, environ: Mapping[str, str]) -> str | None:
    """Paths of kubeconfigs, as $KUBECONFIG has them; None if the Pod's service account it is."""
    if kubeconfig is not None:
        return str(kubeconfig)
    if not environ.get("KUBECONFIG") and environ.get(SERVICE_HOST_ENV_NAME):
        return None
    return environ.get("KUBECONFIG") or str(Path.home() / ".kube" / "config")


_READING = asyncio.Lock()


async def _by_kubeconfig(paths: str, context: str) -> Login:
    configuration = Configuration()
    with _broken_is_no_credentials(paths):
        async with _READING:
            try:
                await load_kube_config(
                    config_file=paths,
                    context=context or None,
                    client_configuration=configuration,
                    persist_config=False,
                )
                return _login(configuration)
            finally:
                # The library puts certificates and private keys of the kubeconfig into files under /tmp until the
                # process exits; one that is killed would leave them there. Nobody reads them after this.
                kube_config._cleanup_temp_files()


@contextmanager
def _broken_is_no_credentials(paths: str) -> Iterator[None]:
    if not any(os.path.exists(os.path.expanduser(path)) for path in paths.split(os.pathsep)):
        raise NoCredentials(f"kubeconfig {paths} is not there")
    try:
        yield
    except (ConfigException, OSError, ValueError) as error:
        raise NoCredentials(f"kubeconfig {paths}: {error}") from error
    except (AttributeError, TypeError, YAMLError) as error:
        # So the library meets YAML that is something else.
        raise NoCredentials(f"kubeconfig {paths} is no kubeconfig") from error


async def _by_service_account(folder: Path, environ: Mapping[str, str]) -> Login:
    configuration = Configuration()
    loader = InClusterConfigLoader(
        token_filename=str(folder / "token"), cert_filename=str(folder / "ca.crt"), environ=environ
    )
    try:
        loader.load_and_set(configuration)
        return _login(configuration)
    except (ConfigException, OSError) as error:
        raise NoCredentials(f"service account in {folder}: {error}") from error


def _login(configuration: Configuration) -> Login:
    tls = ssl.create_default_context(cafile=configuration.ssl_ca_cert, cadata=configuration.ca_cert_data)
    if configuration.cert_file:
        tls.load_cert_chain(configuration.cert_file, configuration.key_file)
    if not configuration.verify_ssl:
        tls.check_hostname = False
        tls.verify_mode = ssl.CERT_NONE
    return Login(configuration.host.rstrip("/"), tls, configuration)
