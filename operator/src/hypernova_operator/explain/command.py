"""The command line of `hypernova-operator explain`."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from hypernova_api.instance import Instance
from hypernova_kube.client import Client
from hypernova_kube.errors import KubeError, NoCredentials, NotFound
from hypernova_kube.resources import Object, Resource
from hypernova_operator.explain.answers import capacities, explained
from hypernova_operator.explain.snapshot import snapshot
from hypernova_operator.settings import Settings

INSTANCES = Resource.of(Instance)

FITS, DOES_NOT_FIT, USAGE = 0, 1, 2
"""Exit statuses."""


class Unusable(Exception):
    """What was asked about cannot be used; the message says why."""


def parser() -> argparse.ArgumentParser:
    """The command's arguments."""
    made = argparse.ArgumentParser(
        prog="hypernova-operator explain",
        description="Would this Instance fit, where, and what is in its way? Writes nothing. "
        "Exit status 0: it fits, 1: it does not. The operator's own settings are taken from its environment variables.",
    )
    what = made.add_mutually_exclusive_group(required=True)
    what.add_argument("name", nargs="?", help="an Instance that exists")
    what.add_argument("-f", "--filename", type=Path, help="a file with an Instance, as for kubectl apply; - is stdin")
    what.add_argument("--all", action="store_true", help="how many more of each flavor fit, by zone")
    made.add_argument("-n", "--namespace", default="", help="the Instance's namespace; else default")
    made.add_argument("--kubeconfig", type=Path, help="kubeconfig to use, of somebody who may read all of the cluster")
    return made


async def explain(arguments: Sequence[str], settings: Settings) -> int:
    """Answer on stdout; returns the exit status. `settings` are the operator's, as far as the environment tells."""
    asked = parser().parse_args(arguments)
    try:
        async with await Client.connect(asked.kubeconfig or settings.kubeconfig, component="explain") as client:
            obj = None if asked.all else await _asked(client, asked)
            cache, ledger = await snapshot(client, settings, datetime.now(UTC))
    except (Unusable, KubeError, NoCredentials) as error:
        print(f"hypernova-operator explain: {error}", file=sys.stderr)
        return USAGE
    if obj is None:
        print("\n".join(capacities(cache, ledger)))
        return FITS
    answer = explained(obj, cache, ledger, settings.policy)
    print(answer.text)
    return FITS if answer.fits else DOES_NOT_FIT


async def _asked(client: Client, asked: argparse.Namespace) -> Object:
    """The Instance in question, as if it had been created.

    Raises:
        Unusable: there is none, or it isn't one.
    """
    namespace: str = asked.namespace
    if asked.filename is None:
        try:
            return await client.get(INSTANCES, asked.name, namespace or "default")
        except NotFound:
            raise Unusable(f'there is no Instance "{asked.name}" in namespace {namespace or "default"}') from None
    text = sys.stdin.read() if str(asked.filename) == "-" else asked.filename.read_text()
    return as_created(_one_instance(text), namespace)


def as_created(obj: Any, namespace: str) -> Object:
    """An Instance with what the API server would add, for who looks at stored ones only.

    Raises:
        Unusable: it is none.
    """
    metadata = obj.get("metadata") or {}
    own = metadata.get("namespace", "")
    if namespace and own and namespace != own:
        raise Unusable(f"the file says namespace {own}, and -n says {namespace}")
    created = {"uid": "asked-about", "resourceVersion": "1", "generation": 1}
    obj = obj | {"metadata": {"name": "asked", **metadata, **created, "namespace": own or namespace or "default"}}
    obj.pop("status", None)
    try:
        Instance.parse(obj)
    except ValidationError as error:
        fault = error.errors()[0]
        raise Unusable(f"{'.'.join(str(part) for part in fault['loc'])}: {fault['msg']}") from None
    return dict(obj)


def _one_instance(text: str) -> Any:
    try:
        documents = [each for each in yaml.safe_load_all(text) if isinstance(each, dict)]
    except yaml.YAMLError as error:
        raise Unusable(f"the file is no YAML: {error}") from None
    instances = [each for each in documents if each.get("kind") == "Instance"]
    if len(instances) != 1:
        raise Unusable(f"the file has {len(instances)} Instances: give one with exactly one")
    return instances[0]
