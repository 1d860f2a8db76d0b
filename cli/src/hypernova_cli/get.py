"""`get [NAME...]`: Instances, with what kubectl's columns have no room for."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence

import yaml

from hypernova_api.instance import Instance
from hypernova_api.meta import GROUP
from hypernova_cli import rows
from hypernova_cli.commandline import DONE, Commands
from hypernova_cli.errors import CliError
from hypernova_cli.objects import INSTANCES, each
from hypernova_cli.shell import Shell
from hypernova_kube.resources import Object, key_of


def add(commands: Commands) -> None:
    """Add the command."""
    parser = commands.add(
        "get",
        run,
        "what guests there are, where, how large, since when, and why not",
        details="""\
VCPU, MEMORY and DISK are what the guest really has; DISK is not shown where it is the image's own size. UP is the time
since the guest was last found running after it had not been, AGE that since its creation. WHY is what an Instance that
is not as it should be waits for, in the words of its conditions.""",
        examples="get\nget -A -o wide\nget web-1 -o yaml",
    )
    parser.add_argument("names", metavar="NAME", nargs="*", help="an Instance; all if none is given")
    parser.add_argument("-A", "--all-namespaces", action="store_true", help="of all namespaces")
    parser.add_argument("-o", "--output", choices=("wide", "json", "yaml", "name"), help="another form than the table")


async def run(asked: argparse.Namespace, shell: Shell) -> int:
    """Print them."""
    if asked.names and asked.all_namespaces:
        raise CliError("a name is one of a namespace: leave out -A, or the names")
    found, status = await _found(asked, shell)
    if asked.output in ("json", "yaml"):
        single = len(asked.names) == 1
        if not single or found:
            shell.terminal.print(document(found, asked.output, single=single))
    elif asked.output == "name":
        for obj in found:
            shell.terminal.print(f"{Instance.kind.lower()}.{GROUP}/{obj['metadata']['name']}")
    elif found:
        parsed = [Instance.parse(obj) for obj in found]
        wide = asked.output == "wide"
        shell.terminal.print(rows.instances(parsed, shell.now(), namespaces=asked.all_namespaces, wide=wide))
    elif not asked.names:
        shell.terminal.say(f"no Instances{'' if asked.all_namespaces else f' in namespace {shell.namespace}'}")
    return status


async def _found(asked: argparse.Namespace, shell: Shell) -> tuple[list[Object], int]:
    """The Instances in order, and the exit status: what is not there has been said."""
    if not asked.names:
        listing = await shell.client.list(INSTANCES, namespace="" if asked.all_namespaces else shell.namespace)
        return sorted(listing.items, key=key_of), DONE
    found: dict[str, Object] = {}

    async def one(name: str) -> None:
        found[name] = await shell.client.get(INSTANCES, name, shell.namespace)

    status = await each(asked.names, one, shell.terminal)
    return [found[name] for name in dict.fromkeys(asked.names) if name in found], status


def document(found: Sequence[Object], form: str, *, single: bool) -> str:
    """The objects as kubectl would print them: a List, unless a single one was asked for. Pure."""
    document = found[0] if single else {"apiVersion": "v1", "kind": "List", "metadata": {}, "items": list(found)}
    if form == "json":
        return json.dumps(document, indent=4, ensure_ascii=False)
    return yaml.safe_dump(document, sort_keys=False, allow_unicode=True).rstrip("\n")
